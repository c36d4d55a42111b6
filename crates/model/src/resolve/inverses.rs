//! Relations to many rows: which relation of the target each is the view of.

use smol_str::SmolStr;

use super::{Declared, Placed, Resolver, args};
use crate::ast::{ArgValue, Attr, FieldItem, MemberItem, NodeKind};
use crate::model::*;
use crate::names;

impl Resolver<'_> {
    /// Each to-many relation is the view of a to-one relation of its target.
    pub(super) fn inverses(&mut self) {
        for at in 0..self.entity_items.len() {
            let Some((_, item)) = self.entity_items.get(at).copied() else { continue };
            let placed = self.entity_placed.get(at).cloned().unwrap_or_default();
            for (member, placed) in item.members.iter().zip(placed) {
                if let (MemberItem::Field(field), Placed::Many(relation)) = (member, placed) {
                    let kind = self.inverse(EntityId(at as u16), field);
                    let slot = self.model.entities.get_mut(at).and_then(|entity| entity.relations.get_mut(usize::from(relation.0)));
                    if let (Some(kind), Some(slot)) = (kind, slot) {
                        slot.kind = kind;
                    }
                }
            }
        }
    }

    fn inverse(&mut self, of: EntityId, field: &FieldItem) -> Option<RelationKind> {
        let Some(Declared::Entity(target)) = self.types.get(&field.ty.name.text).copied() else { return None };
        let model = &self.model;
        let target = model.entity(target);
        let towards = |relation: &Relation| match relation.kind {
            RelationKind::One { field, .. } if relation.target == of => Some(field),
            _ => None,
        };
        let candidates = target.relations.iter().enumerate();
        let candidates: Vec<(u16, SmolStr, FieldId)> =
            candidates.filter_map(|(at, one)| Some((at as u16, one.name.clone(), towards(one)?))).collect();
        let named = self.inverse_name(field);
        let fitting: Vec<_> = candidates.iter().filter(|(_, name, _)| named.as_ref().is_none_or(|wanted| wanted == name)).collect();
        if let [(at, _, column)] = fitting.as_slice() {
            return Some(RelationKind::Many { inverse: RelationId(*at), field: *column });
        }
        let (entity, other) = (model.entity(of).name.clone(), field.ty.name.text.clone());
        let known = candidates.iter().map(|(_, name, _)| name.to_string()).collect::<Vec<_>>();
        // What is wrong with the attribute itself is told with the others.
        let unnamed = named.is_none() && field.attrs.iter().any(|attr| attr.name.text == "relation");
        if unnamed && !known.is_empty() {
            return None;
        }
        // A broken member of the target may be the one; its error has been told.
        if known.is_empty() && self.broken.iter().any(|(owner, _)| *owner == other) {
            return None;
        }
        let (message, help) = match (known.is_empty(), named) {
            (true, _) => {
                let snake = names::snake(&entity);
                (format!("`{other}` has no relation to `{entity}`"), format!("add `{snake} {entity}` to `{other}`"))
            }
            (false, Some(named)) => {
                (format!("`{named}` is no relation of `{other}` to `{entity}`"), format!("expected one of: {}", known.join(" ")))
            }
            (false, None) => {
                let first = known.first().map(String::as_str).unwrap_or_default();
                let help = format!("say which, as in `@relation(inverse: {first})`; it may be one of: {}", known.join(" "));
                (format!("`{other}` has {} relations to `{entity}`", known.len()), help)
            }
        };
        self.error_with_help(&field.name.span, message, format!("this views the rows of `{other}` that lead here"), help);
        None
    }

    /// `inverse:` of `@relation`; the attribute itself is checked with the others.
    fn inverse_name(&self, field: &FieldItem) -> Option<SmolStr> {
        let attr: &Attr = field.attrs.iter().find(|attr| attr.name.text == "relation")?;
        let mut unheard = Vec::new();
        let arg = args::split(attr, &["inverse", "delete"], &mut unheard).named("inverse")?;
        match &arg.value {
            ArgValue::Expr(node) => match &node.kind {
                NodeKind::Name(name) => Some(name.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}
