//! Connections: how they are opened, and the tables that every database of ours has.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Result, params};

use crate::functions;

/// The tables beside the model's: the log, tombstones, the floors of revisions, counters, side records, and what the database knows of itself.
const SYSTEM: &str = "
CREATE TABLE IF NOT EXISTS fourfold_meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fourfold_commit (position INTEGER PRIMARY KEY, count INTEGER NOT NULL, generation INTEGER NOT NULL,
  at INTEGER NOT NULL, by TEXT NOT NULL, events BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fourfold_tombstone (entity INTEGER NOT NULL, key ANY NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (entity, key)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fourfold_floor (entity INTEGER PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fourfold_counter (entity INTEGER NOT NULL, field INTEGER NOT NULL, value INTEGER NOT NULL,
  PRIMARY KEY (entity, field)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fourfold_side (space INTEGER NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, bytes BLOB NOT NULL,
  keep_until INTEGER, PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fourfold_side_until ON fourfold_side (keep_until) WHERE keep_until IS NOT NULL;
";

/// Opens the one connection that writes.
pub fn open_writer(path: &Path, durable: bool) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Before the first table, or it has no effect.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "OFF" })?;
    // Checkpoints are made between commits by a thread of their own.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A log that was long is cut when it begins anew.
    connection.pragma_update(None, "journal_size_limit", crate::CHECKPOINT_BYTES as i64)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    prepare(&connection)?;
    connection.execute_batch(SYSTEM)?;
    Ok(connection)
}

/// Opens a connection that reads.
pub fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Opens a file that another process may have open, and only reads it.
pub fn open_beside(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Opens a copy that nobody else knows of.
pub fn open_copy(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    prepare(&connection)?;
    Ok(connection)
}

/// A name for a log that no other has.
pub fn new_epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect()
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // Without this a cached list is prepared anew for other values of its parameters.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(512);
    rusqlite::vtab::array::load_module(connection)?;
    functions::register(connection)
}

/// Copies of the write-ahead log what no reader is in the way of.
pub fn copy_log(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// A text or number that the database knows of itself.
pub fn meta<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<Option<T>> {
    connection.query_row("SELECT value FROM fourfold_meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// Writes it.
pub fn set_meta(connection: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<()> {
    let text = "INSERT INTO fourfold_meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.execute(text, params![name, value]).map(|_| ())
}

/// The log's last position; 0 when it is empty.
pub fn last_position(connection: &Connection) -> Result<u64> {
    let mut statement = connection.prepare_cached("SELECT max(position) FROM fourfold_commit")?;
    let last: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
}
