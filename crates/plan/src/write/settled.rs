//! What a settling is given, and what it comes to.

use fourfold_model::{EntityId, FieldId, KEY, Model, OnDelete, REVISION, Row, Value};
use fourfold_op::{Change, wire};

use super::probe::Probe;

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

/// What a store must know of a step before it settles it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepHead<'p> {
    /// Of which entity.
    pub entity: EntityId,
    /// The key of the row to lock and load; `None` when the key is made by `settle` (no row can be there).
    pub key: Option<&'p Value>,
}

/// What [`WritePlan::settle`](super::WritePlan::settle) says.
#[derive(Clone, Debug)]
pub enum Settling {
    /// It must know this first: answer it, and call again with the answer added at the end of `answers`.
    Ask(Probe),
    /// It is settled.
    Done(Box<Settled>),
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
    /// `Restrict`: fail with [`WritePlan::still_referenced`](super::WritePlan::still_referenced) if there is one. `Cascade`: settle each with
    /// [`WritePlan::settle_cascade`](super::WritePlan::settle_cascade) and go on with its own references. `Null`: likewise.
    pub on_delete: OnDelete,
}

impl Settled {
    /// Of a row that is made.
    pub(crate) fn created(model: &Model, entity: EntityId, row: Row, answer: Option<Row>) -> Settled {
        let mut after = Vec::with_capacity(256);
        wire::encode_row(model, model.entity(entity), &row, &mut after);
        let (key, revision) = (row.value(KEY).clone(), row.revision());
        let (change, after) = (Some(Change::Created), Some(after));
        Settled { entity, key, change, revision, row, changed_fields: Vec::new(), changed: None, after, references: Vec::new(), answer }
    }

    /// Of a row that stays as it is.
    pub(crate) fn unchanged(entity: EntityId, before: &Row, answer: Option<Row>) -> Settled {
        let (key, revision) = (before.value(KEY).clone(), before.revision());
        let (row, changed_fields, references) = (before.clone(), Vec::new(), Vec::new());
        Settled { entity, key, change: None, revision, row, changed_fields, changed: None, after: None, references, answer }
    }

    /// Of a row that changes.
    pub(crate) fn updated(model: &Model, entity: EntityId, before: &Row, row: Row, answer: Option<Row>) -> Settled {
        let changed_fields = changed(before, &row);
        let definition = model.entity(entity);
        let (mut changed, mut after) = (Vec::with_capacity(64), Vec::with_capacity(256));
        let of_client: Vec<FieldId> = changed_fields.iter().copied().filter(|field| *field != REVISION).collect();
        wire::encode_changed(model, definition, &of_client, before, &mut changed);
        wire::encode_row(model, definition, &row, &mut after);
        let (key, revision) = (row.value(KEY).clone(), row.revision());
        let (changed, after) = (Some(changed), Some(after));
        let change = Some(Change::Updated);
        Settled { entity, key, change, revision, row, changed_fields, changed, after, references: Vec::new(), answer }
    }

    /// Of a row that goes.
    pub(crate) fn gone(model: &Model, entity: EntityId, before: &Row) -> Settled {
        let definition = model.entity(entity);
        let all: Vec<FieldId> = definition.field_ids().map(|(id, _)| id).collect();
        let mut changed = Vec::with_capacity(256);
        wire::encode_changed(model, definition, &all, before, &mut changed);
        let references = model.references(entity).map(|(entity, field, on_delete)| Reference { entity, field, on_delete }).collect();
        Settled {
            entity,
            key: before.value(KEY).clone(),
            change: Some(Change::Deleted),
            revision: before.revision() + 1,
            row: before.clone(),
            changed_fields: Vec::new(),
            changed: Some(changed),
            after: None,
            references,
            answer: None,
        }
    }
}

/// The slots that differ.
pub(crate) fn changed(before: &Row, after: &Row) -> Vec<FieldId> {
    let differs = |slot: &usize| before.0.get(*slot) != after.0.get(*slot);
    (0..after.0.len()).filter(differs).map(|slot| FieldId(slot as u16)).collect()
}
