//! `lines.filter(l, …).map(l, …).sum()`: aggregates over an owned list.

use super::literals::is_number;
use super::paths::Term;
use super::{RowKind, Typing};
use crate::ast::{Node, NodeKind, Span, Word};
use crate::expr::{Expr, ExprKind, ExprType, Fold, FoldBy, Scope};
use crate::model::{Base, FieldId, OwnedId};

/// The chain before `.sum()`, as it is gathered.
struct Chain {
    list: FieldId,
    of: OwnedId,
    filters: Vec<Expr>,
    map: Option<Expr>,
}

impl Typing<'_, '_> {
    /// Whether this is an owned list, perhaps filtered or mapped. Tells nothing.
    pub(super) fn folds_over(&self, node: &Node) -> bool {
        match &node.bare().kind {
            NodeKind::Call(Some(target), name, _) => matches!(name.text.as_str(), "map" | "filter") && self.folds_over(target),
            NodeKind::Name(name) => self.place.row.is_some_and(|row| {
                let owned = |base: Base| matches!(base, Base::Owned(_));
                row.fields(self.place.model).iter().any(|field| field.name == *name && owned(field.ty.base))
            }),
            _ => false,
        }
    }

    pub(super) fn unfinished_fold(&mut self, name: &Word) -> Option<Expr> {
        let message = format!("`{}` gives a list, not a value", name.text);
        self.error(&name.span, message, "expected `.sum()`, `.min()`, `.max()` or `.size()` after it")
    }

    pub(super) fn fold(&mut self, target: Option<&Node>, name: &Word, args: &[Node], span: &Span) -> Option<Expr> {
        let (Some(target), true) = (target, args.is_empty()) else {
            let label = format!("expected `lines.map(l, …).{}()`", name.text);
            return self.error(span, format!("`{}` ends a chain over an owned list", name.text), label);
        };
        if !self.place.folds {
            let what = self.place.what;
            return self.error(span, format!("{what} cannot use `{}`", name.text), "only a computed field folds a list");
        }
        let chain = self.chain(target)?;
        let by = match name.text.as_str() {
            "sum" => FoldBy::Sum,
            "min" => FoldBy::Min,
            "max" => FoldBy::Max,
            _ => FoldBy::Size,
        };
        let ty = self.fold_type(by, &chain, name)?;
        let map = if by == FoldBy::Size { None } else { chain.map.map(Box::new) };
        Some(Expr { kind: ExprKind::Fold(Fold { list: chain.list, filters: chain.filters, map, by }), ty })
    }

    fn fold_type(&mut self, by: FoldBy, chain: &Chain, name: &Word) -> Option<ExprType> {
        if by == FoldBy::Size {
            return Some(ExprType::one(Base::Int));
        }
        let Some(map) = &chain.map else {
            return self.error(&name.span, format!("`{}` of whole elements", name.text), "expected `.map(x, …)` before it");
        };
        let base = map.ty.base.filter(|_| !map.ty.list);
        let fits = match by {
            FoldBy::Sum => base.is_some_and(is_number),
            _ => base.is_some_and(|base| is_number(base) || matches!(base, Base::String | Base::Date | Base::DateTime)),
        };
        if !fits {
            let found = self.type_text(map.ty);
            return self.error(&name.span, format!("`{}` of what is {found}", name.text), "expected numbers");
        }
        // A sum of Decimals keeps the scale and may need more digits.
        Some(match base {
            Some(Base::Decimal { scale, .. }) => ExprType::one(Base::Decimal { precision: 18, scale }),
            _ => map.ty,
        })
    }

    fn chain(&mut self, node: &Node) -> Option<Chain> {
        if let NodeKind::Call(Some(target), name, args) = &node.bare().kind {
            let mut chain = self.chain(target)?;
            let [variable, body] = args.as_slice() else {
                return self.error(&node.span, format!("`{}` takes a variable and an expression", name.text), "expected `(x, …)`");
            };
            if chain.map.is_some() {
                return self.error(&name.span, format!("`{}` after `map`", name.text), "expected `filter` before `map`, and one `map`");
            }
            let row = RowKind::Owned(chain.of);
            match name.text.as_str() {
                "filter" => chain.filters.push(self.with_variable(variable, row, |typing| typing.condition(body))?),
                "map" => chain.map = Some(self.with_variable(variable, row, |typing| typing.value(body))?),
                _ => return self.error(&name.span, format!("`{}` within a chain", name.text), "expected `filter` or `map`"),
            }
            return Some(chain);
        }
        match self.term(node)? {
            Term::Owned(path, list, of) if path.scope == Scope::Row && path.hops.is_empty() => {
                Some(Chain { list, of, filters: Vec::new(), map: None })
            }
            _ => self.error(&node.span, "this is no owned list of the row", "expected an owned list"),
        }
    }
}
