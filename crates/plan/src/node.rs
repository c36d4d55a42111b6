//! Nodes: an expression compiled against the rows that a store holds, with rules and masks already in it.
//!
//! A store turns a node into its own language (`sql`), or asks [`eval`](crate::eval()). Logic is Kleene's: a null operand makes a
//! comparison unknown; `Exists`, `IsNull`, `Same` and `Truth` are never unknown.

use fourfold_model::expr::{Arithmetic, Compare, Function};
use fourfold_model::{Base, EntityId, FieldId, OwnedId, Value};

/// Which row a column belongs to: 0 is the statement's own row, each `One`, `Exists` and `ExistsOwned` brings the level it names.
pub type Level = u8;

/// A compiled expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A constant of the model.
    Constant(Value, Base),
    /// A parameter: its index in [`ReadPlan::params`](crate::ReadPlan::params).
    Bind(u16, Base),
    /// A column of the row at a level.
    Column(Level, FieldId),
    /// A value of the one row of `entity` whose key is `key`: null when there is none or `guard` is not true of it.
    One {
        /// The row's entity.
        entity: EntityId,
        /// The level that the row has in `guard` and `value`.
        level: Level,
        /// Its key, in terms of the outer levels.
        key: Box<Node>,
        /// What must be true of it (the read rule of a hop that a client asked for).
        guard: Option<Box<Node>>,
        /// What is taken from it.
        value: Box<Node>,
    },
    /// Whether some row of `entity` makes `body` true.
    Exists {
        /// The rows' entity.
        entity: EntityId,
        /// The level that each has in `body`.
        level: Level,
        /// What must be true; it holds the link to the outer row.
        body: Box<Node>,
    },
    /// Whether some element of an owned list makes `body` true.
    ExistsOwned {
        /// The owned type.
        owned: OwnedId,
        /// The level of the row that owns the list.
        parent: Level,
        /// The parent's list.
        list: FieldId,
        /// The level that each element has in `body`.
        level: Level,
        /// What must be true.
        body: Box<Node>,
    },
    /// Kleene's not.
    Not(Box<Node>),
    /// Kleene's and; of nothing: true.
    And(Vec<Node>),
    /// Kleene's or; of nothing: false.
    Or(Vec<Node>),
    /// True where the part is true, else false.
    Truth(Box<Node>),
    /// A comparison.
    Compare(Compare, Box<Node>, Box<Node>),
    /// Equal, or both null.
    Same(Box<Node>, Box<Node>),
    /// Whether it is null.
    IsNull(Box<Node>),
    /// Whether a value is in a set. Unknown with a null value; a set holds no nulls.
    In(Box<Node>, Set),
    /// Integer arithmetic on Int, BigInt and the unscaled digits of Decimals of one scale; or on Floats. Null where it does not fit.
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    /// `condition ? then : otherwise`; an unknown condition takes `otherwise`.
    Conditional(Box<Node>, Box<Node>, Box<Node>),
    /// An Int or Decimal (of `from` digits after the point) as a Decimal with `to` digits, `to >= from`. Null where it does not fit.
    Rescale {
        /// The number.
        of: Box<Node>,
        /// Its digits after the point.
        from: u8,
        /// The digits wanted.
        to: u8,
    },
    /// A function; null with a null argument.
    Call(Function, Vec<Node>),
}

/// What an `In` looks in.
#[derive(Clone, Debug, PartialEq)]
pub enum Set {
    /// These.
    Nodes(Vec<Node>),
    /// A parameter that is a `Value::List` of this type.
    Bind(u16, Base),
    /// A scalar list that a row holds.
    Column(Level, FieldId),
}

impl Node {
    /// The constant true.
    pub fn truth() -> Node {
        Node::Constant(Value::Boolean(true), Base::Boolean)
    }
    /// The constant false.
    pub fn falsity() -> Node {
        Node::Constant(Value::Boolean(false), Base::Boolean)
    }
    /// Whether this is the constant true.
    pub fn is_true(&self) -> bool {
        matches!(self, Node::Constant(Value::Boolean(true), _))
    }
    /// Whether this is the constant false.
    pub fn is_false(&self) -> bool {
        matches!(self, Node::Constant(Value::Boolean(false), _))
    }
    /// `a == b`.
    pub fn equal(a: Node, b: Node) -> Node {
        Node::Compare(Compare::Equal, Box::new(a), Box::new(b))
    }
    /// All of `parts`, with constants folded away.
    pub fn all(parts: Vec<Node>) -> Node {
        if parts.iter().any(Node::is_false) {
            return Node::falsity();
        }
        let mut parts: Vec<Node> = parts.into_iter().filter(|part| !part.is_true()).collect();
        match parts.len() {
            0 => Node::truth(),
            1 => parts.remove(0),
            _ => Node::And(parts),
        }
    }
    /// Any of `parts`, with constants folded away.
    pub fn any(parts: Vec<Node>) -> Node {
        if parts.iter().any(Node::is_true) {
            return Node::truth();
        }
        let mut parts: Vec<Node> = parts.into_iter().filter(|part| !part.is_false()).collect();
        match parts.len() {
            0 => Node::falsity(),
            1 => parts.remove(0),
            _ => Node::Or(parts),
        }
    }
}

impl Node {
    /// Not this, with constants folded away.
    pub fn negated(self) -> Node {
        match self {
            Node::Constant(Value::Boolean(value), base) => Node::Constant(Value::Boolean(!value), base),
            Node::Not(inner) => *inner,
            other => Node::Not(Box::new(other)),
        }
    }

    /// Whether it asks something of values, and is no mere connective.
    pub(crate) fn is_condition(&self) -> bool {
        matches!(self, Node::Compare(..) | Node::In(..) | Node::IsNull(_) | Node::Same(..))
    }

    /// Whether it needs no row: only constants, and those parameters that `bind` takes.
    pub(crate) fn is_made_of(&self, bind: &dyn Fn(u16) -> bool) -> bool {
        match self {
            Node::Constant(..) => true,
            Node::Bind(index, _) => bind(*index),
            Node::Compare(_, a, b) | Node::Same(a, b) | Node::Arithmetic(_, a, b) => a.is_made_of(bind) && b.is_made_of(bind),
            Node::IsNull(a) | Node::Rescale { of: a, .. } => a.is_made_of(bind),
            Node::In(a, Set::Nodes(parts)) => a.is_made_of(bind) && parts.iter().all(|part| part.is_made_of(bind)),
            Node::In(a, Set::Bind(index, _)) => a.is_made_of(bind) && bind(*index),
            Node::Call(_, parts) => parts.iter().all(|part| part.is_made_of(bind)),
            _ => false,
        }
    }

    /// Shows `see` every part, this one last.
    pub(crate) fn visit(&self, see: &mut dyn FnMut(&Node)) {
        match self {
            Node::Constant(..) | Node::Bind(..) | Node::Column(..) => {}
            Node::Not(a) | Node::Truth(a) | Node::IsNull(a) | Node::Rescale { of: a, .. } => a.visit(see),
            Node::Exists { body, .. } | Node::ExistsOwned { body, .. } => body.visit(see),
            Node::Compare(_, a, b) | Node::Same(a, b) | Node::Arithmetic(_, a, b) => [a, b].into_iter().for_each(|part| part.visit(see)),
            Node::Conditional(a, b, c) => [a, b, c].into_iter().for_each(|part| part.visit(see)),
            Node::One { key, guard, value, .. } => [key, value].into_iter().chain(guard).for_each(|part| part.visit(see)),
            Node::And(parts) | Node::Or(parts) | Node::Call(_, parts) => parts.iter().for_each(|part| part.visit(see)),
            Node::In(a, set) => {
                a.visit(see);
                if let Set::Nodes(parts) = set {
                    parts.iter().for_each(|part| part.visit(see));
                }
            }
        }
        see(self);
    }

    /// The same node with `change` applied to every part, innermost first.
    pub fn map(self, change: &mut dyn FnMut(Node) -> Node) -> Node {
        let mut boxed = |node: Box<Node>| Box::new(node.map(change));
        let mapped = match self {
            Node::One { entity, level, key, guard, value } => {
                Node::One { entity, level, key: boxed(key), guard: guard.map(&mut boxed), value: boxed(value) }
            }
            Node::Exists { entity, level, body } => Node::Exists { entity, level, body: boxed(body) },
            Node::ExistsOwned { owned, parent, list, level, body } => Node::ExistsOwned { owned, parent, list, level, body: boxed(body) },
            Node::Not(a) => boxed(a).negated(),
            Node::And(parts) => Node::all(parts.into_iter().map(|part| part.map(change)).collect()),
            Node::Or(parts) => Node::any(parts.into_iter().map(|part| part.map(change)).collect()),
            Node::Truth(a) => Node::Truth(boxed(a)),
            Node::Compare(by, a, b) => Node::Compare(by, boxed(a), boxed(b)),
            Node::Same(a, b) => Node::Same(boxed(a), boxed(b)),
            Node::IsNull(a) => Node::IsNull(boxed(a)),
            Node::In(a, Set::Nodes(parts)) => Node::In(boxed(a), Set::Nodes(parts.into_iter().map(|part| part.map(change)).collect())),
            Node::In(a, set) => Node::In(boxed(a), set),
            Node::Arithmetic(by, a, b) => Node::Arithmetic(by, boxed(a), boxed(b)),
            Node::Conditional(a, b, c) => conditional(*boxed(a), boxed(b), boxed(c)),
            Node::Rescale { of, from, to } => Node::Rescale { of: boxed(of), from, to },
            Node::Call(function, parts) => Node::Call(function, parts.into_iter().map(|part| part.map(change)).collect()),
            leaf @ (Node::Constant(..) | Node::Bind(..) | Node::Column(..)) => leaf,
        };
        change(mapped)
    }
}

fn conditional(condition: Node, then: Box<Node>, otherwise: Box<Node>) -> Node {
    match condition {
        Node::Constant(Value::Boolean(true), _) => *then,
        Node::Constant(Value::Boolean(false) | Value::Null, _) => *otherwise,
        other => Node::Conditional(Box::new(other), then, otherwise),
    }
}
