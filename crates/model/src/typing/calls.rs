//! Functions and quantifiers.

use super::paths::Term;
use super::{RowKind, Typing, Variable};
use crate::ast::{Node, Span, Word};
use crate::diagnostics::Diagnostic;
use crate::expr::{Collection, Expr, ExprKind, ExprType, Function, Quantifier};
use crate::model::Base;
use crate::names;

/// Every name that may stand before `(`.
const FUNCTIONS: [&str; 14] =
    ["has", "size", "contains", "startsWith", "endsWith", "lower", "now", "exists", "all", "map", "filter", "sum", "min", "max"];
/// How deep `exists` and `all` may nest.
const QUANTIFIERS_MAX: usize = 4;

impl Typing<'_, '_> {
    pub(super) fn call(&mut self, target: Option<&Node>, name: &Word, args: &[Node], span: &Span) -> Option<Expr> {
        match name.text.as_str() {
            "now" => self.now(target, args, span),
            "has" => self.has(target, args, span),
            "exists" => self.quantified(Quantifier::Exists, target, args, span),
            "all" => self.quantified(Quantifier::All, target, args, span),
            "map" | "filter" => self.unfinished_fold(name),
            "sum" | "min" | "max" => self.fold(target, name, args, span),
            "size" => self.size(target, name, args, span),
            "lower" => self.text_function(Function::Lower, target, name, args, span),
            "contains" => self.text_function(Function::Contains, target, name, args, span),
            "startsWith" => self.text_function(Function::StartsWith, target, name, args, span),
            "endsWith" => self.text_function(Function::EndsWith, target, name, args, span),
            _ => self.unknown_function(name),
        }
    }

    fn unknown_function(&mut self, name: &Word) -> Option<Expr> {
        let near = names::closest(&name.text, FUNCTIONS.into_iter());
        let near = if name.text == "length" || name.text == "count" { Some("size") } else { near };
        let label = format!("expected one of: {}", FUNCTIONS.join(" "));
        self.diagnostics.push(Diagnostic::error(name.span.clone(), format!("unknown function `{}`", name.text), label).suggest(near));
        None
    }

    fn now(&mut self, target: Option<&Node>, args: &[Node], span: &Span) -> Option<Expr> {
        if target.is_some() || !args.is_empty() {
            return self.error(span, "`now` takes nothing", "expected `now()`");
        }
        if !self.place.now {
            let what = self.place.what;
            return self.error(span, format!("{what} cannot use `now()`"), "its answer would change without a write");
        }
        Some(Expr { kind: ExprKind::Now, ty: ExprType::one(Base::DateTime) })
    }

    /// `has(x)` is `x != null`.
    fn has(&mut self, target: Option<&Node>, args: &[Node], span: &Span) -> Option<Expr> {
        let ([field], None) = (args, target) else {
            return self.error(span, "`has` takes one field", "expected `has(field)`");
        };
        let tested = self.nullable_value(field)?;
        Some(Expr::boolean(ExprKind::Not(Box::new(Expr::boolean(ExprKind::IsNull(Box::new(tested)))))))
    }

    /// The operands of a function: `f(a, b)` or `a.f(b)`.
    fn operands<'n>(
        &mut self,
        target: Option<&'n Node>,
        name: &Word,
        args: &'n [Node],
        count: usize,
        span: &Span,
    ) -> Option<Vec<&'n Node>> {
        let operands: Vec<&Node> = target.into_iter().chain(args).collect();
        if operands.len() == count {
            return Some(operands);
        }
        let form = if count == 1 { format!("`{0}(x)` or `x.{0}()`", name.text) } else { format!("`x.{}(y)`", name.text) };
        self.error(span, format!("`{}` takes {count} operands, not {}", name.text, operands.len()), format!("expected {form}"))
    }

    fn text_function(&mut self, function: Function, target: Option<&Node>, name: &Word, args: &[Node], span: &Span) -> Option<Expr> {
        let (count, ty) = match function {
            Function::Lower => (1, ExprType::one(Base::String)),
            _ => (2, ExprType::BOOLEAN),
        };
        let operands = self.operands(target, name, args, count, span)?;
        let typed: Vec<Option<Expr>> = operands.iter().map(|node| self.text_operand(node)).collect();
        let typed: Vec<Expr> = typed.into_iter().collect::<Option<_>>()?;
        Some(Expr { kind: ExprKind::Call(function, typed), ty })
    }

    fn text_operand(&mut self, node: &Node) -> Option<Expr> {
        let expr = self.value(node)?;
        if expr.ty == ExprType::one(Base::String) {
            return Some(expr);
        }
        let found = self.type_text(expr.ty);
        let label = if expr.ty.list { "expected a String; for a list write `x in list`" } else { "expected a String" };
        self.error(&node.span, format!("this is {found}"), label)
    }

    fn size(&mut self, target: Option<&Node>, name: &Word, args: &[Node], span: &Span) -> Option<Expr> {
        let operands = self.operands(target, name, args, 1, span)?;
        let operand = operands.first()?;
        if self.place.folds && self.folds_over(operand) {
            return self.fold(Some(operand), name, &[], span);
        }
        let expr = self.value(operand)?;
        let sized = expr.ty.list || matches!(expr.ty.base, Some(Base::String | Base::Bytes));
        if !sized {
            let found = self.type_text(expr.ty);
            return self.error(&operand.span, format!("this is {found}"), "expected a String, Bytes or a list");
        }
        Some(Expr { kind: ExprKind::Call(Function::Size, vec![expr]), ty: ExprType::one(Base::Int) })
    }

    fn quantified(&mut self, by: Quantifier, target: Option<&Node>, args: &[Node], span: &Span) -> Option<Expr> {
        let (Some(target), [variable, body]) = (target, args) else {
            return self.error(span, "this takes a variable and a condition", "expected `members.exists(m, m.id == x)`");
        };
        if !self.place.quantifiers {
            let what = self.place.what;
            return self.error(span, format!("{what} cannot use `exists` and `all`"), "it sees its own row alone");
        }
        let (collection, row) = match self.term(target)? {
            Term::Many(path, relation, entity) => (Collection::Relation(path, relation), RowKind::Entity(entity)),
            Term::Owned(path, field, owned) => (Collection::Owned(path, field), RowKind::Owned(owned)),
            _ => return self.error(&target.span, "this is no list of rows", "expected a relation to many rows, or an owned list"),
        };
        let body = self.with_variable(variable, row, |typing| typing.condition(body))?;
        Some(Expr::boolean(ExprKind::Quantified(by, collection, Box::new(body))))
    }

    /// Runs `inner` with a variable more; tells when it is no new name.
    pub(super) fn with_variable<T>(&mut self, node: &Node, row: RowKind, inner: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let Some(name) = node.name() else {
            return self.error(&node.span, "the first argument names an element", "expected a new name, as in `m`");
        };
        let reserved = ["caller", "channel", "old", "new"].contains(&name.as_str());
        if reserved || self.variables.iter().any(|variable| variable.name == *name) {
            return self.error(&node.span, format!("`{name}` already means something here"), "expected another name");
        }
        if self.variables.len() >= QUANTIFIERS_MAX {
            return self.error(&node.span, format!("`exists` and `all` nest deeper than {QUANTIFIERS_MAX}"), "too deep here");
        }
        self.variables.push(Variable { name: name.clone(), row });
        let result = inner(self);
        self.variables.pop();
        result
    }
}
