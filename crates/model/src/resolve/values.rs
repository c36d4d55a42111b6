//! Values in attributes: defaults, bounds and claims.

use smol_str::SmolStr;

use super::Resolver;
use crate::ast::{Node, NodeKind};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, ExprKind};
use crate::model::*;
use crate::typing::{Place, RowKind, base_name};
use crate::value::Value;

impl Resolver<'_> {
    /// A literal of a type; anything else is told.
    pub(super) fn literal(&mut self, node: &Node, ty: Type, what: &'static str) -> Option<Value> {
        let mut found = Vec::new();
        let place = Place { broken: &self.broken, ..Place::bare(&self.model, what) };
        let expr = place.of_type(node, ty, &mut found);
        match self.told(expr, found, node)?.kind {
            ExprKind::Literal(value) => Some(value),
            _ => {
                self.error(&node.span, "this is no literal", format!("expected a literal of {}", base_name(&self.model, ty.base)));
                None
            }
        }
    }

    /// `@default`: a literal, an enum's bare value, `uuid7()`, `next()`, `now()` or `caller.x`.
    pub(super) fn default(&mut self, node: &Node, ty: Type) -> Option<Default> {
        match &node.kind {
            NodeKind::Name(name) => self.enum_default(node, name, ty),
            NodeKind::Call(None, name, args) if args.is_empty() => self.called_default(node, &name.text, ty),
            NodeKind::Member(root, claim) if root.name().is_some_and(|root| root == "caller") => self.claim_default(node, &claim.text, ty),
            _ => self.literal(node, ty, "a default").map(Default::Literal),
        }
    }

    fn enum_default(&mut self, node: &Node, name: &SmolStr, ty: Type) -> Option<Default> {
        if !matches!(ty.base, Base::Enum(_)) {
            self.error(&node.span, format!("`{name}` is no default"), "expected a literal, `uuid7()`, `next()`, `now()` or `caller.x`");
            return None;
        }
        let literal = Node { kind: NodeKind::Text(name.to_string()), span: node.span.clone() };
        self.literal(&literal, ty, "a default").map(Default::Literal)
    }

    fn called_default(&mut self, node: &Node, name: &str, ty: Type) -> Option<Default> {
        let (default, fits) = match name {
            "uuid7" => (Default::Uuid7, ty.base == Base::Uuid),
            "next" => (Default::Next, matches!(ty.base, Base::Int | Base::BigInt)),
            "now" => (Default::Now, matches!(ty.base, Base::DateTime | Base::Date)),
            _ => {
                let near = crate::names::closest(name, ["uuid7", "next", "now"].into_iter());
                let label = "expected `uuid7()`, `next()` or `now()`";
                self.diagnostics.push(Diagnostic::error(node.span.clone(), format!("unknown default `{name}()`"), label).suggest(near));
                return None;
            }
        };
        if !fits || ty.list {
            let of = base_name(&self.model, ty.base);
            self.error(
                &node.span,
                format!("`{name}()` is no default of {of}"),
                "`uuid7()` is for Uuid, `next()` for Int and BigInt, `now()` for DateTime and Date",
            );
            return None;
        }
        Some(default)
    }

    fn claim_default(&mut self, node: &Node, name: &str, ty: Type) -> Option<Default> {
        let mut found = Vec::new();
        let place = Place { caller: true, broken: &self.broken, ..Place::bare(&self.model, "a default") };
        let expr = place.of_type(node, Type { nullable: true, ..ty }, &mut found);
        match self.told(expr, found, node)?.kind {
            ExprKind::Claim(claim) => Some(Default::Claim(claim)),
            _ => {
                self.error(
                    &node.span,
                    format!("claim `{name}` is of another type"),
                    format!("expected {}", base_name(&self.model, ty.base)),
                );
                None
            }
        }
    }

    /// A condition of the model's author about a row.
    pub(super) fn condition(&mut self, node: &Node, what: &'static str, row: RowKind, change: impl FnOnce(&mut Place<'_>)) -> Option<Expr> {
        let mut found = Vec::new();
        let mut place = Place { broken: &self.broken, ..Place::rule(&self.model, what, row) };
        change(&mut place);
        let expr = place.condition(node, &mut found);
        self.told(expr, found, node)
    }

    /// Keeps what was found. An expression that is none must have been told: a rule that is dropped in silence would open what it guards.
    pub(super) fn told(&mut self, expr: Option<Expr>, mut found: Vec<Diagnostic>, node: &Node) -> Option<Expr> {
        if expr.is_none() && found.is_empty() && self.broken.is_empty() {
            self.error(&node.span, "this expression means nothing", "expected a value or a condition");
        }
        self.diagnostics.append(&mut found);
        expr
    }

    /// What the server puts into a field of type `ty`.
    pub(super) fn served(&mut self, node: &Node, what: &'static str, row: RowKind, ty: Type, computed: bool) -> Option<Expr> {
        let mut found = Vec::new();
        let rule = Place { broken: &self.broken, ..Place::rule(&self.model, what, row) };
        let place = match computed {
            true => Place { caller: false, now: false, hops: false, quantifiers: false, folds: true, ..rule },
            false => rule,
        };
        let expr = place.of_type(node, ty, &mut found);
        self.told(expr, found, node)
    }
}
