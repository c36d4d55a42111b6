//! Events as the feed holds them: decoded once, shown and encoded once for all who see the same.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fourfold_model::{Model, Row};
use fourfold_op::{Event, WatchChange};
use fourfold_plan::{Hidden, Images};
use parking_lot::Mutex;

use super::encoding::EncodingKey;

/// What an event costs in memory beside its payload, in bytes, roughly.
const EVENT_BYTES: usize = 512;
/// Encodings of one event that are kept; more are made and not kept.
const ENCODINGS_MAX: usize = 64;
/// Rows of one event, each without other fields, that are kept.
const ROWS_MAX: usize = 16;

/// An event with the images of its row.
pub(super) struct Logged {
    pub event: Event,
    images: OnceLock<Option<Images>>,
}

impl Logged {
    pub fn new(event: Event) -> Arc<Logged> {
        Arc::new(Logged { event, images: OnceLock::new() })
    }

    pub fn position(&self) -> u64 {
        self.event.position.0.get()
    }

    pub fn commit_last(&self) -> u64 {
        self.event.commit_last.0.get()
    }

    /// The images of its row; `None` when its payload cannot be read.
    pub fn images(&self, model: &Model) -> Option<&Images> {
        self.images.get_or_init(|| Images::of(model, &self.event).ok()).as_ref()
    }

    /// What it costs, in bytes, roughly: the payload, and as much again for each image.
    pub fn bytes(&self) -> usize {
        let payload = [&self.event.changed, &self.event.after].into_iter().flatten();
        EVENT_BYTES + 3 * payload.map(Bytes::len).sum::<usize>()
    }
}

/// An event on its way to readers. What is made of it for one is kept for the others, and goes with the last of them.
pub(super) struct Shared {
    pub logged: Arc<Logged>,
    rows: Mutex<Vec<(Hidden, Arc<Row>)>>,
    encodings: Mutex<Vec<(Form, Bytes)>>,
}

/// What bytes depend on beside the event.
#[derive(PartialEq)]
struct Form {
    key: EncodingKey,
    change: WatchChange,
    hidden: Hidden,
}

impl Shared {
    /// Of an event that was judged, so its images are there.
    pub fn new(logged: Arc<Logged>) -> Arc<Shared> {
        Arc::new(Shared { logged, rows: Mutex::default(), encodings: Mutex::default() })
    }

    /// The row after the event, without what is hidden.
    pub fn row(&self, hidden: &Hidden) -> Option<Arc<Row>> {
        let mut rows = self.rows.lock();
        if let Some((_, row)) = rows.iter().find(|(of, _)| of == hidden) {
            return Some(row.clone());
        }
        let row = Arc::new(self.logged.images.get()?.as_ref()?.shown(hidden)?);
        if rows.len() < ROWS_MAX {
            rows.push((hidden.clone(), row.clone()));
        }
        Some(row)
    }

    /// The bytes for this key, change and mask; made at most once while they are kept.
    pub fn encoded(&self, key: &EncodingKey, change: WatchChange, hidden: &Hidden, make: impl FnOnce() -> Bytes) -> Bytes {
        let is = |form: &Form| form.change == change && form.hidden == *hidden && form.key == *key;
        if let Some((_, bytes)) = self.encodings.lock().iter().find(|(form, _)| is(form)) {
            return bytes.clone();
        }
        // Not under the lock: two who come at once both make them, and either's are as good.
        let bytes = make();
        let mut encodings = self.encodings.lock();
        if encodings.len() < ENCODINGS_MAX && !encodings.iter().any(|(form, _)| is(form)) {
            encodings.push((Form { key: key.clone(), change, hidden: hidden.clone() }, bytes.clone()));
        }
        bytes
    }
}
