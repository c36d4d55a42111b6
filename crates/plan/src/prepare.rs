//! From an operation to a plan, in two steps: names and shape first, then claims and values.

use std::sync::Arc;

use fourfold_model::{SharedModel, Value};
use fourfold_op::{Context, Error, Limits, Operation};

use crate::read::ReadPlan;
use crate::select::{self, PreparedSelect};
use crate::shape::{self, PreparedWrite, Writer};
use crate::write::{Step, WritePlan};

/// A prepared operation: cached by the operation and the model's generation; it never holds a caller or a value.
#[derive(Debug)]
pub struct Prepared {
    model: SharedModel,
    generation: u32,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Read(Vec<PreparedSelect>),
    Write(Vec<Arc<PreparedWrite>>),
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
/// `invalid_argument` for what the model does not allow to be asked or set, `limit_exceeded`.
pub fn prepare(model: &SharedModel, generation: u32, operation: &Operation, limits: &Limits) -> Result<Prepared, Error> {
    prepare_for(model, generation, operation, limits, Writer::Client)
}

/// Prepares an operation for whoever asks for it: a source may also write what clients only read (`@readonly`, `@@readonly`).
///
/// # Errors
/// As [`prepare`].
pub fn prepare_for(
    model: &SharedModel,
    generation: u32,
    operation: &Operation,
    limits: &Limits,
    writer: Writer,
) -> Result<Prepared, Error> {
    let body = match operation {
        Operation::Read(selects) => {
            Body::Read(selects.iter().map(|select| select::prepare(model, select, limits)).collect::<Result<_, _>>()?)
        }
        Operation::Write(writes) => Body::Write(shape::prepare_all(model, writes, limits, writer)?),
    };
    Ok(Prepared { model: model.clone(), generation, body })
}

impl Prepared {
    /// Puts a caller and the request's values into the shape.
    ///
    /// # Errors
    /// `invalid_argument` for a value that does not fit its place.
    pub fn bind(&self, context: &Context, values: &[Value]) -> Result<Plan, Error> {
        match &self.body {
            Body::Read(selects) => selects.iter().map(|select| select.bind(context, values)).collect::<Result<_, _>>().map(Plan::Read),
            Body::Write(writes) => self.bind_writes(writes, context, values).map(Plan::Write),
        }
    }

    /// Puts another request's values into the shape and adds the steps to a plan of the same model, whose caller speaks for them too.
    ///
    /// # Errors
    /// As [`Prepared::bind`]; the plan is then as it was.
    pub fn bind_onto(&self, plan: &mut WritePlan, values: &[Value]) -> Result<(), Error> {
        let Body::Write(writes) = &self.body else { return Err(Error::internal("a read is no part of a write")) };
        let there = plan.steps.len();
        for write in writes {
            match Step::bind(write, &self.model, values) {
                Ok(step) => plan.steps.push(step),
                Err(error) => {
                    plan.steps.truncate(there);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn bind_writes(&self, writes: &[Arc<PreparedWrite>], context: &Context, values: &[Value]) -> Result<WritePlan, Error> {
        let several = writes.len() > 1;
        let mut steps = Vec::with_capacity(writes.len());
        for (index, write) in writes.iter().enumerate() {
            let step = Step::bind(write, &self.model, values);
            steps.push(step.map_err(|error| if several { error.at_operation(index) } else { error })?);
        }
        let principal = context.principal.clone();
        let by = Arc::from(format!("{}#{}", principal.issuer, principal.subject));
        Ok(WritePlan { model: self.model.clone(), principal, generation: self.generation, by, each: false, steps })
    }
}
