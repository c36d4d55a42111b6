//! The tailer: reads the log once for all, and hands each commit to those whom it concerns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fourfold_op::{Cursor, Epoch, ErrorCode, Event};
use fourfold_store::{Budget, Entities, StoreError};
use tokio::task::AbortHandle;

use super::group::Commit;
use super::index::Found;
use super::logged::Logged;
use super::queue::Why;
use super::ring::Ring;
use super::{Closing, Feed};
use crate::observe::{self, Happened};

/// How much of the log is read at once.
pub(super) const READ: Budget = Budget { events_max: 1_024, bytes_max: 1 << 20 };
/// How long a log that cannot be read is left alone.
pub(super) const RETRY: Duration = Duration::from_millis(200);
/// Groups that are judged before other tasks of the thread come to their turn.
const JUDGED_AT_ONCE: usize = 256;

/// A tailer that runs.
pub(super) struct Tailing {
    pub epoch: Epoch,
    /// Up to here every commit was pushed to whom it concerns.
    pub dispatched: Arc<AtomicU64>,
    /// Tells it from those before it: one that was ended may still be about to hand on what it read.
    id: u64,
    task: AbortHandle,
}

impl Drop for Tailing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// Starts the tailer after a position of the log.
    pub(super) fn start_tail(self: &Arc<Feed>, ring: &mut Ring, epoch: Epoch, position: u64) -> Tailing {
        let id = self.tailers.fetch_add(1, Ordering::Relaxed) + 1;
        *ring = Ring::after(position);
        self.head.store(position, Ordering::Release);
        let dispatched = Arc::new(AtomicU64::new(position));
        let after = Cursor { epoch: epoch.clone(), after: position, skip: None };
        let tail = Tail { feed: self.clone(), id, dispatched: dispatched.clone() };
        let task = tokio::spawn(tail.run(after)).abort_handle();
        Tailing { epoch, dispatched, id, task }
    }
}

impl Feed {
    /// Ends every watch of a tailer that the log went away from; the next watch begins another.
    fn expire(&self, tailer: u64) {
        let mut state = self.state.lock();
        if state.tailing.as_ref().is_some_and(|tailing| tailing.id == tailer) {
            state.end_all(Why::Expired);
            state.ring = Ring::default();
            state.tailing = None;
        }
    }
}

/// What a tailer's task knows.
struct Tail {
    feed: Arc<Feed>,
    id: u64,
    dispatched: Arc<AtomicU64>,
}

impl Tail {
    async fn run(self, mut after: Cursor) {
        let feed = &self.feed;
        loop {
            let head = feed.store.head(Some(after.after)).await;
            feed.head.store(head.position, Ordering::Release);
            match feed.store.events(&after, &Entities::All, READ).await {
                // Its ids mean something else than this engine's, and so do its rules.
                Ok(tail) if tail.model != feed.model.fingerprint => return feed.close(Closing::Replaced),
                Ok(tail) if tail.through.after > after.after => {
                    self.take(tail.events, tail.through.after).await;
                    after = tail.through;
                }
                // The head is told before it can be read.
                Ok(_) => tokio::task::yield_now().await,
                Err(StoreError::Refused(error)) => {
                    observe::note(&Happened::FeedStopped { code: error.code, private: error.private.0.as_deref() });
                    if error.code == ErrorCode::CursorExpired {
                        return feed.expire(self.id);
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Takes whole commits in, one after the other.
    async fn take(&self, events: Vec<Event>, through: u64) {
        let logged: Vec<Arc<Logged>> = events.into_iter().map(Logged::new).collect();
        for commit in logged.chunk_by(|a, b| a.commit_last() == b.commit_last()) {
            let last = commit[0].commit_last();
            let Some(found) = self.place(commit, last) else { return };
            self.dispatch(commit, &found).await;
            self.dispatched.store(last, Ordering::Release);
        }
        // What follows the last commit is of entities that the model no longer has.
        if self.place(&[], through).is_some() {
            self.dispatched.store(through, Ordering::Release);
        }
    }

    /// Puts a commit into the ring and says whom it may concern, in one step: who attaches before is among them, who attaches after
    /// finds it in the ring. `None` when this tailer's time is over.
    fn place(&self, commit: &[Arc<Logged>], through: u64) -> Option<Vec<Found>> {
        self.decode(commit);
        let mut state = self.feed.state.lock();
        state.tailing.as_ref().filter(|tailing| tailing.id == self.id)?;
        state.ring.push(commit, through, self.feed.limits.feed_ring_bytes_max);
        Some(state.index.find(&self.feed.model, commit))
    }

    /// Decodes what somebody watches before the lock is taken.
    fn decode(&self, commit: &[Arc<Logged>]) {
        let wanted: Vec<bool> = {
            let state = self.feed.state.lock();
            commit.iter().map(|logged| state.index.watches(logged.event.entity)).collect()
        };
        for (logged, _) in commit.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
            logged.images(&self.feed.model);
        }
    }

    async fn dispatch(&self, commit: &[Arc<Logged>], found: &[Found]) {
        let Some(last) = commit.first().map(|logged| logged.commit_last()) else { return };
        let mut judging = Commit::new(&self.feed.model, self.feed.generation, commit);
        for (count, group) in found.chunk_by(|(a, _), (b, _)| a.id == b.id).enumerate() {
            if count % JUDGED_AT_ONCE == JUDGED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let judged = judging.judge(&group[0].0.plan, group.iter().map(|(_, place)| *place));
            self.feed.note_judged(group.len() as u64);
            group[0].0.hand_on(&judged, last);
        }
    }
}
