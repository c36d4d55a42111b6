//! Typed expressions: names are resolved to ids, types are checked, literals are coerced.
//!
//! One expression serves rules, filters, `@set` and computed fields. `plan` compiles it for the stores; here it only means.

use crate::ids::{ClaimId, FieldId, RelationId};
use crate::types::Base;
use crate::value::Value;

/// A typed expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// What it gives.
    pub ty: ExprType,
}

/// The type of an expression's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExprType {
    /// The scalar type; `None` for the literal `null`.
    pub base: Option<Base>,
    /// A list of `base` rather than one.
    pub list: bool,
}

impl ExprType {
    /// A single value of `base`.
    pub const fn one(base: Base) -> ExprType {
        ExprType { base: Some(base), list: false }
    }
    /// A list of `base`.
    pub const fn list(base: Base) -> ExprType {
        ExprType { base: Some(base), list: true }
    }
    /// Whether this is the type of the literal `null`, which has none of its own.
    pub const fn is_null(self) -> bool {
        self.base.is_none() && !self.list
    }
    /// True, false or unknown.
    pub const BOOLEAN: ExprType = ExprType::one(Base::Boolean);
}

/// The root that a path starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The row that the expression is about; in an update rule, the new row and then the old.
    Row,
    /// `old`: the row before the write.
    Old,
    /// `new`: the row after the write.
    New,
    /// The variable of the n-th enclosing `exists`, `all`, `map` or `filter`, outermost 0.
    Variable(u8),
    /// An action's n-th parameter, an entity.
    Parameter(u8),
    /// A channel's parameter, an entity.
    Channel,
}

/// A path to a row: a root, then to-one relations, each a relation of the entity reached so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Where it starts.
    pub scope: Scope,
    /// The to-one relations followed. A path that ends in a related key has no hop for it: it is the column itself.
    pub hops: Vec<RelationId>,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExprKind {
    /// A literal, already of the type that its place asks for.
    Literal(Value),
    /// A value that comes with the request: its index in the request's values.
    Value(u16),
    /// A field of the row at the end of a path.
    Field(Path, FieldId),
    /// A claim of the caller.
    Claim(ClaimId),
    /// A scalar parameter of an action (its number) or of a channel (0).
    Argument(u8),
    /// `now()`.
    Now,
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `!a`.
    Not(Box<Expr>),
    /// `-a`.
    Negate(Box<Expr>),
    /// `a && b && …`.
    And(Vec<Expr>),
    /// `a || b || …`.
    Or(Vec<Expr>),
    /// `a == b` and its kin, between two values; with a null side it is unknown.
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// `a == null`: true or false, never unknown.
    IsNull(Box<Expr>),
    /// `a in b`, where `b` is a list.
    In(Box<Expr>, Box<Expr>),
    /// `a + b` and its kin.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// `a ? b : c`; an unknown condition takes `c`.
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A number with another count of digits after the point: Int or Decimal to Decimal of the expression's type.
    Rescale(Box<Expr>),
    /// A function of values.
    Call(Function, Vec<Expr>),
    /// `rel.exists(v, body)` or `rel.all(v, body)`.
    Quantified(Quantifier, Collection, Box<Expr>),
    /// `lines.filter(l, …).map(l, …).sum()`: over an owned list, in computed fields only.
    Fold(Fold),
}

/// What a quantifier goes over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    /// A to-many relation of the row at the end of the path.
    Relation(Path, RelationId),
    /// An owned list of the row at the end of the path.
    Owned(Path, FieldId),
}

/// An aggregate over an owned list of the row itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fold {
    /// The owned list.
    pub list: FieldId,
    /// Only elements for which all of these are true. Each sees the element as `Variable(0)`.
    pub filters: Vec<Expr>,
    /// What is folded; `None` for a mere count.
    pub map: Option<Box<Expr>>,
    /// How.
    pub by: FoldBy,
}

/// How a [`Fold`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FoldBy {
    /// The sum; of nothing: zero.
    Sum,
    /// The least; of nothing: null.
    Min,
    /// The greatest; of nothing: null.
    Max,
    /// How many.
    Size,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// An arithmetic operator. A result that does not fit 64 bits, and a division by zero, is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: Int truncates toward zero; not for Decimal.
    Divide,
    /// `%`: of Int, with the sign of the dividend.
    Remainder,
}

/// A function of values. With a null argument each is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `size(s)`: code points of a string, bytes of Bytes, elements of a list.
    Size,
    /// `s.contains(t)`.
    Contains,
    /// `s.startsWith(t)`.
    StartsWith,
    /// `s.endsWith(t)`.
    EndsWith,
    /// `lower(s)`: Unicode root lower case.
    Lower,
}

/// Which rows of a collection must satisfy the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// At least one; never unknown.
    Exists,
    /// Every one (an unknown body does not satisfy); never unknown.
    All,
}

impl Expr {
    /// The literal `true`.
    pub fn truth() -> Expr {
        Expr { kind: ExprKind::Literal(Value::Boolean(true)), ty: ExprType::BOOLEAN }
    }

    /// A boolean expression.
    pub fn boolean(kind: ExprKind) -> Expr {
        Expr { kind, ty: ExprType::BOOLEAN }
    }

    /// A field of the row itself.
    pub fn field(field: FieldId, ty: ExprType) -> Expr {
        Expr { kind: ExprKind::Field(Path { scope: Scope::Row, hops: Vec::new() }, field), ty }
    }

    /// A value of the request, of type `ty`.
    pub fn value(index: u16, ty: ExprType) -> Expr {
        Expr { kind: ExprKind::Value(index), ty }
    }

    /// All of `parts`: one part is itself, none is true.
    pub fn all(mut parts: Vec<Expr>) -> Expr {
        match parts.len() {
            0 => Expr::truth(),
            1 => parts.remove(0),
            _ => Expr::boolean(ExprKind::And(parts)),
        }
    }

    /// The direct parts of this expression, for walks.
    pub fn parts(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::List(parts) | ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call(_, parts) => parts.iter().collect(),
            ExprKind::Not(a) | ExprKind::Negate(a) | ExprKind::IsNull(a) | ExprKind::Rescale(a) | ExprKind::Quantified(_, _, a) => vec![a],
            ExprKind::Compare(_, a, b) | ExprKind::In(a, b) | ExprKind::Arithmetic(_, a, b) => vec![a, b],
            ExprKind::Conditional(a, b, c) => vec![a, b, c],
            ExprKind::Fold(fold) => fold.filters.iter().chain(fold.map.as_deref()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether `test` holds for this expression or any part of it.
    pub fn any(&self, test: &dyn Fn(&Expr) -> bool) -> bool {
        test(self) || self.parts().into_iter().any(|part| part.any(test))
    }

    /// The count of nodes, for the limit on expressions.
    pub fn size(&self) -> usize {
        1 + self.parts().into_iter().map(Expr::size).sum::<usize>()
    }
}
