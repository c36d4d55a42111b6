//! The block attributes of entities: rules, indexes, and how an entity is kept and shown.

use smol_str::SmolStr;

use super::{Resolver, args};
use crate::ast::{Arg, ArgValue, Attr, MemberItem, Node, NodeKind, TypeItem};
use crate::diagnostics::{Diagnostic, place};
use crate::model::*;
use crate::names;
use crate::typing::{RowKind, is_broken};

const KNOWN: [&str; 14] = [
    "allow",
    "before",
    "cache",
    "capture",
    "expose",
    "index",
    "internal",
    "name",
    "readonly",
    "require_revision",
    "retain",
    "unique",
    "was",
    "watch",
];
/// `@@allow` and the like may stand several times.
const REPEATABLE: [&str; 4] = ["allow", "index", "unique", "before"];
/// Fields of one index.
const INDEX_FIELDS_MAX: usize = 8;

pub(super) fn blocks(item: &TypeItem) -> impl Iterator<Item = &Attr> {
    item.members.iter().filter_map(|member| match member {
        MemberItem::Block(attr) => Some(attr),
        MemberItem::Field(_) => None,
    })
}

impl Resolver<'_> {
    /// Every block attribute of every entity.
    pub(super) fn entity_attrs(&mut self, text: &str) {
        for at in 0..self.entity_items.len() {
            let Some((_, item)) = self.entity_items.get(at).copied() else { continue };
            let mut seen: Vec<&str> = Vec::new();
            for attr in blocks(item) {
                let name = attr.name.text.as_str();
                if seen.contains(&name) && !REPEATABLE.contains(&name) {
                    self.error(&attr.span, format!("`@@{name}` is given twice"), "expected it once");
                    continue;
                }
                seen.push(name);
                self.entity_attr(EntityId(at as u16), attr, text);
            }
        }
    }

    fn entity_attr(&mut self, id: EntityId, attr: &Attr, text: &str) {
        match attr.name.text.as_str() {
            // Taken down before numbering.
            "was" | "name" => {}
            "allow" => self.allow_block(id, attr, text),
            "index" => self.index_block(id, attr),
            "unique" => self.unique_block(id, attr),
            "cache" => self.cache_block(id, attr),
            "require_revision" | "internal" | "readonly" | "capture" => self.flag_block(id, attr),
            "retain" => self.retain_block(id, attr),
            "watch" => self.watch_block(id, attr),
            "expose" => self.expose_block(id, attr),
            "before" => self.before_block(id, attr),
            _ => self.unknown_block(attr),
        }
    }

    fn unknown_block(&mut self, attr: &Attr) {
        let near = names::closest(&attr.name.text, KNOWN.into_iter());
        let label = format!("expected one of: {}", KNOWN.map(|name| format!("@@{name}")).join(" "));
        let message = format!("`@@{}` is no attribute of an entity", attr.name.text);
        let help = (attr.name.text == "id")
            .then_some("an entity's key is its field `id`; other fields that are unique together are `@@unique(a, b)`");
        let diagnostic = Diagnostic::error(attr.name.span.clone(), message, label);
        self.diagnostics.push(match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic.suggest(near.map(|near| format!("@@{near}")).as_deref()),
        });
    }

    fn change_entity(&mut self, id: EntityId, change: impl FnOnce(&mut Entity)) {
        if let Some(entity) = self.model.entities.get_mut(usize::from(id.0)) {
            change(entity);
        }
    }

    /// `@@allow(verbs, expr, fields: [..])`.
    fn allow_block(&mut self, id: EntityId, attr: &Attr, text: &str) {
        let split = args::split(attr, &["fields"], &mut self.diagnostics);
        let form = "verbs and a condition, as in `@@allow(read, update, owner.id == caller.id)`";
        let Some((condition, verbs)) = split.positional.split_last().filter(|(_, verbs)| !verbs.is_empty()) else {
            self.error(&attr.span, "`@@allow` does not read like this", format!("expected {form}"));
            return;
        };
        let verbs = self.verbs(verbs, attr);
        let Some(node) = args::node(condition, attr, form, &mut self.diagnostics) else { return };
        let reads = verbs.contains(&Verb::Read);
        let updates = verbs == [Verb::Update];
        let what = rule_name(&verbs);
        let expr = self.condition(node, what, RowKind::Entity(id), |place| {
            (place.now, place.old, place.new) = (!reads, updates, updates);
        });
        let fields = split.named("fields").and_then(|arg| self.rule_fields(id, &verbs, arg, attr));
        let Some(expr) = expr else { return };
        let rule_text = SmolStr::new(text.get(node.span.clone()).unwrap_or_default());
        let (line, _) = place(text, attr.span.start);
        self.change_entity(id, |entity| entity.rules.push(Rule { verbs, expr, fields, text: rule_text, line }));
    }

    fn verbs(&mut self, args: &[&Arg], attr: &Attr) -> Vec<Verb> {
        let mut verbs = Vec::new();
        for arg in args {
            let Some(verb) = args::verb(arg, attr, &mut self.diagnostics) else { continue };
            if verbs.contains(&verb) {
                self.error(&arg.span, format!("`{}` is given twice", format!("{verb:?}").to_lowercase()), "expected it once");
            } else {
                verbs.push(verb);
            }
        }
        verbs
    }

    /// `fields: [a, b]`: what callers may set; a relation stands for its column.
    fn rule_fields(&mut self, id: EntityId, verbs: &[Verb], arg: &Arg, attr: &Attr) -> Option<Vec<FieldId>> {
        if !verbs.iter().any(|verb| matches!(verb, Verb::Create | Verb::Update)) {
            self.error(&arg.span, "`fields:` on a rule that lets nobody write", "it says what may be set at create and update");
        }
        let ArgValue::Expr(Node { kind: NodeKind::List(items), .. }) = &arg.value else {
            // Without a list, everything could be set.
            let message = format!("`@@{}` does not read like this", attr.name.text);
            self.error(&arg.span, message, "expected a list of fields, as in `fields: [title, price]`");
            return None;
        };
        let mut fields = Vec::new();
        for item in items {
            let Some(field) = self.named_field(id, item) else { continue };
            let writable = self.model.entity(id).fields.get(usize::from(field.0)).is_some_and(Field::writable);
            if !writable {
                self.error(&item.span, "a field that no caller ever sets", "it is `@computed`, `@set` or `@readonly`; expected another");
            }
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        Some(fields)
    }

    /// A field of the entity by its name; `buyer` and `buyer.id` are the column of a relation.
    fn named_field(&mut self, id: EntityId, node: &Node) -> Option<FieldId> {
        let entity = self.model.entity(id);
        let name = match &node.kind {
            NodeKind::Name(name) => Some(name),
            NodeKind::Member(root, word) if word.text == "id" => root.name(),
            _ => None,
        };
        let Some(name) = name else {
            self.error(&node.span, "this is no field's name", format!("expected a field of `{}`", self.model.entity(id).name));
            return None;
        };
        if let Some(field) = entity.field_by_name(name).filter(|_| matches!(node.kind, NodeKind::Name(_))) {
            return Some(field);
        }
        if let Some(relation) = entity.relation_by_name(name) {
            match entity.relation(relation).kind {
                RelationKind::One { field, .. } => return Some(field),
                RelationKind::Many { .. } => {
                    self.error(&node.span, format!("`{name}` is a relation to many rows"), "nothing is stored here; expected a field");
                    return None;
                }
            }
        }
        let owner = entity.name.clone();
        if is_broken(&self.broken, &owner, name) {
            return None;
        }
        let near = names::closest(name, entity.fields.iter().map(|field| field.name.as_str()));
        let diagnostic =
            Diagnostic::error(node.span.clone(), format!("unknown field `{name}` on `{owner}`"), format!("expected a field of `{owner}`"));
        self.diagnostics.push(diagnostic.suggest(near));
        None
    }

    /// Fields with whether each descends, as `@@index` and `@@unique` list them.
    fn sorted_fields(&mut self, id: EntityId, attr: &Attr, sorted: bool) -> Option<Vec<(FieldId, bool)>> {
        let split = args::split(attr, &[], &mut self.diagnostics);
        let form = if sorted { "fields, as in `@@index(title, price desc)`" } else { "fields, as in `@@unique(order_id, line)`" };
        if split.positional.is_empty() || split.positional.len() > INDEX_FIELDS_MAX {
            self.error(
                &attr.span,
                format!("`@@{}` does not read like this", attr.name.text),
                format!("expected 1 to {INDEX_FIELDS_MAX} {form}"),
            );
            return None;
        }
        let mut fields: Vec<(FieldId, bool)> = Vec::new();
        for arg in &split.positional {
            let (node, descends) = match &arg.value {
                ArgValue::Expr(node) => (node, false),
                ArgValue::Sorted(node, descends) if sorted => (node, *descends),
                _ => {
                    self.error(&arg.span, format!("`@@{}` does not read like this", attr.name.text), format!("expected {form}"));
                    return None;
                }
            };
            let field = self.named_field(id, node)?;
            if !self.indexable(id, field, node) {
                return None;
            }
            if fields.iter().any(|(other, _)| *other == field) {
                self.error(&node.span, "a field stands here twice", "expected each once");
                return None;
            }
            fields.push((field, descends));
        }
        Some(fields)
    }

    fn indexable(&mut self, id: EntityId, field: FieldId, node: &Node) -> bool {
        let ty = self.model.entity(id).field(field).ty;
        let fits = !ty.list && !matches!(ty.base, Base::Json | Base::Owned(_));
        if !fits {
            self.error(&node.span, "a list or Json has no index", "expected a field of a single scalar");
        }
        fits
    }

    fn index_block(&mut self, id: EntityId, attr: &Attr) {
        let Some(fields) = self.sorted_fields(id, attr, true) else { return };
        if self.model.entity(id).indexes.iter().any(|other| other.fields == fields) {
            self.error(&attr.span, "an index of these fields is there already", "expected it once");
            return;
        }
        self.change_entity(id, |entity| entity.indexes.push(Index { fields }));
    }

    fn unique_block(&mut self, id: EntityId, attr: &Attr) {
        let Some(fields) = self.sorted_fields(id, attr, false) else { return };
        let fields: Vec<FieldId> = fields.into_iter().map(|(field, _)| field).collect();
        if self.model.entity(id).uniques.contains(&fields) {
            self.error(&attr.span, "these fields are unique already", "expected it once");
            return;
        }
        self.change_entity(id, |entity| entity.uniques.push(fields));
    }

    /// `@@cache(public | private, max_age: 60s, stale: 1h)`.
    fn cache_block(&mut self, id: EntityId, attr: &Attr) {
        let split = args::split(attr, &["max_age", "stale"], &mut self.diagnostics);
        let form = "`@@cache(public | private, max_age: 60s)`";
        let public = match split.positional.as_slice() {
            [arg] => args::word(arg, attr, "`public` or `private`", &mut self.diagnostics),
            _ => None,
        };
        let (Some(public @ ("public" | "private")), Some(max_age)) = (public, split.named("max_age")) else {
            self.error(&attr.span, "`@@cache` does not read like this", format!("expected {form}"));
            return;
        };
        let seconds = |micros: u64| u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
        let Some(max_age) = args::duration(max_age, attr, &mut self.diagnostics).map(seconds) else { return };
        let stale = split.named("stale").and_then(|arg| args::duration(arg, attr, &mut self.diagnostics)).map(seconds);
        let public = public == "public";
        self.change_entity(id, |entity| entity.cache = Some(Cache { public, max_age, stale }));
    }

    fn flag_block(&mut self, id: EntityId, attr: &Attr) {
        let _ = args::nothing(attr, &mut self.diagnostics);
        let name = attr.name.text.clone();
        self.change_entity(id, |entity| match name.as_str() {
            "require_revision" => entity.require_revision = true,
            "internal" => entity.internal = true,
            "capture" => entity.captured = true,
            _ => entity.readonly = true,
        });
    }

    /// `@@retain(90d, by: at)`.
    fn retain_block(&mut self, id: EntityId, attr: &Attr) {
        let split = args::split(attr, &["by"], &mut self.diagnostics);
        let ([age], Some(by)) = (split.positional.as_slice(), split.named("by")) else {
            self.error(&attr.span, "`@@retain` does not read like this", "expected `@@retain(90d, by: at)`");
            return;
        };
        let Some(age) = args::duration(age, attr, &mut self.diagnostics) else { return };
        let Some(node) = args::node(by, attr, "a field of type DateTime or Date", &mut self.diagnostics) else { return };
        let Some(field) = self.named_field(id, node) else { return };
        let ty = self.model.entity(id).field(field).ty;
        if ty.list || !matches!(ty.base, Base::DateTime | Base::Date) {
            self.error(&node.span, "rows are not kept by this field", "expected one of type DateTime or Date");
            return;
        }
        self.change_entity(id, |entity| entity.retain = Some((age / 1_000_000, field)));
    }

    /// `@@watch(false)`.
    fn watch_block(&mut self, id: EntityId, attr: &Attr) {
        let node = args::expression(attr, "`@@watch(false)`", &mut self.diagnostics);
        let Some(Node { kind: NodeKind::Boolean(watch), .. }) = node else {
            if let Some(node) = node {
                self.error(&node.span, "`@@watch` does not read like this", "expected `@@watch(false)`");
            }
            return;
        };
        self.change_entity(id, |entity| entity.watch = *watch);
    }

    /// `@@expose(rest, graphql, grpc, websocket)`.
    fn expose_block(&mut self, id: EntityId, attr: &Attr) {
        let faces = ["rest", "graphql", "grpc", "websocket"];
        let split = args::split(attr, &[], &mut self.diagnostics);
        let mut shown = Vec::new();
        for arg in &split.positional {
            match args::word(arg, attr, "`rest`, `graphql`, `grpc` or `websocket`", &mut self.diagnostics) {
                Some(face) if faces.contains(&face) => shown.push(face),
                Some(face) => {
                    let label = "expected `rest`, `graphql`, `grpc` or `websocket`";
                    let diagnostic = Diagnostic::error(arg.span.clone(), format!("unknown API `{face}`"), label);
                    self.diagnostics.push(diagnostic.suggest(names::closest(face, faces.into_iter())));
                }
                None => {}
            }
        }
        if attr.args.is_empty() {
            self.error(&attr.span, "`@@expose` names no API", "expected one of them at least; `@@internal` hides an entity from all");
        }
        let on = |face: &str| shown.contains(&face);
        let expose = Expose { rest: on("rest"), graphql: on("graphql"), grpc: on("grpc"), websocket: on("websocket") };
        self.change_entity(id, |entity| entity.expose = expose);
    }

    /// `@@before(create, update, handler: "name")`.
    fn before_block(&mut self, id: EntityId, attr: &Attr) {
        let split = args::split(attr, &["handler"], &mut self.diagnostics);
        let verbs = self.verbs(&split.positional, attr);
        let handler =
            split.named("handler").and_then(|arg| args::string(arg, attr, "a handler's name, as in `\"payments\"`", &mut self.diagnostics));
        let Some(handler) = handler.filter(|_| !verbs.is_empty()).map(SmolStr::new) else {
            self.error(&attr.span, "`@@before` does not read like this", "expected `@@before(create, update, handler: \"name\")`");
            return;
        };
        if verbs.contains(&Verb::Read) {
            self.error(&attr.span, "`@@before(read)`", "a handler is called before writes; expected `create`, `update` or `delete`");
        }
        self.change_entity(id, |entity| entity.before.push((verbs, handler)));
    }
}

fn rule_name(verbs: &[Verb]) -> &'static str {
    match verbs {
        [Verb::Read] => "a read rule",
        [Verb::Create] => "a create rule",
        [Verb::Update] => "an update rule",
        [Verb::Delete] => "a delete rule",
        verbs if verbs.contains(&Verb::Read) => "a rule for reading",
        _ => "a rule for several verbs",
    }
}
