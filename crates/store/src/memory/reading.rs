//! One plan being read: its parameters, its rows, its deadline.

use std::time::Instant;

use fourfold_model::{Model, Row, Value};
use fourfold_op::{Deadline, Error, ErrorCode};
use fourfold_plan::{Fetch, Node, ReadPlan, eval};

use super::state::Rows;

/// One plan being read.
pub(super) struct Reading<'a> {
    pub plan: &'a ReadPlan,
    pub model: &'a Model,
    pub rows: Rows<'a>,
    pub deadline: &'a Deadline,
    /// How many statements a store of statements would have sent so far.
    pub statements: u32,
}

impl Reading<'_> {
    /// Counts what a store of statements would send for a fetch: its own, and one for each owned list.
    pub fn statement(&mut self, fetch: &Fetch) -> Result<(), Error> {
        self.statements += 1 + fetch.owned.len() as u32;
        in_time(self.deadline)
    }

    /// Whether a condition is true of a row; none is.
    pub fn passes(&self, node: Option<&Node>, row: &Row) -> bool {
        node.is_none_or(|node| self.value(node, row) == Value::Boolean(true))
    }

    /// The value of a node for a row.
    pub fn value(&self, node: &Node, row: &Row) -> Value {
        eval(self.model, node, row, self.plan.params(), &self.rows)
    }

    /// The value of a parameter.
    pub fn param(&self, index: u16) -> Value {
        self.plan.params().get(usize::from(index)).cloned().unwrap_or_default()
    }
}

/// Refuses what nobody waits for any more.
pub(super) fn in_time(deadline: &Deadline) -> Result<(), Error> {
    match deadline.0 {
        Some(at) if at <= Instant::now() => Err(Error::new(ErrorCode::DeadlineExceeded, "the deadline passed while reading")),
        _ => Ok(()),
    }
}
