//! Keeping the log within its age and size while a server runs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fourfold_op::Error;
use fourfold_store::{Maintain, Retention, StoreError};

/// How long nothing may be looked at.
const ROUND_MAX: Duration = Duration::from_secs(60);
const ROUND_MIN: Duration = Duration::from_millis(50);
/// After each slice others write for four times as long as it took: pruning has a fifth of the writer at most.
const SHARE: u32 = 4;
/// No longer than this, so that pruning is faster than a log can grow.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRetention {
    /// Older events go; `None`: none goes for its age.
    pub age: Option<Duration>,
    /// The oldest events go beyond so many bytes; `None`: none goes for the log's size.
    pub bytes: Option<u64>,
    /// Events that go at once.
    pub slice_events_max: u64,
}

impl LogRetention {
    fn at(&self, now: SystemTime, aged_through: Option<u64>) -> Retention {
        let since = self.age.map(|age| {
            let since = now.checked_sub(age).and_then(|since| since.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
        Retention { since, bytes_max: self.bytes, aged_through, slice_events_max: self.slice_events_max }
    }

    fn round(&self) -> Duration {
        self.age.map_or(ROUND_MAX, |age| (age / 10).clamp(ROUND_MIN, ROUND_MAX))
    }
}

/// Prunes a store's log, slice by slice, for as long as it is polled. What lies beyond the position that `hold` tells does not go for its age:
/// a sink has yet to read it.
pub async fn retain(store: Arc<dyn Maintain>, retention: LogRetention, hold: impl Fn() -> Option<u64>) -> Infallible {
    loop {
        let begun = Instant::now();
        let pruned = store.prune(&retention.at(SystemTime::now(), hold())).await;
        match pruned {
            Ok(pruned) if pruned.more => tokio::time::sleep((begun.elapsed() * SHARE).min(PAUSE_MAX)).await,
            Ok(_) => until_due(&*store, &retention).await,
            Err(StoreError::Refused(error)) => {
                note(&error);
                tokio::time::sleep(retention.round()).await;
            }
        }
    }
}

/// Until a round is over, or the log has grown by a slice.
async fn until_due(store: &dyn Maintain, retention: &LogRetention) {
    let position = store.head(None).await.position;
    let grown = store.head(Some(position.saturating_add(retention.slice_events_max - 1)));
    // Whichever it was, the next round sees what there is.
    let _ = tokio::time::timeout(retention.round(), grown).await;
}

fn note(error: &Error) {
    let private = error.private.0.as_deref().unwrap_or("");
    tracing::warn!(event = "prune_failed", code = error.code.name(), private);
}
