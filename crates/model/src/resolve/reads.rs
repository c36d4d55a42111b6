//! What an expression reads: each field, and whether a read rule stands before the rows on the way to it.

use crate::expr::{Collection, Expr, ExprKind, Path, Scope};
use crate::model::*;
use crate::typing::RowKind;

/// One field that an expression reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// What it is a field of.
    pub(super) of: RowKind,
    pub(super) field: FieldId,
    /// Of the row that the expression is about, and not of a row that it leads to.
    pub(super) own: bool,
    /// Whether a row on the way is not for everybody to read.
    pub(super) closed: bool,
}

/// A row that a path can start at.
#[derive(Clone, Copy)]
struct Start {
    of: RowKind,
    own: bool,
    closed: bool,
}

/// Every field that `expr`, which is about a row of `row`, reads.
pub(super) fn reads(model: &Model, row: RowKind, expr: &Expr) -> Vec<Read> {
    let mut walk = Walk { model, row, variables: Vec::new(), found: Vec::new() };
    walk.expr(expr);
    walk.found
}

struct Walk<'m> {
    model: &'m Model,
    row: RowKind,
    variables: Vec<Start>,
    found: Vec<Read>,
}

impl Walk<'_> {
    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Field(path, field) => self.field(path, *field),
            ExprKind::Quantified(_, collection, body) => {
                let element = self.element(collection);
                self.within(element, &[body]);
            }
            ExprKind::Fold(fold) => {
                let path = Path { scope: Scope::Row, hops: Vec::new() };
                let element = self.element(&Collection::Owned(path, fold.list));
                let bodies: Vec<&Expr> = fold.filters.iter().chain(fold.map.as_deref()).collect();
                self.within(element, &bodies);
            }
            _ => expr.parts().into_iter().for_each(|part| self.expr(part)),
        }
    }

    fn field(&mut self, path: &Path, field: FieldId) {
        if let Some(Start { of, own, closed }) = self.follow(path) {
            self.found.push(Read { of, field, own, closed });
        }
    }

    fn within(&mut self, element: Option<Start>, bodies: &[&Expr]) {
        // Without an element nothing is known of what the bodies read.
        let Some(element) = element else { return };
        self.variables.push(element);
        bodies.iter().for_each(|body| self.expr(body));
        self.variables.pop();
    }

    fn element(&mut self, collection: &Collection) -> Option<Start> {
        match collection {
            Collection::Owned(path, list) => {
                self.field(path, *list);
                let start = self.follow(path)?;
                let Base::Owned(of) = start.of.fields(self.model).get(usize::from(list.0))?.ty.base else { return None };
                Some(Start { of: RowKind::Owned(of), own: false, ..start })
            }
            Collection::Relation(path, relation) => {
                let start = self.follow(path)?;
                self.step(start, *relation)
            }
        }
    }

    fn follow(&self, path: &Path) -> Option<Start> {
        let start = match path.scope {
            Scope::Row | Scope::Old | Scope::New => Start { of: self.row, own: true, closed: false },
            Scope::Variable(at) => *self.variables.get(usize::from(at))?,
            Scope::Parameter(_) | Scope::Channel => return None,
        };
        path.hops.iter().try_fold(start, |start, hop| self.step(start, *hop))
    }

    fn step(&self, start: Start, hop: RelationId) -> Option<Start> {
        let target = start.of.relations(self.model).get(usize::from(hop.0))?.target;
        let closed = start.closed || !self.model.entity(target).is_open();
        Some(Start { of: RowKind::Entity(target), own: false, closed })
    }
}
