//! Where a watch stands in an index of watches: by a field that must equal one of some values for its filter to hold.

use std::collections::HashSet;

use fourfold_model::expr::Compare;
use fourfold_model::{Base, Entity, EntityId, Field, FieldId, KEY, Value};

use super::{MEMBERSHIP, WatchPlan};
use crate::node::{Node, Set};

/// Values by which one watch is looked up; with more it is shown every event of its entity.
const VALUES_MAX: usize = 100;

/// The events that a watch must be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of this entity,
    pub entity: EntityId,
    /// where the field has one of these values before or after; `None`: all.
    pub equal: Option<(FieldId, Vec<Value>)>,
}

impl WatchPlan {
    /// The events that this plan must be shown: all others it ignores.
    pub fn places(&self) -> Vec<Place> {
        let own = Place { entity: self.entity(), equal: self.equal(self.entity(), &self.filter) };
        let membership = self.prepared.membership.as_ref();
        let beside = membership.map(|of| Place { entity: of.entity, equal: self.equal(of.entity, &of.filter) });
        [own].into_iter().chain(beside).collect()
    }

    /// The condition that lets the fewest events through, of those that must hold.
    fn equal(&self, entity: EntityId, filter: &Node) -> Option<(FieldId, Vec<Value>)> {
        let definition = self.prepared.model.entity(entity);
        let mut conjuncts = Vec::new();
        collect(filter, &mut conjuncts);
        let candidates = conjuncts.into_iter().filter_map(|part| self.values(definition, part));
        candidates.min_by_key(|(field, values)| rank(definition, *field, values.len()))
    }

    /// The field that a condition pins, and to what.
    fn values(&self, entity: &Entity, part: &Node) -> Option<(FieldId, Vec<Value>)> {
        let (field, values) = match part {
            Node::Compare(Compare::Equal, a, b) => match (&**a, &**b) {
                (Node::Column(0, field), value) | (value, Node::Column(0, field)) => (*field, vec![self.constant(value)?]),
                _ => return None,
            },
            Node::In(a, set) => (column(a)?, self.elements(set)?),
            Node::One { level: MEMBERSHIP, key, .. } => (column(key)?, self.members.as_deref().map(to_values)?),
            _ => return None,
        };
        let base = entity.field(field);
        (values.len() <= VALUES_MAX && values.iter().all(|value| is_found(base, value))).then_some((field, values))
    }

    fn constant(&self, node: &Node) -> Option<Value> {
        match node {
            Node::Constant(value, _) => Some(value.clone()),
            Node::Bind(index, _) => self.params.get(usize::from(*index)).cloned(),
            _ => None,
        }
    }

    fn elements(&self, set: &Set) -> Option<Vec<Value>> {
        match set {
            Set::Nodes(parts) => parts.iter().map(|part| self.constant(part)).collect(),
            Set::Bind(index, _) => match self.params.get(usize::from(*index))? {
                Value::List(values) => Some(values.to_vec()),
                _ => None,
            },
            Set::Column(..) => None,
        }
    }
}

fn collect<'n>(node: &'n Node, conjuncts: &mut Vec<&'n Node>) {
    match node {
        Node::And(parts) => parts.iter().for_each(|part| collect(part, conjuncts)),
        other => conjuncts.push(other),
    }
}

fn column(node: &Node) -> Option<FieldId> {
    match node {
        Node::Column(0, field) => Some(*field),
        _ => None,
    }
}

fn to_values(keys: &HashSet<Value>) -> Vec<Value> {
    // One more than fits is enough to know that it does not.
    keys.iter().take(VALUES_MAX + 1).cloned().collect()
}

/// Whether the values that equal this one are the same value, so that a table of values finds them.
fn is_found(field: &Field, value: &Value) -> bool {
    match (field.ty.base, value) {
        _ if field.ty.list => false,
        (Base::Decimal { scale, .. }, Value::Decimal(decimal)) => decimal.scale == scale,
        (Base::Decimal { .. } | Base::Float | Base::Json | Base::Bytes | Base::Owned(_), _) => false,
        _ => true,
    }
}

/// A key lets one row through, a relation some, an enum or a Boolean half of them.
fn rank(entity: &Entity, field: FieldId, values: usize) -> (u8, usize) {
    let definition = entity.field(field);
    let kind = match definition.ty.base {
        _ if field == KEY || definition.unique => 0,
        Base::Enum(_) | Base::Boolean => 3,
        _ if definition.relation.is_some() => 1,
        _ => 2,
    };
    (kind, values)
}
