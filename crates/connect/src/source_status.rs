//! What there is to see of a source while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It has not taken anything yet.
    Starting,
    /// It takes messages in, or waits for them.
    Running,
    /// Something failed, and it waits to try again.
    BackingOff,
    /// A message was refused for good and there is nowhere to bury it: nothing goes on until somebody mends that.
    Blocked,
    /// What it was to read next is no longer there, and it does not go on.
    Lost,
    /// It was ended.
    Ended,
}

impl SourceState {
    /// Its name, for operators.
    pub fn name(self) -> &'static str {
        match self {
            SourceState::Starting => "starting",
            SourceState::Running => "running",
            SourceState::BackingOff => "backing_off",
            SourceState::Blocked => "blocked",
            SourceState::Lost => "lost",
            SourceState::Ended => "ended",
        }
    }
}

/// A source at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFigures {
    /// Its name.
    pub name: Arc<str>,
    /// What it reads, for operators: `kafka`.
    pub kind: Arc<str>,
    /// What it is doing.
    pub state: SourceState,
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
    name: Arc<str>,
    kind: Arc<str>,
    told: Mutex<(SourceState, Option<String>)>,
    behind: AtomicU64,
    taken: AtomicU64,
    dead_letters: AtomicU64,
    failures: AtomicU64,
}

impl SourceStatus {
    pub fn new(name: Arc<str>, kind: Arc<str>) -> SourceStatus {
        let zero = AtomicU64::default;
        let told = Mutex::new((SourceState::Starting, None));
        SourceStatus { name, kind, told, behind: zero(), taken: zero(), dead_letters: zero(), failures: zero() }
    }

    /// Its state now; whether that is news.
    pub fn set(&self, state: SourceState) -> bool {
        std::mem::replace(&mut self.told.lock().0, state) != state
    }

    pub fn state(&self) -> SourceState {
        self.told.lock().0
    }

    pub fn failed(&self, why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.told.lock().1 = Some(why.to_owned());
    }

    pub fn behind(&self, messages: u64) {
        self.behind.store(messages, Ordering::Relaxed);
    }

    pub fn taken(&self, messages: usize) {
        self.taken.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub fn buried(&self) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    pub fn figures(&self) -> SourceFigures {
        let (state, last_error) = self.told.lock().clone();
        SourceFigures {
            name: Arc::clone(&self.name),
            kind: Arc::clone(&self.kind),
            state,
            lag_messages: self.behind.load(Ordering::Relaxed),
            taken_total: self.taken.load(Ordering::Relaxed),
            dead_letters_total: self.dead_letters.load(Ordering::Relaxed),
            failures_total: self.failures.load(Ordering::Relaxed),
            last_error,
        }
    }
}
