//! Counters: the numbers that `next()` gives.

use std::collections::HashMap;

use fourfold_model::{EntityId, FieldId, Model, Value};
use fourfold_op::Error;
use rusqlite::{Connection, OptionalExtension, params};

use super::Done;

/// Counters by lock numbers of entity and field: the last number given, and whether it must be written down.
#[derive(Default)]
pub struct Counters(HashMap<(u32, u32), (i64, bool), foldhash::fast::RandomState>);

impl Counters {
    /// Writes down what has moved.
    pub fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for ((entity, field), (value, moved)) in &mut self.0 {
            if std::mem::take(moved) {
                let text = "INSERT INTO fourfold_counter (entity, field, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
                connection.prepare_cached(text)?.execute(params![entity, field, *value])?;
            }
        }
        Ok(())
    }

    /// Forgets everything: the transaction was rolled back.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    pub(super) fn next(&mut self, connection: &Connection, model: &Model, id: EntityId, field: FieldId) -> Done<i64> {
        let last = self.last(connection, model, id, field)?;
        let next = last.checked_add(1).ok_or_else(|| Error::limit("counter_max", i64::MAX as usize, "numbers"))?;
        let entity = model.entity(id);
        self.0.insert((entity.number, entity.field(field).number), (next, true));
        Ok(next)
    }

    /// The last number given: no row has a higher one.
    pub(super) fn last(&mut self, connection: &Connection, model: &Model, id: EntityId, field: FieldId) -> Done<i64> {
        let entity = model.entity(id);
        let definition = entity.field(field);
        let at = (entity.number, definition.number);
        if let Some((last, _)) = self.0.get(&at) {
            return Ok(*last);
        }
        let text = "SELECT value FROM fourfold_counter WHERE entity = ?1 AND field = ?2";
        let kept: Option<i64> = connection.prepare_cached(text)?.query_row(params![at.0, at.1], |row| row.get(0)).optional()?;
        let column = fourfold_store::sql::quoted(&definition.column);
        let text = format!("SELECT max({column}) FROM {}", fourfold_store::sql::quoted(&entity.table));
        let highest: Option<i64> = connection.query_row(&text, [], |row| row.get(0))?;
        let last = kept.unwrap_or(0).max(highest.unwrap_or(0));
        self.0.insert(at, (last, false));
        Ok(last)
    }

    /// A client's own number in a counted field moves the counter above it.
    pub(super) fn seen(&mut self, at: (u32, u32), value: &Value) {
        if let (Value::Int(number), Some((last, moved))) = (value, self.0.get_mut(&at))
            && *number > *last
        {
            *last = *number;
            *moved = true;
        }
    }
}
