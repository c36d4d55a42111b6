//! Types expressions: from what is written to an [`Expr`] in which every name is an id and every literal has its type.
//!
//! `paths` follows names, `operators` joins types, `calls` knows the functions, `literals` coerces.

mod calls;
mod folds;
mod literals;
mod operators;
mod paths;

use smol_str::SmolStr;

use crate::ast::{Node, NodeKind, Span};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, ExprKind, ExprType};
use crate::model::{Base, EntityId, Field, Model, OwnedId, Param, Relation, Type};

/// What kind of row a path has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RowKind {
    Entity(EntityId),
    Owned(OwnedId),
}

impl RowKind {
    pub(crate) fn fields(self, model: &Model) -> &[Field] {
        match self {
            RowKind::Entity(id) => &model.entity(id).fields,
            RowKind::Owned(id) => &model.owned(id).fields,
        }
    }

    pub(crate) fn relations(self, model: &Model) -> &[Relation] {
        match self {
            RowKind::Entity(id) => &model.entity(id).relations,
            RowKind::Owned(id) => &model.owned(id).relations,
        }
    }

    pub(crate) fn name(self, model: &Model) -> &SmolStr {
        match self {
            RowKind::Entity(id) => &model.entity(id).name,
            RowKind::Owned(id) => &model.owned(id).name,
        }
    }
}

/// Where an expression stands, and so what it may name.
#[derive(Clone)]
pub(crate) struct Place<'m> {
    pub(crate) model: &'m Model,
    /// For messages: `a read rule`.
    pub(crate) what: &'static str,
    /// What bare names are fields of.
    pub(crate) row: Option<RowKind>,
    pub(crate) old: bool,
    pub(crate) new: bool,
    pub(crate) caller: bool,
    pub(crate) now: bool,
    /// Whether a path may leave the row.
    pub(crate) hops: bool,
    /// `exists` and `all`.
    pub(crate) quantifiers: bool,
    /// `map`, `filter` and the like over owned lists.
    pub(crate) folds: bool,
    /// Bare names of parameters.
    pub(crate) params: &'m [Param],
    /// What `channel.<name>` means.
    pub(crate) channel: Option<&'m Param>,
    /// A client's text: what it may not see does not exist.
    pub(crate) client: bool,
    /// Names whose own diagnostics have been told; their use is not told again.
    pub(crate) broken: &'m [(SmolStr, SmolStr)],
}

impl<'m> Place<'m> {
    /// A place where only literals mean something.
    pub(crate) fn bare(model: &'m Model, what: &'static str) -> Place<'m> {
        Place {
            model,
            what,
            row: None,
            old: false,
            new: false,
            caller: false,
            now: false,
            hops: false,
            quantifiers: false,
            folds: false,
            params: &[],
            channel: None,
            client: false,
            broken: &[],
        }
    }

    /// A rule about rows of `row`.
    pub(crate) fn rule(model: &'m Model, what: &'static str, row: RowKind) -> Place<'m> {
        Place { row: Some(row), caller: true, now: true, hops: true, quantifiers: true, ..Place::bare(model, what) }
    }

    /// A `filter=` of a client about rows of `entity`.
    pub(crate) fn filter(model: &'m Model, entity: EntityId) -> Place<'m> {
        let row = Some(RowKind::Entity(entity));
        Place { row, hops: true, quantifiers: true, client: true, ..Place::bare(model, "a filter") }
    }

    pub(crate) fn is_broken(&self, owner: &str, member: &str) -> bool {
        is_broken(self.broken, owner, member)
    }

    /// Types `node` as a condition.
    pub(crate) fn condition(&self, node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Expr> {
        Typing { place: self, variables: Vec::new(), diagnostics }.condition(node)
    }

    /// Types `node` as something that can be stored as `ty`.
    pub(crate) fn of_type(&self, node: &Node, ty: Type, diagnostics: &mut Vec<Diagnostic>) -> Option<Expr> {
        let mut typing = Typing { place: self, variables: Vec::new(), diagnostics };
        let expr = typing.value(node)?;
        typing.assign(expr, ty, &node.span)
    }
}

/// Whether it has been told what is wrong with `owner.member`, or with something of `owner` whose name could not be read.
pub(crate) fn is_broken(broken: &[(SmolStr, SmolStr)], owner: &str, member: &str) -> bool {
    let column = member.strip_suffix("_id");
    broken.iter().any(|(of, name)| of == owner && (name.is_empty() || name == member || column == Some(name)))
}

/// A variable of an enclosing `exists`, `all`, `map` or `filter`.
pub(crate) struct Variable {
    name: SmolStr,
    row: RowKind,
}

pub(crate) struct Typing<'p, 'm> {
    pub(crate) place: &'p Place<'m>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) diagnostics: &'p mut Vec<Diagnostic>,
}

impl Typing<'_, '_> {
    fn condition(&mut self, node: &Node) -> Option<Expr> {
        let expr = self.value(node)?;
        if expr.ty == ExprType::BOOLEAN {
            return Some(expr);
        }
        let found = self.type_text(expr.ty);
        self.error(&node.span, format!("this is {found}, not a condition"), "expected a Boolean, as in `a == b`")
    }

    /// Types anything that has a value; what has none (a relation, a root) is told.
    fn value(&mut self, node: &Node) -> Option<Expr> {
        match &node.kind {
            NodeKind::Number(text) => self.number(text, &node.span),
            NodeKind::Text(text) => Some(literals::text(text)),
            NodeKind::Duration(_) => {
                let label = "expected a value; a duration is only added to a DateTime, as in `now() - 7d`";
                self.error(&node.span, "a duration stands alone", label)
            }
            NodeKind::Boolean(value) => Some(literals::boolean(*value)),
            NodeKind::Null => Some(literals::null()),
            NodeKind::Name(_) | NodeKind::Member(..) => self.path_value(node),
            NodeKind::Call(target, name, args) => self.call(target.as_deref(), name, args, &node.span),
            NodeKind::Not(inner) => Some(Expr::boolean(ExprKind::Not(Box::new(self.condition(inner)?)))),
            NodeKind::Negate(inner) => self.negate(inner, &node.span),
            NodeKind::And(parts) => self.conditions(parts).map(|parts| Expr::boolean(ExprKind::And(parts))),
            NodeKind::Or(parts) => self.conditions(parts).map(|parts| Expr::boolean(ExprKind::Or(parts))),
            NodeKind::Binary(operator, left, right) => self.binary(*operator, left, right, &node.span),
            NodeKind::Conditional(condition, yes, no) => self.conditional(condition, yes, no, &node.span),
            NodeKind::List(items) => self.list(items, &node.span),
            NodeKind::Paren(inner) => self.value(inner),
        }
    }

    /// Types every part, so that all their errors are told.
    fn conditions(&mut self, parts: &[Node]) -> Option<Vec<Expr>> {
        let typed: Vec<Option<Expr>> = parts.iter().map(|part| self.condition(part)).collect();
        typed.into_iter().collect()
    }

    fn error<T>(&mut self, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Option<T> {
        self.diagnostics.push(Diagnostic::error(span.clone(), message, label));
        None
    }

    fn error_with_help<T>(&mut self, span: &Span, message: impl Into<String>, label: impl Into<String>, help: &str) -> Option<T> {
        self.diagnostics.push(Diagnostic::error(span.clone(), message, label).help(help));
        None
    }

    fn type_text(&self, ty: ExprType) -> String {
        match ty.base {
            None if ty.list => "an empty list".to_string(),
            None => "null".to_string(),
            Some(base) if ty.list => format!("a list of {}", base_name(self.place.model, base)),
            Some(base) => format!("of type {}", base_name(self.place.model, base)),
        }
    }
}

/// A type as the model file writes it.
pub(crate) fn base_name(model: &Model, base: Base) -> String {
    match base {
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        Base::Enum(id) => model.enumeration(id).name.to_string(),
        Base::Owned(id) => model.owned(id).name.to_string(),
        other => format!("{other:?}"),
    }
}
