//! The plan of a commit: bound writes of one caller.

use std::sync::Arc;

use fourfold_model::{ClaimId, Default, EntityId, FieldId, KEY, SharedModel, Value};
use fourfold_op::{Error, Principal, WriteKind};

use super::refuse;
use super::settled::{Reference, StepHead};
use super::step::Step;

/// Bound writes, one commit. Only [`Prepared::bind`](crate::Prepared::bind) makes one.
#[derive(Clone, Debug)]
pub struct WritePlan {
    pub(crate) model: SharedModel,
    pub(crate) principal: Arc<Principal>,
    pub(crate) generation: u32,
    pub(crate) by: Arc<str>,
    pub(crate) each: bool,
    pub(crate) steps: Vec<Step>,
}

impl WritePlan {
    /// A plan without a step, for side records alone: it writes no row and makes no event.
    pub fn of_nothing(model: SharedModel, generation: u32, principal: Arc<Principal>) -> WritePlan {
        let by = format!("{}#{}", principal.issuer, principal.subject).into();
        WritePlan { model, principal, generation, by, each: false, steps: Vec::new() }
    }
    /// The model that it was prepared for.
    pub fn model(&self) -> &SharedModel {
        &self.model
    }
    /// The generation of the model, for the events.
    pub fn generation(&self) -> u32 {
        self.generation
    }
    /// Who writes: `issuer#subject`, for the events.
    pub fn by(&self) -> &Arc<str> {
        &self.by
    }
    /// Whether each step stands alone (ingest): a refused one does not undo the others.
    pub fn each(&self) -> bool {
        self.each
    }
    /// Whether a step deletes, and so may take or change rows that reference its own.
    pub fn deletes(&self, step: usize) -> bool {
        self.steps.get(step).is_some_and(|step| step.prepared.write.kind == WriteKind::Delete)
    }
    /// Whether a step changes a row that must be there.
    pub fn updates(&self, step: usize) -> bool {
        self.steps.get(step).is_some_and(|step| step.prepared.write.kind == WriteKind::Update)
    }
    /// How many steps.
    pub fn len(&self) -> usize {
        self.steps.len()
    }
    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
    /// The steps of all these plans, in order, as one commit, each standing alone or not; `None` of nothing. The plans are of one model
    /// and one caller: the first speaks for all.
    pub fn join(plans: Vec<WritePlan>, each: bool) -> Option<WritePlan> {
        let mut plans = plans.into_iter();
        let mut joined = plans.next()?;
        joined.each = each;
        joined.steps.extend(plans.flat_map(|plan| plan.steps));
        Some(joined)
    }
    /// The error for a row that is still referenced.
    pub fn still_referenced(&self, entity: EntityId, by: Reference) -> Error {
        refuse::still_referenced(&self.model, entity, by)
    }
    /// The error for a value of unique fields that another row has; names the fields only.
    pub fn not_unique(&self, entity: EntityId, fields: &[FieldId]) -> Error {
        refuse::not_unique(&self.model, entity, fields)
    }

    /// What to lock and load for a step.
    pub fn head(&self, step: usize) -> StepHead<'_> {
        let step = &self.steps[step];
        let entity = step.prepared.write.entity;
        StepHead { entity, key: step.key.as_ref().or_else(|| self.key_by_default(entity)) }
    }

    /// A key that is the same at each write of this caller: a row, or the number of one that was deleted, may be there.
    fn key_by_default(&self, entity: EntityId) -> Option<&Value> {
        match &self.model.entity(entity).field(KEY).default {
            Some(Default::Claim(claim)) => Some(self.principal.claims.value(*claim)).filter(|value| !value.is_null()),
            Some(Default::Literal(value)) => Some(value),
            _ => None,
        }
    }

    /// How many rows one commit may change.
    pub fn events_max(&self) -> usize {
        self.steps.first().map_or(1, |step| step.prepared.limits.commit_events_max)
    }

    /// How many bytes of events one commit may append.
    pub fn bytes_max(&self) -> usize {
        self.steps.first().map_or(1, |step| step.prepared.limits.commit_bytes_max)
    }

    /// A claim's name.
    pub(crate) fn claim_name(&self, claim: ClaimId) -> &str {
        self.model.claims.get(usize::from(claim.0)).map_or("", |claim| claim.name.as_str())
    }
}
