//! The log of a database as another process sees it, also while a server writes it.

use std::path::Path;

use fourfold_model::SharedModel;
use fourfold_op::{Cursor, Epoch, Error};
use fourfold_store::{Budget, Entities, Head, Tail};
use rusqlite::{Connection, OptionalExtension};

use crate::connection::{last_position, meta, open_beside};
use crate::error::{Fail, to_error, unavailable};
use crate::log::Log;

/// Reads a log and nothing else: it takes no lock and writes no row.
pub struct LogBeside {
    connection: Connection,
    model: SharedModel,
}

impl LogBeside {
    /// Opens a database; its events are told by the entities of `model`.
    ///
    /// # Errors
    /// `unavailable` where there is no database of Fourfold.
    pub fn open(database: &Path, model: SharedModel) -> Result<LogBeside, Error> {
        let none = || unavailable(&format!("`{}` is no database of Fourfold", database.display()));
        let connection = open_beside(database).map_err(|error| none().with_private(error))?;
        let log = LogBeside { connection, model };
        log.head().map_err(|error| none().with_private(error.private.0.unwrap_or_default()))?;
        Ok(log)
    }

    /// The ends of the log now; here it can be read from below its floor.
    ///
    /// # Errors
    /// `unavailable`, `internal`.
    pub fn head(&self) -> Result<Head, Error> {
        self.snapshot(|log| Ok(Head { epoch: log.epoch.clone(), position: log.last, floor: log.floor })).map_err(Fail::into_error)
    }

    /// The position before the first commit that is there; 0 for a whole log.
    ///
    /// # Errors
    /// `unavailable`, `internal`.
    pub fn begins_after(&self) -> Result<u64, Error> {
        let text = "SELECT position - count FROM fourfold_commit ORDER BY position LIMIT 1";
        let first: Option<i64> = self.connection.query_row(text, [], |row| row.get(0)).optional().map_err(|error| to_error(&error))?;
        Ok(first.map_or(0, i64::unsigned_abs))
    }

    /// Whole commits after a cursor; those below the floor too, while they are there.
    ///
    /// # Errors
    /// `cursor_expired`, `unavailable`, `internal`.
    pub fn events(&self, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, Error> {
        self.snapshot(|log| Log { floor: 0, ..log }.events(after, of, budget)).map_err(Fail::into_error)
    }

    fn snapshot<T>(&self, read: impl FnOnce(Log<'_>) -> Result<T, Fail>) -> Result<T, Fail> {
        self.connection.execute_batch("BEGIN").map_err(|error| to_error(&error))?;
        let done = self.read(read);
        self.connection.execute_batch("COMMIT").map_err(|error| to_error(&error))?;
        done
    }

    fn read<T>(&self, read: impl FnOnce(Log<'_>) -> Result<T, Fail>) -> Result<T, Fail> {
        let epoch: Option<String> = meta(&self.connection, "epoch")?;
        let epoch = Epoch(epoch.ok_or_else(|| Error::internal("the database has no epoch"))?.into());
        let floor = meta::<i64>(&self.connection, "floor")?.unwrap_or(0).unsigned_abs();
        let last = last_position(&self.connection)?;
        read(Log { connection: &self.connection, model: &self.model, epoch: &epoch, last, floor })
    }
}
