//! Channels whose own token has ended: they are told nothing until another is shown, and end where none comes.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::connection::REFRESH_WITHIN;

/// Those of one connection, the longest silent first; no more than it has channels.
#[derive(Default)]
pub(crate) struct Silent(VecDeque<(Instant, Arc<str>)>);

impl Silent {
    /// A channel falls silent.
    pub(crate) fn begin(&mut self, channel: Arc<str>) {
        self.end(&channel);
        self.0.push_back((Instant::now() + REFRESH_WITHIN, channel));
    }

    /// A channel is no longer silent, or is none.
    pub(crate) fn end(&mut self, channel: &str) {
        self.0.retain(|(_, silent)| silent.as_ref() != channel);
    }

    /// When the next of them ends.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.0.front().map(|(until, _)| *until)
    }

    /// One that was silent for too long.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Arc<str>> {
        self.0.pop_front_if(|(until, _)| *until <= now).map(|(_, channel)| channel)
    }
}
