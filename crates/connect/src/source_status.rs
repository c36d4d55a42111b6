//! What there is to see of a source while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::health::{ConnectorState, Health};

/// A source at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFigures {
    /// Its name.
    pub name: Arc<str>,
    /// What it reads, for operators: `kafka`.
    pub kind: Arc<str>,
    /// What it is doing.
    pub state: ConnectorState,
    /// Messages that are there and not taken in, as far as that is known.
    pub lag_messages: u64,
    /// Messages whose rows were committed, since the start of the process.
    pub taken_total: u64,
    /// Messages that were buried, since the start of the process.
    pub dead_letters_total: u64,
    /// Times that it had to wait and try again, since the start of the process.
    pub failures_total: u64,
    /// Why, the last time.
    pub last_error: Option<String>,
}

/// What the task of a source tells of itself.
pub(crate) struct SourceStatus {
    pub health: Health,
    behind: AtomicU64,
    taken: AtomicU64,
}

impl SourceStatus {
    pub fn new(name: Arc<str>, kind: Arc<str>) -> SourceStatus {
        SourceStatus { health: Health::new(name, kind), behind: AtomicU64::default(), taken: AtomicU64::default() }
    }

    pub fn behind(&self, messages: u64) {
        self.behind.store(messages, Ordering::Relaxed);
    }

    pub fn taken(&self, messages: usize) {
        self.taken.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub fn figures(&self) -> SourceFigures {
        let (state, last_error) = self.health.told();
        SourceFigures {
            name: Arc::clone(&self.health.name),
            kind: Arc::clone(&self.health.kind),
            state,
            lag_messages: self.behind.load(Ordering::Relaxed),
            taken_total: self.taken.load(Ordering::Relaxed),
            dead_letters_total: self.health.dead_letters(),
            failures_total: self.health.failures(),
            last_error,
        }
    }
}
