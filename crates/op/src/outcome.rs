//! Outcomes: what the engine answers.

use std::sync::Arc;

use fourfold_model::{EntityId, Row, SmolStr, Value};

use crate::Cursor;

/// The answer to an [`Operation`](crate::Operation).
#[derive(Clone, Debug)]
pub enum Outcome {
    /// One answer for each select, all of one snapshot, and that snapshot's cursor; `None` at most where all are gets that do not want it.
    Read(Vec<Answered>, Option<Cursor>),
    /// One answer for each write. `None` as cursor where the store cannot tell it at once.
    Written(Vec<Written>, Option<Cursor>),
}

/// The answer to one select.
#[derive(Clone, Debug)]
pub enum Answered {
    /// A get; `None` when there is no such row, or none that the caller may see.
    Row(Option<Record>),
    /// A list.
    Page(Page),
    /// An aggregate: for each group its keys, then its measures, in the order asked for.
    Groups(Vec<Vec<Value>>),
}

/// A row with the rows of its relations.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The row, by field; what was not read or is masked is null.
    pub row: Row,
    /// For each [`Nested`](crate::Nested) of the select, in its order.
    pub nested: Vec<Joined>,
}

/// Rows of a relation.
#[derive(Clone, Debug, PartialEq)]
pub enum Joined {
    /// A to-one relation; `None` when it is null or hidden. Rows that lead to the same one share it.
    One(Option<Arc<Record>>),
    /// A to-many relation.
    Many(Page),
}

/// A page of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows.
    pub items: Vec<Record>,
    /// Whether more follow.
    pub more: bool,
    /// The token of the next page, where more follow (not for rows of relations unless cursors were asked for).
    pub next: Option<SmolStr>,
    /// Each item's own cursor, where they were asked for.
    pub cursors: Vec<SmolStr>,
    /// How many match, where it was asked for: at most 10,000.
    pub total: Option<u64>,
    /// Whether there are more than `total` says.
    pub total_capped: bool,
}

/// The answer to one write.
#[derive(Clone, Debug)]
pub struct Written {
    /// Of which entity.
    pub entity: EntityId,
    /// The row's key.
    pub key: Value,
    /// Its revision after the write; for a delete the last it had.
    pub revision: u64,
    /// Whether the row is new.
    pub created: bool,
    /// Whether the row is gone.
    pub deleted: bool,
    /// The row, where it was asked for and the caller may read it.
    pub record: Option<Record>,
}
