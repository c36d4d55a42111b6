//! Operators: the types of both sides meet, or the error says why they cannot.

use super::literals::{is_number, literal_of, rescale, widest};
use super::{Typing, base_name};
use crate::ast::{Node, NodeKind, Operator, Span};
use crate::expr::{Arithmetic, Compare, Expr, ExprKind, ExprType};
use crate::model::{Base, Type};
use crate::value::{Decimal, Value};

impl Typing<'_, '_> {
    pub(super) fn binary(&mut self, operator: Operator, left: &Node, right: &Node, span: &Span) -> Option<Expr> {
        match operator {
            Operator::Equal => self.equality(true, left, right, span),
            Operator::NotEqual => self.equality(false, left, right, span),
            Operator::Less => self.compare(Compare::Less, left, right, span),
            Operator::LessOrEqual => self.compare(Compare::LessOrEqual, left, right, span),
            Operator::Greater => self.compare(Compare::Greater, left, right, span),
            Operator::GreaterOrEqual => self.compare(Compare::GreaterOrEqual, left, right, span),
            Operator::In => self.membership(left, right, span),
            Operator::Add => self.sum(Arithmetic::Add, left, right, span),
            Operator::Subtract => self.sum(Arithmetic::Subtract, left, right, span),
            Operator::Multiply => self.arithmetic(Arithmetic::Multiply, left, right, span),
            Operator::Divide => self.arithmetic(Arithmetic::Divide, left, right, span),
            Operator::Remainder => self.arithmetic(Arithmetic::Remainder, left, right, span),
        }
    }

    /// Both sides, so that the errors of both are told.
    fn both(&mut self, left: &Node, right: &Node) -> Option<(Expr, Expr)> {
        let (left, right) = (self.value(left), self.value(right));
        Some((left?, right?))
    }

    fn equality(&mut self, equal: bool, left: &Node, right: &Node, span: &Span) -> Option<Expr> {
        let is_null = |node: &Node| matches!(node.bare().kind, NodeKind::Null);
        let tested = match (is_null(left), is_null(right)) {
            (false, false) => return self.compare(if equal { Compare::Equal } else { Compare::NotEqual }, left, right, span),
            (true, true) => return self.error(span, "null is compared with null", "expected a field on one side"),
            (true, false) => right,
            (false, true) => left,
        };
        let test = Expr::boolean(ExprKind::IsNull(Box::new(self.nullable_value(tested)?)));
        Some(if equal { test } else { Expr::boolean(ExprKind::Not(Box::new(test))) })
    }

    fn compare(&mut self, by: Compare, left: &Node, right: &Node, span: &Span) -> Option<Expr> {
        let (a, b) = self.both(left, right)?;
        let (a, b) = self.meet(a, b, left, right)?;
        let base = a.ty.base?;
        let ordered = !matches!(by, Compare::Equal | Compare::NotEqual);
        let comparable = match base {
            Base::Json | Base::Owned(_) => false,
            Base::Boolean | Base::Enum(_) | Base::Bytes => !ordered,
            _ => true,
        };
        if !comparable {
            let name = base_name(self.place.model, base);
            return self.error(span, format!("values of type {name} cannot be compared like this"), order_hint(base));
        }
        Some(Expr::boolean(ExprKind::Compare(by, Box::new(a), Box::new(b))))
    }

    /// Gives both sides one type: a literal takes the other's, numbers widen.
    fn meet(&mut self, a: Expr, b: Expr, left: &Node, right: &Node) -> Option<(Expr, Expr)> {
        for (side, node) in [(&a, left), (&b, right)] {
            if side.ty.list {
                return self.error(&node.span, "a list cannot be compared", "expected a single value, or `in`");
            }
            if side.ty.is_null() {
                return self.error(&node.span, "null is unknown in every comparison but `== null`", "expected a value");
            }
        }
        let (from, to) = (a.ty.base?, b.ty.base?);
        if is_number(from) && is_number(to) && from != Base::Float && to != Base::Float {
            let base = widest(from, to)?;
            return Some((self.widen(a, base), self.widen(b, base)));
        }
        match (literal_of(&a).is_some(), literal_of(&b).is_some()) {
            (_, true) => Some((a, self.literal_as(b, from, &right.span)?)),
            (true, false) => Some((self.literal_as(a, to, &left.span)?, b)),
            _ if from == to => Some((a, b)),
            _ => {
                let (found, expected) = (base_name(self.place.model, to), base_name(self.place.model, from));
                self.error(
                    &right.span,
                    format!("{expected} is compared with {found}"),
                    format!("this is of type {found}, expected {expected}"),
                )
            }
        }
    }

    /// A number as `base`, which is at least as wide; a literal is rewritten, anything else is rescaled when its scale differs.
    fn widen(&mut self, expr: Expr, base: Base) -> Expr {
        let from = expr.ty.base;
        if let (Some(value), Base::Decimal { scale, .. }) = (literal_of(&expr), base) {
            let decimal = match value {
                Value::Int(n) => Decimal { unscaled: *n, scale: 0 }.rescale(scale),
                Value::Decimal(decimal) => decimal.rescale(scale),
                _ => None,
            };
            if let Some(decimal) = decimal {
                return Expr { kind: ExprKind::Literal(Value::Decimal(decimal)), ty: ExprType::one(base) };
            }
        }
        match (from, base) {
            (Some(Base::Decimal { scale: a, .. }), Base::Decimal { scale: b, .. }) if a != b => rescale(expr, base),
            (Some(Base::Int | Base::BigInt), Base::Decimal { .. }) => rescale(expr, base),
            _ => Expr { ty: ExprType::one(base), ..expr },
        }
    }

    fn membership(&mut self, left: &Node, right: &Node, span: &Span) -> Option<Expr> {
        let (one, list) = self.both(left, right)?;
        if !list.ty.list || one.ty.list {
            let label = "expected a value on the left of `in` and a list on its right";
            return self.error(span, "`in` needs a value and a list", label);
        }
        let (Some(base), of) = (one.ty.base, list.ty.base) else {
            return self.error(&left.span, "null is in no list", "expected a value");
        };
        let type_of = |base| Type { base, nullable: false, list: false };
        let (one, list) = match of {
            Some(of) if literal_of(&list).is_none() && (literal_of(&one).is_some() || widens(base, of)) => {
                (self.assign(one, type_of(of), &left.span)?, list)
            }
            _ => (one, self.list_as(list, base, &right.span)?),
        };
        match (one.ty.base, list.ty.base) {
            (Some(a), Some(b)) if a == b => Some(Expr::boolean(ExprKind::In(Box::new(one), Box::new(list)))),
            (Some(a), Some(b)) => {
                let (a, b) = (base_name(self.place.model, a), base_name(self.place.model, b));
                self.error(span, format!("a value of type {a} is looked for in a list of {b}"), format!("expected a list of {a}"))
            }
            _ => None,
        }
    }

    /// `+` and `-`, of numbers, or of a DateTime and a duration.
    fn sum(&mut self, by: Arithmetic, left: &Node, right: &Node, span: &Span) -> Option<Expr> {
        let NodeKind::Duration(micros) = right.bare().kind else { return self.arithmetic(by, left, right, span) };
        let Some(micros) = micros else { return self.error(&right.span, "this duration is too long", "expected at most 100000000d") };
        let moment = self.value(left)?;
        if moment.ty != ExprType::one(Base::DateTime) {
            let found = self.type_text(moment.ty);
            return self.error(&left.span, format!("this is {found}"), "expected a DateTime beside a duration");
        }
        let micros = Expr { kind: ExprKind::Literal(Value::Int(micros)), ty: ExprType::one(Base::BigInt) };
        Some(Expr { kind: ExprKind::Arithmetic(by, Box::new(moment), Box::new(micros)), ty: ExprType::one(Base::DateTime) })
    }

    fn arithmetic(&mut self, by: Arithmetic, left: &Node, right: &Node, span: &Span) -> Option<Expr> {
        let (a, b) = self.both(left, right)?;
        let (a, b) = self.floats(a, b, left, right)?;
        for (side, node) in [(&a, left), (&b, right)] {
            if side.ty.list || !side.ty.base.is_some_and(is_number) {
                let found = self.type_text(side.ty);
                return self.error(&node.span, format!("arithmetic with a value that is {found}"), "expected a number");
            }
        }
        let (from, to) = (a.ty.base?, b.ty.base?);
        let Some(base) = self.result(by, from, to, span)? else {
            let (a, b) = (base_name(self.place.model, from), base_name(self.place.model, to));
            return self.error(
                span,
                format!("no arithmetic between {a} and {b}"),
                "Int widens to BigInt and Decimal; nothing else converts",
            );
        };
        let adds = matches!(by, Arithmetic::Add | Arithmetic::Subtract);
        let (a, b) = if adds { (self.widen(a, base), self.widen(b, base)) } else { (a, b) };
        Some(Expr { kind: ExprKind::Arithmetic(by, Box::new(a), Box::new(b)), ty: ExprType::one(base) })
    }

    /// A number literal beside a Float is a Float.
    fn floats(&mut self, a: Expr, b: Expr, left: &Node, right: &Node) -> Option<(Expr, Expr)> {
        let float = Some(Base::Float);
        let numeric = |expr: &Expr| matches!(literal_of(expr), Some(Value::Int(_) | Value::Decimal(_)));
        if a.ty.base == float && numeric(&b) {
            return Some((a, self.literal_as(b, Base::Float, &right.span)?));
        }
        if b.ty.base == float && numeric(&a) {
            return Some((self.literal_as(a, Base::Float, &left.span)?, b));
        }
        Some((a, b))
    }

    /// The type of the result; `Some(None)` when there is none.
    fn result(&mut self, by: Arithmetic, a: Base, b: Base, span: &Span) -> Option<Option<Base>> {
        let decimal = matches!(a, Base::Decimal { .. }) || matches!(b, Base::Decimal { .. });
        let float = a == Base::Float || b == Base::Float;
        match by {
            Arithmetic::Divide | Arithmetic::Remainder if decimal => {
                self.error(span, "Decimal has no division", "expected `+`, `-` or `*`; a quotient has no last digit")
            }
            Arithmetic::Remainder if float => self.error(span, "Float has no remainder", "expected Int or BigInt on both sides"),
            Arithmetic::Multiply => match (a, b) {
                (Base::Decimal { scale: a, .. }, Base::Decimal { scale: b, .. }) if a + b > super::literals::DIGITS_MAX => {
                    self.error(span, format!("this product has {} digits after the point", a + b), "expected at most 18")
                }
                (Base::Decimal { scale: a, .. }, Base::Decimal { scale: b, .. }) => {
                    Some(Some(Base::Decimal { precision: 18, scale: a + b }))
                }
                _ => Some(widest(a, b)),
            },
            _ => Some(widest(a, b)),
        }
    }

    /// Two lists as results: a literal list takes the other's type.
    fn meet_lists(&mut self, a: Expr, b: Expr, left: &Node, right: &Node) -> Option<(Expr, Expr)> {
        let (a, b) = match (a.ty.base, b.ty.base) {
            (None, Some(base)) => (self.list_as(a, base, &left.span)?, b),
            (Some(base), _) => (a, self.list_as(b, base, &right.span)?),
            (None, None) => (a, b),
        };
        if a.ty == b.ty {
            return Some((a, b));
        }
        let (found, expected) = (self.type_text(b.ty), self.type_text(a.ty));
        self.error(&right.span, format!("this is {found}"), format!("expected {expected}, as before `:`"))
    }

    pub(super) fn conditional(&mut self, condition: &Node, yes: &Node, no: &Node, span: &Span) -> Option<Expr> {
        let condition = self.condition(condition);
        let (a, b) = self.both(yes, no)?;
        let (a, b) = match (a.ty.is_null(), b.ty.is_null()) {
            (true, true) => return self.error(span, "both results are null", "expected a value on one side"),
            (true, false) => (Expr { ty: b.ty, ..a }, b),
            (false, true) => (a.clone(), Expr { ty: a.ty, ..b }),
            _ if a.ty.list && b.ty.list => self.meet_lists(a, b, yes, no)?,
            _ => self.meet(a, b, yes, no)?,
        };
        let ty = a.ty;
        Some(Expr { kind: ExprKind::Conditional(Box::new(condition?), Box::new(a), Box::new(b)), ty })
    }
}

/// Whether a number of type `from` can be one of type `to` without losing anything.
fn widens(from: Base, to: Base) -> bool {
    match (from, to) {
        (Base::Int, Base::BigInt) | (Base::Int | Base::BigInt, Base::Decimal { .. }) => true,
        (Base::Decimal { scale: from, .. }, Base::Decimal { scale: to, .. }) => from <= to,
        _ => false,
    }
}

fn order_hint(base: Base) -> &'static str {
    match base {
        Base::Json | Base::Owned(_) => "it is opaque: only `== null` and `!= null`",
        _ => "it has no order: only `==` and `!=`",
    }
}
