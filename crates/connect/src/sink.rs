//! The seam: what delivers the events of a sink to its target.

use std::future::Future;
use std::pin::Pin;

use fourfold_op::Position;

use crate::event::Delivery;

/// A boxed future that may cross threads.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What delivers to a system outside that takes events: a Kafka cluster, a queue, somebody's HTTP.
///
/// It is called from one task, one call after the other. A call that is dropped half way (the server ends) is followed by no other.
pub trait Sink: Send {
    /// Delivers a batch, each key's events in their order; answers the highest position up to which, from the batch's start on and without a
    /// gap, the target has confirmed all. Less than the whole batch is no error: the rest is asked for again.
    ///
    /// What lies beyond that position may have arrived too, and will arrive again. No event of a key may arrive for the first time before one
    /// of the same key that stands earlier in the log.
    ///
    /// # Errors
    /// Why it went no further.
    fn deliver<'a>(&'a mut self, batch: &'a [Delivery]) -> Later<'a, Result<Position, SinkError>>;

    /// Puts an event that was refused for good where somebody will find it, with why.
    ///
    /// # Errors
    /// Why it could not: [`SinkError::Temporary`] to be tried again; [`SinkError::ForGood`] where there is no such place, and the sink waits.
    fn bury<'a>(&'a mut self, letter: DeadLetter<'a>) -> Later<'a, Result<(), SinkError>>;
}

/// An event that its target refuses for good.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// The sink's name.
    pub sink: &'a str,
    /// What was refused.
    pub delivery: &'a Delivery,
    /// Why, as the target said it.
    pub why: &'a str,
}

/// Why a target went no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// It may take it later: it cannot be reached, is busy, or refuses everything for a reason that somebody can mend.
    Temporary {
        /// Up to here it has taken all; `None`: nothing of the batch.
        delivered: Option<Position>,
        /// Why, for the log and for operators.
        why: String,
    },
    /// It will never take this one event.
    ForGood {
        /// Up to here it has taken all; `None`: nothing of the batch.
        delivered: Option<Position>,
        /// The event: the first after those that were delivered.
        position: Position,
        /// Why, for the dead letter.
        why: String,
    },
}

impl SinkError {
    /// How far the batch was delivered.
    pub fn delivered(&self) -> Option<Position> {
        match self {
            SinkError::Temporary { delivered, .. } | SinkError::ForGood { delivered, .. } => *delivered,
        }
    }

    /// Why.
    pub fn why(&self) -> &str {
        match self {
            SinkError::Temporary { why, .. } | SinkError::ForGood { why, .. } => why,
        }
    }
}
