//! From an operation to a plan, in two steps: names and shape first, then claims and values.

use std::sync::Arc;

use fourfold_model::{SharedModel, Value};
use fourfold_op::{Context, Error, Limits, Operation};

use crate::read::ReadPlan;
use crate::write::WritePlan;

/// A prepared operation: cached by the operation and the model's generation; it never holds a caller or a value.
#[derive(Debug)]
pub struct Prepared {
}

/// What a store is to do.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Reads, of one snapshot.
    Read(Vec<ReadPlan>),
    /// Writes, one commit.
    Write(WritePlan),
}

/// Prepares an operation for a model of a generation.
///
/// # Errors
/// `invalid_argument`, `limit_exceeded`, `permission_denied`.
pub fn prepare(_model: &SharedModel, _generation: u32, _operation: &Operation, _limits: &Limits) -> Result<Prepared, Error> {
    Err(Error::internal("not yet"))
}

impl Prepared {
    /// Puts a caller and the request's values into the shape.
    ///
    /// # Errors
    /// `invalid_argument` for a value that does not fit, `permission_denied`.
    pub fn bind(&self, _context: &Context, _values: &[Value]) -> Result<Plan, Error> {
        Err(Error::internal("not yet"))
    }
    /// The same for writes that stand alone (ingest): one step for each list of values.
    ///
    /// # Errors
    /// As [`Prepared::bind`].
    pub fn bind_each(&self, _context: &Context, _rows: Vec<Vec<Value>>) -> Result<WritePlan, Error> {
        Err(Error::internal("not yet"))
    }
    /// Which rules and masks decide here, for people.
    pub fn explain(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}
