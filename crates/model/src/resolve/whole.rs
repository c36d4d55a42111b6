//! What can only be seen of the whole model: attributes that contradict each other, and what is legal but perhaps not meant.

use smol_str::SmolStr;

use super::Resolver;
use super::entity_attrs::blocks;
use super::reads::reads;
use crate::ast::Span;
use crate::classes::class;
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, ExprKind};
use crate::model::*;
use crate::typing::RowKind;

impl Resolver<'_> {
    pub(super) fn whole(&mut self) {
        for at in 0..self.model.entities.len() {
            let id = EntityId(at as u16);
            let found = class(self.model.entity(id));
            if let Some(entity) = self.model.entities.get_mut(at) {
                entity.class = found;
            }
            self.contradictions(RowKind::Entity(id));
            self.public_cache(id);
            self.captured(id);
            self.unwatchable(id);
            self.enums_of_rules(id);
            self.unindexed_views(id);
            self.disclosures(RowKind::Entity(id));
        }
        for at in 0..self.model.owned.len() {
            let row = RowKind::Owned(OwnedId(at as u16));
            self.contradictions(row);
            self.disclosures(row);
        }
        self.followed_channels();
    }

    pub(super) fn member_span(&self, entity: &SmolStr, member: &str) -> Span {
        self.spans.get(&(entity.clone(), SmolStr::new(member))).cloned().unwrap_or_default()
    }

    /// Where a block attribute of an entity stands; else the entity's name.
    fn block_span(&self, id: EntityId, name: &str) -> Span {
        let item = self.entity_items.get(usize::from(id.0)).map(|(_, item)| *item);
        let block = item.into_iter().flat_map(blocks).find(|attr| attr.name.text == name).map(|attr| attr.span.clone());
        block.unwrap_or_else(|| item.map_or(0..0, |item| item.name.span.clone()))
    }

    fn warn(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::warning(span, message, label).help(help));
    }

    /// What a rule lets only some callers see must not lie in a shared cache.
    fn public_cache(&mut self, id: EntityId) {
        let entity = self.model.entity(id);
        if !entity.cache.is_some_and(|cache| cache.public) {
            return;
        }
        let rules = entity.rules_for(Verb::Read).map(|rule| &rule.expr);
        let masks = entity.fields.iter().filter_map(|field| field.read_rule.as_ref());
        if rules.chain(masks).any(|expr| expr.any(&|part| matches!(part.kind, ExprKind::Claim(_)))) {
            let span = self.block_span(id, "cache");
            self.error(
                &span,
                "`@@cache(public)` where a read rule asks who calls",
                "a shared cache would show it to everybody; expected `private`",
            );
        }
    }

    /// What the server puts into a row cannot be in one that others write.
    fn captured(&mut self, id: EntityId) {
        let entity = self.model.entity(id);
        if !entity.captured {
            return;
        }
        let why = |(field_id, field): (FieldId, &Field)| {
            let what = match field {
                _ if field.computed.is_some() => "`@computed`",
                _ if field.set.is_some() => "`@set`",
                _ if matches!(field.ty.base, Base::Owned(_)) => "a list of owned values",
                _ if field_id != KEY && matches!(field.default, Some(Default::Next)) => "`@default(next())`",
                _ => return None,
            };
            Some((field.name.clone(), what))
        };
        let found: Vec<(SmolStr, &str)> = entity.field_ids().filter_map(why).collect();
        let owner = entity.name.clone();
        for (name, what) in found {
            let span = self.member_span(&owner, &name);
            self.error_with_help(
                &span,
                format!("`{name}` is {what}, in an entity with `@@capture`"),
                "whoever writes the row beside the server does not give it its value",
                "take it away, or take `@@capture` away",
            );
        }
    }

    fn unwatchable(&mut self, id: EntityId) {
        let entity = self.model.entity(id);
        if entity.class == RuleClass::General && entity.watch && !entity.internal {
            let (name, span) = (entity.name.clone(), self.block_span(id, "allow"));
            let message = format!("`{name}` cannot be watched: a read rule of class G");
            self.warn(span, message, "it looks at other rows than one membership of the caller", "write `@@watch(false)` if that is meant");
        }
    }

    /// An enum that a rule trusts and clients may write: anybody sets themselves `paid`.
    fn enums_of_rules(&mut self, id: EntityId) {
        let entity = self.model.entity(id);
        let named = |field: FieldId| {
            let tests = |expr: &Expr| reads(&self.model, RowKind::Entity(id), expr).iter().any(|read| read.own && read.field == field);
            entity.rules.iter().any(|rule| !rule.verbs.contains(&Verb::Read) && tests(&rule.expr))
        };
        let writable = |field: FieldId| {
            let sets = |rule: &Rule| rule.fields.as_ref().is_none_or(|fields| fields.contains(&field));
            entity.rules_for(Verb::Update).any(|rule| sets(rule) && !only_roles(&rule.expr))
        };
        let open = |field: &Field| field.writable() && !field.once && field.write_rule.is_none() && matches!(field.ty.base, Base::Enum(_));
        let found = entity.field_ids().filter(|(at, field)| open(field) && named(*at) && writable(*at));
        let found: Vec<SmolStr> = found.map(|(_, field)| field.name.clone()).collect();
        let owner = entity.name.clone();
        for name in found {
            let span = self.member_span(&owner, &name);
            let help = "write `@readonly` and move it by actions, or name what callers may set by `fields:`";
            self.warn(
                span,
                format!("a rule depends on `{name}`, and callers may write it"),
                "whoever may update the row moves it as they like",
                help,
            );
        }
    }

    /// A view of many rows, and a nested read, look rows up by the other side's column.
    fn unindexed_views(&mut self, id: EntityId) {
        let mut found = Vec::new();
        for relation in &self.model.entity(id).relations {
            // The key is no column that leads here: this relation's own error has been told.
            let RelationKind::Many { field, .. } = relation.kind else { continue };
            if field == KEY {
                continue;
            }
            let target = self.model.entity(relation.target);
            let leads = |first: Option<FieldId>| first == Some(field);
            let indexed = target.indexes.iter().any(|index| leads(index.fields.first().map(|(field, _)| *field)))
                || target.uniques.iter().any(|unique| leads(unique.first().copied()));
            if let (false, Some(column)) = (indexed, target.fields.get(usize::from(field.0))) {
                found.push((relation.name.clone(), target.name.clone(), column.name.clone()));
            }
        }
        let owner = self.model.entity(id).name.clone();
        for (member, target, column) in found {
            let span = self.member_span(&owner, &member);
            let message = format!("no index leads with `{column}` of `{target}`");
            self.warn(
                span,
                message,
                "reading these rows looks through the whole table",
                format!("write `@@index({column})` in `{target}`"),
            );
        }
    }
}

/// A rule that only asks for the caller, as `"admin" in caller.roles`: whom it trusts may do as they like.
fn only_roles(expr: &Expr) -> bool {
    !expr.any(&|part| matches!(part.kind, ExprKind::Field(..) | ExprKind::Quantified(..)))
        && expr.any(&|part| matches!(part.kind, ExprKind::Claim(_)))
}
