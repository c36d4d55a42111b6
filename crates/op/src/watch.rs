//! Watches: what a caller asks to be told of, and the words in which it is told.

use fourfold_model::{EntityId, Expr, FieldId};

use crate::Cursor;

/// A watch of one entity's rows. Like an operation it is a shape: the filter's values stand in a separate list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Of which entity.
    pub entity: EntityId,
    /// Which rows, beside the read rule; `None`: all. It can name only the row's own fields.
    pub filter: Option<Expr>,
    /// Which fields the rows show with which a watch begins ([`Start::Initial`]), ascending. Changes carry every field that the caller may see.
    pub fields: Vec<FieldId>,
    /// From where on.
    pub start: Start,
    /// Whether a quiet watch is told how far the log has come.
    pub bookmarks: bool,
    /// When the credential ends, and the watch with it: microseconds since 1970, UTC; `None`: never.
    pub expires_at_us: Option<i64>,
}

/// Where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// After everything that was acknowledged before the watch was asked for.
    Now,
    /// After a cursor: a list's, a write's, or that of the last delivery.
    After(Cursor),
    /// With the rows as they are, then on from exactly there.
    Initial,
}

/// What a change is to a watch, relative to its filter and its caller's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchChange {
    /// The row is now among those watched.
    Entered,
    /// It was and is, with another revision.
    Changed,
    /// It no longer is; only its key is told.
    Left,
    /// Nothing: only the cursor is newer.
    Bookmark,
    /// What was told no longer holds: list again. It is the last that a watch tells.
    Reset,
}

impl WatchChange {
    /// Its name on the wire: `entered`.
    pub fn name(self) -> &'static str {
        match self {
            WatchChange::Entered => "entered",
            WatchChange::Changed => "changed",
            WatchChange::Left => "left",
            WatchChange::Bookmark => "bookmark",
            WatchChange::Reset => "reset",
        }
    }
}
