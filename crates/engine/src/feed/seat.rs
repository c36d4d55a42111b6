//! Seats: a watch takes one when it begins and gives it back when it is dropped. The first begins the tailer, the last ends it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fourfold_op::{Epoch, Error, ErrorCode};
use fourfold_plan::WatchPlan;
use fourfold_store::Head;

use super::logged::Logged;
use super::queue::Queue;
use super::{Closing, Feed};

/// Events that a watch takes out of the ring at once.
const BACKLOG_MAX: usize = 1_024;

/// The place of one watch in the feed.
pub(super) struct Seat {
    pub feed: Arc<Feed>,
    pub queue: Arc<Queue>,
    pub epoch: Epoch,
    /// Up to here every commit was pushed to whom it concerns.
    pub dispatched: Arc<AtomicU64>,
    id: u64,
    /// The plan under which it stands in the index.
    attached: Option<WatchPlan>,
}

/// What the ring has after a position.
pub(super) enum Ringed {
    /// Not all: the log has.
    Beyond,
    /// These, and more follow after this position.
    Part(Vec<Arc<Logged>>, u64),
    /// These, and what follows comes by the queue.
    Rest(Vec<Arc<Logged>>, u64),
}

impl Feed {
    /// Takes a seat; the first starts the tailer at the log's head.
    pub(super) fn sit(self: &Arc<Feed>, head: &Head) -> Result<Seat, Error> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if let Some(closing) = *self.closing.borrow() {
            return Err(closed(closing));
        }
        if state.seats.len() >= self.limits.watches_max {
            let message = format!("{} watches are open (limit `watches_max`); try again later", self.limits.watches_max);
            return Err(Error::new(ErrorCode::Overloaded, message));
        }
        let tailing = state.tailing.get_or_insert_with(|| self.start_tail(&mut state.ring, head.epoch.clone(), head.position));
        let (epoch, dispatched) = (tailing.epoch.clone(), tailing.dispatched.clone());
        state.last_seat += 1;
        let (id, queue) = (state.last_seat, Arc::new(Queue::new(&self.limits)));
        state.seats.insert(id, queue.clone());
        Ok(Seat { feed: self.clone(), queue, epoch, dispatched, id, attached: None })
    }
}

fn closed(closing: Closing) -> Error {
    let message = match closing {
        Closing::Drain => "the server is ending; watch again at another",
        Closing::Replaced => "the model is being replaced; try again",
    };
    let mut error = Error::new(ErrorCode::Unavailable, message);
    error.public.retry_after_ms = Some(1_000);
    error
}

impl Seat {
    /// What the ring has after a position. When it has all, the watch is attached where the ring ends, in the same step.
    pub fn meet_ring(&mut self, plan: &WatchPlan, after: u64) -> Ringed {
        let mut state = self.feed.state.lock();
        if !state.ring.covers(after) {
            return Ringed::Beyond;
        }
        let end = state.ring.end().max(after);
        let (events, through) = state.ring.events(after, BACKLOG_MAX);
        if through < end {
            return Ringed::Part(events, through);
        }
        self.queue.begin_after(end);
        state.index.insert(plan, self.id, self.queue.clone());
        drop(state);
        self.attached = Some(plan.clone());
        Ringed::Rest(events, end)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.feed.state.lock();
        state.seats.remove(&self.id);
        if let Some(plan) = &self.attached {
            state.index.remove(plan, self.id);
        }
        if state.seats.is_empty() {
            state.tailing = None;
            state.ring = super::Ring::default();
        }
    }
}
