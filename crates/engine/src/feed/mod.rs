//! The feed: one tailer of the log in a process, and everyone who watches.
//!
//! ```text
//! Store::head, Store::events → tail → ring (the newest commits, bounded by bytes)
//!                                   → index (who may be concerned) → judge once a group → a bounded queue each → Subscription::next
//! ```
//!
//! The tailer begins with the first watch and ends with the last. A watch that begins further back than the ring reads the log
//! itself, at its own pace, until it meets the ring; there it is put into the index under the same lock under which the tailer puts
//! a commit into the ring, so that each commit comes to it by exactly one of the two ways. Pushing into a queue never waits:
//! a reader that lets its queue overflow is ended with the cursor from which it can go on.
//!
//! Read [`Subscription`], then `tail.rs`, then `index.rs`.

mod delivery;
mod encoding;
mod follow;
mod group;
mod index;
mod logged;
mod pull;
mod queue;
mod ring;
mod seat;
mod start;
mod subscription;
mod tail;

pub use delivery::{Delivery, End, Initial};
pub use encoding::EncodingKey;
pub use pull::{Interest, LogEnd, LogEnds, LogReader, LogTold, Stretch};
pub(crate) use seat::closed;
pub(crate) use start::{WatchKey, expires_at};
pub use subscription::{Rights, Subscription};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fourfold_model::SharedModel;
use fourfold_op::Limits;
use fourfold_store::Store;
use parking_lot::Mutex;
use tokio::sync::watch;

use index::Index;
use queue::{Queue, Why};
use ring::Ring;
use tail::Tailing;

/// Why no watch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The server ends: every watch ends with [`End::Bye`] and can go on elsewhere.
    Drain,
    /// Another engine takes this one's place, with other rules: every watch ends with [`End::Reset`]. So it is too when the store was
    /// migrated to another model.
    Replaced,
}

/// What there is to see of a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedFigures {
    /// Watches now.
    pub watch_count: usize,
    /// Events that are committed and not yet handed on.
    pub feed_lag_positions: u64,
    /// Bytes in the ring.
    pub feed_ring_bytes: usize,
    /// Judgements so far: an event before a filter and rules, once for all watches that are alike.
    pub judged_total: u64,
    /// Tailers started so far.
    pub tailers_total: u64,
}

/// All that watches of one engine share.
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    model: SharedModel,
    generation: u32,
    limits: Limits,
    state: Mutex<State>,
    /// Why no watch goes on; changed under the state's lock.
    closing: watch::Sender<Option<Closing>>,
    /// How far the log is known to go.
    head: AtomicU64,
    judged: AtomicU64,
    tailers: AtomicU64,
}

/// What is changed under one lock, and never held across a wait.
#[derive(Default)]
struct State {
    tailing: Option<Tailing>,
    ring: Ring,
    index: Index,
    seats: HashMap<u64, Arc<Queue>>,
    last_seat: u64,
}

impl Feed {
    pub fn new(store: Arc<dyn Store>, model: SharedModel, generation: u32, limits: Limits) -> Arc<Feed> {
        Arc::new(Feed {
            store,
            model,
            generation,
            limits,
            state: Mutex::default(),
            closing: watch::Sender::new(None),
            head: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            tailers: AtomicU64::new(0),
        })
    }

    /// Ends every watch, and lets none begin any more.
    pub fn close(&self, closing: Closing) {
        let state = self.state.lock();
        self.closing.send_if_modified(|now| now.is_none() && now.replace(closing).is_none());
        state.end_all(match closing {
            Closing::Drain => Why::Bye,
            Closing::Replaced => Why::Reset,
        });
    }

    /// Resolves when no watch goes on any more, with why.
    pub async fn closed(&self) -> Closing {
        let mut closing = self.closing.subscribe();
        // Its sender lives as long as this feed.
        closing.wait_for(Option::is_some).await.ok().and_then(|closing| *closing).unwrap_or(Closing::Replaced)
    }

    /// Lets go what is in memory of the log up to a position: a watch that still has to read it finds that it has expired.
    pub fn forget(&self, through: u64) {
        self.state.lock().ring.forget(through);
    }

    pub fn figures(&self) -> FeedFigures {
        let state = self.state.lock();
        let head = self.head.load(Ordering::Acquire);
        let lag = state.tailing.as_ref().map_or(0, |tailing| head.saturating_sub(tailing.dispatched.load(Ordering::Acquire)));
        FeedFigures {
            watch_count: state.seats.len(),
            feed_lag_positions: lag,
            feed_ring_bytes: state.ring.bytes(),
            judged_total: self.judged.load(Ordering::Relaxed),
            tailers_total: self.tailers.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn model(&self) -> &SharedModel {
        &self.model
    }

    fn note_judged(&self, count: u64) {
        self.judged.fetch_add(count, Ordering::Relaxed);
    }
}

impl State {
    fn end_all(&self, why: Why) {
        self.seats.values().for_each(|queue| queue.end(why));
    }
}
