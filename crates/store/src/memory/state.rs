//! What the reference store holds, and how a commit is undone.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use fourfold_model::{EntityId, FieldId, KEY, Model, Row, SharedModel, Value};
use fourfold_op::{Error, Event};
use fourfold_plan::Scan;

use super::unavailable;
use crate::store::{SideRecord, Space};

/// Everything.
#[derive(Default)]
pub(super) struct State {
    pub model: Option<SharedModel>,
    /// By the entity's lock number.
    pub tables: BTreeMap<u32, Table>,
    /// The event of position n is at n - 1 - `gone`.
    pub log: VecDeque<LogRecord>,
    /// Events that were pruned: those up to this position.
    pub gone: u64,
    /// Cursors below this are too old.
    pub floor: u64,
    pub sides: BTreeMap<(Space, Vec<u8>), Kept>,
    pub closed: bool,
}

/// The rows of an entity.
#[derive(Default)]
pub(super) struct Table {
    pub rows: BTreeMap<Key, Row>,
    /// The last revision of keys that have no row any more.
    pub tombstones: BTreeMap<Key, u64>,
    /// Above every revision whose tombstone was pruned: new rows begin above this.
    pub revision_floor: u64,
    /// The last number of each field's counter, by lock number.
    pub counters: BTreeMap<u32, i64>,
}

/// An event, with its entity by lock number: ids change when the model does.
pub(super) struct LogRecord {
    pub entity: u32,
    pub event: Event,
}

/// A side record with its end.
#[derive(Clone)]
pub(super) struct Kept {
    pub record: SideRecord,
    pub until: Option<i64>,
}

/// A key as a map has it. The keys of one table are of one type, so their order is total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(pub Value);

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.0.compare(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What was there before a change; applied from the last to the first, it undoes a commit.
pub(super) enum Undo {
    Row(u32, Key, Option<Row>),
    Tombstone(u32, Key, Option<u64>),
    Counter(u32, u32, Option<i64>),
}

impl State {
    /// Refuses everything after `close`.
    pub fn open(&self) -> Result<(), Error> {
        if self.closed { Err(unavailable("the store is closed")) } else { Ok(()) }
    }

    /// Refuses plans of another model than the one that this store was migrated to.
    pub fn serves(&self, model: &Model) -> Result<(), Error> {
        self.open()?;
        match &self.model {
            Some(own) if own.fingerprint == model.fingerprint => Ok(()),
            _ => Err(unavailable("the store is being migrated to another model; try again")),
        }
    }

    /// The log's last position; 0 while it is empty.
    pub fn position(&self) -> u64 {
        self.gone + self.log.len() as u64
    }

    /// The highest revision that a key without a row may have had.
    pub fn revision_floor(&self, number: u32, key: Option<&Value>) -> u64 {
        let Some(table) = self.tables.get(&number) else { return 0 };
        let tombstone = key.and_then(|key| table.tombstones.get(&Key(key.clone())));
        tombstone.map_or(table.revision_floor, |tombstone| table.revision_floor.max(*tombstone))
    }

    pub fn table(&self, model: &Model, entity: EntityId) -> Option<&Table> {
        self.tables.get(&model.entity(entity).number)
    }

    pub fn table_mut(&mut self, number: u32) -> &mut Table {
        self.tables.entry(number).or_default()
    }

    pub fn row(&self, model: &Model, entity: EntityId, key: &Value) -> Option<&Row> {
        self.table(model, entity)?.rows.get(&Key(key.clone()))
    }

    /// Every row whose column has this value.
    pub fn referring(&self, model: &Model, entity: EntityId, field: FieldId, key: &Value) -> Vec<Row> {
        let rows = self.table(model, entity).into_iter().flat_map(|table| table.rows.values());
        rows.filter(|row| row.value(field) == key).cloned().collect()
    }

    /// Puts a row in, or takes it out, and remembers what was there.
    pub fn put_row(&mut self, number: u32, key: &Value, row: Option<Row>, undo: &mut Vec<Undo>) {
        let key = Key(key.clone());
        let rows = &mut self.table_mut(number).rows;
        let before = match row {
            Some(row) => rows.insert(key.clone(), row),
            None => rows.remove(&key),
        };
        undo.push(Undo::Row(number, key, before));
    }

    /// Puts a tombstone in, or takes it away.
    pub fn put_tombstone(&mut self, number: u32, key: &Value, revision: Option<u64>, undo: &mut Vec<Undo>) {
        let key = Key(key.clone());
        let tombstones = &mut self.table_mut(number).tombstones;
        let before = match revision {
            Some(revision) => tombstones.insert(key.clone(), revision),
            None => tombstones.remove(&key),
        };
        undo.push(Undo::Tombstone(number, key, before));
    }

    /// The next number of a counter: above the last one, and above every value that the column has.
    pub fn next(&mut self, model: &Model, entity: EntityId, field: FieldId, undo: &mut Vec<Undo>) -> Option<i64> {
        let definition = model.entity(entity);
        let (table, counter) = (definition.number, definition.field(field).number);
        let table_rows = self.table_mut(table);
        let highest = table_rows.rows.values().filter_map(|row| integer(row.value(field))).max().unwrap_or(0);
        let last = table_rows.counters.get(&counter).copied();
        let next = highest.max(last.unwrap_or(0)).checked_add(1)?;
        table_rows.counters.insert(counter, next);
        undo.push(Undo::Counter(table, counter, last));
        Some(next)
    }

    /// Undoes everything from `mark` on.
    pub fn roll_back(&mut self, undo: &mut Vec<Undo>, mark: usize) {
        for change in undo.drain(mark..).rev() {
            match change {
                Undo::Row(number, key, row) => restore(&mut self.table_mut(number).rows, key, row),
                Undo::Tombstone(number, key, revision) => restore(&mut self.table_mut(number).tombstones, key, revision),
                Undo::Counter(number, counter, last) => restore(&mut self.table_mut(number).counters, counter, last),
            }
        }
    }

    /// A side record; one past its end is nothing.
    pub fn side(&self, space: Space, key: &[u8], now: i64) -> Option<&Kept> {
        let kept = self.sides.get(&(space, key.to_vec()))?;
        kept.until.is_none_or(|until| until > now).then_some(kept)
    }
}

fn restore<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// Rows for [`eval`](fourfold_plan::eval()).
pub(super) struct Rows<'a> {
    pub state: &'a State,
    pub model: &'a Model,
}

impl Scan for Rows<'_> {
    fn by_key(&self, entity: EntityId, key: &Value) -> Option<Row> {
        self.state.row(self.model, entity, key).cloned()
    }

    fn rows(&self, entity: EntityId) -> Vec<Row> {
        let table = self.state.table(self.model, entity);
        table.into_iter().flat_map(|table| table.rows.values().cloned()).collect()
    }
}

/// A row's key.
pub(super) fn key_of(row: &Row) -> &Value {
    row.value(KEY)
}

/// Microseconds since 1970, UTC.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
