//! Pruning: the oldest commits leave the log in slices, each one short transaction of the writer.
//!
//! How large the log is, is measured by a reader, so that the writer never waits for it; how far was measured stands in the database,
//! so that an opening goes on from there.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use fourfold_model::Value;
use fourfold_op::Error;
use fourfold_store::{Pruned, Retention, record};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use crate::connection::{meta, set_meta};
use crate::error::{Fail, to_error};
use crate::writer::{Writer, now_us};
use crate::{Inner, SqliteStore};

/// Commits that are measured of one snapshot: a snapshot that is held long keeps the write-ahead log from starting over.
const MEASURED_AT_ONCE: u32 = 20_000;
/// Bytes that one slice takes out, its first commit apart.
const SLICE_BYTES_MAX: u64 = 16 << 20;
/// Bytes by which the log grows until it is noted how large it is.
const NOTED_EVERY_BYTES: u64 = 64 << 20;
/// Side records past their end that go with one slice.
const SIDES_MAX: u32 = 1_000;
/// Pages of the file that are given back with one slice, while more than a quarter of the file, and this many pages, are free.
const PAGES_AT_ONCE: u32 = 256;
const PAGES_FREE_MIN: u32 = 4_096;
/// What a commit takes beside its events.
const COMMIT_BYTES: &str = "length(events) + length(by) + 32";

/// How large the log is.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSize {
    /// It is measured up to this position.
    through: u64,
    /// Of the commits up to there that are left.
    bytes: u64,
    /// Of those, what was not noted yet.
    fresh: u64,
}

impl LogSize {
    /// What the database says of itself.
    pub fn noted(connection: &Connection) -> rusqlite::Result<LogSize> {
        let text: Option<String> = meta(connection, "log_size")?;
        let numbers = text.as_deref().and_then(|text| text.split_once(' '));
        let parsed = numbers.and_then(|(through, bytes)| Some((through.parse().ok()?, bytes.parse().ok()?)));
        Ok(parsed.map_or_else(LogSize::default, |(through, bytes)| LogSize { through, bytes, fresh: 0 }))
    }

    /// Writes it down.
    pub fn note(&self, connection: &Connection) -> rusqlite::Result<()> {
        set_meta(connection, "log_size", format!("{} {}", self.through, self.bytes))
    }

    /// Without the commits of a slice.
    fn less(&self, slice: &Slice) -> LogSize {
        LogSize { through: self.through.max(slice.through), bytes: self.bytes.saturating_sub(slice.measured), fresh: 0 }
    }
}

impl SqliteStore {
    /// Measures what the log has grown by.
    pub(crate) async fn measure(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        let task = tokio::task::spawn_blocking(move || {
            while inner.measure_some()? {}
            Ok(())
        });
        task.await.map_err(Error::internal)?
    }
}

impl Inner {
    /// Measures some commits; whether there may be more.
    fn measure_some(&self) -> Result<bool, Error> {
        let known = self.size.lock().through;
        let measured = self.measured(known).map_err(Fail::into_error)?;
        let Some((through, bytes, commits)) = measured else { return Ok(false) };
        let mut size = self.size.lock();
        // Else a slice went meanwhile, maybe with some of these.
        if size.through == known {
            *size = LogSize { through, bytes: size.bytes + bytes, fresh: size.fresh + bytes };
        }
        Ok(commits == MEASURED_AT_ONCE)
    }

    fn measured(&self, after: u64) -> Result<Option<(u64, u64, u32)>, Fail> {
        self.open()?;
        let mut reader = self.renewed(self.readers.heavy())?;
        let text = format!(
            "SELECT max(position), sum(size), count(*) FROM \
             (SELECT position, {COMMIT_BYTES} AS size FROM fourfold_commit WHERE position > ?1 ORDER BY position LIMIT ?2)"
        );
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?));
        let found =
            reader.connection.prepare_cached(&text).and_then(|mut statement| statement.query_row(params![after, MEASURED_AT_ONCE], read));
        reader.let_go()?;
        let (through, bytes, commits) = found?;
        Ok(through.zip(bytes).map(|(through, bytes)| (through.unsigned_abs(), bytes.unsigned_abs(), commits)))
    }
}

/// The commits that go at once.
#[derive(Default)]
struct Slice {
    /// The last position of them; 0: none goes.
    through: u64,
    events: u64,
    bytes: u64,
    /// Of `bytes`, what is in [`LogSize::bytes`].
    measured: u64,
    /// Rows that were deleted: the entity's number, the key, the number left for it.
    deleted: Vec<(u32, Value, u64)>,
    more: bool,
}

impl Slice {
    /// The oldest commits before `newest`, as far as they are not to be kept.
    fn of(connection: &Connection, newest: u64, keep: &Retention, size: LogSize) -> rusqlite::Result<Slice> {
        let any_deleted: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM fourfold_tombstone)", [], |row| row.get(0))?;
        let text = format!(
            "SELECT position, count, at, {COMMIT_BYTES}, CASE WHEN ?2 THEN events END FROM fourfold_commit WHERE position < ?1 ORDER BY position"
        );
        let mut statement = connection.prepare_cached(&text)?;
        let mut rows = statement.query(params![i64::try_from(newest).unwrap_or(i64::MAX), any_deleted])?;
        let mut slice = Slice::default();
        while let Some(row) = rows.next()? {
            let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
            let (position, count, at, bytes) = (number(0)?, number(1)?, row.get::<_, i64>(2)?, number(3)?);
            let read = keep.aged_through.is_none_or(|through| position <= through);
            let (old, left) = (keep.since.is_some_and(|since| read && at < since), size.bytes.saturating_sub(slice.measured));
            if !old && keep.bytes_max.is_none_or(|max| left <= max) {
                break;
            }
            slice.more = slice.events > 0 && (slice.events + count > keep.slice_events_max || slice.bytes + bytes > SLICE_BYTES_MAX);
            if slice.more {
                break;
            }
            slice.take(position, count, bytes, size);
            if let ValueRef::Blob(record) = row.get_ref(4)? {
                let deleted = record::events(record).flatten().filter(|event| event.after.is_none());
                slice.deleted.extend(deleted.map(|event| (event.entity, event.key, event.revision)));
            }
        }
        Ok(slice)
    }

    fn take(&mut self, position: u64, count: u64, bytes: u64, size: LogSize) {
        self.through = position;
        self.events += count;
        self.bytes += bytes;
        if position <= size.through {
            self.measured += bytes;
        }
    }

    /// Takes the commits out of the log, and with each deletion the number that it left: the entity's floor rises to it.
    fn delete(&self, connection: &Connection) -> rusqlite::Result<()> {
        let through = i64::try_from(self.through).unwrap_or(i64::MAX);
        connection.prepare_cached("DELETE FROM fourfold_commit WHERE position <= ?1")?.execute([through])?;
        let mut floors = BTreeMap::new();
        let text = "DELETE FROM fourfold_tombstone WHERE entity = ?1 AND key = ?2 AND revision = ?3";
        let mut statement = connection.prepare_cached(text)?;
        for (entity, key, revision) in &self.deleted {
            let Some(key) = stored(key) else { continue };
            let number = i64::try_from(*revision).unwrap_or(i64::MAX);
            // A key that was made and deleted again since then has a later number.
            if statement.execute(params![entity, rusqlite::types::ToSqlOutput::Borrowed(key), number])? > 0 {
                let floor = floors.entry(*entity).or_insert(number);
                *floor = number.max(*floor);
            }
        }
        let text = "INSERT INTO fourfold_floor (entity, revision) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET revision = max(revision, excluded.revision)";
        let mut statement = connection.prepare_cached(text)?;
        for (entity, floor) in floors {
            statement.execute(params![entity, floor])?;
        }
        Ok(())
    }
}

/// A key as the tombstones have it.
fn stored(key: &Value) -> Option<ValueRef<'_>> {
    match key {
        Value::Int(number) => Some(ValueRef::Integer(*number)),
        Value::Text(text) => Some(ValueRef::Text(text.as_bytes())),
        Value::Uuid(bytes) => Some(ValueRef::Blob(bytes)),
        _ => None,
    }
}

/// Takes one slice out, and what else may go; a log that has nothing to lose costs no transaction.
pub fn prune(writer: &mut Writer, keep: &Retention) -> Result<Pruned, Error> {
    let inner = writer.inner.clone();
    // Only the writer and who measures want it, and that one holds it for a moment.
    let mut size = inner.size.lock();
    let due = Due::of(writer, keep, *size).map_err(|error| to_error(&error))?;
    let left = size.less(&due.slice);
    let before = inner.floor.load(Ordering::Acquire);
    let floor = before.max(due.slice.through);
    if due.is_any() {
        writer.transaction(|writer| due.carry_out(&writer.connection, floor, &left).map_err(|error| to_error(&error)))?;
        writer.forget_floors();
        inner.floor.store(floor, Ordering::Release);
        *size = left;
    }
    Ok(Pruned { events: due.slice.events, floor, bytes: size.bytes, more: due.more() })
}

/// What there is to do.
struct Due {
    slice: Slice,
    sides: u32,
    pages: u32,
    note: bool,
    now: i64,
}

impl Due {
    fn of(writer: &Writer, keep: &Retention, size: LogSize) -> rusqlite::Result<Due> {
        let connection = &writer.connection;
        let now = now_us();
        let slice = Slice::of(connection, writer.position, keep, size)?;
        let text = "SELECT count(*) FROM (SELECT 1 FROM fourfold_side WHERE keep_until <= ?1 LIMIT ?2)";
        let sides = connection.prepare_cached(text)?.query_row(params![now, SIDES_MAX], |row| row.get(0))?;
        let pages = if slice.through == 0 { pages_to_give_back(connection)? } else { 0 };
        Ok(Due { slice, sides, pages, note: size.fresh >= NOTED_EVERY_BYTES, now })
    }

    fn is_any(&self) -> bool {
        self.slice.through > 0 || self.sides > 0 || self.pages > 0 || self.note
    }

    /// After a slice there may be pages to give back.
    fn more(&self) -> bool {
        self.slice.through > 0 || self.sides == SIDES_MAX || self.pages > 0
    }

    fn carry_out(&self, connection: &Connection, floor: u64, left: &LogSize) -> rusqlite::Result<()> {
        if self.slice.through > 0 {
            self.slice.delete(connection)?;
            set_meta(connection, "floor", i64::try_from(floor).unwrap_or(i64::MAX))?;
        }
        if self.sides > 0 {
            let text =
                "DELETE FROM fourfold_side WHERE (space, key) IN (SELECT space, key FROM fourfold_side WHERE keep_until <= ?1 LIMIT ?2)";
            connection.prepare_cached(text)?.execute(params![self.now, SIDES_MAX])?;
        }
        if self.pages > 0 {
            let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({})", self.pages))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        left.note(connection)
    }
}

fn pages_to_give_back(connection: &Connection) -> rusqlite::Result<u32> {
    let pragma = |name: &str| -> rusqlite::Result<u32> {
        let found: Option<i64> = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).optional()?;
        Ok(found.and_then(|pages| u32::try_from(pages).ok()).unwrap_or(0))
    };
    let (free, all) = (pragma("freelist_count")?, pragma("page_count")?);
    Ok(if free >= PAGES_FREE_MIN && free > all / 4 { PAGES_AT_ONCE } else { 0 })
}
