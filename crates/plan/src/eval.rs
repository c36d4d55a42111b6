//! The meaning of a [`Node`], by which every store is measured.

use fourfold_model::{EntityId, FieldId, Model, OwnedId, Row, Value};

use crate::node::Node;

/// Kleene's three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// Where [`eval`] finds other rows.
pub trait Scan {
    /// The row of `entity` with this key.
    fn by_key(&self, entity: EntityId, key: &Value) -> Option<Row>;
    /// Every row of `entity`.
    fn rows(&self, entity: EntityId) -> Vec<Row>;
}

/// What a node is for a row (level 0), with parameters for its `Bind`s.
pub fn eval(_model: &Model, _node: &Node, _row: &Row, _params: &[Value], _scan: &dyn Scan) -> Value {
    let _ = (OwnedId(0), FieldId(0));
    Value::Null
}
