//! What there is to see of a sink while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::health::{ConnectorState, Health};

/// A sink at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFigures {
    /// Its name.
    pub name: Arc<str>,
    /// What kind of target it has.
    pub kind: Arc<str>,
    /// What it is doing.
    pub state: ConnectorState,
    /// Up to here everything that it may see was delivered.
    pub watermark: u64,
    /// Events that its target confirmed, since the start of the process.
    pub delivered_total: u64,
    /// Events that were buried, since the start of the process.
    pub dead_letters_total: u64,
    /// Times that it had to wait and try again, since the start of the process.
    pub failures_total: u64,
    /// Why, the last time.
    pub last_error: Option<String>,
}

/// What the task of a sink tells of itself.
pub(crate) struct Status {
    pub health: Health,
    watermark: AtomicU64,
    /// What the log must keep: beyond here nothing is saved as delivered.
    saved: AtomicU64,
    delivered: AtomicU64,
}

impl Status {
    pub fn new(name: Arc<str>, kind: Arc<str>) -> Status {
        let zero = AtomicU64::default;
        Status { health: Health::new(name, kind), watermark: zero(), saved: zero(), delivered: zero() }
    }

    pub fn at(&self, watermark: u64) {
        self.watermark.store(watermark, Ordering::Release);
    }

    pub fn saved_at(&self, saved: u64) {
        self.saved.store(saved, Ordering::Release);
    }

    pub fn delivered(&self, events: usize) {
        self.delivered.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// The position beyond which the log must be kept for it; `None` for a sink that is lost.
    pub fn holds(&self) -> Option<u64> {
        (self.health.state() != ConnectorState::Lost).then(|| self.saved.load(Ordering::Acquire))
    }

    pub fn figures(&self) -> SinkFigures {
        let (state, last_error) = self.health.told();
        SinkFigures {
            name: Arc::clone(&self.health.name),
            kind: Arc::clone(&self.health.kind),
            state,
            watermark: self.watermark.load(Ordering::Acquire),
            delivered_total: self.delivered.load(Ordering::Relaxed),
            dead_letters_total: self.health.dead_letters(),
            failures_total: self.health.failures(),
            last_error,
        }
    }
}
