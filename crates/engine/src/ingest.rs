//! Many rows that stand alone: a refused one does not undo the others.

use std::sync::Arc;

use fourfold_model::{EntityId, FieldId, Value};
use fourfold_op::{Answer, Change, Context, Error, ErrorCode, Operand, Operation, Write, WriteKind, Written};
use fourfold_plan::{Plan, WritePlan};
use fourfold_store::SettledStep;

use crate::execute::{conflict, in_time};
use crate::observe::{self, Happened};
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
pub const INGEST_ROWS_MAX: usize = 1_000;

impl Engine {
    /// Writes rows of one entity, each standing alone, in as few commits as the limits on a commit allow; at most 1,000 rows a call.
    ///
    /// # Errors
    /// For each row those of [`Engine::execute`]. For all of them: `limit_exceeded`, `deadline_exceeded`, `unavailable`, `unknown_outcome` (then
    /// rows before the failed commit may stand).
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
        in_time(&context.deadline)?;
        let mut answers = Vec::with_capacity(rows.len());
        let mut batch = Batch::new(self, context);
        let mut commits = 0;
        let mut shape = Shape::new(self, entity, kind);
        for row in rows {
            let bytes = row.set.iter().map(|(_, value)| size_of(value)).sum::<usize>() + 64;
            if batch.bytes + bytes > self.limits.commit_bytes_max / 4 && !batch.plans.is_empty() {
                batch.commit(&mut answers).await?;
                commits += 1;
            }
            let bound = shape.bind(context, row);
            batch.push(bound, bytes, &mut answers);
        }
        if !batch.plans.is_empty() {
            batch.commit(&mut answers).await?;
            commits += 1;
        }
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        let written = answers.len() - refused;
        observe::note(&Happened::Ingested { request: &context.request.0, written, refused, commits });
        Ok(answers)
    }
}

/// Rows that are to be one commit.
struct Batch<'a> {
    engine: &'a Engine,
    context: &'a Context,
    plans: Vec<WritePlan>,
    /// Where each plan's answer goes.
    places: Vec<usize>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(engine: &'a Engine, context: &'a Context) -> Batch<'a> {
        Batch { engine, context, plans: Vec::new(), places: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, bound: Result<WritePlan, Error>, bytes: usize, answers: &mut Vec<Result<Written, Error>>) {
        match bound {
            Ok(plan) => {
                self.places.push(answers.len());
                self.plans.push(plan);
                self.bytes += bytes;
                // Until the commit says what it came to.
                answers.push(Err(Error::new(ErrorCode::Cancelled, "not reached")));
            }
            Err(error) => answers.push(Err(error)),
        }
    }

    async fn commit(&mut self, answers: &mut [Result<Written, Error>]) -> Result<(), Error> {
        self.bytes = 0;
        let Some(plan) = WritePlan::join(std::mem::take(&mut self.plans), true) else { return Ok(()) };
        let committed = self.engine.commit(&self.context.deadline, plan, Vec::new(), None).await?.map_err(conflict)?;
        for (place, step) in self.places.drain(..).zip(committed.steps) {
            if let Some(answer) = answers.get_mut(place) {
                *answer = step.map(written);
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
    last: Option<(bool, Vec<FieldId>, Arc<Prepared>)>,
}

impl<'a> Shape<'a> {
    fn new(engine: &'a Engine, entity: EntityId, kind: WriteKind) -> Shape<'a> {
        Shape { engine, entity, kind, last: None }
    }

    fn bind(&mut self, context: &Context, row: IngestRow) -> Result<WritePlan, Error> {
        let prepared = self.prepare(&row)?;
        let values: Vec<Value> = row.key.into_iter().chain(row.set.into_iter().map(|(_, value)| value)).collect();
        match prepared.plan.bind(context, &values)? {
            Plan::Write(plan) => Ok(plan),
            Plan::Read(_) => Err(Error::internal("a write became a read plan")),
        }
    }

    fn prepare(&mut self, row: &IngestRow) -> Result<Arc<Prepared>, Error> {
        let with_key = row.key.is_some();
        let fields = row.set.iter().map(|(field, _)| *field);
        if let Some((key, last, prepared)) = &self.last
            && *key == with_key
            && last.iter().copied().eq(fields.clone())
        {
            return Ok(prepared.clone());
        }
        let fields: Vec<FieldId> = fields.collect();
        let prepared = self.engine.prepare(&self.operation(with_key, &fields)?)?;
        self.last = Some((with_key, fields, prepared.clone()));
        Ok(prepared)
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
