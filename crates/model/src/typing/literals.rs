//! Literals, and how they take the type that their place asks for.

use std::sync::Arc;

use super::{Typing, base_name};
use crate::ast::{Node, NodeKind, Span};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, ExprKind, ExprType};
use crate::literal;
use crate::model::{Base, Type};
use crate::names;
use crate::value::{Decimal, Value};

/// Digits of a Decimal, all told.
pub(super) const DIGITS_MAX: u8 = 18;
/// Elements of a list.
const LIST_MAX: usize = 100;

pub(super) fn text(text: &str) -> Expr {
    Expr { kind: ExprKind::Literal(Value::text(text)), ty: ExprType::one(Base::String) }
}

pub(super) fn boolean(value: bool) -> Expr {
    Expr::boolean(ExprKind::Literal(Value::Boolean(value)))
}

pub(super) fn null() -> Expr {
    Expr { kind: ExprKind::Literal(Value::Null), ty: ExprType { base: None, list: false } }
}

fn literal(value: Value, base: Base) -> Expr {
    Expr { kind: ExprKind::Literal(value), ty: ExprType::one(base) }
}

/// The value, when this is a literal.
pub(super) fn literal_of(expr: &Expr) -> Option<&Value> {
    match &expr.kind {
        ExprKind::Literal(value) => Some(value),
        _ => None,
    }
}

impl Typing<'_, '_> {
    /// `12` or `1.50`, with the narrowest type that holds it.
    pub(super) fn number(&mut self, text: &str, span: &Span) -> Option<Expr> {
        if text.contains('.') {
            let Some(value) = Decimal::parse(text) else { return self.too_many_digits(text, span) };
            return Some(literal(Value::Decimal(value), Base::Decimal { precision: DIGITS_MAX, scale: value.scale }));
        }
        let Ok(value) = text.parse::<i64>() else { return self.too_many_digits(text, span) };
        let base = if i32::try_from(value).is_ok() { Base::Int } else { Base::BigInt };
        Some(literal(Value::Int(value), base))
    }

    fn too_many_digits(&mut self, text: &str, span: &Span) -> Option<Expr> {
        self.error(span, format!("number `{text}` is too large"), "expected at most 18 digits")
    }

    pub(super) fn negate(&mut self, inner: &Node, span: &Span) -> Option<Expr> {
        if let NodeKind::Number(text) = &inner.bare().kind {
            return self.number(&format!("-{text}"), span);
        }
        let expr = self.value(inner)?;
        let ty = expr.ty;
        if !ty.list && ty.base.is_some_and(is_number) {
            return Some(Expr { kind: ExprKind::Negate(Box::new(expr)), ty });
        }
        let found = self.type_text(ty);
        self.error(span, format!("`-` of a value {found}"), "expected a number")
    }

    /// `[a, b]`: literals become one literal list, so that it is bound as one value.
    pub(super) fn list(&mut self, nodes: &[Node], span: &Span) -> Option<Expr> {
        if nodes.len() > LIST_MAX {
            return self.error(span, format!("a list of {} elements", nodes.len()), format!("expected at most {LIST_MAX}"));
        }
        let typed: Vec<Option<Expr>> = nodes.iter().map(|item| self.value(item)).collect();
        let mut items: Vec<Expr> = typed.into_iter().collect::<Option<_>>()?;
        if let Some((_, node)) = items.iter().zip(nodes).find(|(item, _)| item.ty.list || item.ty.base.is_none()) {
            return self.error(&node.span, "a list holds values, neither null nor lists", "expected a value");
        }
        let bases: Vec<Base> = items.iter().filter_map(|item| item.ty.base).collect();
        let Some(widest) = bases.iter().copied().reduce(|a, b| widest(a, b).unwrap_or(a)) else {
            let ty = ExprType { base: None, list: true };
            return Some(Expr { kind: ExprKind::Literal(Value::List(Arc::new([]))), ty });
        };
        let widest = if items.iter().all(|item| fits(item, widest)) { widest } else { Base::Float };
        // A field or a claim among literals decides their type.
        let base = items.iter().find(|item| literal_of(item).is_none()).and_then(|item| item.ty.base).unwrap_or(widest);
        items = items.into_iter().zip(nodes).map(|(item, node)| self.assign(item, single(base), &node.span)).collect::<Option<_>>()?;
        Some(list_of(items, base))
    }

    /// The elements of a list literal as values of `base`.
    pub(super) fn list_as(&mut self, list: Expr, base: Base, span: &Span) -> Option<Expr> {
        let items: Vec<Expr> = match &list.kind {
            ExprKind::Literal(Value::List(values)) => {
                let of = list.ty.base.unwrap_or(base);
                values.iter().map(|value| literal(value.clone(), of)).collect()
            }
            ExprKind::List(items) => items.clone(),
            _ => return Some(list),
        };
        let items = items.into_iter().map(|item| self.assign(item, single(base), span)).collect::<Option<Vec<_>>>()?;
        Some(list_of(items, base))
    }

    /// `expr` as a value that can be stored as `ty`: literals are coerced, Int widens to BigInt and Decimal.
    pub(super) fn assign(&mut self, expr: Expr, ty: Type, span: &Span) -> Option<Expr> {
        if expr.ty.is_null() {
            return self.assign_null(ty, span);
        }
        if ty.list {
            let found = self.type_text(expr.ty);
            if !expr.ty.list {
                return self.error(
                    span,
                    format!("this is {found}"),
                    format!("expected a list of {}", base_name(self.place.model, ty.base)),
                );
            }
            let list = self.list_as(expr, ty.base, span)?;
            return if list.ty.base == Some(ty.base) { Some(list) } else { self.mismatch(list.ty, ty.base, span) };
        }
        if expr.ty.list {
            return self.mismatch(expr.ty, ty.base, span);
        }
        self.assign_one(expr, ty.base, span)
    }

    fn assign_null(&mut self, ty: Type, span: &Span) -> Option<Expr> {
        if ty.nullable {
            return Some(Expr { kind: ExprKind::Literal(Value::Null), ty: ExprType { base: Some(ty.base), list: ty.list } });
        }
        self.error(span, "null where a value must be", format!("expected {}", base_name(self.place.model, ty.base)))
    }

    fn assign_one(&mut self, expr: Expr, base: Base, span: &Span) -> Option<Expr> {
        if literal_of(&expr).is_some() {
            return self.literal_as(expr, base, span);
        }
        match (expr.ty.base, base) {
            (Some(from), to) if from == to => Some(expr),
            (Some(Base::Int), Base::BigInt) => Some(Expr { ty: ExprType::one(base), ..expr }),
            (Some(Base::Int | Base::BigInt), Base::Decimal { .. }) => Some(rescale(expr, base)),
            (Some(Base::Decimal { scale: from, .. }), Base::Decimal { scale: to, .. }) if from == to => {
                Some(Expr { ty: ExprType::one(base), ..expr })
            }
            (Some(Base::Decimal { scale: from, .. }), Base::Decimal { scale: to, .. }) if from < to => Some(rescale(expr, base)),
            _ => self.mismatch(expr.ty, base, span),
        }
    }

    fn mismatch<T>(&mut self, found: ExprType, expected: Base, span: &Span) -> Option<T> {
        let (found, expected) = (self.type_text(found), base_name(self.place.model, expected));
        self.error(span, format!("this is {found}"), format!("expected {expected}"))
    }

    /// A literal as a value of `base`.
    pub(super) fn literal_as(&mut self, expr: Expr, base: Base, span: &Span) -> Option<Expr> {
        let Some(value) = literal_of(&expr).cloned() else { return Some(expr) };
        if expr.ty.base == Some(base) && !expr.ty.list {
            return Some(expr);
        }
        let coerced = match (&value, base) {
            (Value::Int(n), Base::Int) if i32::try_from(*n).is_err() => return self.out_of_range("Int", "-2147483648 to 2147483647", span),
            (Value::Int(n), Base::Int | Base::BigInt) => Some(Value::Int(*n)),
            (Value::Int(n), Base::Float) => to_float(&n.to_string()),
            (Value::Decimal(decimal), Base::Float) => to_float(&decimal.to_string()),
            (Value::Int(n), Base::Decimal { precision, scale }) => {
                self.decimal(Decimal { unscaled: *n, scale: 0 }, precision, scale, span)?
            }
            (Value::Decimal(decimal), Base::Decimal { precision, scale }) => self.decimal(*decimal, precision, scale, span)?,
            (Value::Text(text), Base::Enum(id)) => return self.enum_value(text, id, span),
            (Value::Text(text), base) => return self.text_as(text, base, span),
            _ => None,
        };
        match coerced {
            Some(value) => Some(literal(value, base)),
            None => self.mismatch(expr.ty, base, span),
        }
    }

    fn out_of_range(&mut self, what: &str, range: &str, span: &Span) -> Option<Expr> {
        self.error(span, format!("number is out of range for {what}"), format!("expected {range}"))
    }

    fn decimal(&mut self, value: Decimal, precision: u8, scale: u8, span: &Span) -> Option<Option<Value>> {
        let fits = value.rescale(scale).filter(|value| digits(value.unscaled) <= precision);
        match fits {
            Some(value) => Some(Some(Value::Decimal(value))),
            None => {
                let label = format!("expected at most {precision} digits, {scale} of them after the point");
                self.error(span, format!("`{value}` does not fit Decimal({precision},{scale})"), label)
            }
        }
    }

    fn text_as(&mut self, text: &str, base: Base, span: &Span) -> Option<Expr> {
        let (value, form) = match base {
            Base::Uuid => (literal::uuid(text).map(Value::Uuid), "a Uuid, as in `\"018f2e8a-0000-7000-8000-000000000000\"`"),
            Base::Date => (literal::date(text).map(Value::Date), "a Date, as in `\"2026-11-22\"`"),
            Base::DateTime => (
                literal::date_time(text).map(Value::DateTime),
                "a DateTime, as in `\"2026-11-22T10:00:00Z\"`, with at most 6 digits of a second",
            ),
            Base::Json => (json(text), "the text of one JSON value"),
            _ => return self.mismatch(ExprType::one(Base::String), base, span),
        };
        match value {
            Some(value) => Some(literal(value, base)),
            None => self.error(span, format!("`{text}` is not {}", article(base)), format!("expected {form}")),
        }
    }

    fn enum_value(&mut self, text: &str, id: crate::model::EnumId, span: &Span) -> Option<Expr> {
        let model = self.place.model;
        let of = model.enumeration(id);
        if let Some(value) = of.by_name(text) {
            return Some(literal(Value::Enum(value.number), Base::Enum(id)));
        }
        if self.place.is_broken(&of.name, text) {
            return None;
        }
        let near = names::closest(text, of.values.iter().map(|value| value.name.as_str()));
        let known = of.values.iter().take(12).map(|value| value.name.as_str()).collect::<Vec<_>>().join(" ");
        let message = format!("`{}` has no value `{text}`", of.name);
        self.diagnostics.push(Diagnostic::error(span.clone(), message, format!("expected one of: {known}")).suggest(near));
        None
    }
}

/// Whether a literal among others can be a Decimal of their scale. Those that cannot, `9007199254740992.0` beside `0.001`, are Floats.
fn fits(item: &Expr, base: Base) -> bool {
    match (literal_of(item), base) {
        (Some(Value::Int(n)), Base::Decimal { precision, scale }) => {
            Decimal { unscaled: *n, scale: 0 }.rescale(scale).is_some_and(|value| digits(value.unscaled) <= precision)
        }
        (Some(Value::Decimal(decimal)), Base::Decimal { precision, scale }) => {
            decimal.rescale(scale).is_some_and(|value| digits(value.unscaled) <= precision)
        }
        _ => true,
    }
}

fn list_of(items: Vec<Expr>, base: Base) -> Expr {
    let values: Option<Vec<Value>> = items.iter().map(|item| literal_of(item).cloned()).collect();
    let kind = match values {
        Some(values) => ExprKind::Literal(Value::List(values.into())),
        None => ExprKind::List(items),
    };
    Expr { kind, ty: ExprType::list(base) }
}

fn single(base: Base) -> Type {
    Type { base, nullable: false, list: false }
}

fn article(base: Base) -> &'static str {
    match base {
        Base::Uuid => "a Uuid",
        Base::Date => "a Date",
        Base::DateTime => "a DateTime",
        _ => "JSON",
    }
}

/// Compact JSON text. Its own size limit is checked when a row is written.
fn json(text: &str) -> Option<Value> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(Value::Json(value.to_string().into()))
}

fn to_float(text: &str) -> Option<Value> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::Float)
}

fn digits(unscaled: i64) -> u8 {
    let mut rest = unscaled.unsigned_abs();
    let mut count = 0;
    while rest > 0 {
        rest /= 10;
        count += 1;
    }
    count
}

pub(super) fn is_number(base: Base) -> bool {
    matches!(base, Base::Int | Base::BigInt | Base::Float | Base::Decimal { .. })
}

/// The type that both can widen to.
pub(super) fn widest(a: Base, b: Base) -> Option<Base> {
    let decimal = |scale: u8| Base::Decimal { precision: DIGITS_MAX, scale };
    match (a, b) {
        (a, b) if a == b => Some(a),
        (Base::Int, Base::BigInt) | (Base::BigInt, Base::Int) => Some(Base::BigInt),
        (Base::Int | Base::BigInt, Base::Decimal { scale, .. }) | (Base::Decimal { scale, .. }, Base::Int | Base::BigInt) => {
            Some(decimal(scale))
        }
        (Base::Decimal { scale: a, .. }, Base::Decimal { scale: b, .. }) => Some(decimal(a.max(b))),
        _ => None,
    }
}

/// Int or Decimal as a Decimal of another scale.
pub(super) fn rescale(expr: Expr, to: Base) -> Expr {
    Expr { kind: ExprKind::Rescale(Box::new(expr)), ty: ExprType::one(to) }
}
