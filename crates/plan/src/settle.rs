//! The heart: from the row before to the row after, or a refusal. Pure.

use fourfold_model::{EntityId, FieldId, Model, Row, Value};
use fourfold_op::Error;

use crate::write::{Before, Moment, Reference, Settling, StepHead, WritePlan};

/// One bound write.
#[derive(Clone, Debug)]
pub struct Step {
}

impl WritePlan {
    /// What to lock and load for a step.
    pub fn head(&self, _step: usize) -> StepHead {
        StepHead { entity: EntityId(0), key: None }
    }

    /// Settles a step: patch, defaults, `@set`, computed fields, constraints and rules on both images.
    ///
    /// `answers` are those to the probes asked so far for this step, in order; call again with one more until it is done.
    ///
    /// # Errors
    /// Everything that a write can be refused for.
    pub fn settle(&self, _step: usize, _before: Before<'_>, _answers: &[Value], _moment: &Moment) -> Result<Settling, Error> {
        Err(Error::internal("not yet"))
    }

    /// Settles a row that goes (or loses its reference) because the row it references was deleted. Its own rules are not asked.
    ///
    /// # Errors
    /// `failed_precondition` where a column that would become null may not.
    pub fn settle_cascade(&self, _reference: Reference, _before: &Row, _answers: &[Value], _moment: &Moment) -> Result<Settling, Error> {
        Err(Error::internal("not yet"))
    }
}

pub(crate) fn still_referenced(model: &Model, entity: EntityId, by: Reference) -> Error {
    let _ = (model, entity, by);
    Error::internal("not yet")
}

pub(crate) fn not_unique(_model: &Model, _entity: EntityId, _fields: &[FieldId]) -> Error {
    Error::internal("not yet")
}
