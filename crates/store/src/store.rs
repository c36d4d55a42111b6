//! The seam: what an engine asks of a store.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use fourfold_model::{EntityId, SharedModel, Value};
use fourfold_op::{Answered, Cursor, Deadline, Epoch, Error, Event};
use fourfold_plan::{ReadPlan, WritePlan};

/// A boxed future that may cross threads.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a store can do, so that faces and tests can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `memory`, `sqlite`, …
    pub name: &'static str,
    /// Whether it survives its process.
    pub durable: bool,
    /// Whether a write's answer can carry its cursor.
    pub cursor_at_commit: bool,
    /// Whether several rows can be one commit.
    pub transactions: bool,
    /// The smallest step of a DateTime, in microseconds.
    pub datetime_step_us: u32,
}

/// A place where rows, numbered events and side records are kept together.
pub trait Store: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// Reads all plans of one snapshot.
    fn read<'a>(&'a self, plans: &'a [ReadPlan], deadline: &'a Deadline) -> Later<'a, Result<Snapshot, StoreError>>;

    /// Commits all steps of a plan with the side records, or nothing. It runs to its end even when its caller goes away.
    ///
    /// The side records are compared before the first step is settled: a request that is sent twice meets its record, not the row that it
    /// made. A refusal of a plan with several steps says which ([`Error::at_operation`]). In a plan of steps that stand alone, a refused step
    /// leaves nothing behind and the others stand.
    fn commit(&self, plan: WritePlan, side: Vec<Side>) -> Later<'static, Result<Committed, CommitError>>;

    /// Whole commits after a cursor, up to a budget.
    fn events<'a>(&'a self, after: &'a Cursor, of: &'a Entities, budget: Budget) -> Later<'a, Result<Tail, StoreError>>;

    /// The end of the log: now, or when it has moved beyond a position (0: when there is a first event).
    fn head(&self, beyond: Option<u64>) -> Later<'_, Head>;

    /// A side record.
    fn side<'a>(&'a self, space: Space, key: &'a [u8]) -> Later<'a, Result<Option<SideRecord>, StoreError>>;

    /// Takes or renews a lease; `None` when another holds it. An embedded store always gives it.
    fn lease<'a>(&'a self, name: &'a str) -> Later<'a, Result<Option<LeaseTerm>, StoreError>>;

    /// What carries texts to the other processes over this store; `None` where there are none.
    fn bus(&self) -> Option<std::sync::Arc<dyn crate::Bus>> {
        None
    }

    /// Finishes what was taken in, checkpoints and lets go of files. Later calls are `unavailable`.
    fn close(&self) -> Later<'_, ()>;
}

/// Answers of one snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// One for each plan. Page tokens and cursors are filled in.
    pub answers: Vec<Answered>,
    /// The snapshot's place in the log; `None` at most where no plan wants it ([`ReadPlan::wants_cursor`]).
    pub cursor: Option<Cursor>,
    /// How many statements it took: bounded by the plans' fetches, never by their rows.
    pub statements: u32,
}

impl Snapshot {
    /// Its place in the log.
    ///
    /// # Errors
    /// `internal`, where the store left it out.
    pub fn place(&self) -> Result<&Cursor, Error> {
        self.cursor.as_ref().ok_or_else(|| Error::internal("a snapshot came without its cursor"))
    }
}

/// A commit that is durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// One for each step. In a plan of all-or-nothing every one is `Ok`.
    pub steps: Vec<Result<SettledStep, Error>>,
    /// The position after it, where the store can tell.
    pub cursor: Option<Cursor>,
}

/// What a step came to.
#[derive(Clone, Debug)]
pub struct SettledStep {
    /// Of which entity.
    pub entity: EntityId,
    /// The row's key.
    pub key: Value,
    /// Its revision after.
    pub revision: u64,
    /// What happened; `None`: nothing changed.
    pub change: Option<fourfold_op::Change>,
    /// The row as the caller may read it, where it was asked for.
    pub answer: Option<fourfold_model::Row>,
}

/// A side record: written by compare-and-set in the same commit as rows and events.
#[derive(Clone, Debug)]
pub struct Side {
    /// Whose.
    pub space: Space,
    /// Its key.
    pub key: Vec<u8>,
    /// What must be there.
    pub expect: Expect,
    /// What is put there.
    pub put: Put,
    /// When it may go: microseconds since 1970; `None`: never.
    pub keep_until: Option<i64>,
}

/// What a side record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// Idempotency keys.
    Idempotency = 1,
    /// How far a source was read.
    Source = 2,
    /// How far a sink was served.
    Checkpoint = 3,
    /// The model's generation.
    Generation = 4,
    /// How far a resumable ingest came.
    Ingest = 5,
}

/// What must be at a side record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// Nothing (a record past its `keep_until` is nothing).
    Absent,
    /// The record of this version.
    Version(u64),
}

/// What is put at a side record's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Only compare.
    Nothing,
    /// These bytes.
    Bytes(Bytes),
    /// These bytes, then [`outcome`](crate::encode_outcome) of what this commit settles.
    Outcome(Bytes),
}

/// A side record as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideRecord {
    /// From 1, one more at each put.
    pub version: u64,
    /// What was put.
    pub bytes: Bytes,
}

/// Why a commit did not come about, or nobody knows.
#[derive(Clone, Debug)]
pub enum CommitError {
    /// The plan, a rule or a constraint refuses it: nothing was written.
    Refused(Error),
    /// A side record was not as expected: nothing was written.
    Conflict(Space),
    /// It may or may not have been written.
    Unknown(String),
}

/// Why a store could not answer.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// An error for the caller: `deadline_exceeded`, `cursor_expired`, `limit_exceeded`, `unavailable`, `internal`.
    Refused(Error),
}

/// Which entities' events are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entities {
    /// Every one.
    All,
    /// These.
    Some(Vec<EntityId>),
}

impl Entities {
    /// Whether an entity is among them.
    pub fn has(&self, entity: EntityId) -> bool {
        match self {
            Entities::All => true,
            Entities::Some(entities) => entities.contains(&entity),
        }
    }
}

/// How much of the log to hand out at once; whole commits, so at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Events.
    pub events_max: usize,
    /// Bytes of payloads.
    pub bytes_max: usize,
}

/// A stretch of the log.
#[derive(Clone, Debug)]
pub struct Tail {
    /// Events in order; whole commits, less those of entities not asked for.
    pub events: Vec<Event>,
    /// How far the log was read.
    pub through: Cursor,
    /// The fingerprint of the model whose ids the events bear: the store's, which a migration may just have changed.
    pub model: u64,
}

/// The ends of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub epoch: Epoch,
    /// Its last position; 0 when it is empty.
    pub position: u64,
    /// Cursors below this are too old.
    pub floor: u64,
}

/// A lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerm {
    /// Fences the holder: grows with each change of holder.
    pub term: u64,
}

/// What an operator asks of a store.
pub trait Maintain: Store {
    /// What stands between the store and a model: each step, in order.
    fn migration<'a>(&'a self, model: &'a SharedModel) -> Later<'a, Result<Migration, StoreError>>;
    /// Carries a migration out in one transaction, and makes `model` the store's model.
    fn migrate<'a>(&'a self, model: &'a SharedModel, migration: Migration) -> Later<'a, Result<(), StoreError>>;
    /// How many rows an entity has.
    fn count<'a>(&'a self, model: &'a SharedModel, entity: EntityId) -> Later<'a, Result<u64, StoreError>>;
    /// Takes one slice of the oldest commits out of the log, as far as they are not to be kept. The newest commit always stays.
    ///
    /// Cursors below the floor that this raises have expired. Where the event of a deletion goes, the number that it left for its key goes
    /// too, and the entity's new rows begin above it: no key ever repeats a revision. Side records past their end go as well.
    fn prune<'a>(&'a self, keep: &'a Retention) -> Later<'a, Result<Pruned, StoreError>>;
    /// Blanks what the log holds of a row, so that nothing of it is left in the store's files: its events keep their positions, keys and
    /// revisions, and have empty payloads. The row itself stays as it is.
    ///
    /// No reader is to see a blank payload, so cursors before the last of these events have expired. Reads go on meanwhile, writes wait. What
    /// a process holds of the events in memory is not the store's: its engine forgets it.
    fn redact<'a>(&'a self, model: &'a SharedModel, entity: EntityId, key: &'a Value) -> Later<'a, Result<Redacted, StoreError>>;
}

/// What a redaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// Events that were blanked now.
    pub events: u64,
    /// Cursors below this are too old.
    pub floor: u64,
}

/// What is kept of the log, and how much may go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Commits before this moment go: microseconds since 1970, UTC; `None`: none goes for its age.
    pub since: Option<i64>,
    /// Bytes of the log beyond which the oldest commits go; `None`: none goes for its size.
    pub bytes_max: Option<u64>,
    /// The last position that goes for its age: somebody has yet to read what lies beyond (its size it may still go for); `None`: any.
    pub aged_through: Option<u64>,
    /// Events of one slice; a commit goes whole, so one may be more.
    pub slice_events_max: u64,
}

/// What a slice came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Events that went.
    pub events: u64,
    /// Cursors below this are too old.
    pub floor: u64,
    /// Bytes of the log that is left (roughly); 0 where the size was not asked for.
    pub bytes: u64,
    /// Whether there may be more to go.
    pub more: bool,
}

/// What stands between a store and a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// The steps, in order.
    pub steps: Vec<MigrationStep>,
}

/// One step of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStep {
    /// For people: "add column `price` to `product`".
    pub title: String,
    /// Whether it loses data.
    pub destructive: bool,
    /// The store's own statement.
    pub statement: String,
}
