//! What sinks and sources are set to.

use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::Interest;
use fourfold_op::Principal;

use crate::message::Reading;

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

/// Where a sink or a source that has saved no place yet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest event or message that is still there.
    First,
    /// With what comes from now on.
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

/// A source, whatever it reads.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Its name: its places are saved under it, so a new name begins anew.
    pub name: Arc<str>,
    /// What it reads, for operators: `kafka`.
    pub kind: Arc<str>,
    /// Which topic; the places are its own.
    pub topic: Arc<str>,
    /// How messages become writes.
    pub reading: Reading,
    /// Whose rules it writes by.
    pub principal: Arc<Principal>,
    /// Where it begins the first time.
    pub begin: Begin,
    /// How fast it goes.
    pub pace: SourcePace,
}

/// How fast a source goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePace {
    /// Messages of one commit.
    pub batch_rows_max: usize,
    /// Bytes of those; one message may be more.
    pub batch_bytes_max: usize,
    /// The first wait after a failure.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// How long what is under way may take when the server ends.
    pub stop_timeout: Duration,
}

impl Default for SourcePace {
    fn default() -> SourcePace {
        SourcePace {
            batch_rows_max: 500,
            batch_bytes_max: 1 << 20,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(5),
        }
    }
}
