//! What sinks and sources alike tell of themselves while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a connector is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorState {
    /// It has not carried anything yet.
    Starting,
    /// It carries, or waits for what comes.
    Running,
    /// Something failed, and it waits to try again.
    BackingOff,
    /// An event or a message was refused for good and there is nowhere to bury it: nothing goes on until somebody mends that.
    Blocked,
    /// What it was to read next is no longer there, so something was lost to it, and it does not go on.
    Lost,
    /// It was ended.
    Ended,
}

impl ConnectorState {
    /// Its name, for operators.
    pub fn name(self) -> &'static str {
        match self {
            ConnectorState::Starting => "starting",
            ConnectorState::Running => "running",
            ConnectorState::BackingOff => "backing_off",
            ConnectorState::Blocked => "blocked",
            ConnectorState::Lost => "lost",
            ConnectorState::Ended => "ended",
        }
    }
}

/// Who a connector is, how it is, and what went wrong.
pub(crate) struct Health {
    pub name: Arc<str>,
    pub kind: Arc<str>,
    told: Mutex<(ConnectorState, Option<String>)>,
    dead_letters: AtomicU64,
    failures: AtomicU64,
}

impl Health {
    pub fn new(name: Arc<str>, kind: Arc<str>) -> Health {
        let told = Mutex::new((ConnectorState::Starting, None));
        Health { name, kind, told, dead_letters: AtomicU64::default(), failures: AtomicU64::default() }
    }

    /// Its state now; whether that is news.
    pub fn set(&self, state: ConnectorState) -> bool {
        std::mem::replace(&mut self.told.lock().0, state) != state
    }

    pub fn state(&self) -> ConnectorState {
        self.told.lock().0
    }

    pub fn failed(&self, why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.told.lock().1 = Some(why.to_owned());
    }

    pub fn buried(&self) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    /// Its state, and why it failed the last time.
    pub fn told(&self) -> (ConnectorState, Option<String>) {
        self.told.lock().clone()
    }

    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Relaxed)
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
