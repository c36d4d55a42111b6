//! Whole copies of a database, taken while a server writes it, and put back in its place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use fourfold_op::{Cursor, Epoch, Error, ErrorCode};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::connection::{last_position, meta, new_epoch, open_beside, open_copy, set_meta};
use crate::error::{to_error, unavailable};
use crate::{Files, lock, state};

/// Pages that are copied between two words about it.
const PAGES_AT_ONCE: std::ffi::c_int = 1_024;

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Of which moment it is.
    pub cursor: Cursor,
    /// How large it is.
    pub bytes: u64,
}

/// A database that was put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The end of its log, under the log's new name.
    pub cursor: Cursor,
    /// Where the database that was there is kept.
    pub aside: Option<PathBuf>,
}

/// Copies a database of one moment into a new file, also while a server writes it. `told` learns how many pages of how many are copied.
///
/// # Errors
/// `failed_precondition` where the file is there already; `unavailable` for what is no database of Fourfold, and where files cannot be used.
pub fn backup(database: &Path, to: &Path, told: impl FnMut(u32, u32)) -> Result<Copy, Error> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(Error::new(ErrorCode::FailedPrecondition, format!("`{}` exists already; it is left as it is", to.display())));
    }
    // Whoever finds the file under its name finds all of it.
    let part = beside(to, ".part");
    let made = copy(database, &part, told).and_then(|cursor| {
        let bytes = fs::metadata(&part).and_then(|file| fs::rename(&part, to).map(|()| file.len())).map_err(|error| unusable(to, error))?;
        sync_folder(to);
        Ok(Copy { cursor, bytes })
    });
    if made.is_err() {
        remove(&part);
    }
    made
}

/// Puts a copy in the place of a store's database, under a new name for its log: no cursor of before is taken for one of its own. The
/// database that was there is kept beside it.
///
/// # Errors
/// `unavailable` while another process has the folder, for what is no database of Fourfold or is damaged, and where files cannot be used.
pub fn restore(files: &Files, from: &Path, told: impl FnMut(u32, u32)) -> Result<Restored, Error> {
    let _held = lock(&files.lock)?;
    let part = beside(&files.database, ".part");
    let placed = copy(from, &part, told).and_then(|cursor| {
        let cursor = renamed_log(&part, cursor)?;
        let aside = put_in_place(&part, files).map_err(|error| unusable(&files.database, error))?;
        Ok(Restored { cursor, aside })
    });
    match &placed {
        // Without it the next opening would see another epoch, and name the log once more.
        Ok(placed) => {
            drop(state::write(&files.state, &state::Seen { epoch: placed.cursor.epoch.0.to_string(), position: placed.cursor.after }))
        }
        Err(_) => remove(&part),
    }
    placed
}

/// Copies one snapshot into a file, checks the copy and brings it to the disk.
fn copy(from: &Path, to: &Path, mut told: impl FnMut(u32, u32)) -> Result<Cursor, Error> {
    remove(to);
    let none = |error: rusqlite::Error| unavailable(&format!("`{}` is no database of Fourfold", from.display())).with_private(error);
    let source = open_beside(from).map_err(none)?;
    // A snapshot that is held is not moved on by those who write: the copy need not begin anew for them.
    source.execute_batch("BEGIN").map_err(none)?;
    let epoch: String = meta(&source, "epoch").map_err(none)?.ok_or_else(|| none(rusqlite::Error::QueryReturnedNoRows))?;
    let cursor = Cursor { epoch: Epoch(epoch.into()), after: last_position(&source).map_err(none)?, skip: None };
    // It holds what the store holds, so it is for its owner alone.
    File::options().write(true).create_new(true).mode(0o600).open(to).map_err(|error| unusable(to, error))?;
    let mut target = open_copy(to).map_err(|error| unusable_store(to, &error))?;
    copy_pages(&source, &mut target, &mut told).map_err(|error| unusable_store(to, &error))?;
    drop(source);
    check(&target, from)?;
    // One file, whole by itself.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(|error| unusable_store(to, &error))?;
    target.close().map_err(|(_, error)| unusable_store(to, &error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| unusable(to, error))?;
    Ok(cursor)
}

fn copy_pages(source: &Connection, target: &mut Connection, told: &mut impl FnMut(u32, u32)) -> rusqlite::Result<()> {
    let backup = Backup::new(source, target)?;
    loop {
        let step = backup.step(PAGES_AT_ONCE)?;
        let progress = backup.progress();
        let number = |pages: std::ffi::c_int| u32::try_from(pages).unwrap_or(0);
        told(number(progress.pagecount - progress.remaining), number(progress.pagecount));
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => std::thread::sleep(std::time::Duration::from_millis(50)),
        }
    }
}

fn check(copy: &Connection, from: &Path) -> Result<(), Error> {
    let found = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(text) if text == "ok" => Ok(()),
        Ok(text) => Err(unavailable(&format!("`{}` is damaged", from.display())).with_private(text)),
        Err(error) => Err(unavailable(&format!("`{}` is damaged", from.display())).with_private(error)),
    }
}

fn renamed_log(copy: &Path, cursor: Cursor) -> Result<Cursor, Error> {
    let epoch = new_epoch();
    let connection = open_copy(copy).map_err(|error| to_error(&error))?;
    set_meta(&connection, "epoch", &epoch).map_err(|error| to_error(&error))?;
    connection.close().map_err(|(_, error)| to_error(&error))?;
    Ok(Cursor { epoch: Epoch(epoch.into()), ..cursor })
}

/// Puts a whole file in the place of the database; where the old one is kept.
fn put_in_place(part: &Path, files: &Files) -> io::Result<Option<PathBuf>> {
    let (database, wal, shm) = (&files.database, beside(&files.database, "-wal"), beside(&files.database, "-shm"));
    let aside = if database.exists() { Some(free_name(database)) } else { None };
    if aside.is_some() {
        fold_log(database);
    }
    // A log that could not be folded in belongs to the old file, and must not be taken for the new one's.
    if wal.exists() {
        fs::rename(&wal, beside(&aside.clone().unwrap_or_else(|| free_name(database)), "-wal"))?;
    }
    let _ = fs::remove_file(shm);
    if let Some(aside) = &aside {
        // Two names for a moment, so that there is a database at every moment.
        fs::hard_link(database, aside).or_else(|_| fs::copy(database, aside).map(drop))?;
        // Who restores may not be who serves.
        let was = fs::metadata(aside)?;
        fs::set_permissions(part, was.permissions())?;
        let _ = chown(part, Some(was.uid()), Some(was.gid()));
    }
    fs::rename(part, database)?;
    sync_folder(database);
    Ok(aside)
}

/// Brings what the write-ahead log has into the file; a database that is too damaged for that stays as it is.
fn fold_log(database: &Path) {
    if let Ok(connection) = open_copy(database) {
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

fn free_name(database: &Path) -> PathBuf {
    let names = (1..).map(|number: u32| beside(database, &format!(".before-restore-{number}")));
    names.into_iter().find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_else(|| beside(database, ".before-restore"))
}

/// `data.db` and `-wal`: `data.db-wal`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// A part of a copy, with what SQLite has beside it.
fn remove(part: &Path) {
    for ending in ["", "-wal", "-shm", "-journal"] {
        // Most of them are not there.
        let _ = fs::remove_file(beside(part, ending));
    }
}

/// A new name is on the disk once its folder is.
fn sync_folder(of: &Path) {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // Where folders cannot be synced, they need not be.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> Error {
    unavailable(&format!("`{}` cannot be written", path.display())).with_private(error)
}

fn unusable_store(path: &Path, error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => to_error(error),
        _ => unusable(path, error),
    }
}
