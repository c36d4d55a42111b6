//! What a sink is set to.

use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::Interest;
use fourfold_op::Principal;

/// A sink, whatever its target is.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// Its name: the name of its checkpoint, so a new name begins anew.
    pub name: Arc<str>,
    /// What kind of target it has, for operators: `kafka`.
    pub kind: Arc<str>,
    /// What it is told of.
    pub interests: Vec<Interest>,
    /// Whose rules it reads by.
    pub principal: Arc<Principal>,
    /// Where it begins the first time.
    pub begin: Begin,
    /// How fast it goes.
    pub pace: Pace,
}

/// Where a sink that has no checkpoint yet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest event that the log still has.
    First,
    /// With what is committed from now on.
    Now,
}

/// How fast a sink goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Events that are handed to the target at once; a commit is read whole, so it may be more.
    pub batch_events_max: usize,
    /// Bytes of the payloads of those, likewise.
    pub batch_bytes_max: usize,
    /// The first wait after a failure.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// How long a watermark may be unsaved. What is delivered in that time comes again after a crash.
    pub save_every: Duration,
    /// How long what is under way may take when the server ends.
    pub stop_timeout: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            batch_events_max: 1_000,
            batch_bytes_max: 1 << 20,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            save_every: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(5),
        }
    }
}
