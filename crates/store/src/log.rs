//! Handing out a log by whole commits: what every store does alike, wherever its commits are kept.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::Model;
use fourfold_op::{Error, ErrorCode, Event, Position};

use crate::record;
use crate::store::{Budget, Entities};

/// A commit as the log keeps it: one record of all its events.
pub struct LoggedCommit<'a> {
    /// The number of its last event.
    pub last: u64,
    /// How many events it has.
    pub count: u64,
    /// The model's generation that wrote it.
    pub generation: u32,
    /// When it was committed: microseconds since 1970, UTC.
    pub at: i64,
    /// Who wrote it: `issuer#subject`.
    pub by: Arc<str>,
    /// The [`record`] of its events.
    pub events: &'a [u8],
}

impl LoggedCommit<'_> {
    /// Its events, without those that are not wanted, or whose entity the model no longer has.
    ///
    /// # Errors
    /// `INTERNAL` where the record is not of the form in which we write it.
    pub fn read(self, model: &Model, of: &Entities) -> Result<Vec<Event>, Error> {
        let mut position = self.last.saturating_sub(self.count);
        let mut events = Vec::new();
        for event in record::events(self.events) {
            let event = event.ok_or_else(misformed)?;
            position += 1;
            let Some(entity) = model.entity_by_number(event.entity).filter(|entity| of.has(*entity)) else { continue };
            events.push(Event {
                position: at_position(position),
                commit_last: at_position(self.last),
                entity,
                key: event.key,
                revision: event.revision,
                generation: self.generation,
                changed: event.changed.map(Bytes::copy_from_slice),
                after: event.after.map(Bytes::copy_from_slice),
                at: self.at,
                by: Arc::clone(&self.by),
            });
        }
        if position == self.last { Ok(events) } else { Err(misformed()) }
    }
}

/// Whole commits, as many as a budget has room for; the first always fits.
pub struct Handed {
    after: u64,
    budget: Budget,
    bytes: usize,
    /// The events.
    pub events: Vec<Event>,
    /// How far they go.
    pub through: u64,
}

impl Handed {
    /// None yet, after a position.
    pub fn after(after: u64, budget: Budget) -> Handed {
        Handed { after, budget, bytes: 0, events: Vec::new(), through: after }
    }

    /// Takes the next commit's events, of which the first may stand before the cursor; false where they no longer fit.
    pub fn take(&mut self, last: u64, mut commit: Vec<Event>) -> bool {
        commit.retain(|event| event.position.0.get() > self.after);
        let bytes: usize = commit.iter().map(payload).sum();
        let over = self.events.len() + commit.len() > self.budget.events_max || self.bytes + bytes > self.budget.bytes_max;
        if over && !self.events.is_empty() {
            return false;
        }
        self.bytes += bytes;
        self.events.append(&mut commit);
        self.through = last;
        true
    }
}

/// The bytes of an event's payloads.
pub fn payload(event: &Event) -> usize {
    [&event.changed, &event.after].into_iter().flatten().map(|bytes| bytes.len()).sum()
}

/// The cursor is behind what the log still has.
pub fn too_old() -> Error {
    Error::new(ErrorCode::CursorExpired, "this cursor is older than the log; list again, and go on from the list's cursor")
}

/// The cursor names another epoch, or more than was ever written.
pub fn elsewhere() -> Error {
    Error::new(ErrorCode::CursorExpired, "this cursor is of another log; list again, and go on from the list's cursor")
}

/// The log is not as we write it.
pub fn misformed() -> Error {
    Error::internal("the log holds a commit of another form")
}

fn at_position(number: u64) -> Position {
    Position(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
}
