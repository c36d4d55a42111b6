//! The log: events in order, handed out by whole commits.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{EntityId, Model};
use fourfold_op::{Cursor, Epoch, Error, ErrorCode, Event, Position};
use fourfold_store::{Budget, Entities, Tail};
use rusqlite::{Connection, Row};

use crate::error::Fail;
use crate::value::key_from_sql;

/// Events looked at in one call, wanted or not.
const SCANNED_MAX: usize = 10_000;

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
        let text = "SELECT position, commit_last, entity, key, revision, generation, changed, after, at, by FROM fourfold_log \
                    WHERE position > ?1 ORDER BY position";
        let mut statement = self.connection.prepare_cached(text)?;
        let mut rows = statement.query([i64::try_from(after.after).unwrap_or(i64::MAX)])?;
        let (mut events, mut commit) = (Vec::new(), Vec::new());
        let (mut through, mut bytes, mut scanned) = (after.after, 0, 0);
        while let Some(row) = rows.next()? {
            let (position, last): (u64, u64) = (number(row, 0)?, number(row, 1)?);
            scanned += 1;
            commit.extend(self.event(row, of, position, last)?);
            if position < last {
                continue;
            }
            let more: usize = commit.iter().map(payload).sum();
            if !events.is_empty() && (events.len() + commit.len() > budget.events_max || bytes + more > budget.bytes_max) {
                break;
            }
            bytes += more;
            events.append(&mut commit);
            through = last;
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
        if after.after < self.floor {
            let message = "this cursor is older than the log; list again, and go on from the list's cursor";
            return Err(Error::new(ErrorCode::CursorExpired, message));
        }
        Ok(())
    }

    /// The event; `None` when it is not wanted, or the model no longer has its entity.
    fn event(&self, row: &Row<'_>, of: &Entities, position: u64, last: u64) -> Result<Option<Event>, Fail> {
        let Some(entity) = self.model.entity_by_number(row.get(2)?).filter(|entity| wanted(of, *entity)) else { return Ok(None) };
        let key = key_from_sql(row.get_ref(3)?).ok_or_else(|| Error::internal("the log holds a key of no type"))?;
        let blob = |index: usize| row.get::<_, Option<Vec<u8>>>(index).map(|bytes| bytes.map(Bytes::from));
        Ok(Some(Event {
            position: Position(NonZeroU64::new(position).unwrap_or(NonZeroU64::MIN)),
            commit_last: Position(NonZeroU64::new(last).unwrap_or(NonZeroU64::MIN)),
            entity,
            key,
            revision: number(row, 4)?,
            generation: row.get(5)?,
            changed: blob(6)?,
            after: blob(7)?,
            at: row.get(8)?,
            by: row.get::<_, Arc<str>>(9)?,
        }))
    }
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
