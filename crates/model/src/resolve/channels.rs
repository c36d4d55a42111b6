//! Channels: their parameter, who may join, what streams through them.

use smol_str::SmolStr;

use super::shapes::new_field;
use super::{Declared, Resolver, args};
use crate::ast::{Attr, ChannelItem, ChannelPartKind, Item, ItemKind, MemberItem, Node, NodeKind, Span, Word};
use crate::classes::class_of;
use crate::expr::{Collection, Expr, ExprKind, Path, Scope};
use crate::model::*;
use crate::typing::{Place, RowKind};

/// Publications that a channel without a stream may keep.
const HISTORY_MAX: u32 = 10_000;
/// Fields of what a present caller tells of itself.
const PRESENCE_MAX: usize = 20;

impl Resolver<'_> {
    pub(super) fn channels(&mut self) {
        for item in self.items() {
            let ItemKind::Channel(of) = &item.kind else { continue };
            self.check_name(&of.name, "a channel's name");
            if self.model.channels.iter().any(|other| other.name == of.name.text) {
                self.error(&of.name.span, format!("a second channel `{}`", of.name.text), "expected another name");
                continue;
            }
            let Some(param) = self.channel_param(of) else { continue };
            let channel = self.channel(item, of, param);
            self.model.channels.push(channel);
        }
    }

    /// What a channel's rules and stream must be so that they can be followed; known once the entities' own classes are.
    pub(super) fn followed_channels(&mut self) {
        for item in self.items() {
            let ItemKind::Channel(of) = &item.kind else { continue };
            let Some(id) = self.model.channel_by_name(&of.name.text) else { continue };
            for part in &of.parts {
                match &part.kind {
                    ChannelPartKind::Attr(attr) if attr.name.text == "join" => self.followed_join(id, attr),
                    ChannelPartKind::Stream(entity, node) => self.followed_stream(id, entity, node),
                    _ => {}
                }
            }
        }
    }

    fn followed_join(&mut self, id: ChannelId, attr: &Attr) {
        if self.model.channel(id).join_class() == RuleClass::General {
            let label = "expected fields of the parameter, claims, and at most one `exists` that pins the caller, as in `room.members.exists(m, \
                         m.user.id == caller.id)`";
            let help = "a right to join ends when the rule no longer holds, so the rule must be one that can be followed";
            self.error_with_help(&attr.span, "a `@join` rule of class G", label, help);
        }
    }

    fn followed_stream(&mut self, id: ChannelId, word: &Word, node: &Node) {
        let Some((entity, expr)) = &self.model.channel(id).stream else { return };
        let local = class_of(expr) == RuleClass::Local && !expr.any(&reads_parameter);
        let entity = self.model.entity(*entity);
        let watched = entity.watch && entity.class != RuleClass::General;
        let name = entity.name.clone();
        if !watched {
            let help = "its read rules look at other rows than one membership of the caller, or it says `@@watch(false)`";
            self.error_with_help(&word.span, format!("`{name}` cannot be watched"), "expected an entity that can", help);
        }
        if !local {
            let label =
                format!("expected fields of `{name}` itself, and the parameter by its key alone, as in `room.id == channel.room.id`");
            self.error(&node.span, "`stream` looks beyond its row", label);
        }
    }

    fn channel_param(&mut self, of: &ChannelItem) -> Option<Param> {
        let param = self.param(&of.param)?;
        let fits = match param.ty {
            ParamType::Entity { nullable, list, .. } => !nullable && !list,
            ParamType::Value(ty) => !ty.nullable && !ty.list && !matches!(ty.base, Base::Owned(_) | Base::Json | Base::Bytes | Base::Float),
        };
        if !fits {
            self.error(&of.param.ty.span, "a channel is not named by this", "expected an entity or a single scalar that reads as text");
        }
        fits.then_some(param)
    }

    fn channel(&mut self, item: &Item, of: &ChannelItem, param: Param) -> Channel {
        let (name, doc) = (of.name.text.clone(), item.doc.clone());
        let mut channel =
            Channel { name, doc, param, join: None, publish: None, history: None, stream: None, presence: Vec::new(), signals: Vec::new() };
        let mut seen: Vec<SmolStr> = Vec::new();
        for part in &of.parts {
            let kind = match &part.kind {
                ChannelPartKind::Attr(attr) => attr.name.text.clone(),
                ChannelPartKind::Stream(..) => SmolStr::new_static("stream"),
                ChannelPartKind::Presence(_) => SmolStr::new_static("presence"),
                ChannelPartKind::Signal(word) => SmolStr::new(format!("signal {}", word.text)),
            };
            if seen.contains(&kind) {
                self.error(&part.span, format!("`{kind}` is given twice"), "expected it once");
                continue;
            }
            seen.push(kind);
            self.channel_part(&mut channel, &part.kind, &part.span);
        }
        if channel.stream.is_some() && channel.history.is_some() {
            self.error(&of.name.span, "a channel with a stream and `@history`", "the log keeps a stream's history; take `@history` away");
        }
        channel
    }

    fn channel_part(&mut self, channel: &mut Channel, part: &ChannelPartKind, span: &Span) {
        match part {
            ChannelPartKind::Attr(attr) => self.channel_attr(channel, attr),
            ChannelPartKind::Stream(entity, node) => channel.stream = self.stream(entity, node, &channel.param),
            ChannelPartKind::Presence(fields) => channel.presence = self.presence(fields, span),
            ChannelPartKind::Signal(word) => {
                self.check_name(word, "a signal's name");
                channel.signals.push(word.text.clone());
            }
        }
    }

    fn channel_attr(&mut self, channel: &mut Channel, attr: &Attr) {
        let form = "a condition, as in `@join(room.members.exists(m, m.user.id == caller.id))`";
        match attr.name.text.as_str() {
            "join" | "publish" => {
                let Some(node) = args::expression(attr, form, &mut self.diagnostics) else { return };
                let join = attr.name.text == "join";
                let what = if join { "`@join`" } else { "`@publish`" };
                let rule = self.channel_rule(node, what, &channel.param, join);
                if join { channel.join = rule } else { channel.publish = rule }
            }
            "history" => channel.history = self.history(attr),
            _ => self.unknown_attr(attr, "a channel", &["join", "publish", "history"]),
        }
    }

    /// In `@join` the parameter has its bare name too.
    fn channel_rule(&mut self, node: &Node, what: &'static str, param: &Param, bare_name: bool) -> Option<Expr> {
        let mut found = Vec::new();
        let params = if bare_name { std::slice::from_ref(param) } else { &[] };
        let place = Place {
            caller: true,
            hops: true,
            quantifiers: true,
            params,
            channel: Some(param),
            broken: &self.broken,
            ..Place::bare(&self.model, what)
        };
        let expr = place.condition(node, &mut found);
        self.told(expr, found, node)
    }

    fn stream(&mut self, word: &Word, node: &Node, param: &Param) -> Option<(EntityId, Expr)> {
        let Some(Declared::Entity(entity)) = self.types.get(&word.text).copied() else {
            self.no_entity(word, "expected the entity whose rows stream through the channel");
            return None;
        };
        let mut found = Vec::new();
        let rule = Place::rule(&self.model, "`stream`", RowKind::Entity(entity));
        let place = Place { caller: false, now: false, channel: Some(param), broken: &self.broken, ..rule };
        let expr = place.condition(node, &mut found);
        Some((entity, self.told(expr, found, node)?))
    }

    fn presence(&mut self, members: &[MemberItem], span: &Span) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for member in members {
            let MemberItem::Field(item) = member else { continue };
            self.check_member_name(&item.name);
            if fields.iter().any(|other| other.name == item.name.text) {
                self.error(&item.name.span, format!("a second field `{}`", item.name.text), "expected another name");
                continue;
            }
            if let Some(attr) = item.attrs.first() {
                self.error(&attr.span, "a presence field has no attributes", "expected a name and a type");
            }
            let Some(ty) = self.value_type(&item.ty, "a presence field") else { continue };
            fields.push(Field { ty, doc: item.doc.clone(), ..new_field(&item.name.text) });
        }
        if fields.len() > PRESENCE_MAX {
            self.error(span, format!("presence of {} fields", fields.len()), format!("expected at most {PRESENCE_MAX}"));
        }
        fields
    }

    /// `@history(limit, age)`, by place or by name.
    fn history(&mut self, attr: &Attr) -> Option<(u32, u64)> {
        let split = args::split(attr, &["limit", "age"], &mut self.diagnostics);
        let limit = split.named("limit").or_else(|| split.positional.first().copied());
        let age = split
            .named("age")
            .or_else(|| split.positional.last().copied().filter(|_| split.positional.len() == 2 || split.named("limit").is_some()));
        let (Some(limit), Some(age)) = (limit, age) else {
            self.error(&attr.span, "`@history` does not read like this", "expected a count and an age, as in `@history(100, 1h)`");
            return None;
        };
        let count = match args::node(limit, attr, "a count, as in `100`", &mut self.diagnostics)? {
            Node { kind: NodeKind::Number(text), .. } => text.parse::<u32>().ok(),
            _ => None,
        };
        let Some(count) = count.filter(|count| (1..=HISTORY_MAX).contains(count)) else {
            self.error(&limit.span, "a history of this size", format!("expected a count from 1 to {HISTORY_MAX}"));
            return None;
        };
        let micros = args::duration(age, attr, &mut self.diagnostics)?;
        Some((count, micros / 1_000_000))
    }
}

/// Whether it reads more of the channel's parameter than the key by which it is named.
fn reads_parameter(part: &Expr) -> bool {
    let beyond_key = |path: &Path, key: bool| path.scope == Scope::Channel && !(key && path.hops.is_empty());
    match &part.kind {
        ExprKind::Field(path, field) => beyond_key(path, *field == KEY),
        ExprKind::Quantified(_, Collection::Relation(path, _) | Collection::Owned(path, _), _) => beyond_key(path, false),
        _ => false,
    }
}
