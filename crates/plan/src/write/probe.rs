//! Questions about other rows: a settling that meets one stops, and is begun anew with its answer.

use fourfold_model::{Base, EntityId, FieldId, Value};

use crate::compile::Kind;
use crate::eval::{Evaluator, One, World, elements};
use crate::node::{Level, Node, Set};

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

/// A world of which only answers to earlier questions are known; the first new question stops the evaluation.
pub(crate) struct Asking<'a> {
    /// What the rows at hand are.
    pub kind: Kind,
    pub answers: &'a [Value],
    pub asked: Vec<Probe>,
}

impl Asking<'_> {
    /// The answer to a question; one asked before is not asked again.
    pub fn ask(&mut self, probe: Probe) -> Result<Value, Box<Probe>> {
        let index = match self.asked.iter().position(|known| *known == probe) {
            Some(index) => index,
            None => {
                self.asked.push(probe.clone());
                self.asked.len() - 1
            }
        };
        self.answers.get(index).cloned().ok_or_else(|| Box::new(probe))
    }
}

impl World for Asking<'_> {
    type Stop = Box<Probe>;

    fn one(evaluator: &mut Evaluator<'_, Self>, one: One<'_>) -> Result<Value, Self::Stop> {
        let guard = one.guard.map(|guard| evaluator.closed(guard, one.level));
        let value = evaluator.closed(one.value, one.level);
        evaluator.world.ask(Probe::Value { entity: one.entity, key: one.key, guard, value })
    }

    fn exists(evaluator: &mut Evaluator<'_, Self>, entity: EntityId, level: Level, body: &Node) -> Result<bool, Self::Stop> {
        let filter = evaluator.closed(body, level);
        Ok(evaluator.world.ask(Probe::Exists { entity, filter })? == Value::Boolean(true))
    }
}

impl Evaluator<'_, Asking<'_>> {
    /// The node with every `Bind`, and every column of a row at hand, replaced by its value; the row at `level` becomes level 0.
    pub(crate) fn closed(&self, node: &Node, level: Level) -> Node {
        // Levels inside are all above `level`, so moving them down by it keeps them apart from 0.
        let shift = |inner: Level| inner.saturating_sub(level);
        node.clone().map(&mut |part| match part {
            Node::Bind(index, base) => Node::Constant(self.param(index), base),
            Node::Column(of, field) if of < level => {
                Node::Constant(self.row(of).map_or(Value::Null, |row| row.value(field).clone()), self.base_at_hand(field))
            }
            Node::Column(of, field) => Node::Column(shift(of), field),
            Node::One { entity, level: inner, key, guard, value } => Node::One { entity, level: shift(inner), key, guard, value },
            Node::Exists { entity, level: inner, body } => Node::Exists { entity, level: shift(inner), body },
            Node::ExistsOwned { owned, parent, list, level: inner, body } if parent >= level => {
                Node::ExistsOwned { owned, parent: shift(parent), list, level: shift(inner), body }
            }
            Node::In(a, Set::Bind(index, base)) => {
                Node::In(a, Set::Nodes(elements(self.param(index)).into_iter().map(|value| Node::Constant(value, base)).collect()))
            }
            Node::In(a, Set::Column(of, field)) if of < level => {
                let values = self.row(of).map_or(Vec::new(), |row| elements(row.value(field).clone()));
                Node::In(a, Set::Nodes(values.into_iter().map(|value| Node::Constant(value, self.base_at_hand(field))).collect()))
            }
            Node::In(a, Set::Column(of, field)) => Node::In(a, Set::Column(shift(of), field)),
            other => other,
        })
    }

    fn base_at_hand(&self, field: FieldId) -> Base {
        let fields = match self.world.kind {
            Kind::Entity(entity) => &self.model.entity(entity).fields,
            Kind::Owned(owned) => &self.model.owned(owned).fields,
        };
        fields.get(usize::from(field.0)).map_or(Base::Boolean, |field| field.ty.base)
    }
}
