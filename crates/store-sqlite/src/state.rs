//! The state file: the log's epoch and the highest position seen, outside the database.
//!
//! A database that is below it, or of another epoch, is one that was put back: its log gets a new name, so that no cursor of the old
//! one is taken for its own. The file may be behind (it is written at most once a second); it must not be ahead.

use std::io;
use std::path::Path;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The log's epoch.
    pub epoch: String,
    /// The highest position.
    pub position: u64,
}

/// Reads the file; `None` where there is none or it says nothing.
pub fn read(path: &Path) -> io::Result<Option<Seen>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Option<Seen> {
    let (epoch, position) = text.trim().split_once(' ')?;
    Some(Seen { epoch: epoch.to_owned(), position: position.parse().ok()? })
}

/// Puts the file in place of the old one.
pub fn write(path: &Path, seen: &Seen) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, format!("{} {}\n", seen.epoch, seen.position))?;
    std::fs::rename(&beside, path)
}
