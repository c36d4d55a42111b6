//! Follows names from a root to a field.

use smol_str::SmolStr;

use super::{RowKind, Typing};
use crate::ast::{Node, NodeKind, Span, Word};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, ExprKind, ExprType, Path, Scope};
use crate::model::{Base, ClaimId, EntityId, FieldId, KEY, OwnedId, Param, ParamType, RelationId, RelationKind};
use crate::names;

/// What a path has reached.
pub(super) enum Term {
    /// A value.
    Value(Expr),
    /// A row. `column` is the column that holds its key, when it was reached by a relation.
    Row { path: Path, kind: RowKind, column: Option<(Path, FieldId)> },
    /// The rows of a to-many relation.
    Many(Path, RelationId, EntityId),
    /// The elements of an owned list.
    Owned(Path, FieldId, OwnedId),
    /// `caller`.
    Caller,
    /// `channel`.
    Channel,
}

impl Typing<'_, '_> {
    /// A path that must end in a value.
    pub(super) fn path_value(&mut self, node: &Node) -> Option<Expr> {
        match self.term(node)? {
            Term::Value(expr) => Some(expr),
            other => self.no_value(&other, node),
        }
    }

    /// A path that may end in a relation, which then stands for its column: the operand of a null test.
    pub(super) fn nullable_value(&mut self, node: &Node) -> Option<Expr> {
        match self.term(node.bare())? {
            Term::Value(expr) => Some(expr),
            Term::Row { kind: RowKind::Entity(entity), column: Some((path, field)), .. } => Some(self.key_column(path, field, entity)),
            other => self.no_value(&other, node),
        }
    }

    fn no_value(&mut self, term: &Term, node: &Node) -> Option<Expr> {
        let (message, label) = match term {
            Term::Row { .. } => ("this is a row, not a value", "expected a field of it, as in `buyer.id`"),
            Term::Many(..) => ("this is a relation to many rows, not a value", "expected `.exists(x, …)` or `.all(x, …)`"),
            Term::Owned(..) if self.place.folds => ("this is an owned list, not a value", "expected `.map(x, …).sum()` or `.size()`"),
            Term::Owned(..) => ("this is an owned list, not a value", "expected `.exists(x, …)` or `.all(x, …)`"),
            Term::Caller => ("`caller` is no value", "expected a claim, as in `caller.id`"),
            Term::Channel | Term::Value(_) => ("`channel` is no value", "expected its parameter, as in `channel.room.id`"),
        };
        self.error(&node.span, message, label)
    }

    pub(super) fn term(&mut self, node: &Node) -> Option<Term> {
        match &node.kind {
            NodeKind::Name(name) => self.root(name, &node.span),
            NodeKind::Member(base, word) => {
                let term = self.term(base)?;
                self.step(term, word)
            }
            NodeKind::Paren(inner) => self.term(inner),
            _ => self.value(node).map(Term::Value),
        }
    }

    /// The first name of a path.
    fn root(&mut self, name: &SmolStr, span: &Span) -> Option<Term> {
        if let Some(at) = self.variables.iter().rposition(|variable| variable.name == *name) {
            let kind = self.variables.get(at)?.row;
            return Some(whole_row(Scope::Variable(u8::try_from(at).ok()?), kind));
        }
        match name.as_str() {
            "caller" if self.place.caller => return Some(Term::Caller),
            "channel" if self.place.channel.is_some() => return Some(Term::Channel),
            "old" if self.place.old => return self.place.row.map(|kind| whole_row(Scope::Old, kind)),
            "new" if self.place.new => return self.place.row.map(|kind| whole_row(Scope::New, kind)),
            "caller" | "channel" | "old" | "new" => return self.no_root(name, span),
            _ => {}
        }
        if let Some(at) = self.place.params.iter().position(|param| param.name == *name) {
            let (index, param) = (u8::try_from(at).ok()?, self.place.params.get(at)?);
            let scope = if self.place.channel.is_some() { Scope::Channel } else { Scope::Parameter(index) };
            return self.parameter(param, scope, index, span);
        }
        match self.place.row {
            Some(kind) => {
                let path = Path { scope: Scope::Row, hops: Vec::new() };
                self.member(path, kind, name, span)
            }
            None => self.unknown_root(name, span),
        }
    }

    fn no_root(&mut self, name: &str, span: &Span) -> Option<Term> {
        let what = self.place.what;
        let label = match name {
            "old" | "new" => "only an update has a row before and a row after: a rule for `update` alone can name them",
            "caller" => "nobody calls here: expected what depends on the row alone",
            _ => "it has a meaning only within a channel",
        };
        self.error(span, format!("{what} cannot use `{name}`"), label)
    }

    fn unknown_root(&mut self, name: &str, span: &Span) -> Option<Term> {
        if self.place.is_broken("parameter", name) {
            return None;
        }
        let mut known: Vec<&str> = self.place.params.iter().map(|param| param.name.as_str()).collect();
        known.extend(self.place.caller.then_some("caller"));
        known.extend(self.place.channel.is_some().then_some("channel"));
        let near = names::closest(name, known.iter().copied());
        let expected = if known.is_empty() { "expected a literal".to_string() } else { format!("expected {}", quoted(&known)) };
        self.diagnostics.push(Diagnostic::error(span.clone(), format!("unknown name `{name}`"), expected).suggest(near));
        None
    }

    fn parameter(&mut self, param: &Param, scope: Scope, index: u8, span: &Span) -> Option<Term> {
        match param.ty {
            ParamType::Value(ty) => {
                let ty = ExprType { base: Some(ty.base), list: ty.list };
                Some(Term::Value(Expr { kind: ExprKind::Argument(index), ty }))
            }
            ParamType::Entity { entity, list: false, .. } => Some(whole_row(scope, RowKind::Entity(entity))),
            ParamType::Entity { .. } => self.error(span, format!("`{}` is a list of rows", param.name), "expected a single row here"),
        }
    }

    /// One more name of a path.
    fn step(&mut self, term: Term, word: &Word) -> Option<Term> {
        match term {
            Term::Caller => self.claim(word),
            Term::Channel => self.channel_param(word),
            Term::Row { kind: RowKind::Entity(entity), column: Some((path, field)), .. } if word.text == "id" => {
                Some(Term::Value(self.key_column(path, field, entity)))
            }
            Term::Row { column: Some(_), .. } if !self.place.hops => {
                let what = self.place.what;
                self.error(&word.span, format!("{what} sees its own row alone"), "expected `id`, which is the column")
            }
            Term::Row { path, kind, .. } => self.member(path, kind, &word.text, &word.span),
            Term::Value(expr) => {
                let found = self.type_text(expr.ty);
                self.error(&word.span, format!("`{}` of a value {found}", word.text), "a value has no members; expected an operator")
            }
            Term::Many(..) | Term::Owned(..) => {
                let help = "name an element, as in `members.exists(m, m.id == x)`";
                self.error_with_help(&word.span, format!("`{}` of a list of rows", word.text), "expected `exists(…)` or `all(…)`", help)
            }
        }
    }

    /// A field or a relation of the row at the end of `path`.
    fn member(&mut self, path: Path, kind: RowKind, name: &str, span: &Span) -> Option<Term> {
        let model = self.place.model;
        let fields = kind.fields(model);
        if let Some(at) = fields.iter().position(|field| field.name == name && !(self.place.client && field.secret)) {
            return self.field(path, kind, FieldId(u16::try_from(at).ok()?), span);
        }
        let relations = kind.relations(model);
        let Some(at) = relations.iter().position(|relation| relation.name == name) else {
            return self.unknown_member(kind, name, span);
        };
        let (id, relation) = (RelationId(u16::try_from(at).ok()?), relations.get(at)?);
        match relation.kind {
            RelationKind::Many { .. } if !self.place.quantifiers => {
                let what = self.place.what;
                self.error(span, format!("{what} sees its own row alone"), "expected a field; a relation to many rows is not one")
            }
            RelationKind::Many { .. } => Some(Term::Many(path, id, relation.target)),
            RelationKind::One { field, .. } => {
                let mut hops = path.hops.clone();
                hops.push(id);
                let further = Path { scope: path.scope, hops };
                Some(Term::Row { path: further, kind: RowKind::Entity(relation.target), column: Some((path, field)) })
            }
        }
    }

    fn field(&mut self, path: Path, kind: RowKind, id: FieldId, span: &Span) -> Option<Term> {
        let field = kind.fields(self.place.model).get(usize::from(id.0))?;
        if let (Base::Owned(owned), true) = (field.ty.base, field.ty.list) {
            return Some(Term::Owned(path, id, owned));
        }
        if self.place.client && matches!(field.ty.base, Base::Json | Base::Bytes) {
            return self.error(span, format!("`{}` cannot be filtered", field.name), "fields of type Json and Bytes are opaque");
        }
        let ty = ExprType { base: Some(field.ty.base), list: field.ty.list };
        Some(Term::Value(Expr { kind: ExprKind::Field(path, id), ty }))
    }

    fn key_column(&self, path: Path, field: FieldId, entity: EntityId) -> Expr {
        let key = self.place.model.entity(entity).fields.get(usize::from(KEY.0)).map_or(Base::Uuid, |key| key.ty.base);
        Expr { kind: ExprKind::Field(path, field), ty: ExprType::one(key) }
    }

    fn unknown_member(&mut self, kind: RowKind, name: &str, span: &Span) -> Option<Term> {
        let model = self.place.model;
        let owner = kind.name(model);
        if self.place.is_broken(owner, name) {
            return None;
        }
        let message = format!("unknown field `{name}` on `{owner}`");
        let diagnostic = Diagnostic::error(span.clone(), message, format!("expected a field or relation of `{owner}`"));
        let is_enum_value = model.enums.iter().any(|one| one.by_name(name).is_some());
        let fields = kind.fields(model).iter().filter(|field| !(self.place.client && field.secret)).map(|field| field.name.as_str());
        let relations = kind.relations(model).iter().map(|relation| relation.name.as_str());
        let roots = [("caller", self.place.caller), ("channel", self.place.channel.is_some())];
        let roots = roots.into_iter().filter(|(_, known)| *known).map(|(root, _)| root);
        let near = names::closest(name, fields.chain(relations).chain(roots));
        self.diagnostics.push(match near {
            None if is_enum_value => diagnostic.help(format!("a value of an enum is written as a string: `\"{name}\"`")),
            near => diagnostic.suggest(near),
        });
        None
    }

    fn claim(&mut self, word: &Word) -> Option<Term> {
        let claims = &self.place.model.claims;
        if let Some(at) = claims.iter().position(|claim| claim.name == word.text) {
            let claim = claims.get(at)?;
            let ty = ExprType { base: Some(claim.ty.base), list: claim.ty.list };
            return Some(Term::Value(Expr { kind: ExprKind::Claim(ClaimId(u16::try_from(at).ok()?)), ty }));
        }
        if self.place.is_broken("caller", &word.text) {
            return None;
        }
        let label = if claims.is_empty() { "the model has no `caller` block" } else { "expected a field of the `caller` block" };
        let near = names::closest(&word.text, claims.iter().map(|claim| claim.name.as_str()));
        let message = format!("unknown claim `{}`", word.text);
        self.diagnostics.push(Diagnostic::error(word.span.clone(), message, label).suggest(near));
        None
    }

    fn channel_param(&mut self, word: &Word) -> Option<Term> {
        let param = self.place.channel?;
        if param.name == word.text {
            return self.parameter(param, Scope::Channel, 0, &word.span);
        }
        let message = format!("unknown parameter `{}` of the channel", word.text);
        self.diagnostics
            .push(Diagnostic::error(word.span.clone(), message, format!("expected `{}`", param.name)).suggest(Some(&param.name)));
        None
    }
}

fn whole_row(scope: Scope, kind: RowKind) -> Term {
    Term::Row { path: Path { scope, hops: Vec::new() }, kind, column: None }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}
