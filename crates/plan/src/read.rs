//! Read plans: what a store is to fetch, with rules, masks and limits already in it.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use fourfold_model::{Base, EntityId, FieldId, RelationId, SharedModel, SmolStr, Value};
use fourfold_op::{Measure, Truncate};

use crate::node::Node;

/// A bound read: a prepared shape and the values for it. Only [`Prepared::bind`](crate::Prepared::bind) makes one.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub(crate) shape: Arc<ReadShape>,
    pub(crate) params: Vec<Value>,
    pub(crate) token_hash: u64,
}

/// A shape of reads, shared by all that ask alike: no caller and no value is in it.
#[derive(Debug)]
pub struct ReadShape {
    pub(crate) model: SharedModel,
    pub(crate) fetch: Fetch,
    pub(crate) page_bytes_max: usize,
    pub(crate) compiled: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl ReadPlan {
    /// The model that it was prepared for.
    pub fn model(&self) -> &SharedModel {
        &self.shape.model
    }
    /// What to fetch.
    pub fn fetch(&self) -> &Fetch {
        &self.shape.fetch
    }
    /// The values of `Bind`s. A page's limit is an Int.
    pub fn params(&self) -> &[Value] {
        &self.params
    }
    /// Whether the cursor of the snapshot that it is read from is wanted.
    pub fn wants_cursor(&self) -> bool {
        self.shape.wants_cursor()
    }
    /// Bytes after which a page ends early.
    pub fn page_bytes_max(&self) -> usize {
        self.shape.page_bytes_max
    }
    /// Where a store keeps what it compiled for this shape (its SQL, say): made at the first use, then shared.
    pub fn compiled(&self, make: impl FnOnce(&ReadShape) -> Arc<dyn Any + Send + Sync>) -> &Arc<dyn Any + Send + Sync> {
        self.shape.compiled.get_or_init(|| make(&self.shape))
    }
    /// The text that continues a page after the item with these order keys.
    pub fn token(&self, keys: &[Value]) -> SmolStr {
        crate::token::encode(self.token_hash, keys)
    }
}

impl ReadShape {
    /// The model that it was prepared for.
    pub fn model(&self) -> &SharedModel {
        &self.model
    }
    /// What to fetch.
    pub fn fetch(&self) -> &Fetch {
        &self.fetch
    }
    /// Whether the cursor of the snapshot that it is read from is wanted.
    pub fn wants_cursor(&self) -> bool {
        !matches!(self.fetch.kind, FetchKind::Key { cursor: false, .. })
    }
}

/// One statement's worth of reading, and what hangs below it.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Of which entity. The row is level 0 in every node here.
    pub entity: EntityId,
    /// What is asked.
    pub kind: FetchKind,
    /// Which rows: the client's filter, the read rule and the page's start, in one. `None`: all.
    pub filter: Option<Node>,
    /// Which columns to read into the row's slots, ascending; always with the key and the revision. No owned lists.
    pub columns: Vec<FieldId>,
    /// Which owned lists to read into the row's slots.
    pub owned: Vec<FieldId>,
    /// Columns and owned lists (each read) that are null where the node is not true.
    pub masks: Vec<(FieldId, Node)>,
    /// Rows of relations: for all parents of a page in one statement each.
    pub children: Vec<Child>,
}

impl Fetch {
    /// Slots of its rows, up to the last that is read.
    pub fn width(&self) -> usize {
        self.columns.iter().chain(&self.owned).map(|field| usize::from(field.0) + 1).max().unwrap_or(0)
    }

    /// Whether a condition on one of its rows goes through rows of a relation, of which there may be any number.
    pub fn goes_through_rows(&self) -> bool {
        let mut found = false;
        let conditions = self.filter.iter().chain(self.masks.iter().map(|(_, mask)| mask));
        conditions.for_each(|node| node.visit(&mut |part| found |= matches!(part, Node::Exists { .. })));
        found
    }
}

/// What a [`Fetch`] asks.
#[derive(Clone, Debug)]
pub enum FetchKind {
    /// The row with this key, where it passes the filter.
    Key {
        /// The key's parameter.
        param: u16,
        /// Whether the snapshot's cursor is wanted with it.
        cursor: bool,
    },
    /// A page. As a child of a to-many relation: a page for each parent.
    Page(PageFetch),
    /// Every row whose key a parent's column has: a child of a to-one relation.
    Keys,
    /// Groups.
    Groups(GroupFetch),
}

/// A page of rows.
#[derive(Clone, Debug)]
pub struct PageFetch {
    /// The order; the last key is the row's own, so it is total.
    pub order: Vec<OrderKey>,
    /// The parameter with the page's size n: read n + 1 to know whether more follow.
    pub limit: u16,
    /// Count all rows that match the filter without `start`, up to this many (and whether there are more).
    pub total: Option<u64>,
    /// Where the page starts, to be ANDed with the filter. Not part of what `total` counts.
    pub start: Option<Node>,
    /// Whether each item's cursor is wanted ([`ReadPlan::token`] of its order keys), not just the next page's token.
    pub cursors: bool,
}

/// One key of an order. Ascending: nulls first. Descending: nulls last. Texts by code point, enums by their column's text.
#[derive(Clone, Debug)]
pub struct OrderKey {
    /// What is ordered by.
    pub node: Node,
    /// Its type.
    pub base: Base,
    /// The slot of the row that holds it, where it is a plain column that is read anyway and not masked.
    pub slot: Option<FieldId>,
    /// Whether it can be null.
    pub nullable: bool,
    /// Whether it descends.
    pub descending: bool,
}

/// Groups of rows.
#[derive(Clone, Debug)]
pub struct GroupFetch {
    /// What to group by, each with its type.
    pub keys: Vec<(Node, Base, Option<Truncate>)>,
    /// What to measure: the measure, the field's node and type (none for `Count`).
    pub measures: Vec<(Measure, Option<(Node, Base)>)>,
    /// At most so many groups; one more is `limit_exceeded`. Groups come in the order of their keys.
    pub limit: u32,
}

/// Rows of a relation.
#[derive(Clone, Debug)]
pub struct Child {
    /// Which relation of the parent's entity.
    pub relation: RelationId,
    /// How they are linked.
    pub link: Link,
    /// What to fetch: `Keys` for a to-one relation, `Page` for a to-many.
    pub fetch: Fetch,
}

/// How a child's rows hang on a parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The parent's slot (masked like any other) holds the child's key.
    One(FieldId),
    /// The child's column holds the parent's key.
    Many(FieldId),
}
