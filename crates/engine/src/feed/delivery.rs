//! What a watch is told, and how it ends.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{Row, Value};
use fourfold_op::{Cursor, Epoch, Error, ErrorCode, Record, WatchChange};
use fourfold_plan::{Hidden, Verdict};

use super::encoding::EncodingKey;
use super::logged::Shared;

/// After how many milliseconds a reader that was too slow comes back.
const SLOW_RETRY_MS: u64 = 5_000;

/// One thing that a watch is told.
#[derive(Clone)]
pub struct Delivery {
    /// From where to go on after it: in the middle of a commit too.
    pub cursor: Cursor,
    /// What it is.
    pub change: WatchChange,
    /// The row's key; null for a bookmark.
    pub key: Value,
    /// The row's revision; none for `left` and bookmarks.
    pub revision: Option<u64>,
    /// When it was committed: microseconds since 1970, UTC; 0 for a bookmark.
    pub at: i64,
    /// The row, by field, as the caller may see it: what is masked is null. None for `left` and bookmarks.
    pub item: Option<Arc<Row>>,
    /// Whether nothing more of its commit follows for this watch.
    pub commit_last: bool,
    shared: Option<Item>,
}

/// The rows with which a watch begins.
#[derive(Clone, Debug)]
pub struct Initial {
    /// The rows, in the order of their keys; of each, the fields that the watch asked for.
    pub records: Vec<Record>,
    /// Of which moment they are: the watch goes on from exactly there.
    pub cursor: Cursor,
}

/// How a watch ends. With a cursor the same watch can go on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server ends.
    Bye(Cursor),
    /// Its reader was too slow: more waited for it than the limits allow.
    Slow(Cursor),
    /// The log no longer goes back to where the watch is: `cursor_expired`.
    Expired,
    /// The credential has ended.
    CredentialEnded(Cursor),
    /// The caller's rights or the model have changed: list again. The cursor says up to where what was told held; a watch from there is reset again.
    Reset(Cursor),
}

impl End {
    /// What its reader is told; `place` is what it calls a cursor: `id` of an event stream.
    pub fn error(&self, place: &str) -> Error {
        let (code, message) = match self {
            End::Bye(_) => (ErrorCode::Unavailable, format!("the server is ending; watch again from the last {place}")),
            End::Slow(_) => (
                ErrorCode::Unavailable,
                format!(
                    "more waited to be read than `watch_queue_deliveries_max` and `watch_queue_bytes_max` allow; go on from the last {place}, \
                     and read faster"
                ),
            ),
            End::Expired => (ErrorCode::CursorExpired, "the log no longer goes back to where this watch is; list again".to_owned()),
            End::CredentialEnded(_) => {
                (ErrorCode::TokenExpired, format!("the token has expired; go on from the last {place} with a new one"))
            }
            End::Reset(_) => (
                ErrorCode::CursorExpired,
                "the caller's rights or the model have changed: what was told no longer holds; list again".to_owned(),
            ),
        };
        let mut error = Error::new(code, message);
        error.public.retry_after_ms = matches!(self, End::Slow(_)).then_some(SLOW_RETRY_MS);
        error
    }

    /// From where the same watch can go on; `None` where its reader must list again.
    pub fn resumable(&self) -> Option<&Cursor> {
        match self {
            End::Bye(cursor) | End::Slow(cursor) | End::CredentialEnded(cursor) => Some(cursor),
            End::Expired | End::Reset(_) => None,
        }
    }
}

/// A judged event in a queue.
#[derive(Clone)]
pub(super) struct Item {
    pub shared: Arc<Shared>,
    pub change: WatchChange,
    pub hidden: Hidden,
    /// Whether it is the last of its commit for its watch.
    pub last: bool,
}

impl Delivery {
    /// The bytes of this delivery for a key: made for the first of all watches that show the same, then shared.
    pub fn encoded(&self, key: &EncodingKey, make: impl FnOnce() -> Bytes) -> Bytes {
        match &self.shared {
            Some(item) => item.shared.encoded(key, self.change, &item.hidden, make),
            None => make(),
        }
    }

    /// The row, as a record that can be written.
    pub fn record(&self) -> Option<Record> {
        self.item.as_ref().map(|row| Record { row: row.as_ref().clone(), nested: Vec::new() })
    }

    pub(super) fn of(item: Item, epoch: &Epoch) -> Delivery {
        let event = &item.shared.logged.event;
        let left = item.change == WatchChange::Left;
        Delivery {
            cursor: Cursor { epoch: epoch.clone(), after: event.position.0.get(), skip: None },
            change: item.change,
            key: event.key.clone(),
            revision: (!left).then_some(event.revision),
            at: event.at,
            item: if left { None } else { item.shared.row(&item.hidden) },
            commit_last: item.last,
            shared: Some(item),
        }
    }

    /// With a cursor that leaves out what a snapshot had. It is this watch's own, so its bytes are shared with none.
    pub(super) fn skipping(mut self, skip: &Option<Arc<str>>) -> Delivery {
        if skip.is_some() {
            self.cursor.skip.clone_from(skip);
            self.shared = None;
        }
        self
    }

    pub(super) fn bookmark(cursor: Cursor) -> Delivery {
        let change = WatchChange::Bookmark;
        Delivery { cursor, change, key: Value::Null, revision: None, at: 0, item: None, commit_last: true, shared: None }
    }
}

impl Item {
    /// What a verdict comes to; `None` for one that tells nothing.
    pub fn of(shared: &Arc<Shared>, verdict: Verdict) -> Option<Item> {
        let (change, hidden) = match verdict {
            Verdict::Entered(hidden) => (WatchChange::Entered, hidden),
            Verdict::Changed(hidden) => (WatchChange::Changed, hidden),
            Verdict::Left => (WatchChange::Left, Hidden::default()),
            Verdict::Ignore | Verdict::Reset => return None,
        };
        Some(Item { shared: shared.clone(), change, hidden, last: false })
    }

    pub fn position(&self) -> u64 {
        self.shared.logged.position()
    }

    pub fn bytes(&self) -> usize {
        self.shared.logged.bytes()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("cursor", &self.cursor.to_string())
            .field("change", &self.change)
            .field("key", &self.key)
            .field("revision", &self.revision)
            .field("commit_last", &self.commit_last)
            .finish_non_exhaustive()
    }
}
