//! The statements of a model, and what the writer knows of its entities.

use std::collections::HashMap;
use std::sync::Arc;

use fourfold_model::{Default as FieldDefault, EntityId, FieldId, SharedModel};
use fourfold_op::Error;
use fourfold_store::sql::{Dialect, TableWrites};
use rusqlite::{Connection, OptionalExtension};

use super::Done;

/// The statements of a model, made once.
pub struct Texts {
    pub model: SharedModel,
    pub(super) tables: Vec<TableWrites>,
    /// For each entity the fields whose default is a counter.
    pub(super) counted: Vec<Vec<FieldId>>,
    updates: HashMap<(EntityId, Vec<FieldId>), Arc<str>>,
    /// For each entity whether a row of it was ever deleted, once that was asked: only the writer deletes.
    tombstones: Vec<Option<bool>>,
    /// For each entity the highest revision of a tombstone that was pruned, once that was asked: only the writer prunes.
    floors: Vec<Option<u64>>,
}

impl Texts {
    /// The statements for a model.
    pub fn of(model: &SharedModel) -> Texts {
        let counted = |id: EntityId| {
            let fields = model.entity(id).field_ids();
            fields.filter(|(_, field)| matches!(field.default, Some(FieldDefault::Next))).map(|(id, _)| id).collect()
        };
        Texts {
            model: model.clone(),
            tables: model.entity_ids().map(|(id, _)| TableWrites::of(Dialect::Sqlite, model, id)).collect(),
            counted: model.entity_ids().map(|(id, _)| counted(id)).collect(),
            updates: HashMap::new(),
            tombstones: vec![None; model.entities.len()],
            floors: vec![None; model.entities.len()],
        }
    }

    pub(super) fn table(&self, id: EntityId) -> Done<&TableWrites> {
        self.tables.get(usize::from(id.0)).ok_or_else(|| Error::internal("an entity of another model").into())
    }

    /// Whether a key of this entity can have a tombstone.
    pub(super) fn has_tombstones(&mut self, connection: &Connection, id: EntityId) -> Done<bool> {
        let number = self.model.entity(id).number;
        let Some(known) = self.tombstones.get_mut(usize::from(id.0)) else { return Ok(true) };
        if known.is_none() {
            let text = "SELECT EXISTS (SELECT 1 FROM fourfold_tombstone WHERE entity = ?1)";
            *known = Some(connection.prepare_cached(text)?.query_row([number], |row| row.get(0))?);
        }
        Ok(*known != Some(false))
    }

    /// The revision above which new rows of this entity begin.
    pub(super) fn revision_floor(&mut self, connection: &Connection, id: EntityId) -> Done<u64> {
        let number = self.model.entity(id).number;
        let Some(known) = self.floors.get_mut(usize::from(id.0)) else { return Ok(0) };
        if let Some(floor) = known {
            return Ok(*floor);
        }
        let text = "SELECT revision FROM fourfold_floor WHERE entity = ?1";
        let floor: Option<i64> = connection.prepare_cached(text)?.query_row([number], |row| row.get(0)).optional()?;
        Ok(*known.insert(floor.and_then(|floor| u64::try_from(floor).ok()).unwrap_or(0)))
    }

    /// Floors were raised.
    pub fn forget_floors(&mut self) {
        self.floors.fill(None);
    }

    pub(super) fn update(&mut self, id: EntityId, fields: &[FieldId]) -> Arc<str> {
        let model = &self.model;
        self.updates.entry((id, fields.to_vec())).or_insert_with(|| TableWrites::update(Dialect::Sqlite, model, id, fields).into()).clone()
    }

    /// A row of this entity is deleted.
    pub(super) fn deleted(&mut self, id: EntityId) {
        if let Some(known) = self.tombstones.get_mut(usize::from(id.0)) {
            *known = Some(true);
        }
    }
}
