//! One settling of one step: what it holds, and what each of its stages asks of it.

use fourfold_model::{EntityId, KEY, Row, Value};
use fourfold_op::{Claims, Error, ErrorCode};

use super::plan::WritePlan;
use super::probe::Asking;
use super::refuse::{Halt, not_unique};
use super::settled::{Before, Moment};
use super::step::Step;
use crate::compile::Source;
use crate::eval::Evaluator;
use crate::node::{Level, Node};
use crate::shape::NEW;

/// One settling of one step.
pub(crate) struct Settle<'s> {
    pub plan: &'s WritePlan,
    pub step: &'s Step,
    pub number: usize,
    pub entity: EntityId,
    pub before: Before<'s>,
    pub moment: &'s Moment,
    pub at: Evaluator<'s, Asking<'s>>,
}

impl Settle<'_> {
    /// Whether a condition is true.
    pub(crate) fn holds(&mut self, node: &Node) -> Result<bool, Halt> {
        Ok(self.at.value(node)? == Value::Boolean(true))
    }

    /// Puts a row in the place of a level.
    pub(crate) fn place(&mut self, level: Level, row: Row) {
        if let Some(slot) = self.at.rows.get_mut(usize::from(level)) {
            *slot = Some(row);
        }
    }

    /// The new row, from its place.
    pub(crate) fn take_new(&mut self) -> Result<Row, Error> {
        let placed = self.at.rows.get_mut(usize::from(NEW)).and_then(Option::take);
        placed.ok_or_else(|| Error::internal("the new row is not in its place"))
    }

    fn name(&self) -> &str {
        &self.plan.model.entity(self.entity).name
    }

    /// The row is not there, or the caller may not know that it is.
    pub(crate) fn absent(&self) -> Error {
        Error::not_found(self.name())
    }

    /// A row with this key is there.
    pub(crate) fn exists(&self) -> Error {
        not_unique(&self.plan.model, self.entity, &[KEY])
    }

    /// No rule lets the caller do this.
    pub(crate) fn denied(&self, verb: &str) -> Error {
        let rules = &self.plan.model.entity(self.entity).rules;
        let why: Vec<String> = rules.iter().map(|rule| format!("line {}: `{}`", rule.line, rule.text)).collect();
        let error = Error::new(ErrorCode::PermissionDenied, format!("no rule of `{}` lets this caller {verb} it", self.name()));
        error.with_private(format!("none of these holds for {verb}: {}", why.join("; ")))
    }
}

/// What stands for each `Bind` of a write.
pub(crate) fn params(sources: &[Source], claims: &Claims, moment: &Moment) -> Vec<Value> {
    let param = |source: &Source| match source {
        Source::Claim(claim) => claims.value(*claim).clone(),
        Source::Now => Value::DateTime(moment.now),
        _ => Value::Null,
    };
    sources.iter().map(param).collect()
}
