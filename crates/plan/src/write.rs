//! Write plans: what a store is to lock, ask, settle and append.

use std::sync::Arc;

use fourfold_model::{EntityId, FieldId, OnDelete, Row, SharedModel, Value};
use fourfold_op::{Change, Error, Principal, WriteKind};

use crate::node::Node;

/// Bound writes, one commit. Only [`Prepared::bind`](crate::Prepared::bind) makes one.
#[derive(Clone, Debug)]
pub struct WritePlan {
    pub(crate) model: SharedModel,
    pub(crate) principal: Arc<Principal>,
    pub(crate) generation: u32,
    pub(crate) by: Arc<str>,
    pub(crate) each: bool,
    pub(crate) steps: Vec<crate::settle::Step>,
}

/// The moment and the chance of a commit: given by the store once, so that `settle` stays pure.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Microseconds since 1970, UTC.
    pub now: i64,
    /// Fresh random bits, for the keys made in this commit.
    pub random: u128,
}

/// The row that a step is about, as the store found it under its lock.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The row, whole, with its owned lists; `None` where there is none.
    pub row: Option<&'a Row>,
    /// The highest revision that this key ever had here (of a tombstone or the entity's floor); 0 where it never had one.
    pub revision_floor: u64,
}

/// What [`WritePlan::settle`] says.
#[derive(Clone, Debug)]
pub enum Settling {
    /// It must know this first: answer it, and call again with the answer added at the end of `answers`.
    Ask(Probe),
    /// It is settled.
    Done(Box<Settled>),
}

/// A question about other rows, to be answered inside the transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// The value of `value` for the row of `entity` with this key (level 0 in both nodes); null when there is no such row or `guard` is
    /// not true of it. Nodes hold no `Bind`.
    Value {
        /// Which entity.
        entity: EntityId,
        /// Which row.
        key: Value,
        /// What must be true of it.
        guard: Option<Node>,
        /// What is asked of it.
        value: Node,
    },
    /// Whether a row of `entity` (level 0) makes this true: a Boolean.
    Exists {
        /// Which entity.
        entity: EntityId,
        /// What must be true; it holds no `Bind`.
        filter: Node,
    },
    /// The next number of the field's counter: an Int (above every value that the column has).
    Next {
        /// Which entity.
        entity: EntityId,
        /// Which field.
        field: FieldId,
    },
}

/// A settled step: what the store is to write, and the event to append.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Of which entity.
    pub entity: EntityId,
    /// The row's key.
    pub key: Value,
    /// What happens to the row; `None` when nothing changes (no write, no event, the revision stays).
    pub change: Option<Change>,
    /// The revision after; for a delete one above the last, left as its tombstone.
    pub revision: u64,
    /// The row after; for a delete the row before.
    pub row: Row,
    /// The slots that differ from before, for an update: others need not be written. Empty otherwise.
    pub changed_fields: Vec<FieldId>,
    /// The event's `changed`.
    pub changed: Option<Vec<u8>>,
    /// The event's `after`.
    pub after: Option<Vec<u8>>,
    /// For a delete: who may still reference the row, and what becomes of them, in this order.
    pub references: Vec<Reference>,
    /// The row as the caller may read it (masks applied), where the write asks for it and it may.
    pub answer: Option<Row>,
}

/// Rows that may reference a deleted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Their entity.
    pub entity: EntityId,
    /// The column that holds the deleted key.
    pub field: FieldId,
    /// `Restrict`: fail with [`WritePlan::still_referenced`] if there is one. `Cascade`: settle each with
    /// [`WritePlan::settle_cascade`] and go on with its own references. `Null`: likewise.
    pub on_delete: OnDelete,
}

/// What a store must know of a step before it settles it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepHead<'p> {
    /// Of which entity.
    pub entity: EntityId,
    /// The key of the row to lock and load; `None` when the key is made by `settle` (no row can be there).
    pub key: Option<&'p Value>,
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
        crate::settle::still_referenced(&self.model, entity, by)
    }
    /// The error for a value of unique fields that another row has; names the fields only.
    pub fn not_unique(&self, entity: EntityId, fields: &[FieldId]) -> Error {
        crate::settle::not_unique(&self.model, entity, fields)
    }
}
