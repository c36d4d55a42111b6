//! Operations: what a caller asks, in ids and placeholders.
//!
//! An operation is a shape: every value that a request brings stands in a separate list and is named by its index
//! ([`Operand`]), so that equal shapes share one prepared plan.

use fourfold_model::{EntityId, Expr, FieldId, RelationId};

/// The index of a value in the request's list of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand(pub u16);

/// What a caller asks of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reads, answered from one snapshot.
    Read(Vec<Select>),
    /// Writes: all of them in one commit, or none.
    Write(Vec<Write>),
}

/// One read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Select {
    /// Of which entity.
    pub entity: EntityId,
    /// One row, a list, or groups.
    pub kind: SelectKind,
    /// Which fields the answer shows, ascending; the key and the revision are always read.
    pub fields: Vec<FieldId>,
    /// Rows of relations, each answered in [`Record::nested`](crate::Record) at the same place.
    pub nested: Vec<Nested>,
}

/// What a [`Select`] asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SelectKind {
    /// The row with this key.
    Get {
        /// The key.
        key: Operand,
        /// Whether the snapshot's cursor is wanted with it: a store may have the row for less without.
        cursor: bool,
    },
    /// The rows that match, a page of them.
    List(List),
    /// Groups of the rows that match, with measures.
    Aggregate(Aggregate),
}

/// A page of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct List {
    /// Which rows, beside the read rule; `None`: all.
    pub filter: Option<Expr>,
    /// In which order; the key is added at the end.
    pub order: Vec<OrderBy>,
    /// How many, an Int; `None` is the default page. Larger ones are taken as the maximum.
    pub size: Option<Operand>,
    /// Where the page starts: a page token or an item's cursor, a Text.
    pub after: Option<Operand>,
    /// Whether to count all that match (up to 10,000).
    pub total: bool,
    /// Whether each item's own cursor is wanted, not just the token of the next page.
    pub cursors: bool,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderBy {
    /// To-one relations to follow, then the field.
    pub hops: Vec<RelationId>,
    /// The field.
    pub field: FieldId,
    /// Descending: nulls last. Ascending: nulls first.
    pub descending: bool,
}

/// Rows of a relation, read with their parents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nested {
    /// Which relation of the parent's entity.
    pub relation: RelationId,
    /// Which fields of its target.
    pub fields: Vec<FieldId>,
    /// Relations of the target in turn.
    pub nested: Vec<Nested>,
    /// For a to-many relation: which rows and how many for each parent (`size` is per parent). Ignored for to-one.
    pub list: List,
}

/// Groups and measures over the rows that match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// Which rows, beside the read rule; `None`: all.
    pub filter: Option<Expr>,
    /// What to group by; empty: one group of all.
    pub group_by: Vec<GroupBy>,
    /// What to measure in each group.
    pub measures: Vec<Measure>,
}

/// A key of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupBy {
    /// The field.
    pub field: FieldId,
    /// For a DateTime or Date: truncated to this, in UTC.
    pub by: Option<Truncate>,
}

/// How a moment is truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Truncate {
    Hour,
    Day,
    /// Weeks start on Monday.
    Week,
    Month,
    Year,
}

/// A measure of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// How many rows.
    Count,
    /// How many rows where the field is not null.
    CountOf(FieldId),
    /// How many different values of the field, null apart.
    CountDistinct(FieldId),
    /// Of Int: a BigInt; of BigInt and Decimal: a Decimal; of Float: a Float. Of nothing: null.
    Sum(FieldId),
    /// A Float. Of nothing: null.
    Average(FieldId),
    /// The least. Of nothing: null.
    Min(FieldId),
    /// The greatest. Of nothing: null.
    Max(FieldId),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// Of which entity.
    pub entity: EntityId,
    /// What is done.
    pub kind: WriteKind,
    /// The key; at create `None` lets the model's default make one.
    pub key: Option<Operand>,
    /// What is set, ascending by field; an owned list is one `Value::Owned`, replaced whole.
    pub set: Vec<(FieldId, Operand)>,
    /// The revision that the row must have, an Int.
    pub if_revision: Option<Operand>,
    /// What of the row comes back.
    pub answer: Answer,
}

/// The kinds of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteKind {
    /// A new row.
    Create,
    /// What is set changes; the rest stays.
    Update,
    /// Every client-writable field is replaced (an absent one gets its default, else null); a new row when there is none.
    Upsert {
        /// Fail with `already_exists` where the row exists (`If-None-Match: *`).
        create_only: bool,
        /// Fail with `not_found` where it does not (gRPC without `allow_missing`).
        update_only: bool,
    },
    /// What is set changes where the row exists; a new row with what is set where it does not (gRPC Update with `allow_missing`).
    Merge,
    /// The row goes.
    Delete,
}

/// What of a written row comes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Its key and revision.
    Key,
    /// Its fields, and rows of relations, read after the commit.
    Row {
        /// Which fields, ascending.
        fields: Vec<FieldId>,
        /// Which relations.
        nested: Vec<Nested>,
    },
}
