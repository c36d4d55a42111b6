//! The meaning of a [`Node`], by which every store is measured.

use std::cmp::Ordering;

use fourfold_model::expr::{Arithmetic, Compare, Function};
use fourfold_model::literal::MOMENTS;
use fourfold_model::{Base, Decimal, EntityId, Model, Row, SmolStr, Value};
use smallvec::{SmallVec, smallvec};

use crate::node::{Level, Node, Set};

/// Kleene's three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    /// What a value says as a condition.
    pub fn of(value: &Value) -> Truth {
        match value {
            Value::Boolean(true) => Truth::True,
            Value::Boolean(false) => Truth::False,
            _ => Truth::Unknown,
        }
    }
}

/// Where [`eval`] finds other rows.
pub trait Scan {
    /// The row of `entity` with this key.
    fn by_key(&self, entity: EntityId, key: &Value) -> Option<Row>;
    /// Every row of `entity`.
    fn rows(&self, entity: EntityId) -> Vec<Row>;
}

/// What a node is for a row (level 0), with parameters for its `Bind`s.
pub fn eval(model: &Model, node: &Node, row: &Row, params: &[Value], scan: &dyn Scan) -> Value {
    let mut world = Scanned(scan);
    let mut evaluator = Evaluator { model, params, rows: smallvec![Some(row.clone())], world: &mut world };
    match evaluator.value(node) {
        Ok(value) => value,
        Err(never) => match *never {},
    }
}

/// What lies beyond the rows at hand.
pub(crate) trait World {
    /// Why an evaluation can stop.
    type Stop;
    /// The value that `Node::One` stands for.
    fn one(evaluator: &mut Evaluator<'_, Self>, one: One<'_>) -> Result<Value, Self::Stop>;
    /// Whether `Node::Exists` holds.
    fn exists(evaluator: &mut Evaluator<'_, Self>, entity: EntityId, level: Level, body: &Node) -> Result<bool, Self::Stop>;
}

/// A `Node::One` whose key is known.
pub(crate) struct One<'a> {
    pub entity: EntityId,
    pub level: Level,
    pub key: Value,
    pub guard: Option<&'a Node>,
    pub value: &'a Node,
}

/// Nothing stops a scan.
#[derive(Debug)]
pub(crate) enum Never {}

struct Scanned<'s>(&'s dyn Scan);

impl World for Scanned<'_> {
    type Stop = Box<Never>;

    fn one(evaluator: &mut Evaluator<'_, Self>, one: One<'_>) -> Result<Value, Self::Stop> {
        let Some(row) = evaluator.world.0.by_key(one.entity, &one.key) else { return Ok(Value::Null) };
        evaluator.with(one.level, row, |inner| match one.guard {
            Some(guard) if Truth::of(&inner.value(guard)?) != Truth::True => Ok(Value::Null),
            _ => inner.value(one.value),
        })
    }

    fn exists(evaluator: &mut Evaluator<'_, Self>, entity: EntityId, level: Level, body: &Node) -> Result<bool, Self::Stop> {
        for row in evaluator.world.0.rows(entity) {
            if evaluator.with(level, row, |inner| inner.holds(body))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A row, or none, for each level. Most evaluations have at most these.
pub(crate) type Rows = SmallVec<[Option<Row>; 4]>;

/// Evaluates nodes against rows by level.
pub(crate) struct Evaluator<'e, W: World + ?Sized> {
    pub model: &'e Model,
    pub params: &'e [Value],
    /// The row of each level; a level without one gives nulls.
    pub rows: Rows,
    pub world: &'e mut W,
}

impl<W: World> Evaluator<'_, W> {
    /// The value of a node.
    pub fn value(&mut self, node: &Node) -> Result<Value, W::Stop> {
        Ok(match node {
            Node::Constant(value, _) => value.clone(),
            Node::Bind(index, _) => self.param(*index),
            Node::Column(level, field) => self.row(*level).map_or(Value::Null, |row| row.value(*field).clone()),
            Node::One { entity, level, key, guard, value } => {
                let key = self.value(key)?;
                if key.is_null() {
                    return Ok(Value::Null);
                }
                W::one(self, One { entity: *entity, level: *level, key, guard: guard.as_deref(), value })?
            }
            Node::Exists { entity, level, body } => Value::Boolean(W::exists(self, *entity, *level, body)?),
            Node::ExistsOwned { parent, list, level, body, .. } => self.exists_owned(*parent, *list, *level, body)?,
            Node::Not(a) => match self.value(a)? {
                Value::Boolean(value) => Value::Boolean(!value),
                _ => Value::Null,
            },
            Node::And(parts) => self.connect(parts, false)?,
            Node::Or(parts) => self.connect(parts, true)?,
            Node::Truth(a) => Value::Boolean(self.value(a)? == Value::Boolean(true)),
            Node::Compare(by, a, b) => {
                let base = enum_base(a).or(enum_base(b));
                if let (Some(a), Some(b)) = (self.at_hand(a), self.at_hand(b)) {
                    return Ok(compared(*by, self.order(base, a, b)));
                }
                let (a, b) = (self.value(a)?, self.value(b)?);
                compared(*by, self.order(base, &a, &b))
            }
            Node::Same(a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                Value::Boolean((a.is_null() && b.is_null()) || a.compare(&b) == Some(Ordering::Equal))
            }
            Node::IsNull(a) => Value::Boolean(self.value(a)?.is_null()),
            Node::In(a, set) => self.within(a, set)?,
            Node::Arithmetic(by, a, b) => arithmetic(*by, &self.value(a)?, &self.value(b)?),
            Node::Conditional(a, b, c) => match self.value(a)? {
                Value::Boolean(true) => self.value(b)?,
                _ => self.value(c)?,
            },
            Node::Rescale { of, to, .. } => rescale(self.value(of)?, *to),
            Node::Call(function, parts) => {
                let mut arguments = Vec::with_capacity(parts.len());
                for part in parts {
                    arguments.push(self.value(part)?);
                }
                call(*function, &arguments)
            }
        })
    }

    /// Whether a node is true. The first part of an `And` that is not ends it, unknown ones too: most rows fail at their link.
    fn holds(&mut self, node: &Node) -> Result<bool, W::Stop> {
        let Node::And(parts) = node else { return Ok(self.value(node)? == Value::Boolean(true)) };
        for part in parts {
            if self.value(part)? != Value::Boolean(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Evaluates with a row at a level.
    pub fn with<T>(&mut self, level: Level, row: Row, then: impl FnOnce(&mut Self) -> T) -> T {
        let at = usize::from(level);
        if self.rows.len() <= at {
            self.rows.resize(at + 1, None);
        }
        let before = self.rows[at].replace(row);
        let result = then(self);
        self.rows[at] = before;
        result
    }

    /// The value of a parameter; null for one that is not there.
    pub fn param(&self, index: u16) -> Value {
        self.params.get(usize::from(index)).cloned().unwrap_or(Value::Null)
    }

    /// The row of a level.
    pub fn row(&self, level: Level) -> Option<&Row> {
        self.rows.get(usize::from(level)).and_then(Option::as_ref)
    }

    /// Kleene's `&&` (`decides` false) and `||` (`decides` true).
    fn connect(&mut self, parts: &[Node], decides: bool) -> Result<Value, W::Stop> {
        let mut unknown = false;
        for part in parts {
            match self.value(part)? {
                Value::Boolean(value) if value == decides => return Ok(Value::Boolean(decides)),
                Value::Boolean(_) => {}
                _ => unknown = true,
            }
        }
        Ok(if unknown { Value::Null } else { Value::Boolean(!decides) })
    }

    fn within(&mut self, a: &Node, set: &Set) -> Result<Value, W::Stop> {
        let needle = self.value(a)?;
        let found = match set {
            Set::Nodes(parts) => {
                let mut found = false;
                for part in parts {
                    found |= needle.compare(&self.value(part)?) == Some(Ordering::Equal);
                }
                found
            }
            Set::Bind(index, _) => holds_one(self.params.get(usize::from(*index)), &needle),
            Set::Column(level, field) => holds_one(self.row(*level).map(|row| row.value(*field)), &needle),
        };
        Ok(if needle.is_null() { Value::Null } else { Value::Boolean(found) })
    }

    /// The value of a node that stands for one: it need not be copied to be compared.
    fn at_hand<'n>(&'n self, node: &'n Node) -> Option<&'n Value> {
        match node {
            Node::Constant(value, _) => Some(value),
            Node::Bind(index, _) => Some(self.params.get(usize::from(*index)).unwrap_or(&Value::Null)),
            Node::Column(level, field) => Some(self.row(*level).map_or(&Value::Null, |row| row.value(*field))),
            _ => None,
        }
    }

    fn exists_owned(&mut self, parent: Level, list: fourfold_model::FieldId, level: Level, body: &Node) -> Result<Value, W::Stop> {
        let elements = match self.row(parent).map(|row| row.value(list)) {
            Some(Value::Owned(elements)) => elements.clone(),
            _ => return Ok(Value::Boolean(false)),
        };
        for element in elements.iter() {
            if self.with(level, element.clone(), |inner| inner.value(body))? == Value::Boolean(true) {
                return Ok(Value::Boolean(true));
            }
        }
        Ok(Value::Boolean(false))
    }

    /// Enums are ordered by their column's text, as stores order them.
    fn order(&self, base: Option<Base>, a: &Value, b: &Value) -> Option<Ordering> {
        match (base, a, b) {
            (Some(Base::Enum(id)), Value::Enum(a), Value::Enum(b)) if a != b => {
                let column = |number: i32| self.model.enumeration(id).by_number(number).map(|value| value.column.clone());
                Some(column(*a).cmp(&column(*b)))
            }
            _ => a.compare(b),
        }
    }
}

fn enum_base(node: &Node) -> Option<Base> {
    match node {
        Node::Constant(_, base @ Base::Enum(_)) | Node::Bind(_, base @ Base::Enum(_)) => Some(*base),
        _ => None,
    }
}

fn holds_one(list: Option<&Value>, needle: &Value) -> bool {
    let Some(Value::List(members)) = list else { return false };
    members.iter().any(|member| needle.compare(member) == Some(Ordering::Equal))
}

/// The members of a list; none of anything else.
pub(crate) fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::List(values) => values.to_vec(),
        _ => Vec::new(),
    }
}

fn compared(by: Compare, order: Option<Ordering>) -> Value {
    let Some(order) = order else { return Value::Null };
    Value::Boolean(match by {
        Compare::Equal => order == Ordering::Equal,
        Compare::NotEqual => order != Ordering::Equal,
        Compare::Less => order == Ordering::Less,
        Compare::LessOrEqual => order != Ordering::Greater,
        Compare::Greater => order == Ordering::Greater,
        Compare::GreaterOrEqual => order != Ordering::Less,
    })
}

fn rescale(value: Value, to: u8) -> Value {
    let decimal = match value {
        Value::Int(n) => Decimal { unscaled: n, scale: 0 },
        Value::Decimal(decimal) => decimal,
        _ => return Value::Null,
    };
    decimal.rescale(to).map_or(Value::Null, Value::Decimal)
}

pub(crate) fn arithmetic(by: Arithmetic, a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => float_arithmetic(by, *a, *b),
        (Value::Int(a), Value::Int(b)) => integer_arithmetic(by, *a, *b).map_or(Value::Null, Value::Int),
        // A moment and a duration, in microseconds: what no DateTime can be, no API could say.
        (Value::DateTime(a), Value::Int(b)) => {
            integer_arithmetic(by, *a, *b).filter(|at| MOMENTS.contains(at)).map_or(Value::Null, Value::DateTime)
        }
        (Value::Int(a), Value::Decimal(b)) => decimal_arithmetic(by, Decimal { unscaled: *a, scale: 0 }, *b),
        (Value::Decimal(a), Value::Int(b)) => decimal_arithmetic(by, *a, Decimal { unscaled: *b, scale: 0 }),
        (Value::Decimal(a), Value::Decimal(b)) => decimal_arithmetic(by, *a, *b),
        _ => Value::Null,
    }
}

fn integer_arithmetic(by: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match by {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => a.checked_rem(b),
    }
}

fn decimal_arithmetic(by: Arithmetic, a: Decimal, b: Decimal) -> Value {
    let scale = match by {
        Arithmetic::Multiply => a.scale + b.scale,
        Arithmetic::Add | Arithmetic::Subtract => a.scale.max(b.scale),
        Arithmetic::Divide | Arithmetic::Remainder => return Value::Null,
    };
    integer_arithmetic(by, a.unscaled, b.unscaled).map_or(Value::Null, |unscaled| Value::Decimal(Decimal { unscaled, scale }))
}

fn float_arithmetic(by: Arithmetic, a: f64, b: f64) -> Value {
    let result = match by {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => return Value::Null,
    };
    if result.is_finite() { Value::Float(result) } else { Value::Null }
}

fn call(function: Function, arguments: &[Value]) -> Value {
    match (function, arguments) {
        (Function::Size, [Value::Text(text)]) => Value::Int(text.chars().count() as i64),
        (Function::Size, [Value::Bytes(bytes)]) => Value::Int(bytes.len() as i64),
        (Function::Size, [Value::List(values)]) => Value::Int(values.len() as i64),
        (Function::Size, [Value::Owned(rows)]) => Value::Int(rows.len() as i64),
        (Function::Lower, [Value::Text(text)]) => Value::Text(SmolStr::new(text.to_lowercase())),
        (Function::Contains, [Value::Text(text), Value::Text(part)]) => Value::Boolean(text.contains(part.as_str())),
        (Function::StartsWith, [Value::Text(text), Value::Text(part)]) => Value::Boolean(text.starts_with(part.as_str())),
        (Function::EndsWith, [Value::Text(text), Value::Text(part)]) => Value::Boolean(text.ends_with(part.as_str())),
        _ => Value::Null,
    }
}
