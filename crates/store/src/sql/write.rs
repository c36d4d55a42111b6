//! The statements that load, insert, change and delete the rows of one entity.

use fourfold_model::{Base, Entity, EntityId, Field, FieldId, Model, OwnedId};

use super::dialect::parameter_type;
use super::{Codec, Dialect, owner_number, put_name, quoted};

/// Rows of one `INSERT` of several, and their parameters.
const SEVERAL_MAX: usize = 32;
const SEVERAL_PARAMETERS_MAX: usize = 1_000;
/// Rows of one `INSERT` out of arrays.
const ARRAY_ROWS_MAX: usize = 500;

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
    /// `INSERT` of several rows. SQLite's: of exactly so many, one parameter after another. PostgreSQL's: of at most so many, an array for each
    /// column; rows that meet others are left out, and it brings the keys of those that are not.
    pub insert_several: String,
    /// How many rows that inserts; 1 where there is no such statement.
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
    pub fn of(dialect: Dialect, model: &Model, id: EntityId) -> TableWrites {
        let entity = model.entity(id);
        let stored: Vec<(FieldId, &Field)> = entity.field_ids().filter(|(_, field)| !matches!(field.ty.base, Base::Owned(_))).collect();
        let names: Vec<&str> = stored.iter().map(|(_, field)| field.column.as_str()).collect();
        let (table, key) = (quoted(&entity.table), quoted(key_column(entity)));
        let (insert_several, several) = match dialect {
            Dialect::Sqlite => insert_rows(&table, &names),
            Dialect::Postgres => insert_arrays(&table, &key, &stored),
        };
        let first = dialect.marker(1);
        // The key of a table of others may be one that the database always gives, where nobody says so.
        let overriding = if dialect == Dialect::Postgres { "OVERRIDING SYSTEM VALUE " } else { "" };
        TableWrites {
            entity: id,
            columns: stored.iter().map(|(id, field)| (*id, Codec::of_type(field.ty))).collect(),
            load: format!("SELECT {} FROM {table} WHERE {key} = {first}", listed(&names)),
            insert: format!("INSERT INTO {table} ({}) {overriding}VALUES ({})", listed(&names), markers(dialect, 1, names.len())),
            insert_several,
            several,
            delete: format!("DELETE FROM {table} WHERE {key} = {first}"),
            owned: entity
                .field_ids()
                .filter_map(|(field, definition)| OwnedWrites::of(dialect, model, entity, field, definition))
                .collect(),
        }
    }

    /// `UPDATE` of these fields: their columns in this order, then the key.
    pub fn update(dialect: Dialect, model: &Model, id: EntityId, fields: &[FieldId]) -> String {
        let entity = model.entity(id);
        let mut text = format!("UPDATE {} SET ", quoted(&entity.table));
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            put_name(&mut text, &entity.field(*field).column);
            text.push_str(" = ");
            dialect.put_marker(&mut text, index + 1);
        }
        text.push_str(&format!(" WHERE {} = ", quoted(key_column(entity))));
        dialect.put_marker(&mut text, fields.len() + 1);
        text
    }

    /// The keys of the rows whose column holds a value.
    pub fn referencing(dialect: Dialect, model: &Model, id: EntityId, field: FieldId) -> String {
        let entity = model.entity(id);
        let key = quoted(key_column(entity));
        let (table, column, first) = (quoted(&entity.table), quoted(&entity.field(field).column), dialect.marker(1));
        format!("SELECT {key} FROM {table} WHERE {column} = {first} ORDER BY {key}")
    }
}

impl OwnedWrites {
    fn of(dialect: Dialect, model: &Model, entity: &Entity, field: FieldId, definition: &Field) -> Option<OwnedWrites> {
        let Base::Owned(id) = definition.ty.base else { return None };
        let owned = model.owned(id);
        let table = quoted(&owned.table);
        let owner = owner_number(entity.number, definition.number);
        let names: Vec<&str> = owned.fields.iter().map(|field| field.column.as_str()).collect();
        let (listed, comma) = (listed(&names), if names.is_empty() { "" } else { ", " });
        let parent = dialect.parent_marker(1, entity.key_type());
        let values = format!("{parent}, {}", markers(dialect, 2, names.len() + 1));
        Some(OwnedWrites {
            field,
            owned: id,
            columns: owned.fields.iter().map(|field| Codec::of_type(field.ty)).collect(),
            load: format!("SELECT _ordinal{comma}{listed} FROM {table} WHERE _owner = {owner} AND _parent = {parent} ORDER BY _ordinal"),
            insert: format!("INSERT INTO {table} (_owner, _parent, _ordinal{comma}{listed}) VALUES ({owner}, {values})"),
            delete: format!("DELETE FROM {table} WHERE _owner = {owner} AND _parent = {parent}"),
        })
    }
}

/// `VALUES (?1, ?2), (?3, ?4), …`, and how many rows.
fn insert_rows(table: &str, names: &[&str]) -> (String, usize) {
    let several = (SEVERAL_PARAMETERS_MAX / names.len().max(1)).clamp(1, SEVERAL_MAX);
    let rows = (0..several).map(|row| format!("({})", markers(Dialect::Sqlite, 1 + row * names.len(), names.len())));
    (format!("INSERT INTO {table} ({}) VALUES {}", listed(names), rows.collect::<Vec<_>>().join(", ")), several)
}

/// `SELECT * FROM unnest($1::uuid[], …)`; a column that is an array itself would be taken apart with the rest.
fn insert_arrays(table: &str, key: &str, stored: &[(FieldId, &Field)]) -> (String, usize) {
    if stored.iter().any(|(_, field)| field.ty.list) {
        return (String::new(), 1);
    }
    let names: Vec<&str> = stored.iter().map(|(_, field)| field.column.as_str()).collect();
    let arrays = stored.iter().enumerate().map(|(index, (_, field))| format!("${}::{}[]", index + 1, parameter_type(field.ty.base)));
    let (listed, arrays) = (listed(&names), arrays.collect::<Vec<_>>().join(", "));
    let text = format!("INSERT INTO {table} ({listed}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING RETURNING {key}");
    (text, ARRAY_ROWS_MAX)
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

fn markers(dialect: Dialect, from: usize, count: usize) -> String {
    (from..from + count).map(|number| dialect.marker(number)).collect::<Vec<_>>().join(", ")
}
