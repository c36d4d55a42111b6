//! One commit: side records are compared, steps settled under row locks and written, the events put into the outbox last.
//!
//! Rows are locked as they are loaded, all of a commit's in the order of their keys. A row that is referred to is locked against its deletion
//! by whoever refers to it. What the database refuses because two commits met is tried again, from the beginning. Single writes that come
//! together are one transaction: see [`group`].

mod counters;
mod group;
mod several;
mod side;
mod texts;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fourfold_model::{EntityId, KEY, Model, Value};
use fourfold_op::{Error, ErrorCode};
use fourfold_plan::{Before, Moment, Probe, Settled, Settling, WritePlan};
use fourfold_store::record::Record;
use fourfold_store::sql::{Dialect, NodeWriter, Table};
use fourfold_store::{CommitError, Committed, SettledStep, Side};
use futures_util::future::{join, join3};
use futures_util::{Future, TryStreamExt};

use crate::Inner;
use crate::error::{Fail, misformed, refusal, told, unavailable};
use crate::lent::Lent;
use crate::pooled::{Parameter, Pooled, Prepared};
use crate::read::constants;
use crate::system::locks;
use crate::value::{Bound, Raw, computed};

pub use group::Groups;
pub use texts::Texts;
pub use write::key_text;
use write::{Heads, Loaded};

/// How often a commit that met another is tried.
const TRIES_MAX: u32 = 12;
/// Of which model the store is, and what time it is: one clock for all nodes.
const BEGUN: &str = "SELECT fingerprint, (extract(epoch FROM clock_timestamp()) * 1000000)::int8 FROM fourfold_state";

/// Why a commit went no further.
#[derive(Debug)]
pub enum Stop {
    /// It is refused.
    Refused(CommitError),
    /// It met another: from the beginning.
    Again,
    /// A row with the key of one that was to be made has come meanwhile.
    KeyTaken(Error),
    /// The database failed.
    Failed(Fail),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Refused(CommitError::Refused(error))
    }
}

impl From<Fail> for Stop {
    fn from(fail: Fail) -> Stop {
        match fail {
            Fail::Again => Stop::Again,
            Fail::Refused(error) => Stop::Refused(CommitError::Refused(error)),
            fail => Stop::Failed(fail),
        }
    }
}

impl From<tokio_postgres::Error> for Stop {
    fn from(error: tokio_postgres::Error) -> Stop {
        Fail::from(error).into()
    }
}

type Done<T> = Result<T, Stop>;
type Steps = Vec<Result<SettledStep, Error>>;

/// Commits a plan with its side records, or nothing.
pub async fn commit(inner: Arc<Inner>, plan: WritePlan, side: Vec<Side>) -> Result<Committed, CommitError> {
    let plan = match group::commit(&inner, plan, &side).await {
        Ok(done) => return done,
        Err(plan) => plan,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let stop = match once(&inner, &plan, &side).await {
            Ok(steps) => return Ok(Committed { steps, cursor: None }),
            Err(stop) => stop,
        };
        match stop {
            Stop::Refused(error) => return Err(error),
            Stop::KeyTaken(error) if tries >= TRIES_MAX => return Err(CommitError::Refused(error)),
            Stop::Failed(Fail::Stale) if tries == 1 => {}
            Stop::Failed(Fail::Late) => {
                return Err(CommitError::Refused(unavailable("the commit took longer than the database lets a statement take; try again")));
            }
            Stop::Failed(fail) => return Err(CommitError::Refused(fail.into_error())),
            Stop::Again if tries >= TRIES_MAX => {
                return Err(CommitError::Refused(unavailable("the rows are being written by others; try again")));
            }
            Stop::Again | Stop::KeyTaken(_) => tokio::time::sleep(pause(tries)).await,
        }
    }
}

/// Longer with each try, and not the same for two that meet.
fn pause(tries: u32) -> Duration {
    let most = 1_u64 << tries.min(7);
    let random = u64::try_from(uuid::Uuid::new_v4().as_u128() & 0xffff).unwrap_or(0);
    Duration::from_micros(500 + random * most * 1_000 / 0xffff)
}

/// One try, in a transaction of its own.
async fn once(inner: &Inner, plan: &WritePlan, side: &[Side]) -> Done<Steps> {
    let texts = inner.texts(plan.model());
    let lent = Lent::take(&inner.pooled).await?;
    let done = begun(inner, lent.client()?, plan, &texts, side).await;
    ended(inner, lent, done).await
}

/// Gives a connection back, as its transaction came out.
async fn ended<T>(inner: &Inner, lent: Lent, done: Done<T>) -> Done<T> {
    if matches!(done, Err(Stop::Failed(Fail::Stale))) {
        lent.client()?.forget_statements();
    }
    let done = lent.ended(done).await?;
    inner.committed();
    Ok(done)
}

async fn begun(inner: &Inner, client: &Pooled, plan: &WritePlan, texts: &Texts, side: &[Side]) -> Done<Steps> {
    let mut committing = Committing::new(inner, client, texts, plan);
    // A request that is sent twice must meet its record, not the row that it made: with side records, rows are loaded after them.
    let first = async { if side.is_empty() { committing.load_heads(Heads::of(plan)).await } else { Ok(Vec::new()) } };
    let (now, first) = begin(inner, client, plan.model(), "", first).await?;
    committing.moment.now = now;
    let versions = committing.expect(side).await?;
    let first = if side.is_empty() { first } else { committing.load_heads(Heads::of(plan)).await? };
    committing.loaded.extend(first);
    let steps = if plan.each() { committing.each().await? } else { committing.all().await? };
    committing.finish(side, &versions, &steps).await?;
    Ok(steps)
}

/// Begins a transaction, with what is to be read first: all is sent at once. The moment, and what was read.
async fn begin<T>(inner: &Inner, client: &Pooled, model: &Model, settings: &str, first: impl Future<Output = Done<T>>) -> Done<(i64, T)> {
    let statement = client.prepared(BEGUN).await?;
    let begin = format!("{};{settings} SELECT pg_advisory_xact_lock_shared({})", client.begin("", None), locks::MODEL);
    let (begun, state, first) = join3(client.batch_execute(&begin), client.query_one(&statement, &[]), first).await;
    begun?;
    let state = state?;
    if state.try_get::<_, i64>(0)?.cast_unsigned() != model.fingerprint {
        return Err(unavailable("the store is being migrated to another model; try again").into());
    }
    Ok((inner.not_before(state.try_get(1)?), first?))
}

/// A commit under way.
pub struct Committing<'a> {
    inner: &'a Inner,
    client: &'a Pooled,
    texts: &'a Texts,
    plan: &'a WritePlan,
    moment: Moment,
    record: Record,
    /// Of the events' payloads.
    bytes: usize,
    /// Rows that were locked and loaded before their steps.
    loaded: HashMap<(EntityId, Value), Loaded>,
    /// Rows that this commit has written.
    touched: HashSet<(EntityId, Value)>,
    /// Rows that this commit is about to delete.
    going: HashSet<(EntityId, Value)>,
    /// Numbers that counters gave in this commit: by the lock numbers of entity and field.
    given: HashSet<(u32, u32, i64)>,
    /// What became of the steps so far, where each stands alone.
    steps: Steps,
    /// Rows of steps that wait to be inserted together, and whether their keys were named.
    waiting: Vec<(usize, Box<Settled>, bool)>,
    waiting_bytes: usize,
}

impl<'a> Committing<'a> {
    fn new(inner: &'a Inner, client: &'a Pooled, texts: &'a Texts, plan: &'a WritePlan) -> Committing<'a> {
        let random = uuid::Uuid::new_v4().as_u128() ^ uuid::Uuid::new_v4().as_u128().rotate_left(64);
        Committing {
            inner,
            client,
            texts,
            plan,
            moment: Moment { now: 0, random },
            record: Record::default(),
            bytes: 0,
            loaded: HashMap::new(),
            touched: HashSet::new(),
            going: HashSet::new(),
            given: HashSet::new(),
            steps: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    fn model(&self) -> &Model {
        self.plan.model()
    }

    async fn all(&mut self) -> Done<Steps> {
        let mut steps = Vec::with_capacity(self.plan.len());
        for step in 0..self.plan.len() {
            match self.step(step).await {
                Ok(done) => steps.push(Ok(done)),
                Err(Stop::Refused(CommitError::Refused(error))) if self.plan.len() > 1 => return Err(error.at_operation(step).into()),
                Err(stop) => return Err(stop),
            }
        }
        Ok(steps)
    }

    async fn each(&mut self) -> Done<Steps> {
        for step in 0..self.plan.len() {
            let done = match self.is_one_statement(step) {
                true => self.step(step).await,
                false => {
                    self.insert_waiting().await?;
                    self.guarded_step(step).await
                }
            };
            self.steps.push(match done {
                Ok(done) => Ok(done),
                Err(Stop::Refused(CommitError::Refused(error))) => Err(error),
                Err(stop) => return Err(stop),
            });
            self.insert_when_several().await?;
        }
        self.insert_waiting().await?;
        Ok(std::mem::take(&mut self.steps))
    }

    /// Whether the database refuses nothing of what a step writes, or only rows that wait for others: nothing must be taken back then.
    fn is_one_statement(&self, step: usize) -> bool {
        let entity = self.plan.head(step).entity;
        let definition = self.model().entity(entity);
        !self.plan.deletes(step)
            && !self.is_adopted(entity)
            && definition.uniques.is_empty()
            && self.texts.table(entity).is_ok_and(|table| table.writes.owned.is_empty())
            || self.may_wait(entity) && self.plan.head(step).key.is_none_or(|key| self.is_new(entity, key))
    }

    /// Whether an entity's table is of others, with constraints that no model knows.
    fn is_adopted(&self, entity: EntityId) -> bool {
        self.inner.adopted.read().contains_key(&self.model().entity(entity).number)
    }

    /// Whether a row was looked for and is not there.
    fn is_new(&self, entity: EntityId, key: &Value) -> bool {
        let at = (entity, key.clone());
        !self.touched.contains(&at) && self.loaded.get(&at).is_some_and(|loaded| loaded.row.is_none())
    }

    async fn guarded_step(&mut self, step: usize) -> Done<SettledStep> {
        self.client.batch_execute("SAVEPOINT step").await?;
        let (mark, bytes) = (self.record.mark(), self.bytes);
        let done = self.step(step).await;
        match done {
            Ok(_) => self.client.batch_execute("RELEASE step").await?,
            Err(Stop::Refused(_)) => {
                self.record.cut(mark);
                self.bytes = bytes;
                self.client.batch_execute("ROLLBACK TO step; RELEASE step").await?;
            }
            Err(_) => {}
        }
        done
    }

    async fn step(&mut self, step: usize) -> Done<SettledStep> {
        let (done, settled) = self.settled(step).await?;
        self.write_or_wait(step, settled, self.plan.head(step).key.is_some()).await?;
        Ok(done)
    }

    /// What a step comes to, and its answer.
    async fn settled(&mut self, step: usize) -> Done<(SettledStep, Box<Settled>)> {
        let plan = self.plan;
        self.going.clear();
        let head = plan.head(step);
        let loaded = match head.key {
            None => Loaded { row: None, revision_floor: self.inner.floor_of(self.model().entity(head.entity).number) },
            Some(key) => self.loaded(head.entity, key, plan.deletes(step)).await?,
        };
        let before = Before { row: loaded.row.as_ref(), revision_floor: if loaded.row.is_some() { 0 } else { loaded.revision_floor } };
        let mut settled = self.settle(|answers, moment| plan.settle(step, before, answers, moment)).await?;
        let done = SettledStep {
            entity: settled.entity,
            key: settled.key.clone(),
            revision: settled.revision,
            change: settled.change,
            answer: settled.answer.take(),
        };
        Ok((done, settled))
    }

    /// A row that was loaded with the others; one that this commit has written since is loaded anew.
    async fn loaded(&mut self, entity: EntityId, key: &Value, to_delete: bool) -> Done<Loaded> {
        let at = (entity, key.clone());
        if !self.touched.contains(&at)
            && let Some(loaded) = self.loaded.remove(&at)
        {
            return Ok(loaded);
        }
        self.insert_waiting().await?;
        let loaded = self.load(entity, std::slice::from_ref(key), to_delete).await?.pop();
        Ok(loaded.map_or(Loaded { row: None, revision_floor: 0 }, |(_, loaded)| loaded))
    }

    async fn settle(&mut self, ask: impl Fn(&[Value], &Moment) -> Result<Settling, Error>) -> Done<Box<Settled>> {
        let mut answers = Vec::new();
        loop {
            match ask(&answers, &self.moment)? {
                Settling::Done(settled) => return Ok(settled),
                Settling::Ask(Probe::Next { entity, field }) => answers.push(self.next(entity, field).await?),
                Settling::Ask(probe) => {
                    // What it asks about may be among them.
                    self.insert_waiting().await?;
                    answers.push(self.probe(probe).await?);
                }
            }
        }
    }

    async fn probe(&mut self, probe: Probe) -> Done<Value> {
        let model = self.plan.model().clone();
        match probe {
            Probe::Next { entity, field } => self.next(entity, field).await,
            Probe::Exists { entity, filter } => {
                let mut writer = NodeWriter::lifting(Dialect::Postgres, &model, entity);
                writer.put("SELECT EXISTS (SELECT 1 FROM ");
                writer.put_table(0, Table::Entity(entity));
                writer.put(" WHERE ");
                writer.put_condition(&filter);
                writer.put(")");
                let row = self.asked(&model, writer).await?;
                Ok(Value::Boolean(row.is_some_and(|row| row.try_get(0).unwrap_or(false))))
            }
            Probe::Value { entity, key, guard, value } => {
                let mut writer = NodeWriter::lifting(Dialect::Postgres, &model, entity);
                let codec = writer.codec_of(&value).ok_or_else(|| Error::internal("a probe asks for a list of elements"))?;
                writer.put("SELECT ");
                writer.put_value(&value);
                writer.put(" FROM ");
                writer.put_table(0, Table::Entity(entity));
                writer.put(" WHERE ");
                writer.put_column(0, KEY);
                writer.put(" = ");
                writer.put_value(&fourfold_plan::Node::Constant(key, model.entity(entity).key_type()));
                writer.and_condition(guard.as_ref());
                if value == fourfold_plan::Node::Column(0, KEY) {
                    // Who asks for the key alone is about to refer to it: it stays until this commit is over.
                    writer.put(" FOR KEY SHARE OF t0");
                }
                let Some(row) = self.asked(&model, writer).await? else { return Ok(Value::Null) };
                let raw: Option<Raw<'_>> = row.try_get(0)?;
                let value = computed(&model, codec, raw.as_ref());
                Ok(value.ok_or_else(|| misformed(&model.entity(entity).table))?)
            }
        }
    }

    async fn asked(&self, model: &Model, writer: NodeWriter<'_>) -> Done<Option<tokio_postgres::Row>> {
        let statement = self.client.prepared(&writer.statement.text).await?;
        let parameters = constants(model, &writer.statement.sources);
        Ok(self.rows(&statement, parameters).await?.into_iter().next())
    }

    async fn rows(&self, statement: &Prepared, parameters: Vec<Bound>) -> Done<Vec<tokio_postgres::Row>> {
        let rows = self.client.query_raw(statement, parameters).await?;
        Ok(rows.try_collect().await?)
    }

    /// Puts what the commit came to into its side records and the outbox, and commits.
    async fn finish(&mut self, side: &[Side], versions: &[u64], steps: &Steps) -> Done<()> {
        self.put_sides(side, versions, steps).await?;
        if self.record.count() == 0 {
            return self.client.batch_execute("COMMIT").await.map_err(|error| at_commit(&error));
        }
        let text = "INSERT INTO fourfold_outbox (count, generation, at, by, events) VALUES ($1, $2, $3, $4, $5)";
        let by: &str = self.plan.by();
        put_and_commit(self.client, text, &[&self.count(), &self.generation(), &self.moment.now, &by, &self.record.bytes()]).await
    }

    fn count(&self) -> i64 {
        i64::try_from(self.record.count()).unwrap_or(i64::MAX)
    }

    fn generation(&self) -> i32 {
        i32::try_from(self.plan.generation()).unwrap_or(i32::MAX)
    }
}

/// Puts events into the outbox, and commits: last, so that their number comes after the locks on their rows. For one row, the order of numbers
/// is the order of commits.
async fn put_and_commit(client: &Pooled, text: &str, parameters: &[&dyn Parameter]) -> Done<()> {
    let statement = client.prepared(text).await?;
    let (put, done) = join(client.execute(&statement, parameters), client.batch_execute("COMMIT")).await;
    match put {
        // It was refused before the commit, which has committed nothing then.
        Err(error) if error.as_db_error().is_some() => Err(error.into()),
        Err(error) => Err(at_commit(&error)),
        Ok(_) => done.map_err(|error| at_commit(&error)),
    }
}

/// A constraint that is looked at only at the end, of a table of others.
fn at_commit_refused(error: &tokio_postgres::Error) -> Stop {
    Stop::Refused(CommitError::Refused(refusal(error)))
}

/// What a failed COMMIT means: only some errors say that nothing was written.
fn at_commit(error: &tokio_postgres::Error) -> Stop {
    match error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned()).as_deref() {
        Some("40") => Stop::Again,
        Some("23") => at_commit_refused(error),
        Some("25") => Stop::Failed(Fail::Error(Error::internal(told(error)))),
        _ => Stop::Refused(CommitError::Unknown(told(error))),
    }
}

/// Too many commits wait.
pub fn overloaded() -> CommitError {
    let mut error = Error::new(ErrorCode::Overloaded, "too many commits wait for the database; try again");
    error.public.retry_after_ms = Some(1_000);
    CommitError::Refused(error)
}
