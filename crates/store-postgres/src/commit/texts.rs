//! The statements of a model, made once.

use fourfold_model::{Base, Default as FieldDefault, EntityId, FieldId, KEY, Model, SharedModel};
use fourfold_op::Error;
use fourfold_store::sql::{Dialect, Schema, TableWrites, owner_number, quoted};

use super::Done;

/// The longest name that PostgreSQL keeps whole, in bytes.
const NAME_MAX: usize = 63;

/// The statements of a model.
pub struct Texts {
    pub model: SharedModel,
    tables: Vec<TableTexts>,
}

/// Those for one entity.
pub struct TableTexts {
    pub writes: TableWrites,
    /// The rows of some keys, locked against change, or against being referred to as well.
    pub load_to_change: String,
    pub load_to_delete: String,
    /// The elements of each owned list, of the rows of some keys: the parent's key, the ordinal, the columns.
    pub load_owned: Vec<String>,
    /// Fields other than the key whose default is a counter.
    pub counted: Vec<FieldId>,
    /// The name of the key's constraint, and of each unique index with its fields.
    pub key_name: String,
    pub unique_names: Vec<(String, Vec<FieldId>)>,
}

impl Texts {
    /// The statements for a model.
    pub fn of(model: &SharedModel) -> Texts {
        let schema = Schema::of(Dialect::Postgres, model);
        Texts { model: model.clone(), tables: model.entity_ids().map(|(id, _)| TableTexts::of(model, &schema, id)).collect() }
    }

    pub(super) fn table(&self, id: EntityId) -> Done<&TableTexts> {
        self.tables.get(usize::from(id.0)).ok_or_else(|| Error::internal("an entity of another model").into())
    }
}

impl TableTexts {
    /// Whether rows that are created can be sent as arrays: those that meet others are then left out, and nothing fails.
    pub(super) fn takes_arrays(&self) -> bool {
        self.writes.several > 1 && self.writes.owned.is_empty()
    }

    fn of(model: &Model, schema: &Schema, id: EntityId) -> TableTexts {
        let entity = model.entity(id);
        let stored = entity.fields.iter().filter(|field| !matches!(field.ty.base, Base::Owned(_)));
        let columns = stored.map(|field| quoted(&field.column)).collect::<Vec<_>>().join(", ");
        let key = quoted(&entity.field(KEY).column);
        let load = |lock: &str| format!("SELECT {columns} FROM {} WHERE {key} = ANY($1) ORDER BY {key} {lock}", quoted(&entity.table));
        let counted = entity.field_ids().filter(|(id, field)| *id != KEY && matches!(field.default, Some(FieldDefault::Next)));
        let table = schema.tables.iter().find(|table| !table.owned && table.number == entity.number);
        let unique = table.into_iter().flat_map(|table| {
            let unique = table.indexes.iter().filter(|index| index.unique);
            unique.map(|index| {
                let numbers = index.columns.iter().map(|(number, _)| number);
                let named = |number: &u32| entity.field_ids().find(|(_, field)| field.number == *number).map(|(id, _)| id);
                (cut(table.index_name(index)), numbers.filter_map(named).collect())
            })
        });
        TableTexts {
            writes: TableWrites::of(Dialect::Postgres, model, id),
            load_to_change: load("FOR NO KEY UPDATE"),
            load_to_delete: load("FOR UPDATE"),
            load_owned: load_owned(model, id),
            counted: counted.map(|(id, _)| id).collect(),
            key_name: table.map(|table| cut(table.key_name())).unwrap_or_default(),
            unique_names: unique.collect(),
        }
    }
}

fn load_owned(model: &Model, id: EntityId) -> Vec<String> {
    let entity = model.entity(id);
    let lists = entity.fields.iter().filter_map(|field| match field.ty.base {
        Base::Owned(owned) => Some((field.number, model.owned(owned))),
        _ => None,
    });
    lists
        .map(|(number, owned)| {
            let columns: String = owned.fields.iter().map(|field| format!(", {}", quoted(&field.column))).collect();
            let (table, owner) = (quoted(&owned.table), owner_number(entity.number, number));
            format!(
                "SELECT _parent, _ordinal{columns} FROM {table} WHERE _owner = {owner} AND _parent = ANY($1) ORDER BY _parent, _ordinal"
            )
        })
        .collect()
}

/// A name as the database keeps it.
fn cut(mut name: String) -> String {
    name.truncate(NAME_MAX);
    name
}
