//! The log: events in order, handed out by whole commits.

use fourfold_model::Model;
use fourfold_op::{Cursor, Epoch, Error};
use fourfold_store::log::{Handed, LoggedCommit, elsewhere, misformed, too_old};
use fourfold_store::{Budget, Entities, Tail};
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
        let (mut handed, mut scanned) = (Handed::after(after.after, budget), 0);
        while let Some(row) = rows.next()? {
            let commit = logged(row)?;
            let (last, count) = (commit.last, commit.count);
            if last.saturating_sub(count) > handed.through {
                return Err(too_old().into());
            }
            if !handed.take(last, commit.read(self.model, of)?) {
                break;
            }
            scanned += count;
            if scanned >= SCANNED_MAX {
                break;
            }
        }
        let through = Cursor { epoch: self.epoch.clone(), after: handed.through, skip: None };
        Ok(Tail { events: handed.events, through, model: self.model.fingerprint })
    }

    fn check(&self, after: &Cursor) -> Result<(), Error> {
        if after.epoch != *self.epoch || after.after > self.last {
            return Err(elsewhere());
        }
        if after.after < self.floor { Err(too_old()) } else { Ok(()) }
    }
}

fn logged<'a>(row: &'a Row<'_>) -> Result<LoggedCommit<'a>, Fail> {
    let number = |index| row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or(0));
    let events = row.get_ref(5)?.as_blob().map_err(|_| misformed())?;
    Ok(LoggedCommit { last: number(0)?, count: number(1)?, generation: row.get(2)?, at: row.get(3)?, by: row.get(4)?, events })
}
