//! The ring: the newest commits, bounded by bytes, so that a watch that comes back soon need not read the log.

use std::collections::VecDeque;
use std::sync::Arc;

use super::logged::Logged;

/// Whole commits from `start` (not included) to `end`.
#[derive(Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Logged>>,
    start: u64,
    end: u64,
    bytes: usize,
}

impl Ring {
    /// An empty ring that begins after a position.
    pub fn after(position: u64) -> Ring {
        Ring { events: VecDeque::new(), start: position, end: position, bytes: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How far it goes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether it has every event after a position.
    pub fn covers(&self, position: u64) -> bool {
        self.start <= position
    }

    /// Takes a commit in, and lets the oldest go.
    pub fn push(&mut self, commit: &[Arc<Logged>], through: u64, bytes_max: usize) {
        self.bytes += commit.iter().map(|logged| logged.bytes()).sum::<usize>();
        self.events.extend(commit.iter().cloned());
        self.end = through;
        while self.bytes > bytes_max {
            let Some(last) = self.events.front().map(|logged| logged.commit_last()) else { break };
            while let Some(logged) = self.events.pop_front_if(|logged| logged.commit_last() == last) {
                self.bytes -= logged.bytes();
            }
            self.start = last;
        }
    }

    /// Lets go everything up to a position.
    pub fn forget(&mut self, through: u64) {
        while let Some(logged) = self.events.pop_front_if(|logged| logged.position() <= through) {
            self.bytes -= logged.bytes();
        }
        self.start = self.start.max(through.min(self.end));
    }

    /// The events after a position: all, or whole commits of at least `most`; and how far they go.
    pub fn events(&self, position: u64, most: usize) -> (Vec<Arc<Logged>>, u64) {
        let from = self.events.partition_point(|logged| logged.position() <= position);
        if self.events.len() - from <= most {
            return (self.events.range(from..).cloned().collect(), self.end.max(position));
        }
        let last = self.events[from + most - 1].commit_last();
        let events: Vec<Arc<Logged>> = self.events.range(from..).take_while(|logged| logged.position() <= last).cloned().collect();
        (events, last)
    }
}
