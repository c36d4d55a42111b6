//! How a watch begins: bound, seated, and with what it must know of one snapshot.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_model::{Expr, Value};
use fourfold_op::{Answered, Context, Cursor, Error, ErrorCode, Limits, List, Operation, Page, Record, Select, SelectKind, Start, Watch};
use fourfold_plan::{Plan, PreparedWatch, ReadPlan, WatchPlan};
use fourfold_store::{Budget, Entities, Head, StoreError};
use tokio::time::Instant;

use super::delivery::Initial;
use super::subscription::{Subscription, Times};
use super::{Closing, FeedFigures};
use crate::observe::{self, Happened};
use crate::{Engine, Prepared};

impl Engine {
    /// Begins to watch the rows of an entity for a caller, with the values that the filter's operands name.
    ///
    /// # Errors
    /// `failed_precondition` for an entity that cannot be watched, naming the rule; `invalid_argument` for a filter that looks beyond the row;
    /// `cursor_expired`; `token_expired`; `limit_exceeded` for more rows to begin with, or more memberships, than the limits allow;
    /// `overloaded` beyond `watches_max`; `unavailable` while the engine is closed; those of the store.
    pub async fn watch(&self, context: &Context, watch: &Watch, values: &[Value]) -> Result<Subscription, Error> {
        let begun = self.begin_watch(context, watch, values).await;
        if let Err(error) = &begun {
            let private = error.private.0.as_deref();
            observe::note(&Happened::Refused { request: &context.request.0, code: error.code, private });
        }
        begun
    }

    async fn begin_watch(&self, context: &Context, watch: &Watch, values: &[Value]) -> Result<Subscription, Error> {
        let times = self.times(watch)?;
        let plan = self.prepare_watch(watch)?.bind(context, values)?;
        let head = self.store.head(None).await;
        let seat = self.feed.sit(&head)?;
        let (plan, cursor, initial) = match self.at_snapshot(context, watch, values, &plan)? {
            reads if reads.is_empty() => (plan, None, None),
            reads => self.read_beginning(context, watch, plan, &reads).await?,
        };
        let start = match (&watch.start, cursor) {
            (Start::After(after), _) => self.checked(after, &head, &plan).await?,
            (Start::Now | Start::Initial, Some(snapshot)) => snapshot,
            (Start::Now | Start::Initial, None) => Cursor { epoch: head.epoch, after: head.position, skip: None },
        };
        observe::note(&Happened::WatchBegan { request: &context.request.0, watches: self.feed.figures().watch_count });
        Ok(Subscription::new(seat, plan, start, initial, times))
    }

    /// Ends every watch and every subscription of this engine, and lets none begin any more.
    pub fn close_watches(&self, closing: Closing) {
        self.feed.close(closing);
        self.channels.close(closing);
    }

    /// Resolves when the watches of this engine have been closed, with why: a connection that may begin one is to end.
    pub async fn watches_closed(&self) -> Closing {
        self.feed.closed().await
    }

    /// Lets go what is in memory of the log up to a position, which cannot be read any more: a watch that has not come this far ends with
    /// [`End::Expired`](crate::End::Expired).
    pub fn forget_log(&self, through: u64) {
        self.feed.forget(through);
    }

    /// What there is to see of the feed.
    pub fn feed_figures(&self) -> FeedFigures {
        self.feed.figures()
    }

    fn times(&self, watch: &Watch) -> Result<Times, Error> {
        let expires = expires_at(watch.expires_at_us)?;
        let bookmark_every = watch.bookmarks.then(|| Duration::from_millis(self.limits.watch_bookmark_ms));
        Ok(Times { expires, bookmark_every })
    }

    /// Equal filters share one preparation, and so may be judged together.
    pub(crate) fn prepare_watch(&self, watch: &Watch) -> Result<Arc<PreparedWatch>, Error> {
        let key = (watch.entity, watch.filter.clone());
        if let Some(prepared) = self.watches.get(&key) {
            return Ok(prepared);
        }
        let prepared = Arc::new(fourfold_plan::watch(&self.model, watch.entity, watch.filter.as_ref(), &self.limits)?);
        self.watches.insert(key, prepared.clone());
        Ok(prepared)
    }

    /// The reads that must be of the snapshot at which the watch begins: its rows, then the caller's memberships.
    fn at_snapshot(&self, context: &Context, watch: &Watch, values: &[Value], plan: &WatchPlan) -> Result<Vec<ReadPlan>, Error> {
        let mut reads = Vec::new();
        if watch.start == Start::Initial {
            match self.prepare_initial(watch)?.plan.bind(context, values)? {
                Plan::Read(plans) => reads.extend(plans),
                Plan::Write(_) => return Err(Error::internal("a select became a write plan")),
            }
        }
        reads.extend(plan.membership());
        Ok(reads)
    }

    /// One page that holds all rows: of one snapshot there is no second page.
    fn prepare_initial(&self, watch: &Watch) -> Result<Arc<Prepared>, Error> {
        let list = List { filter: watch.filter.clone(), ..List::default() };
        let select = Select { entity: watch.entity, kind: SelectKind::List(list), fields: watch.fields.clone(), nested: Vec::new() };
        let operation = Operation::Read(vec![select]);
        if let Some(prepared) = self.initials.get(&operation) {
            return Ok(prepared);
        }
        let rows = self.limits.watch_initial_rows_max;
        let bytes = self.limits.watch_initial_bytes_max;
        let limits = Limits { page_size_default: rows, page_size_max: rows, page_bytes_max: bytes, ..self.limits.clone() };
        let operation = Arc::new(operation);
        let prepared = Arc::new(Prepared::new(&self.model, self.generation, operation.clone(), &limits)?);
        self.initials.insert(operation, prepared.clone());
        Ok(prepared)
    }

    async fn read_beginning(
        &self,
        context: &Context,
        watch: &Watch,
        plan: WatchPlan,
        reads: &[ReadPlan],
    ) -> Result<(WatchPlan, Option<Cursor>, Option<Initial>), Error> {
        let read = self.store.read(reads, &context.deadline).await;
        let snapshot = read.map_err(|StoreError::Refused(error)| error)?;
        let cursor = snapshot.place()?.clone();
        let mut answers = snapshot.answers.into_iter();
        let initial = match watch.start {
            Start::Initial => Some(Initial { records: self.all_rows(answers.next())?, cursor: cursor.clone() }),
            Start::Now | Start::After(_) => None,
        };
        let plan = match answers.next() {
            Some(members) => plan.with_members(&members)?,
            None => plan,
        };
        Ok((plan, Some(cursor), initial))
    }

    fn all_rows(&self, answered: Option<Answered>) -> Result<Vec<Record>, Error> {
        let Some(Answered::Page(Page { items, more, .. })) = answered else {
            return Err(Error::internal("the rows of a watch are read as a page"));
        };
        let (rows, bytes) = (self.limits.watch_initial_rows_max as usize, self.limits.watch_initial_bytes_max);
        match more {
            false => Ok(items),
            true if items.len() >= rows => Err(Error::limit("watch_initial_rows_max", rows, "rows to begin with")),
            true => Err(Error::limit("watch_initial_bytes_max", bytes, "bytes of rows to begin with")),
        }
    }

    /// The cursor, if the log still goes back to it.
    async fn checked(&self, after: &Cursor, head: &Head, plan: &WatchPlan) -> Result<Cursor, Error> {
        if after.epoch != head.epoch || after.after < head.floor {
            let message = "this cursor is too old or of another log; list again, and go on from the list's cursor";
            return Err(Error::new(ErrorCode::CursorExpired, message));
        }
        if after.after > head.position {
            // Ahead of the head that was told: the store knows whether it is of the future.
            let of = Entities::Some(plan.entities());
            let read = self.store.events(after, &of, Budget { events_max: 1, bytes_max: 1 }).await;
            read.map_err(|StoreError::Refused(error)| error)?;
        }
        Ok(after.clone())
    }
}

/// When a credential ends, by the clock that waits for it.
pub(crate) fn expires_at(expires_at_us: Option<i64>) -> Result<Option<Instant>, Error> {
    match expires_at_us {
        None => Ok(None),
        // One beyond what a clock can hold never comes.
        Some(at) => Ok(Instant::now().checked_add(left(at)?)),
    }
}

/// How long a credential still lasts.
fn left(expires_at_us: i64) -> Result<Duration, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    match u64::try_from(expires_at_us.saturating_sub(now)) {
        Ok(left) if left > 0 => Ok(Duration::from_micros(left)),
        _ => Err(Error::new(ErrorCode::TokenExpired, "the token has expired")),
    }
}

/// What equal watches have in common.
pub(crate) type WatchKey = (fourfold_model::EntityId, Option<Expr>);
