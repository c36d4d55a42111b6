//! What streams through a channel: the rows of an entity, told as a watch tells them; and its history, read from the log.

use std::collections::VecDeque;
use std::sync::Arc;

use fourfold_op::{Cursor, Deadline, Epoch, Error, ErrorCode, Start, Watch};
use fourfold_plan::WatchPlan;
use tokio::time::Instant;

use super::said::Publication;
use super::{Channel, Join, Told};
use crate::feed::{Delivery, End, Feed, Subscription, expires_at};

/// How many positions of the log one step of a look goes over: what they hold is in memory together.
const STEP: u64 = 64;

/// A page of what a channel was told.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// How many at most; 0 tells only where the channel is.
    pub limit: usize,
    /// Those after it, or before it in reverse; `None`: from the first, or the last. An empty epoch stands for the present one.
    pub since: Option<Cursor>,
    /// Whether the newest comes first.
    pub reverse: bool,
}

/// What a channel was told.
#[derive(Clone, Debug)]
pub struct Past {
    /// In the order that was asked for.
    pub told: Vec<Told>,
    /// Where the channel is now.
    pub cursor: Cursor,
}

/// The rows that stream through a channel, as its subscriber has them.
///
/// A plain watch is reset when its caller's memberships change, those in other rooms too. Here the join rule says whether the caller may still be
/// in this one: the stream goes on, and what fell between is read from the log and judged by the rules as they are now.
pub(super) struct Stream {
    feed: Arc<Feed>,
    plan: WatchPlan,
    expires: Option<Instant>,
    events_max: u64,
    bytes_max: usize,
    watch: Subscription,
    /// What fell between two watches, and is not told yet.
    missed: VecDeque<Delivery>,
    /// Where it is while there is any.
    cursor: Cursor,
}

impl Stream {
    /// From where to go on after what was told so far.
    pub fn cursor(&self) -> &Cursor {
        if self.missed.is_empty() { self.watch.cursor() } else { &self.cursor }
    }

    /// The next row that changed. It can be cancelled at any time.
    pub async fn next(&mut self) -> Result<Delivery, End> {
        loop {
            if let Some(row) = self.missed.pop_front() {
                self.cursor = row.cursor.clone();
                return Ok(row);
            }
            match self.watch.next().await {
                // Boxed, as it is rare and large: whoever waits holds the room of all that it may do.
                Err(End::Reset(cursor)) => Box::pin(self.renew(cursor)).await?,
                told => return told,
            }
        }
    }

    async fn renew(&mut self, from: Cursor) -> Result<(), End> {
        let begun = self.feed.follow(self.plan.clone(), &Deadline(None), self.expires).await;
        let Ok((watch, plan)) = begun else { return Err(End::Reset(from)) };
        let through = watch.cursor().after;
        if through.saturating_sub(from.after) > self.events_max {
            return Err(End::Reset(from));
        }
        let Some(missed) = self.between(&plan, &from, through).await else { return Err(End::Reset(from)) };
        (self.watch, self.missed, self.cursor) = (watch, missed, from);
        Ok(())
    }

    /// `None` where it cannot be read, or is more than may be held.
    async fn between(&self, plan: &WatchPlan, from: &Cursor, through: u64) -> Option<VecDeque<Delivery>> {
        let (mut missed, mut bytes, mut at) = (VecDeque::new(), 0, from.after);
        while at < through {
            let after = Cursor { after: at, ..from.clone() };
            at = through.min(at + STEP);
            let (told, more) = self.feed.replay(plan, &after, at).await.ok()?;
            missed.extend(told);
            bytes += more;
            if bytes > self.bytes_max {
                return None;
            }
        }
        Some(missed)
    }
}

impl Channel<'_> {
    /// What was told before: of a stream as the log has it and as the caller may see it now, else as `@history` keeps it.
    ///
    /// One look goes over at most `channel_history_events_max` events of the log, and ends early at `page_bytes_max`, so that a page of a stream can
    /// hold less than there is.
    ///
    /// # Errors
    /// `permission_denied` where the join rule does not hold; `cursor_expired` for a place in another epoch, or to which the log no longer goes back.
    pub async fn history(&self, page: &HistoryPage) -> Result<Past, Error> {
        self.joined().await?;
        let page = HistoryPage { limit: page.limit.min(self.engine.limits.channel_history_items_max), ..page.clone() };
        if self.engine.model.channel(self.topic.channel).stream.is_some() {
            return self.stream_history(&page).await;
        }
        let (found, cursor) = self.engine.channels.hall.history(&self.topic, &page)?;
        let told = found.into_iter().map(|publication: Arc<Publication>| Told::Publication(publication)).collect();
        Ok(Past { told, cursor })
    }

    /// The stream's rows, and whether they go on from where it was asked to.
    pub(super) async fn begin_stream(&self, join: &Join) -> Result<(Option<Stream>, Option<bool>), Error> {
        let start = match join.after.clone() {
            None => Start::Now,
            Some(after) if after.epoch.0.is_empty() => Start::After(Cursor { epoch: self.engine.store.head(None).await.epoch, ..after }),
            Some(after) => Start::After(after),
        };
        let Some(watch) = self.watch(start, join.expires_at_us) else { return Ok((None, None)) };
        let values = std::slice::from_ref(&self.topic.parameter);
        let (begun, recovered) = match self.engine.watch(self.context, &watch, values).await {
            Ok(begun) => (begun, join.after.as_ref().map(|_| true)),
            Err(error) if error.code == ErrorCode::CursorExpired && join.after.is_some() => {
                let watch = Watch { start: Start::Now, ..watch.clone() };
                (self.engine.watch(self.context, &watch, values).await?, Some(false))
            }
            Err(error) => return Err(error),
        };
        let stream = Stream {
            feed: self.engine.feed.clone(),
            plan: self.engine.prepare_watch(&watch)?.bind(self.context, values)?,
            expires: expires_at(join.expires_at_us)?,
            events_max: self.engine.limits.channel_history_events_max,
            bytes_max: self.engine.limits.page_bytes_max,
            cursor: begun.cursor().clone(),
            watch: begun,
            missed: VecDeque::new(),
        };
        Ok((Some(stream), recovered))
    }

    fn watch(&self, start: Start, expires_at_us: Option<i64>) -> Option<Watch> {
        let (entity, filter) = self.engine.model.channel(self.topic.channel).stream.clone()?;
        Some(Watch { entity, filter: Some(filter), fields: Vec::new(), start, bookmarks: false, expires_at_us })
    }

    async fn stream_history(&self, page: &HistoryPage) -> Result<Past, Error> {
        let Some(watch) = self.watch(Start::Now, None) else { return Err(Error::internal("a stream that is not there")) };
        let plan = self.engine.prepare_watch(&watch)?.bind(self.context, std::slice::from_ref(&self.topic.parameter))?;
        let (plan, _) = self.engine.feed.with_members(plan, &self.context.deadline).await?;
        let head = self.engine.store.head(None).await;
        let cursor = Cursor { epoch: head.epoch.clone(), after: head.position, skip: None };
        let since = since(page, &head.epoch)?;
        if since.is_some_and(|since| since < head.floor && !page.reverse) {
            return Err(Error::new(ErrorCode::CursorExpired, "the log no longer goes back to this place; ask without it"));
        }
        let told = match page.reverse {
            _ if page.limit == 0 => Vec::new(),
            false => self.forward(&plan, &cursor, since.unwrap_or(head.floor), page.limit).await?,
            true => self.backward(&plan, &cursor, head.floor, (since, page.limit)).await?,
        };
        Ok(Past { told: told.into_iter().map(|row| Told::Row(Box::new(row))).collect(), cursor })
    }

    async fn forward(&self, plan: &WatchPlan, head: &Cursor, since: u64, limit: usize) -> Result<Vec<Delivery>, Error> {
        let last = head.after.min(since.saturating_add(self.engine.limits.channel_history_events_max));
        let (mut told, mut at, mut bytes) = (Vec::new(), since, 0);
        while at < last && told.len() < limit && bytes < self.engine.limits.page_bytes_max {
            let through = last.min(at + STEP);
            let (more, size) = self.replayed(plan, head, at, through).await?;
            told.extend(more);
            bytes += size;
            at = through;
        }
        told.truncate(limit);
        Ok(told)
    }

    async fn backward(
        &self,
        plan: &WatchPlan,
        head: &Cursor,
        floor: u64,
        (before, limit): (Option<u64>, usize),
    ) -> Result<Vec<Delivery>, Error> {
        let mut at = before.map_or(head.after, |before| head.after.min(before.saturating_sub(1)));
        let first = floor.max(at.saturating_sub(self.engine.limits.channel_history_events_max));
        let (mut told, mut bytes) = (Vec::new(), 0);
        while at > first && told.len() < limit && bytes < self.engine.limits.page_bytes_max {
            let from = first.max(at.saturating_sub(STEP));
            let (more, size) = self.replayed(plan, head, from, at).await?;
            told.extend(more.into_iter().rev());
            bytes += size;
            at = from;
        }
        told.truncate(limit);
        Ok(told)
    }

    async fn replayed(&self, plan: &WatchPlan, head: &Cursor, after: u64, through: u64) -> Result<(Vec<Delivery>, usize), Error> {
        let after = Cursor { after, ..head.clone() };
        self.engine.feed.replay(plan, &after, through).await
    }
}

/// The offset from which a page is asked for, in the present epoch.
pub(super) fn since(page: &HistoryPage, epoch: &Epoch) -> Result<Option<u64>, Error> {
    match &page.since {
        Some(since) if !since.epoch.0.is_empty() && since.epoch != *epoch => {
            Err(Error::new(ErrorCode::CursorExpired, "this place is in another epoch of the channel; ask without it"))
        }
        since => Ok(since.as_ref().map(|since| since.after)),
    }
}
