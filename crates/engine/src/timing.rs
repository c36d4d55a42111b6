//! What an operation took.

use std::time::Instant;

use fourfold_op::Outcome;

/// An answer, with what it took.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The answer.
    pub outcome: Outcome,
    /// How long it took.
    pub timing: Timing,
    /// Statements of the store: bounded by the operation's shape, never by its rows.
    pub statements: u32,
}

/// When the steps of an operation ended. The faces tell their own time from these, because each look at the clock is time too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// When the engine was asked.
    pub begun: Instant,
    /// When the operation was prepared (or found prepared) and bound.
    pub planned: Instant,
    /// When the store had answered.
    pub ended: Instant,
}

impl Timing {
    /// Preparing and binding, in microseconds.
    pub fn plan_us(&self) -> u32 {
        micros(self.begun, self.planned)
    }

    /// The store, in microseconds.
    pub fn store_us(&self) -> u32 {
        micros(self.planned, self.ended)
    }
}

fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}
