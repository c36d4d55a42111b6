//! The attributes of claims and of members: which stands where, and what it says.

use smol_str::SmolStr;

use super::{Placed, Resolver, args};
use crate::ast::{Attr, FieldItem, Item, ItemKind, MemberItem};
use crate::diagnostics::Diagnostic;
use crate::model::*;
use crate::names;
use crate::typing::RowKind;

impl Resolver<'_> {
    /// `@claim` of the `caller` block's fields.
    pub(super) fn claim_attrs(&mut self) {
        let Some(Item { kind: ItemKind::Caller(members), .. }) = self.caller_item() else { return };
        for member in members {
            let MemberItem::Field(field) = member else { continue };
            for attr in &field.attrs {
                if attr.name.text != "claim" {
                    self.unknown_attr(attr, "a claim", &["claim"]);
                    continue;
                }
                let Some((path, _)) =
                    args::text(attr, "where it stands in the token, as in `@claim(\"realm.roles\")`", &mut self.diagnostics)
                else {
                    continue;
                };
                let path = SmolStr::new(path);
                if let Some(claim) = self.model.claims.iter_mut().find(|claim| claim.name == field.name.text) {
                    claim.path = path;
                }
            }
        }
    }

    /// The attributes of every member of entities and owned types.
    pub(super) fn member_attrs(&mut self) {
        for at in 0..self.entity_items.len() {
            let Some((_, item)) = self.entity_items.get(at).copied() else { continue };
            let placed = self.entity_placed.get(at).cloned().unwrap_or_default();
            for (member, placed) in item.members.iter().zip(placed) {
                if let MemberItem::Field(field) = member {
                    self.member(RowKind::Entity(EntityId(at as u16)), field, placed);
                }
            }
        }
        for at in 0..self.owned_items.len() {
            let Some((_, item)) = self.owned_items.get(at).copied() else { continue };
            let placed = self.owned_placed.get(at).cloned().unwrap_or_default();
            for (member, placed) in item.members.iter().zip(placed) {
                match member {
                    MemberItem::Field(field) => self.member(RowKind::Owned(OwnedId(at as u16)), field, placed),
                    MemberItem::Block(attr) => self.error(&attr.span, "an owned type has no rules of its own", "expected a field"),
                }
            }
        }
    }

    fn member(&mut self, row: RowKind, item: &FieldItem, placed: Placed) {
        let mut seen: Vec<SmolStr> = Vec::new();
        for attr in &item.attrs {
            let repeatable = attr.name.text == "allow";
            if !repeatable && seen.contains(&attr.name.text) {
                self.error(&attr.span, format!("`@{}` is given twice", attr.name.text), "expected it once");
                continue;
            }
            seen.push(attr.name.text.clone());
            match placed {
                Placed::Field(field) => self.field_attr(row, field, attr),
                Placed::One(_, relation) if attr.name.text == "relation" => self.relation_attr(row, relation, attr),
                Placed::One(field, _) => self.field_attr(row, field, attr),
                Placed::Many(_) => self.many_attr(attr),
                Placed::Nothing => {}
            }
        }
        self.key_has_key(row, item, placed, &seen);
    }

    fn key_has_key(&mut self, row: RowKind, item: &FieldItem, placed: Placed, seen: &[SmolStr]) {
        let is_key = matches!((row, placed), (RowKind::Entity(_), Placed::Field(KEY)));
        if is_key && !seen.iter().any(|name| name == "key") {
            self.error_with_help(&item.span, "the field `id` is the key", "expected `@key`", "write `@key` after its type");
        }
    }

    /// `@relation(delete: …)` of a to-one relation.
    fn relation_attr(&mut self, row: RowKind, relation: RelationId, attr: &Attr) {
        let split = args::split(attr, &["delete"], &mut self.diagnostics);
        let Some(arg) = split.named("delete") else { return self.empty_relation(attr, "`@relation(delete: cascade)`") };
        let Some(word) = args::word(arg, attr, "`restrict`, `cascade` or `null`", &mut self.diagnostics) else { return };
        let on_delete = match word {
            "restrict" => OnDelete::Restrict,
            "cascade" => OnDelete::Cascade,
            "null" => OnDelete::Null,
            other => {
                let near = names::closest(other, ["restrict", "cascade", "null"].into_iter());
                let label = "expected `restrict`, `cascade` or `null`";
                self.diagnostics.push(Diagnostic::error(arg.span.clone(), format!("unknown `delete: {other}`"), label).suggest(near));
                return;
            }
        };
        let RowKind::Entity(entity) = row else {
            self.error(&attr.span, "an owned type's relation restricts", "a deleted row never changes an owned list; take `delete:` away");
            return;
        };
        self.set_on_delete(entity, relation, on_delete, attr);
    }

    fn set_on_delete(&mut self, entity: EntityId, relation: RelationId, wanted: OnDelete, attr: &Attr) {
        let Some(entity) = self.model.entities.get_mut(usize::from(entity.0)) else { return };
        let Some(RelationKind::One { field, on_delete }) = entity.relations.get_mut(usize::from(relation.0)).map(|one| &mut one.kind)
        else {
            return;
        };
        let nullable = entity.fields.get(usize::from(field.0)).is_some_and(|field| field.ty.nullable);
        *on_delete = wanted;
        if wanted == OnDelete::Null && !nullable {
            self.error(&attr.span, "`delete: null` on a relation that is never null", "expected a nullable relation, as in `User?`");
        }
    }

    /// A to-many relation is a view: nothing is stored.
    fn many_attr(&mut self, attr: &Attr) {
        match attr.name.text.as_str() {
            // The first pass took it down.
            "was" => return,
            "relation" => {}
            _ => return self.unknown_attr(attr, "a relation to many rows", &["relation", "was"]),
        }
        let split = args::split(attr, &["inverse"], &mut self.diagnostics);
        let Some(arg) = split.named("inverse") else { return self.empty_relation(attr, "`@relation(inverse: buyer)`") };
        let _ = args::word(arg, attr, "a relation of the target, as in `inverse: buyer`", &mut self.diagnostics);
    }

    /// `@relation` without what it is for; an argument of another name has been told.
    fn empty_relation(&mut self, attr: &Attr, form: &str) {
        if attr.args.iter().all(|arg| arg.name.is_none()) {
            self.error(&attr.span, "`@relation` does not read like this", format!("expected {form}"));
        }
    }

    /// Tells that an attribute does not stand here.
    pub(super) fn unknown_attr(&mut self, attr: &Attr, of: &str, known: &[&str]) {
        let near = names::closest(&attr.name.text, known.iter().copied());
        let label = format!("expected one of: {}", known.iter().map(|name| format!("@{name}")).collect::<Vec<_>>().join(" "));
        let message = format!("`@{}` is no attribute of {of}", attr.name.text);
        let near = near.map(|near| format!("@{near}"));
        self.diagnostics.push(Diagnostic::error(attr.name.span.clone(), message, label).suggest(near.as_deref()));
    }
}
