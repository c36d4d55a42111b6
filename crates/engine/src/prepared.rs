//! A prepared operation: the plan's shape, and the reads that answer its writes.

use std::sync::{Arc, OnceLock};

use fourfold_model::{Expr, ExprKind, SharedModel, Value};
use fourfold_op::{Answer, Context, Error, Limits, List, Nested, Operand, Operation, Select, SelectKind, Write};
use fourfold_plan::{Plan, ReadPlan, Writer};

/// A prepared operation, for [`Engine::execute_prepared`](crate::Engine::execute_prepared). It holds no caller and no value.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) operation: Arc<Operation>,
    pub(crate) plan: fourfold_plan::Prepared,
    /// For each write: the read of its row.
    answers: Vec<AnswerRead>,
}

/// The read of a written row: after the commit where the answer shows relations, and when a request is sent twice.
#[derive(Debug)]
struct AnswerRead {
    select: Option<Select>,
    /// Where the key stands among the values of that read: beyond every operand of the operation.
    key_at: usize,
    prepared: OnceLock<fourfold_plan::Prepared>,
}

impl Prepared {
    pub(crate) fn new(model: &SharedModel, generation: u32, operation: Arc<Operation>, limits: &Limits) -> Result<Prepared, Error> {
        let plan = fourfold_plan::prepare(model, generation, &operation, limits)?;
        let answers = match &*operation {
            Operation::Read(_) => Vec::new(),
            Operation::Write(writes) => writes.iter().map(AnswerRead::new).collect(),
        };
        let prepared = Prepared { operation, plan, answers };
        for (index, write) in prepared.writes().iter().enumerate() {
            if shows_relations(write) {
                // Now, so that a wrong shape is refused before anything is written.
                prepared.prepare_answer(index, model, generation, limits).map_err(|error| error.at_operation(index))?;
            }
        }
        Ok(prepared)
    }

    /// Of a source: its writes answer with their keys alone.
    pub(crate) fn for_source(model: &SharedModel, generation: u32, operation: Arc<Operation>, limits: &Limits) -> Result<Prepared, Error> {
        let plan = fourfold_plan::prepare_for(model, generation, &operation, limits, Writer::Source)?;
        Ok(Prepared { operation, plan, answers: Vec::new() })
    }

    /// The operation's writes; none for a read.
    pub(crate) fn writes(&self) -> &[Write] {
        match &*self.operation {
            Operation::Write(writes) => writes,
            Operation::Read(_) => &[],
        }
    }

    /// The read of the row that the n-th write is about; `None` where the write answers with its key alone.
    pub(crate) fn answer(
        &self,
        index: usize,
        key: &Value,
        context: &Context,
        values: &[Value],
        from: (&SharedModel, u32, &Limits),
    ) -> Result<Option<ReadPlan>, Error> {
        let Some(prepared) = self.prepare_answer(index, from.0, from.1, from.2)? else { return Ok(None) };
        let key_at = self.answers.get(index).map_or(0, |answer| answer.key_at);
        let mut bound: Vec<Value> = values.iter().take(key_at).cloned().collect();
        bound.resize(key_at, Value::Null);
        bound.push(key.clone());
        match prepared.bind(context, &bound)? {
            Plan::Read(plans) => Ok(plans.into_iter().next()),
            Plan::Write(_) => Err(Error::internal("a select became a write plan")),
        }
    }

    fn prepare_answer(
        &self,
        index: usize,
        model: &SharedModel,
        generation: u32,
        limits: &Limits,
    ) -> Result<Option<&fourfold_plan::Prepared>, Error> {
        let Some(answer) = self.answers.get(index) else { return Ok(None) };
        let Some(select) = &answer.select else { return Ok(None) };
        if answer.prepared.get().is_none() {
            let operation = Operation::Read(vec![select.clone()]);
            let made = fourfold_plan::prepare(model, generation, &operation, limits)?;
            // Another thread may have been quicker; either is as good.
            let _ = answer.prepared.set(made);
        }
        Ok(answer.prepared.get())
    }
}

/// Whether the answer to a write shows rows of relations, so that it must be read after the commit.
pub(crate) fn shows_relations(write: &Write) -> bool {
    matches!(&write.answer, Answer::Row { nested, .. } if !nested.is_empty())
}

impl AnswerRead {
    fn new(write: &Write) -> AnswerRead {
        let (select, key_at) = match &write.answer {
            Answer::Key => (None, 0),
            Answer::Row { fields, nested } => {
                let key_at = operands_of_nested(nested);
                let kind = SelectKind::Get { key: Operand(key_at), cursor: false };
                let select = Select { entity: write.entity, kind, fields: fields.clone(), nested: nested.clone() };
                (Some(select), usize::from(key_at))
            }
        };
        AnswerRead { select, key_at, prepared: OnceLock::new() }
    }
}

/// One above the highest operand in `nested`.
fn operands_of_nested(nested: &[Nested]) -> u16 {
    nested.iter().map(|one| operands_of_list(&one.list).max(operands_of_nested(&one.nested))).max().unwrap_or(0)
}

fn operands_of_list(list: &List) -> u16 {
    let plain = [list.size, list.after].into_iter().flatten().map(|operand| operand.0.saturating_add(1));
    plain.chain(list.filter.as_ref().map(operands_of_expr)).max().unwrap_or(0)
}

fn operands_of_expr(expr: &Expr) -> u16 {
    let own = match expr.kind {
        ExprKind::Value(index) => index.saturating_add(1),
        _ => 0,
    };
    expr.parts().into_iter().map(operands_of_expr).fold(own, u16::max)
}
