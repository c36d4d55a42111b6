//! Events: one for each changed row, numbered in commit order.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{EntityId, Value};

use crate::Position;

/// One changed row.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number.
    pub position: Position,
    /// The number of the last event of its commit.
    pub commit_last: Position,
    /// The entity; in the log it stands by lock number.
    pub entity: EntityId,
    /// The row's key.
    pub key: Value,
    /// The row's revision after the change.
    pub revision: u64,
    /// The model's generation that wrote it.
    pub generation: u32,
    /// The old values of what changed, as the entity's protobuf message: an old null is a number without a value, in
    /// `wire::encode_changed`'s form. A delete has the whole old row here. `None` at create.
    pub changed: Option<Bytes>,
    /// The row after the change, as the entity's protobuf message by lock numbers; `None` at delete.
    pub after: Option<Bytes>,
    /// When it was committed: microseconds since 1970, UTC.
    pub at: i64,
    /// Who wrote it: `issuer#subject`.
    pub by: Arc<str>,
}

/// How a row came to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}
