//! The log: events in order, handed out by whole commits.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{EntityId, Model};
use fourfold_op::{Cursor, Epoch, Error, ErrorCode, Event, Position};
use fourfold_store::{Budget, Entities, Tail, record};
use rusqlite::{Connection, Row};

use crate::error::Fail;

/// Events looked at in one call, wanted or not.
const SCANNED_MAX: u64 = 10_000;

/// The log as a snapshot has it.
pub struct Log<'a> {
    pub connection: &'a Connection,
    pub model: &'a Model,
    pub epoch: &'a Epoch,
    pub last: u64,
    pub floor: u64,
}

impl Log<'_> {
    /// Whole commits after a cursor, until the budget is spent.
    pub fn events(&self, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, Fail> {
        self.check(after)?;
        let text = "SELECT position, count, generation, at, by, events FROM fourfold_commit WHERE position > ?1 ORDER BY position";
        let mut statement = self.connection.prepare_cached(text)?;
        let mut rows = statement.query([i64::try_from(after.after).unwrap_or(i64::MAX)])?;
        let mut events = Vec::new();
        let (mut through, mut bytes, mut scanned) = (after.after, 0, 0);
        while let Some(row) = rows.next()? {
            let (last, count): (u64, u64) = (number(row, 0)?, number(row, 1)?);
            if last.saturating_sub(count) > through {
                return Err(too_old().into());
            }
            let mut commit = self.commit(row, of, last, count)?;
            // A cursor may stand within a commit.
            commit.retain(|event| event.position.0.get() > after.after);
            let more: usize = commit.iter().map(payload).sum();
            if !events.is_empty() && (events.len() + commit.len() > budget.events_max || bytes + more > budget.bytes_max) {
                break;
            }
            bytes += more;
            events.append(&mut commit);
            through = last;
            scanned += count;
            if scanned >= SCANNED_MAX {
                break;
            }
        }
        let through = Cursor { epoch: self.epoch.clone(), after: through, skip: None };
        Ok(Tail { events, through, model: self.model.fingerprint })
    }

    fn check(&self, after: &Cursor) -> Result<(), Error> {
        if after.epoch != *self.epoch || after.after > self.last {
            let message = "this cursor is of another log; list again, and go on from the list's cursor";
            return Err(Error::new(ErrorCode::CursorExpired, message));
        }
        if after.after < self.floor { Err(too_old()) } else { Ok(()) }
    }

    /// A commit's events, without those that are not wanted, or whose entity the model no longer has.
    fn commit(&self, row: &Row<'_>, of: &Entities, last: u64, count: u64) -> Result<Vec<Event>, Fail> {
        let (generation, at, by): (u32, i64, Arc<str>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let commit_last = at_position(last);
        let mut position = last.saturating_sub(count);
        let mut events = Vec::new();
        for event in record::events(row.get_ref(5)?.as_blob().map_err(|_| misformed())?) {
            let event = event.ok_or_else(misformed)?;
            position += 1;
            let Some(entity) = self.model.entity_by_number(event.entity).filter(|entity| wanted(of, *entity)) else { continue };
            events.push(Event {
                position: at_position(position),
                commit_last,
                entity,
                key: event.key,
                revision: event.revision,
                generation,
                changed: event.changed.map(Bytes::copy_from_slice),
                after: event.after.map(Bytes::copy_from_slice),
                at,
                by: Arc::clone(&by),
            });
        }
        if position == last { Ok(events) } else { Err(misformed().into()) }
    }
}

fn too_old() -> Error {
    Error::new(ErrorCode::CursorExpired, "this cursor is older than the log; list again, and go on from the list's cursor")
}

fn at_position(number: u64) -> Position {
    Position(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
}

pub fn misformed() -> Error {
    Error::internal("the log holds a commit of another form")
}

fn wanted(of: &Entities, entity: EntityId) -> bool {
    match of {
        Entities::All => true,
        Entities::Some(entities) => entities.contains(&entity),
    }
}

fn number(row: &Row<'_>, index: usize) -> Result<u64, Fail> {
    Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0))
}

fn payload(event: &Event) -> usize {
    [&event.changed, &event.after].into_iter().flatten().map(|bytes| bytes.len()).sum()
}
