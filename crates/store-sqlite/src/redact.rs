//! Redaction: the payloads of a row's events are blanked in place, and the file is written anew, so that no free page has them either.

use std::sync::atomic::Ordering;

use fourfold_model::Value;
use fourfold_op::{Error, ErrorCode};
use fourfold_store::Redacted;
use fourfold_store::log::misformed;
use fourfold_store::record::{self, Record, RecordedEvent};
use rusqlite::{Connection, params};

use crate::connection::set_meta;
use crate::error::{Fail, to_error};
use crate::prune::LogSize;
use crate::writer::Writer;

/// Commits that are looked at between two writes.
const COMMITS_AT_ONCE: u32 = 1_000;
/// Times that the write-ahead log is tried to be emptied.
const EMPTYINGS: u32 = 3;

/// Blanks every event of a row.
pub fn redact(writer: &mut Writer, entity: u32, key: &Value) -> Result<Redacted, Error> {
    let inner = writer.inner.clone();
    let before = inner.floor.load(Ordering::Acquire);
    let done = writer.transaction(|writer| {
        let done = blank(&writer.connection, entity, key, before)?;
        let floor = i64::try_from(done.floor).unwrap_or(i64::MAX);
        let noted = set_meta(&writer.connection, "floor", floor).and_then(|()| LogSize::default().note(&writer.connection));
        noted.map_err(|error| to_error(&error))?;
        // Before the commit: who reads a snapshot that has blank payloads finds the floor above them.
        writer.inner.floor.store(done.floor, Ordering::Release);
        Ok(done)
    });
    let done = done.inspect_err(|error| {
        // Of a commit whose outcome is not known nothing more is read.
        if error.code != ErrorCode::UnknownOutcome {
            inner.floor.store(before, Ordering::Release);
        }
    })?;
    // Smaller by what was blanked: it is measured anew.
    *inner.size.lock() = LogSize::default();
    // Also where nothing was blanked now: the time before may not have come this far.
    let rewritten = writer.connection.execute_batch("VACUUM");
    // Readers go on with the new file, and let the old pages go.
    inner.commits.fetch_add(1, Ordering::Release);
    match rewritten.and_then(|()| empty_log(&writer.connection)) {
        Ok(true) => Ok(done),
        Ok(false) => Err(rest_remains("a long read still needs its old pages")),
        Err(error) => Err(rest_remains("it could not be written anew").with_private(error)),
    }
}

fn rest_remains(why: &str) -> Error {
    let message =
        format!("the events are blanked, but what they held may be in the file's free pages or its write-ahead log: {why}; try again");
    Error::new(ErrorCode::Unavailable, message)
}

/// Copies the whole write-ahead log into the file and cuts it; whether nobody was in the way for long.
fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    for _ in 0..EMPTYINGS {
        // Each waits for readers, up to the connection's own limit of 5 s.
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if !busy {
            return Ok(true);
        }
    }
    Ok(false)
}

fn blank(connection: &Connection, entity: u32, key: &Value, floor: u64) -> Result<Redacted, Error> {
    let mut done = Redacted { events: 0, floor };
    let mut after = 0;
    loop {
        let is_meant = |event: &RecordedEvent<'_>| event.entity == entity && event.key == *key;
        let (through, blanked) = blanked(connection, after, &mut done, is_meant).map_err(Fail::into_error)?;
        let text = "UPDATE fourfold_commit SET events = ?2 WHERE position = ?1";
        for (position, record) in blanked {
            let written = connection.prepare_cached(text).and_then(|mut statement| statement.execute(params![position, record.bytes()]));
            written.map_err(|error| to_error(&error))?;
        }
        if through == after {
            return Ok(done);
        }
        after = through;
    }
}

/// Some commits on from a position: how far they go, and those of them that have such an event, without its payloads.
fn blanked(
    connection: &Connection,
    after: i64,
    done: &mut Redacted,
    is_meant: impl Fn(&RecordedEvent<'_>) -> bool,
) -> Result<(i64, Vec<(i64, Record)>), Fail> {
    let text = "SELECT position, count, events FROM fourfold_commit WHERE position > ?1 ORDER BY position LIMIT ?2";
    let mut statement = connection.prepare_cached(text)?;
    let mut rows = statement.query(params![after, COMMITS_AT_ONCE])?;
    let (mut through, mut found) = (after, Vec::new());
    while let Some(row) = rows.next()? {
        let (last, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        through = last;
        let (mut record, mut any) = (Record::default(), false);
        for (position, event) in (last - count + 1..).zip(record::events(row.get_ref(2)?.as_blob().map_err(|_| misformed())?).flatten()) {
            let blank = is_meant(&event) && [event.changed, event.after].into_iter().flatten().any(|payload| !payload.is_empty());
            if blank {
                any = true;
                done.events += 1;
                done.floor = done.floor.max(position.unsigned_abs());
                record.push(&RecordedEvent { changed: event.changed.map(|_| &[][..]), after: event.after.map(|_| &[][..]), ..event });
            } else {
                record.push(&event);
            }
        }
        if record.count() as u64 != count.unsigned_abs() {
            return Err(misformed().into());
        }
        if any {
            found.push((last, record));
        }
    }
    Ok((through, found))
}
