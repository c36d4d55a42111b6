//! Operation → outcome: prepare, bind, read or commit, answer.

use std::sync::Arc;
use std::time::Instant;

use fourfold_model::Value;
use fourfold_op::{Answer, Answered, Change, Context, Deadline, Error, Operation, Outcome, Record, Write, WriteKind, Written};
use fourfold_plan::{Plan, ReadPlan, WritePlan};
use fourfold_store::{CommitError, Committed, SettledStep, Side, Snapshot, Space};

use crate::idempotent::{Claim, Claimed};
use crate::observe::{self, Happened};
use crate::prepared::shows_relations;
use crate::refusal::{conflict, in_time, of_store, unknown_outcome};
use crate::timing::{Executed, Timing};
use crate::{Engine, Prepared};

impl Engine {
    /// Executes an operation for a caller, with the values that its operands name.
    ///
    /// A write runs to its end even when this future is dropped.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`], of the rules and constraints, and of the store; `unknown_outcome` when a commit may or may not
    /// have come about; with an idempotency key `unauthenticated`, `idempotency_mismatch`, `idempotency_in_progress`.
    pub async fn execute(&self, context: &Context, operation: &Operation, values: &[Value]) -> Result<Executed, Error> {
        let begun = Instant::now();
        let result = match self.prepare(operation) {
            Ok(prepared) => self.run(context, &prepared, values, begun).await,
            Err(error) => Err(error),
        };
        noted(context, result)
    }

    /// The same for an operation that was prepared before: the way of faces whose shapes never change.
    ///
    /// # Errors
    /// As [`Engine::execute`].
    pub async fn execute_prepared(&self, context: &Context, prepared: &Arc<Prepared>, values: &[Value]) -> Result<Executed, Error> {
        noted(context, self.run(context, prepared, values, Instant::now()).await)
    }

    async fn run(&self, context: &Context, prepared: &Prepared, values: &[Value], begun: Instant) -> Result<Executed, Error> {
        in_time(&context.deadline, begun)?;
        let claim = self.claim_key(context, prepared, values)?;
        let plan = prepared.plan.bind(context, values)?;
        let planned = Instant::now();
        let (outcome, statements) = match plan {
            Plan::Read(plans) => self.read(context, &plans).await?,
            Plan::Write(plan) => Writing { engine: self, context, prepared, values }.run(plan, claim).await?,
        };
        let timing = Timing { begun, planned, ended: Instant::now() };
        Ok(Executed { outcome, timing, statements })
    }

    async fn read(&self, context: &Context, plans: &[ReadPlan]) -> Result<(Outcome, u32), Error> {
        let Snapshot { answers, cursor, statements } = self.store.read(plans, &context.deadline).await.map_err(of_store)?;
        Ok((Outcome::Read(answers, cursor), statements))
    }

    /// Commits on a task of its own, so that it outlives its caller.
    pub(crate) async fn commit(
        &self,
        deadline: &Deadline,
        plan: WritePlan,
        side: Vec<Side>,
        claim: Option<Claimed>,
    ) -> Result<Result<Committed, Space>, Error> {
        in_time(deadline, Instant::now())?;
        ended(deadline, self.begin(plan, side, claim)).await
    }

    /// Hands a commit to the store, after those that were handed to it before; it goes on whether it is waited for or not.
    pub(crate) fn begin(&self, plan: WritePlan, side: Vec<Side>, claim: Option<Claimed>) -> Commit {
        let commit = self.store.commit(plan, side);
        tokio::spawn(async move {
            let result = commit.await;
            // The key is free again only when the commit has ended, whoever still waits for it.
            drop(claim);
            result
        })
    }
}

/// A commit under way.
pub(crate) type Commit = tokio::task::JoinHandle<Result<Committed, CommitError>>;

/// How a commit ended; the inner error is the side record that was in its way.
///
/// # Errors
/// Why it was refused; `unknown_outcome`, also when the deadline passes first.
pub(crate) async fn ended(deadline: &Deadline, commit: Commit) -> Result<Result<Committed, Space>, Error> {
    let joined = match deadline.0 {
        None => commit.await,
        Some(at) => match tokio::time::timeout_at(at.into(), commit).await {
            Ok(joined) => joined,
            Err(_) => return Err(unknown_outcome("the deadline passed while the commit was under way")),
        },
    };
    match joined {
        Ok(Ok(committed)) => Ok(Ok(committed)),
        Ok(Err(CommitError::Conflict(space))) => Ok(Err(space)),
        Ok(Err(CommitError::Refused(error))) => Err(error),
        Ok(Err(CommitError::Unknown(why))) => Err(unknown_outcome(why)),
        Err(join) => Err(unknown_outcome(join)),
    }
}

/// A write on its way.
struct Writing<'a> {
    engine: &'a Engine,
    context: &'a Context,
    prepared: &'a Prepared,
    values: &'a [Value],
}

impl Writing<'_> {
    async fn run(&self, plan: WritePlan, claim: Option<Claim>) -> Result<(Outcome, u32), Error> {
        let steps = u32::try_from(plan.len()).unwrap_or(u32::MAX);
        let (leaving, read_before) = self.read_leaving().await?;
        let (side, claimed) = claim.as_ref().map_or((Vec::new(), None), |claim| (vec![claim.side()], Some(claim.claimed.clone())));
        let committed = match self.engine.commit(&self.context.deadline, plan, side, claimed).await? {
            Ok(committed) => committed,
            Err(Space::Idempotency) if claim.is_some() => return self.replay(claim).await,
            Err(space) => return Err(conflict(space)),
        };
        let settled = committed.steps.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (written, read_after) = self.answer(settled, leaving).await;
        Ok((Outcome::Written(written, committed.cursor), steps + read_before + read_after))
    }

    /// The answers of a request sent twice: what it came to, with the rows as they are now and as the caller may see them now.
    async fn replay(&self, claim: Option<Claim>) -> Result<(Outcome, u32), Error> {
        let Some(claim) = claim else { return Err(conflict(Space::Idempotency)) };
        let settled = claim.recorded(self.engine).await?;
        observe::note(&Happened::Replayed { request: &self.context.request.0 });
        let every = vec![true; settled.len()];
        let (records, statements) = self.read_rows(&settled, &every).await?;
        let written = settled.into_iter().zip(records).map(|(step, record)| {
            let revision = record.as_ref().map_or(step.revision, |record| record.row.revision());
            Written { revision, ..written(step, record) }
        });
        Ok((Outcome::Written(written.collect(), None), statements))
    }

    /// One answer for each step; where relations are shown, by a read after the commit.
    async fn answer(&self, settled: Vec<SettledStep>, leaving: Vec<Option<Record>>) -> (Vec<Written>, u32) {
        let wanted: Vec<bool> = self.prepared.writes().iter().map(|write| shows_relations(write) && !is_delete(write)).collect();
        let (records, statements) = match self.read_rows(&settled, &wanted).await {
            Ok(read) => read,
            Err(error) => {
                // It is committed: an error here would say that it is not.
                observe::note(&Happened::AnswerLost { request: &self.context.request.0, code: error.code });
                (vec![None; settled.len()], 0)
            }
        };
        let mut leaving = leaving.into_iter();
        let answers = settled.into_iter().zip(records).zip(self.prepared.writes()).map(|((mut step, read), write)| {
            let leaving = leaving.next().flatten();
            let own = step.answer.take();
            let record = match &write.answer {
                Answer::Key => None,
                Answer::Row { .. } if is_delete(write) => leaving,
                Answer::Row { nested, .. } if nested.is_empty() => own.map(|row| Record { row, nested: Vec::new() }),
                Answer::Row { .. } => read,
            };
            written(step, record)
        });
        (answers.collect(), statements)
    }

    /// The rows that deletes are to answer with, while they are there: just before the commit, for after it nothing is left to read.
    async fn read_leaving(&self) -> Result<(Vec<Option<Record>>, u32), Error> {
        let writes = self.prepared.writes();
        let wanted: Vec<bool> = writes.iter().map(|write| is_delete(write) && write.answer != Answer::Key).collect();
        if !wanted.contains(&true) {
            return Ok((Vec::new(), 0));
        }
        let key = |write: &Write| write.key.and_then(|key| self.values.get(usize::from(key.0))).cloned().unwrap_or_default();
        let keys: Vec<Value> = writes.iter().map(key).collect();
        self.read_keys(keys.iter(), &wanted).await
    }

    async fn read_rows(&self, settled: &[SettledStep], wanted: &[bool]) -> Result<(Vec<Option<Record>>, u32), Error> {
        let gone = |step: &SettledStep| step.change == Some(Change::Deleted);
        let wanted: Vec<bool> = wanted.iter().zip(settled).map(|(wanted, step)| *wanted && !gone(step)).collect();
        self.read_keys(settled.iter().map(|step| &step.key), &wanted).await
    }

    /// The rows with these keys, each as its write shows it, of one snapshot; `None` where not wanted, hidden or gone.
    async fn read_keys<'k>(&self, keys: impl Iterator<Item = &'k Value>, wanted: &[bool]) -> Result<(Vec<Option<Record>>, u32), Error> {
        let from = (&self.engine.model, self.engine.generation, &self.engine.limits);
        let mut plans = Vec::new();
        let mut places = Vec::new();
        for ((index, key), wanted) in keys.enumerate().zip(wanted) {
            let plan = if *wanted { self.prepared.answer(index, key, self.context, self.values, from)? } else { None };
            places.push(plan.is_some());
            plans.extend(plan);
        }
        if plans.is_empty() {
            return Ok((vec![None; places.len()], 0));
        }
        let snapshot = self.engine.store.read(&plans, &self.context.deadline).await.map_err(of_store)?;
        let mut answers = snapshot.answers.into_iter();
        let record = |read: bool| match if read { answers.next() } else { None } {
            Some(Answered::Row(record)) => record,
            _ => None,
        };
        Ok((places.into_iter().map(record).collect(), snapshot.statements))
    }
}

fn is_delete(write: &Write) -> bool {
    write.kind == WriteKind::Delete
}

fn written(step: SettledStep, record: Option<Record>) -> Written {
    Written {
        entity: step.entity,
        key: step.key,
        revision: step.revision,
        created: step.change == Some(Change::Created),
        deleted: step.change == Some(Change::Deleted),
        record,
    }
}

fn noted(context: &Context, result: Result<Executed, Error>) -> Result<Executed, Error> {
    let request = &*context.request.0;
    match &result {
        Ok(Executed { timing, statements, .. }) => {
            observe::note(&Happened::Executed { request, timing: *timing, statements: *statements });
        }
        Err(error) => observe::note(&Happened::Refused { request, code: error.code, private: error.private.0.as_deref() }),
    }
    result
}
