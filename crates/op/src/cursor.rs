//! Positions in the log and cursors, one text on every face.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

/// The number of an event in its log: dense, from 1, in commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub NonZeroU64);

/// The name of a log; it changes when a store is restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub Arc<str>);

/// A place in a log: after the event `after` (0: before the first). Text: `epoch.after[~skip]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which log.
    pub epoch: Epoch,
    /// The last position seen.
    pub after: u64,
    /// A PostgreSQL snapshot: what it already showed is skipped.
    pub skip: Option<Arc<str>>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.after)?;
        match &self.skip {
            Some(skip) => write!(f, "~{skip}"),
            None => Ok(()),
        }
    }
}

/// A text that is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Cursor, NotACursor> {
        let (epoch, rest) = text.split_once('.').ok_or(NotACursor)?;
        let (after, skip) = match rest.split_once('~') {
            Some((after, skip)) => (after, Some(Arc::from(skip))),
            None => (rest, None),
        };
        let plain = !after.is_empty() && after.bytes().all(|b| b.is_ascii_digit());
        let epoch_fits = (1..=32).contains(&epoch.len()) && epoch.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain || !epoch_fits {
            return Err(NotACursor);
        }
        let after = after.parse().map_err(|_| NotACursor)?;
        Ok(Cursor { epoch: Epoch(Arc::from(epoch)), after, skip })
    }
}
