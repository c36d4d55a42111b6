//! A watch as its reader has it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fourfold_op::{Cursor, ErrorCode};
use fourfold_plan::WatchPlan;
use fourfold_store::{Entities, StoreError, Tail};
use tokio::time::{Instant, timeout, timeout_at};

use super::delivery::{Delivery, End, Initial, Item};
use super::group::{Commit, Judged};
use super::logged::Logged;
use super::queue::Why;
use super::seat::{Ringed, Seat};
use super::tail::{READ, RETRY};

/// A watch under way; dropping it ends it.
pub struct Subscription {
    seat: Seat,
    plan: WatchPlan,
    initial: Option<Initial>,
    way: Way,
    /// How far it has read; what lies between `told` and here is in `backlog` and `ready`.
    read: Cursor,
    /// The snapshot whose commits are left out of what is in `backlog` and `ready`: whoever goes on within them must leave them out too.
    skip: Option<Arc<str>>,
    /// Read and not yet judged.
    backlog: VecDeque<Arc<Logged>>,
    /// Judged and not yet told.
    ready: VecDeque<Item>,
    /// Up to here everything was told, or is nothing to this watch.
    told: Cursor,
    /// The last position that its reader knows.
    known: u64,
    times: Times,
    spoken: Instant,
    ended: Option<End>,
}

/// When a watch ends and speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When its credential ends.
    pub expires: Option<Instant>,
    /// How long it may be silent while the log moves.
    pub bookmark_every: Option<Duration>,
}

/// What judges the events of a watch: its filter and its rules, for its caller. Equal for two that are told every event alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(WatchPlan);

impl Rights {
    /// Whether no row, whatever it holds, is shown by them.
    pub fn show_nothing(&self) -> bool {
        self.0.shows_nothing()
    }
}

/// From where the next commits come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the log or the ring: it has not met the tailer yet.
    Behind,
    /// From its queue.
    Along,
}

impl Subscription {
    pub(super) fn new(seat: Seat, plan: WatchPlan, start: Cursor, initial: Option<Initial>, times: Times) -> Subscription {
        Subscription {
            seat,
            plan,
            initial,
            way: Way::Behind,
            known: start.after,
            told: start.clone(),
            skip: start.skip.clone(),
            read: start,
            backlog: VecDeque::new(),
            ready: VecDeque::new(),
            times,
            spoken: Instant::now(),
            ended: None,
        }
    }

    /// From where to go on after what was told so far.
    pub fn cursor(&self) -> &Cursor {
        &self.told
    }

    /// The rows with which the watch begins, once, where it was asked to begin with them.
    pub fn take_initial(&mut self) -> Option<Initial> {
        self.initial.take()
    }

    /// The next thing to be told: whole commits, in their order.
    ///
    /// It can be cancelled at any time: nothing is lost, the next call goes on.
    ///
    /// # Errors
    /// How the watch has ended, now and at each later call.
    pub async fn next(&mut self) -> Result<Delivery, End> {
        loop {
            match self.next_committed().await? {
                Some(delivery) => return Ok(delivery),
                None => self.wait().await,
            }
        }
    }

    /// The next thing to be told without waiting for a commit; `None` where the watch has come to the newest.
    ///
    /// It can be cancelled at any time, as [`next`](Subscription::next).
    ///
    /// # Errors
    /// How the watch has ended.
    pub async fn next_committed(&mut self) -> Result<Option<Delivery>, End> {
        loop {
            self.look_for_end()?;
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(self.tell(item)));
            }
            if self.judge_next_commit() {
                continue;
            }
            if let Some(bookmark) = self.bookmark() {
                return Ok(Some(bookmark));
            }
            match self.way {
                // Boxed: a watch that has caught up need not hold the room for it.
                Way::Behind => Box::pin(self.catch_up()).await?,
                Way::Along => return Ok(self.seat.queue.take().map(|item| self.tell(item))),
            }
        }
    }

    /// What judges its events.
    pub fn rights(&self) -> Rights {
        Rights(self.plan.clone())
    }

    fn tell(&mut self, item: Item) -> Delivery {
        self.told = Cursor { epoch: self.seat.epoch.clone(), after: item.position(), skip: self.skip.clone() };
        self.known = self.told.after;
        if self.times.bookmark_every.is_some() {
            self.spoken = Instant::now();
        }
        Delivery::of(item, &self.seat.epoch).skipping(&self.skip)
    }

    fn look_for_end(&mut self) -> Result<(), End> {
        if let Some(end) = &self.ended {
            return Err(end.clone());
        }
        if self.times.expires.is_some_and(|at| at <= Instant::now()) {
            self.catch_told_up();
            return Err(self.end(End::CredentialEnded(self.told.clone())));
        }
        match self.seat.queue.ended() {
            None => Ok(()),
            Some(why) => Err(self.end_because(why)),
        }
    }

    fn end_because(&mut self, why: Why) -> End {
        if why == Why::Bye {
            self.catch_told_up();
        }
        let cursor = self.told.clone();
        self.end(match why {
            Why::Bye => End::Bye(cursor),
            Why::Slow => End::Slow(cursor),
            Why::Expired => End::Expired,
            Why::Reset => End::Reset(cursor),
        })
    }

    fn end(&mut self, end: End) -> End {
        self.backlog = VecDeque::new();
        self.ready = VecDeque::new();
        self.ended.insert(end).clone()
    }

    /// Judges the next commit of the backlog; whether there was one.
    fn judge_next_commit(&mut self) -> bool {
        let Some(last) = self.backlog.front().map(|logged| logged.commit_last()) else {
            // Also where it is no further, but has nothing to leave out any more.
            if self.read.after >= self.told.after && self.read != self.told {
                self.told = self.read.clone();
            }
            return false;
        };
        let mut commit = Vec::new();
        while let Some(logged) = self.backlog.pop_front_if(|logged| logged.commit_last() == last) {
            commit.push(logged);
        }
        let entities = self.plan.entities();
        let places: Vec<usize> = (0..commit.len()).filter(|place| entities.contains(&commit[*place].event.entity)).collect();
        let feed = &self.seat.feed;
        feed.note_judged(places.len() as u64);
        match Commit::new(&feed.model, feed.generation, &commit).judge(&self.plan, places.into_iter()) {
            Judged::Items(items) => self.ready.extend(items),
            Judged::Reset => self.seat.queue.end(Why::Reset),
        }
        true
    }

    /// Meets the tailer, or comes a page nearer to it.
    async fn catch_up(&mut self) -> Result<(), End> {
        if !self.meet_ring() {
            self.read_page().await?;
        }
        if self.way == Way::Behind {
            // A long way must not keep the other tasks of this thread from their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Takes what the ring has; whether it goes back far enough.
    fn meet_ring(&mut self) -> bool {
        // A snapshot's cursor is for the store alone.
        if self.read.skip.is_some() {
            return false;
        }
        let (events, through) = match self.seat.meet_ring(&self.plan, self.read.after) {
            Ringed::Beyond => return false,
            Ringed::Part(events, through) => (events, through),
            Ringed::Rest(events, through) => {
                self.way = Way::Along;
                (events, through)
            }
        };
        self.take_page(events, Cursor { epoch: self.seat.epoch.clone(), after: through, skip: None });
        true
    }

    async fn read_page(&mut self) -> Result<(), End> {
        match self.read_log().await {
            Some(Ok(tail)) if tail.model != self.seat.feed.model.fingerprint => self.seat.queue.end(Why::Reset),
            Some(Ok(tail)) => {
                let stands = tail.through == self.read;
                self.take_page(tail.events.into_iter().map(Logged::new).collect(), tail.through);
                if stands && self.read.skip.is_some() {
                    self.log_moves().await;
                }
            }
            Some(Err(error)) if error.code == ErrorCode::CursorExpired => return Err(self.end(End::Expired)),
            // It may be back in a moment; what ends the watch wakes it before.
            Some(Err(_)) => drop(timeout(RETRY, self.seat.queue.woken()).await),
            None => {}
        }
        Ok(())
    }

    /// A page of the log; `None` when the watch ended meanwhile.
    async fn read_log(&self) -> Option<Result<Tail, fourfold_op::Error>> {
        let of = Entities::Some(self.plan.entities());
        let reading = self.seat.feed.store.events(&self.read, &of, READ);
        tokio::select! {
            biased;
            () = self.seat.queue.woken() => None,
            () = until(self.times.expires) => None,
            read = reading => Some(read.map_err(|StoreError::Refused(error)| error)),
        }
    }

    /// Waits for the commits that a snapshot had and that are not numbered yet: only when they are behind can the tailer be met.
    async fn log_moves(&self) {
        let moves = timeout(RETRY, self.seat.feed.store.head(Some(self.read.after)));
        tokio::select! {
            biased;
            () = self.seat.queue.woken() => {}
            () = until(self.times.expires) => {}
            _ = moves => {}
        }
    }

    fn take_page(&mut self, events: Vec<Arc<Logged>>, through: Cursor) {
        self.backlog.extend(events);
        self.skip = std::mem::replace(&mut self.read, through).skip;
    }

    /// Until something is pushed, the watch ends, or a bookmark is due.
    async fn wait(&mut self) {
        let bookmark = self.times.bookmark_every.map(|every| self.spoken + every);
        let alarm = [self.times.expires, bookmark].into_iter().flatten().min();
        match alarm {
            None => self.seat.queue.woken().await,
            // The next round sees which of the two it was.
            Some(at) => drop(timeout_at(at, self.seat.queue.woken()).await),
        }
    }

    /// How far the log has come, where that is due and its reader does not know it.
    fn bookmark(&mut self) -> Option<Delivery> {
        let every = self.times.bookmark_every?;
        let now = Instant::now();
        if now.saturating_duration_since(self.spoken) < every {
            return None;
        }
        self.spoken = now;
        self.catch_told_up();
        if self.told.after <= self.known {
            return None;
        }
        self.known = self.told.after;
        Some(Delivery::bookmark(self.told.clone()))
    }

    /// Where nothing waits, everything that was dispatched was told.
    fn catch_told_up(&mut self) {
        // In this order: what is pushed after the first look is seen by the second.
        let dispatched = self.seat.dispatched.load(Ordering::Acquire);
        let quiet = self.way == Way::Along && self.backlog.is_empty() && self.ready.is_empty() && self.seat.queue.is_quiet();
        if quiet && dispatched > self.told.after {
            self.told = Cursor { epoch: self.seat.epoch.clone(), after: dispatched, skip: None };
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
