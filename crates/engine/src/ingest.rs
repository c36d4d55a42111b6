//! Many rows that stand alone: a refused one does not undo the others.

use std::sync::Arc;
use std::time::Instant;

use fourfold_model::{EntityId, FieldId, Value};
use fourfold_op::{Answer, Change, Context, Error, Operand, Operation, Write, WriteKind, Written};
use fourfold_plan::{Plan, WritePlan};
use fourfold_store::SettledStep;

use crate::execute::{Commit, ended};
use crate::observe::{self, Happened};
use crate::refusal::{conflict, in_time};
use crate::{Engine, Prepared};

/// A row to ingest.
#[derive(Clone, Debug, Default)]
pub struct IngestRow {
    /// Its key; `None` lets the model's default make one.
    pub key: Option<Value>,
    /// What is set, ascending by field.
    pub set: Vec<(FieldId, Value)>,
}

/// Rows of one call.
pub const INGEST_ROWS_MAX: usize = 4_000;

impl Engine {
    /// Writes rows of one entity, each standing alone, in as few commits as the limits on a commit allow; at most 4,000 rows a call.
    /// The commits of a call are under way together, in order, so that the store can make them durable together.
    ///
    /// # Errors
    /// For each row those of [`Engine::execute`]. For all of them: `limit_exceeded`, `deadline_exceeded`, `unavailable`, `unknown_outcome` (then
    /// the rows of other commits may stand).
    pub async fn ingest(
        &self,
        context: &Context,
        entity: EntityId,
        kind: WriteKind,
        rows: Vec<IngestRow>,
    ) -> Result<Vec<Result<Written, Error>>, Error> {
        if rows.len() > INGEST_ROWS_MAX {
            return Err(Error::limit("ingest_rows_max", INGEST_ROWS_MAX, "rows"));
        }
        in_time(&context.deadline, Instant::now())?;
        let mut batch = Batch { engine: self, context, plan: None, values: Vec::new(), places: Vec::new(), bytes: 0, commits: Vec::new() };
        let mut answers: Vec<Option<Answered>> = Vec::with_capacity(rows.len());
        let mut shape = Shape::new(self, entity, kind);
        for row in rows {
            let bytes = row.set.iter().map(|(_, value)| size_of(value)).sum::<usize>() + 64;
            if batch.bytes + bytes > self.limits.commit_bytes_max / 4 || batch.places.len() >= self.limits.commit_events_max {
                batch.begin();
            }
            // What is bound is answered by its commit.
            answers.push(batch.push(&mut shape, row, bytes, answers.len()).err().map(Err));
        }
        batch.begin();
        let commits = batch.commits.len();
        batch.end(&mut answers).await?;
        let refused = answers.iter().flatten().filter(|answer| answer.is_err()).count();
        let written = answers.len() - refused;
        observe::note(&Happened::Ingested { request: &context.request.0, written, refused, commits });
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(Error::internal("a row was not answered")))).collect())
    }
}

type Answered = Result<Written, Error>;

/// Rows that are to be one commit.
struct Batch<'a> {
    engine: &'a Engine,
    context: &'a Context,
    plan: Option<WritePlan>,
    /// Those of the row at hand.
    values: Vec<Value>,
    /// Where each step's answer goes.
    places: Vec<usize>,
    bytes: usize,
    /// Those under way, with the places of their steps' answers.
    commits: Vec<(Vec<usize>, Commit)>,
}

impl Batch<'_> {
    fn push(&mut self, shape: &mut Shape<'_>, row: IngestRow, bytes: usize, place: usize) -> Result<(), Error> {
        let prepared = shape.prepare(&row)?;
        self.values.clear();
        self.values.extend(row.key.into_iter().chain(row.set.into_iter().map(|(_, value)| value)));
        match &mut self.plan {
            Some(plan) => prepared.plan.bind_onto(plan, &self.values)?,
            None => match prepared.plan.bind(self.context, &self.values)? {
                Plan::Write(plan) => self.plan = WritePlan::join(vec![plan], true),
                Plan::Read(_) => return Err(Error::internal("a write became a read plan")),
            },
        }
        self.bytes += bytes;
        self.places.push(place);
        Ok(())
    }

    /// Hands what is bound to the store.
    fn begin(&mut self) {
        self.bytes = 0;
        if let Some(plan) = self.plan.take() {
            self.commits.push((std::mem::take(&mut self.places), self.engine.begin(plan, Vec::new(), None)));
        }
    }

    async fn end(self, answers: &mut [Option<Answered>]) -> Result<(), Error> {
        for (places, commit) in self.commits {
            let committed = ended(&self.context.deadline, commit).await?.map_err(conflict)?;
            for (place, step) in places.into_iter().zip(committed.steps) {
                if let Some(answer) = answers.get_mut(place) {
                    *answer = Some(step.map(written));
                }
            }
        }
        Ok(())
    }
}

/// The prepared shape of the last row: most streams have one.
struct Shape<'a> {
    engine: &'a Engine,
    entity: EntityId,
    kind: WriteKind,
    last: Option<Last>,
}

/// What the last row set, and the operation prepared for it.
struct Last {
    with_key: bool,
    fields: Vec<FieldId>,
    prepared: Arc<Prepared>,
}

impl<'a> Shape<'a> {
    fn new(engine: &'a Engine, entity: EntityId, kind: WriteKind) -> Shape<'a> {
        Shape { engine, entity, kind, last: None }
    }

    fn prepare(&mut self, row: &IngestRow) -> Result<&Prepared, Error> {
        let with_key = row.key.is_some();
        let fields = row.set.iter().map(|(field, _)| *field);
        let last = self.last.take().filter(|last| last.with_key == with_key && last.fields.iter().copied().eq(fields.clone()));
        let last = match last {
            Some(last) => last,
            None => {
                let fields: Vec<FieldId> = fields.collect();
                let prepared = self.engine.prepare(&self.operation(with_key, &fields)?)?;
                Last { with_key, fields, prepared }
            }
        };
        Ok(&self.last.insert(last).prepared)
    }

    fn operation(&self, with_key: bool, fields: &[FieldId]) -> Result<Operation, Error> {
        let first = u16::from(with_key);
        let operand = |index: usize| u16::try_from(index).ok().and_then(|index| index.checked_add(first)).map(Operand);
        let set = fields.iter().enumerate().map(|(index, field)| operand(index).map(|operand| (*field, operand)));
        let set = set.collect::<Option<Vec<_>>>().ok_or_else(|| Error::invalid("a row sets more fields than there can be"))?;
        let key = with_key.then_some(Operand(0));
        let write = Write { entity: self.entity, kind: self.kind, key, set, if_revision: None, answer: Answer::Key };
        Ok(Operation::Write(vec![write]))
    }
}

fn written(step: SettledStep) -> Written {
    Written {
        entity: step.entity,
        key: step.key,
        revision: step.revision,
        created: step.change == Some(Change::Created),
        deleted: step.change == Some(Change::Deleted),
        record: None,
    }
}

/// About the bytes of a value in an event, to keep a commit within its limit.
fn size_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        Value::Json(json) => json.len() + 4,
        Value::List(items) => items.iter().map(size_of).sum::<usize>() + 4,
        Value::Owned(rows) => rows.iter().flat_map(|row| row.0.iter()).map(size_of).sum::<usize>() + 4,
        _ => 18,
    }
}
