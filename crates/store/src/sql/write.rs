//! The statements that load, insert, change and delete the rows of one entity.

use fourfold_model::{Base, Entity, EntityId, Field, FieldId, Model, OwnedId};

use super::{Codec, owner_number, put_name, quoted};

/// Rows of one `INSERT` of several, and their parameters.
const SEVERAL_MAX: usize = 32;
const SEVERAL_PARAMETERS_MAX: usize = 1_000;

/// The statements for one entity's rows. Parameters stand in the order of the columns.
#[derive(Clone, Debug)]
pub struct TableWrites {
    /// The entity.
    pub entity: EntityId,
    /// The columns (owned lists have none), in the order of the statements.
    pub columns: Vec<(FieldId, Codec)>,
    /// `SELECT` of all columns by key.
    pub load: String,
    /// `INSERT` of all columns.
    pub insert: String,
    /// `INSERT` of several rows, one after another.
    pub insert_several: String,
    /// How many rows that inserts.
    pub several: usize,
    /// `DELETE` by key.
    pub delete: String,
    /// Its owned lists.
    pub owned: Vec<OwnedWrites>,
}

/// The statements for an owned list's elements.
#[derive(Clone, Debug)]
pub struct OwnedWrites {
    /// The slot of the parent's row.
    pub field: FieldId,
    /// The owned type.
    pub owned: OwnedId,
    /// The elements' columns.
    pub columns: Vec<Codec>,
    /// `SELECT` of the elements in order, by the parent's key.
    pub load: String,
    /// `INSERT` of an element: the parent's key, the ordinal, the columns.
    pub insert: String,
    /// `DELETE` of all elements by the parent's key.
    pub delete: String,
}

impl TableWrites {
    /// The statements for an entity.
    pub fn of(model: &Model, id: EntityId) -> TableWrites {
        let entity = model.entity(id);
        let stored: Vec<(FieldId, &Field)> = entity.field_ids().filter(|(_, field)| !matches!(field.ty.base, Base::Owned(_))).collect();
        let names: Vec<&str> = stored.iter().map(|(_, field)| field.column.as_str()).collect();
        let (table, key) = (quoted(&entity.table), quoted(key_column(entity)));
        let several = (SEVERAL_PARAMETERS_MAX / names.len().max(1)).clamp(1, SEVERAL_MAX);
        let rows: Vec<String> = (0..several).map(|row| format!("({})", markers(1 + row * names.len(), names.len()))).collect();
        TableWrites {
            entity: id,
            columns: stored.iter().map(|(id, field)| (*id, Codec::of_type(field.ty))).collect(),
            load: format!("SELECT {} FROM {table} WHERE {key} = ?1", listed(&names)),
            insert: format!("INSERT INTO {table} ({}) VALUES ({})", listed(&names), markers(1, names.len())),
            insert_several: format!("INSERT INTO {table} ({}) VALUES {}", listed(&names), rows.join(", ")),
            several,
            delete: format!("DELETE FROM {table} WHERE {key} = ?1"),
            owned: entity.field_ids().filter_map(|(field, definition)| OwnedWrites::of(model, entity, field, definition)).collect(),
        }
    }

    /// `UPDATE` of these fields: their columns in this order, then the key.
    pub fn update(model: &Model, id: EntityId, fields: &[FieldId]) -> String {
        let entity = model.entity(id);
        let mut text = format!("UPDATE {} SET ", quoted(&entity.table));
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            put_name(&mut text, &entity.field(*field).column);
            text.push_str(&format!(" = ?{}", index + 1));
        }
        text.push_str(&format!(" WHERE {} = ?{}", quoted(key_column(entity)), fields.len() + 1));
        text
    }

    /// The keys of the rows whose column holds a value.
    pub fn referencing(model: &Model, id: EntityId, field: FieldId) -> String {
        let entity = model.entity(id);
        let key = quoted(key_column(entity));
        format!("SELECT {key} FROM {} WHERE {} = ?1 ORDER BY {key}", quoted(&entity.table), quoted(&entity.field(field).column))
    }
}

impl OwnedWrites {
    fn of(model: &Model, entity: &Entity, field: FieldId, definition: &Field) -> Option<OwnedWrites> {
        let Base::Owned(id) = definition.ty.base else { return None };
        let owned = model.owned(id);
        let table = quoted(&owned.table);
        let owner = owner_number(entity.number, definition.number);
        let names: Vec<&str> = owned.fields.iter().map(|field| field.column.as_str()).collect();
        let (listed, comma) = (listed(&names), if names.is_empty() { "" } else { ", " });
        Some(OwnedWrites {
            field,
            owned: id,
            columns: owned.fields.iter().map(|field| Codec::of_type(field.ty)).collect(),
            load: format!("SELECT _ordinal{comma}{listed} FROM {table} WHERE _owner = {owner} AND _parent = ?1 ORDER BY _ordinal"),
            insert: format!(
                "INSERT INTO {table} (_owner, _parent, _ordinal{comma}{listed}) VALUES ({owner}, {})",
                markers(1, names.len() + 2)
            ),
            delete: format!("DELETE FROM {table} WHERE _owner = {owner} AND _parent = ?1"),
        })
    }
}

fn key_column(entity: &Entity) -> &str {
    entity.fields.first().map_or("id", |field| field.column.as_str())
}

fn listed(names: &[&str]) -> String {
    let mut out = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        put_name(&mut out, name);
    }
    out
}

fn markers(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}
