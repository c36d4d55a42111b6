//! What there is to see of a sink while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a sink is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkState {
    /// It has not begun to read yet.
    Starting,
    /// It delivers, or waits for events.
    Running,
    /// Something failed, and it waits to try again.
    BackingOff,
    /// An event was refused for good and there is nowhere to bury it: nothing goes on until somebody mends that.
    Blocked,
    /// The log no longer has what comes next: events were lost to it, and it does not go on.
    Lost,
    /// It was ended.
    Ended,
}

impl SinkState {
    /// Its name, for operators.
    pub fn name(self) -> &'static str {
        match self {
            SinkState::Starting => "starting",
            SinkState::Running => "running",
            SinkState::BackingOff => "backing_off",
            SinkState::Blocked => "blocked",
            SinkState::Lost => "lost",
            SinkState::Ended => "ended",
        }
    }
}

/// A sink at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFigures {
    /// Its name.
    pub name: Arc<str>,
    /// What kind of target it has.
    pub kind: Arc<str>,
    /// What it is doing.
    pub state: SinkState,
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
    name: Arc<str>,
    kind: Arc<str>,
    told: Mutex<(SinkState, Option<String>)>,
    watermark: AtomicU64,
    /// What the log must keep: beyond here nothing is saved as delivered.
    saved: AtomicU64,
    delivered: AtomicU64,
    dead_letters: AtomicU64,
    failures: AtomicU64,
}

impl Status {
    pub fn new(name: Arc<str>, kind: Arc<str>) -> Status {
        let zero = AtomicU64::default;
        Status {
            name,
            kind,
            told: Mutex::new((SinkState::Starting, None)),
            watermark: zero(),
            saved: zero(),
            delivered: zero(),
            dead_letters: zero(),
            failures: zero(),
        }
    }

    /// Its state now; whether that is news.
    pub fn set(&self, state: SinkState) -> bool {
        std::mem::replace(&mut self.told.lock().0, state) != state
    }

    pub fn state(&self) -> SinkState {
        self.told.lock().0
    }

    pub fn failed(&self, why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.told.lock().1 = Some(why.to_owned());
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

    pub fn buried(&self) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    /// The position beyond which the log must be kept for it; `None` for a sink that is lost.
    pub fn holds(&self) -> Option<u64> {
        (self.state() != SinkState::Lost).then(|| self.saved.load(Ordering::Acquire))
    }

    pub fn figures(&self) -> SinkFigures {
        let (state, last_error) = self.told.lock().clone();
        SinkFigures {
            name: Arc::clone(&self.name),
            kind: Arc::clone(&self.kind),
            state,
            watermark: self.watermark.load(Ordering::Acquire),
            delivered_total: self.delivered.load(Ordering::Relaxed),
            dead_letters_total: self.dead_letters.load(Ordering::Relaxed),
            failures_total: self.failures.load(Ordering::Relaxed),
            last_error,
        }
    }
}
