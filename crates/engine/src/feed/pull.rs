//! The log at its reader's own pace, over several entities at once: the way of sinks.
//!
//! Nothing is pushed and nothing waits in memory: what a reader has not taken yet stays in the log, so a slow one costs the others nothing.
//! A reader is told by today's rules, as a watch is. Where its memberships change it is not ended: it takes them anew, and is told from there
//! on by those.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_model::{EntityId, Expr, FieldId, Row, Value};
use fourfold_op::{Context, Cursor, Deadline, Error, ErrorCode, Event, Start, Watch, WatchChange};
use fourfold_plan::{Images, Verdict, WatchPlan};
use fourfold_store::{Budget, Entities, StoreError};

use super::{Closing, Feed};
use crate::Engine;

/// How long the memberships of a reader may take to be read.
const MEMBERS_LIMIT: Duration = Duration::from_secs(30);

/// Rows that a reader of the log is told of: those of one entity that match.
#[derive(Clone, Debug)]
pub struct Interest {
    /// Of which entity.
    pub entity: EntityId,
    /// Which rows, beside the read rule; `None`: all. It can name only the row's own fields.
    pub filter: Option<Expr>,
    /// The values that the filter's operands name.
    pub values: Vec<Value>,
}

/// Reads the log for a principal, from a cursor on.
pub struct LogReader {
    feed: Arc<Feed>,
    plans: Vec<WatchPlan>,
    of: Entities,
    after: Cursor,
}

/// A stretch of the log: whole commits.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// What there is to tell of it, in order; maybe nothing.
    pub told: Vec<LogTold>,
    /// How far it goes: where nothing is to be told the cursor moves all the same.
    pub through: Cursor,
}

/// One change, as a reader of the log is told it.
#[derive(Clone, Debug)]
pub struct LogTold {
    /// The event's number.
    pub position: u64,
    /// The number of the last event of its commit.
    pub commit_last: u64,
    /// Of which entity.
    pub entity: EntityId,
    /// The row's key.
    pub key: Value,
    /// When it was committed: microseconds since 1970, UTC.
    pub at: i64,
    /// `Entered`, `Changed` or `Left`: relative to the filter and to what the reader may see.
    pub change: WatchChange,
    /// The row's revision after; not to be told of a row that left.
    pub revision: u64,
    /// The row after, what is masked is null; `None` of a row that left.
    pub after: Option<Row>,
    /// Of a `Changed` row: what differs, with the old values, ascending by field. Only what the reader could see then and may see now.
    pub old: Vec<(FieldId, Value)>,
}

/// Why a reader of the log was told nothing more.
#[derive(Clone, Debug)]
pub enum LogEnd {
    /// The engine ends, or another takes its place.
    Closed(Closing),
    /// The log no longer goes back to where the reader is, or is another.
    Expired,
    /// The log could not be read; asked again, the reader goes on where it was.
    Failed(Error),
}

/// The ends of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// Before the first event that is kept.
    pub first: Cursor,
    /// After the last.
    pub last: Cursor,
}

impl Engine {
    /// Begins to read the log for a principal, after a cursor.
    ///
    /// # Errors
    /// `cursor_expired`; those of [`Engine::watch`] for what is asked.
    pub async fn read_log(&self, context: &Context, interests: &[Interest], after: &Cursor) -> Result<LogReader, Error> {
        let ends = self.log_ends().await;
        if after.epoch != ends.last.epoch || after.after < ends.first.after {
            return Err(Error::new(ErrorCode::CursorExpired, "the log no longer goes back to this cursor, or is another"));
        }
        let mut plans = Vec::with_capacity(interests.len());
        for Interest { entity, filter, values } in interests {
            let (fields, start) = (Vec::new(), Start::Now);
            let watch = Watch { entity: *entity, filter: filter.clone(), fields, start, bookmarks: false, expires_at_us: None };
            let plan = self.prepare_watch(&watch)?.bind(context, values)?;
            plans.push(self.feed.with_members(plan, &deadline()).await?.0);
        }
        let mut of: Vec<EntityId> = plans.iter().flat_map(WatchPlan::entities).collect();
        of.sort_unstable();
        of.dedup();
        Ok(LogReader { feed: Arc::clone(&self.feed), plans, of: Entities::Some(of), after: after.clone() })
    }

    /// Where the log begins and ends now.
    pub async fn log_ends(&self) -> LogEnds {
        let head = self.store.head(None).await;
        let at = |after| Cursor { epoch: head.epoch.clone(), after, skip: None };
        LogEnds { first: at(head.floor), last: at(head.position) }
    }
}

impl LogReader {
    /// The next stretch, of at most so many events and bytes of payloads, but whole commits; it waits until there is one.
    ///
    /// It can be cancelled at any time: the next call goes on where the last stretch that was handed out ended.
    ///
    /// # Errors
    /// Why there is none. After [`LogEnd::Failed`] it may be asked again.
    pub async fn next(&mut self, events_max: usize, bytes_max: usize) -> Result<Stretch, LogEnd> {
        let feed = Arc::clone(&self.feed);
        tokio::select! {
            biased;
            closing = feed.closed() => Err(LogEnd::Closed(closing)),
            read = self.read(Budget { events_max, bytes_max }) => read,
        }
    }

    async fn read(&mut self, budget: Budget) -> Result<Stretch, LogEnd> {
        loop {
            self.feed.store.head(Some(self.after.after)).await;
            match self.feed.store.events(&self.after, &self.of, budget).await {
                // Its ids mean something else than this engine's, and so do its rules.
                Ok(tail) if tail.model != self.feed.model.fingerprint => return Err(LogEnd::Closed(Closing::Replaced)),
                Ok(tail) if tail.through.after > self.after.after => {
                    let told = self.judge(tail.events).await?;
                    self.after = tail.through.clone();
                    return Ok(Stretch { told, through: tail.through });
                }
                // The head is told before it can be read.
                Ok(_) => tokio::task::yield_now().await,
                Err(StoreError::Refused(error)) if error.code == ErrorCode::CursorExpired => return Err(LogEnd::Expired),
                Err(StoreError::Refused(error)) => return Err(LogEnd::Failed(error)),
            }
        }
    }

    async fn judge(&mut self, events: Vec<Event>) -> Result<Vec<LogTold>, LogEnd> {
        let mut told = Vec::with_capacity(events.len());
        for commit in events.chunk_by(|a, b| a.commit_last == b.commit_last) {
            let mut images = commit.iter().map(|event| self.images(event)).collect::<Result<Vec<_>, _>>()?;
            self.renew_memberships(commit, &mut images).await?;
            for (event, images) in commit.iter().zip(&mut images) {
                let plans = self.plans.iter().filter(|plan| plan.entity() == event.entity);
                told.extend(plans.filter_map(|plan| tell(plan, event, images)));
            }
        }
        Ok(told)
    }

    fn images(&self, event: &Event) -> Result<Images, LogEnd> {
        if event.generation > self.feed.generation {
            return Err(LogEnd::Closed(Closing::Replaced));
        }
        Images::of(&self.feed.model, event).map_err(|error| {
            let message = format!("event {} cannot be read", event.position.0);
            LogEnd::Failed(Error::new(error.code, message))
        })
    }

    /// A commit that changes of what the principal is a member is told by what it is a member of now.
    async fn renew_memberships(&mut self, commit: &[Event], images: &mut [Images]) -> Result<(), LogEnd> {
        for plan in &mut self.plans {
            if commit.iter().zip(images.iter_mut()).any(|(event, images)| plan.touches_caller(event, images)) {
                let renewed = self.feed.with_members(plan.clone(), &deadline()).await;
                *plan = renewed.map_err(LogEnd::Failed)?.0;
            }
        }
        Ok(())
    }
}

fn deadline() -> Deadline {
    Deadline(Some(Instant::now() + MEMBERS_LIMIT))
}

fn tell(plan: &WatchPlan, event: &Event, images: &mut Images) -> Option<LogTold> {
    let (change, hidden, old) = match plan.judge_row(event, images) {
        Verdict::Ignore | Verdict::Reset => return None,
        Verdict::Entered(hidden) => (WatchChange::Entered, Some(hidden), Vec::new()),
        Verdict::Changed(hidden) => (WatchChange::Changed, Some(hidden), plan.old_values(images)),
        Verdict::Left => (WatchChange::Left, None, Vec::new()),
    };
    Some(LogTold {
        position: event.position.0.get(),
        commit_last: event.commit_last.0.get(),
        entity: event.entity,
        key: event.key.clone(),
        at: event.at,
        change,
        revision: event.revision,
        after: hidden.and_then(|hidden| images.shown(&hidden)),
        old,
    })
}
