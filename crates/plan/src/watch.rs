//! Watch plans: what an event is to a reader, by its filter and its rules.
//!
//! A rule of class L is judged from the row and the caller alone, so a watch of one needs no store. One of class M asks besides
//! whether the caller is a member: the keys of which it is are read once ([`WatchPlan::membership`]), and from then on every
//! event that would change them is [`Verdict::Reset`], so the set that a plan holds is always the one in force.

mod images;
mod membership;
mod places;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fourfold_model::{Entity, EntityId, Expr, ExprKind, FieldId, KEY, REVISION, SharedModel, Value, Verb};
use fourfold_op::{Answered, Context, Error, ErrorCode, Event, Limits};

use crate::coerce::coerce;
use crate::compile::{Binds, Compiler, Frame, Rights, Source};
use crate::eval::{Evaluator, Never, One, World};
use crate::node::{Level, Node, Set};
use crate::read::ReadPlan;
use crate::select::decide;
pub use images::{Hidden, Images};
use membership::Membership;
pub use places::Place;

/// A prepared watch of one entity: cached by its entity and filter; it never holds a caller or a value.
#[derive(Debug)]
pub struct PreparedWatch {
    model: SharedModel,
    entity: EntityId,
    filter: Node,
    masks: Vec<(FieldId, Node)>,
    membership: Option<Membership>,
    sources: Vec<Source>,
}

/// A watch for a caller. Only [`PreparedWatch::bind`] makes one.
///
/// Two plans are equal when they judge every event alike, so that it need be judged only once for both.
#[derive(Clone, Debug)]
pub struct WatchPlan {
    prepared: Arc<PreparedWatch>,
    /// The filter and the rules, with what depends on the caller alone decided.
    filter: Node,
    masks: Vec<(FieldId, Node)>,
    /// Those that are no longer asked for are null.
    params: Vec<Value>,
    /// The keys of which the caller is a member.
    members: Option<Arc<HashSet<Value>>>,
}

/// What an event is to a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Ignore,
    /// The row is now one that the reader asked for and may see, these fields apart.
    Entered(Hidden),
    /// It was and is.
    Changed(Hidden),
    /// It no longer is: deleted, out of the filter, or hidden; which, the reader cannot tell.
    Left,
    /// The reader's rights themselves change: what it knows is to be read again.
    Reset,
}

/// Prepares a watch.
///
/// # Errors
/// `failed_precondition` for an entity that cannot be watched, `invalid_argument` for a filter that looks beyond the row, `limit_exceeded`.
pub fn watch(model: &SharedModel, entity: EntityId, filter: Option<&Expr>, limits: &Limits) -> Result<PreparedWatch, Error> {
    let definition = model.entity(entity);
    if let Some(why) = why_not(definition) {
        return Err(Error::new(ErrorCode::FailedPrecondition, format!("`{}` cannot be watched: {why}", definition.name)));
    }
    if filter.is_some_and(|expr| expr.size() > limits.expression_nodes_max * 2) {
        return Err(Error::limit("expression_nodes_max", limits.expression_nodes_max, "nodes"));
    }
    let mut binds = Binds::default();
    let mut compiler = Compiler { model, binds: &mut binds, next: 1 };
    let rule = compiler.read_rule(entity, 0)?;
    let asked = match filter {
        Some(expr) => compiler.node(expr, &Frame::of(entity, 0, Rights::Client))?,
        None => Node::truth(),
    };
    if !asked.is_local() {
        return Err(Error::invalid("a watch's filter can name only the row's own fields"));
    }
    let mut masks = Vec::new();
    for (field, _) in definition.field_ids() {
        masks.extend(compiler.mask(entity, 0, field)?.map(|mask| (field, mask)));
    }
    let membership = Membership::of(model, &mut compiler, definition, limits.watch_membership_keys_max)?;
    let rule = membership.iter().fold(rule, |rule, membership| membership.test_in(rule));
    if !rule.is_local() || masks.iter().any(|(_, mask)| !mask.is_local()) {
        return Err(Error::internal("a rule of another class than the model says"));
    }
    let filter = Node::all(vec![rule, asked]);
    Ok(PreparedWatch { model: model.clone(), entity, filter, masks, membership, sources: binds.sources })
}

/// Prepares to follow whether a rule of a channel, of class L or M, holds for the row with a key: the first value that comes with the request.
///
/// # Errors
/// `internal` for a rule of another class.
pub(crate) fn follow(model: &SharedModel, entity: EntityId, rule: &Expr, limits: &Limits) -> Result<PreparedWatch, Error> {
    let definition = model.entity(entity);
    let mut binds = Binds::default();
    let base = definition.key_type();
    let key = Node::Bind(binds.bind(Source::Request { index: 0, base, list: false }), base);
    let mut compiler = Compiler { model, binds: &mut binds, next: 1 };
    let held = compiler.node(rule, &Frame::of_channel(entity))?;
    let membership = Membership::of_rule(model, &mut compiler, (definition, rule), &key, limits.watch_membership_keys_max)?;
    let held = membership.iter().fold(held, |held, membership| membership.test_in(held));
    if !held.is_local() {
        return Err(Error::internal("a join rule of another class than the model says"));
    }
    let filter = Node::all(vec![Node::equal(Node::Column(0, KEY), key), held]);
    Ok(PreparedWatch { model: model.clone(), entity, filter, masks: Vec::new(), membership, sources: binds.sources })
}

/// Why an entity cannot be watched, naming the rule.
fn why_not(entity: &Entity) -> Option<String> {
    if entity.is_watchable() {
        return None;
    }
    if !entity.watch {
        return Some("the model says `@@watch(false)`".to_owned());
    }
    let rule = entity.rules_for(Verb::Read).find(|rule| looks_further(&rule.expr));
    let mask = entity.fields.iter().find(|field| field.read_rule.as_ref().is_some_and(looks_further));
    Some(match (rule, mask) {
        (Some(rule), _) => format!("its read rule `{}` looks beyond the row, the caller and one membership of the caller", rule.text),
        (None, Some(field)) => format!("the read rule of its field `{}` looks beyond the row and the caller", field.name),
        (None, None) => "its read rules look beyond the row, the caller and one membership of the caller".to_owned(),
    })
}

fn looks_further(expr: &Expr) -> bool {
    use fourfold_model::expr::Collection;
    expr.any(&|part| match &part.kind {
        ExprKind::Now | ExprKind::Quantified(_, Collection::Relation(..), _) => true,
        ExprKind::Field(path, _) => !path.hops.is_empty(),
        _ => false,
    })
}

impl PreparedWatch {
    /// Puts a caller and the filter's values in.
    ///
    /// # Errors
    /// `invalid_argument` for a value that does not fit its place.
    pub fn bind(self: &Arc<PreparedWatch>, context: &Context, values: &[Value]) -> Result<WatchPlan, Error> {
        let sources = self.sources.iter();
        let mut params = sources.map(|source| self.param(source, context, values)).collect::<Result<Vec<_>, Error>>()?;
        let decided = |node: &Node| node.clone().map(&mut |part| self.decided(part, &params));
        let filter = decided(&self.filter);
        let masks: Vec<(FieldId, Node)> = self.masks.iter().map(|(field, mask)| (*field, decided(mask))).collect();
        let masks: Vec<(FieldId, Node)> = masks.into_iter().filter(|(_, mask)| !mask.is_true()).collect();
        let nodes = [&filter].into_iter().chain(masks.iter().map(|(_, mask)| mask));
        self.forget_unused(nodes, &mut params);
        Ok(WatchPlan { prepared: self.clone(), filter, masks, params, members: None })
    }

    /// What nothing asks for any more must not keep two plans apart.
    fn forget_unused<'n>(&self, nodes: impl Iterator<Item = &'n Node>, params: &mut [Value]) {
        let mut used = vec![false; params.len()];
        nodes.for_each(|node| node.mark_binds(&mut used));
        if let Some(membership) = &self.membership {
            membership.filter.mark_binds(&mut used);
            used[usize::from(membership.limit)] = true;
        }
        for (param, _) in params.iter_mut().zip(used).filter(|(_, used)| !used) {
            *param = Value::Null;
        }
    }

    fn param(&self, source: &Source, context: &Context, values: &[Value]) -> Result<Value, Error> {
        match source {
            Source::Claim(claim) => Ok(context.principal.claims.value(*claim).clone()),
            Source::Request { index, base, list } => {
                let value = values.get(usize::from(*index)).unwrap_or(&Value::Null);
                coerce(&self.model, *base, *list, value).map_err(Error::invalid)
            }
            Source::PageSize { default, .. } => Ok(Value::Int(i64::from(*default))),
            Source::PageKey { .. } | Source::Now => Err(Error::internal("a watch with a moment or a page")),
        }
    }

    /// A condition on the caller and the filter's values alone becomes what it comes to.
    fn decided(&self, part: Node, params: &[Value]) -> Node {
        if part.is_condition() && part.is_made_of(&|_| true) {
            return Node::Constant(decide(&self.model, &part, params), fourfold_model::Base::Boolean);
        }
        part
    }
}

impl WatchPlan {
    /// The read that tells of what the caller is a member, where the rule asks; to be read in the snapshot from which the watch begins.
    pub fn membership(&self) -> Option<ReadPlan> {
        let membership = self.prepared.membership.as_ref()?;
        Some(ReadPlan { shape: membership.shape.clone(), params: self.params.clone(), token_hash: 0 })
    }

    /// The same plan with the answer to [`WatchPlan::membership`]. Without it the caller is a member of nothing.
    ///
    /// # Errors
    /// `limit_exceeded` for more memberships than a watch holds.
    pub fn with_members(mut self, answered: &Answered) -> Result<WatchPlan, Error> {
        let Some(membership) = &self.prepared.membership else { return Ok(self) };
        self.members = Some(Arc::new(membership.keys(answered)?));
        Ok(self)
    }

    /// The model that it was prepared for.
    pub fn model(&self) -> &SharedModel {
        &self.prepared.model
    }

    /// The entity that is watched.
    pub fn entity(&self) -> EntityId {
        self.prepared.entity
    }

    /// Whether it shows no row, whatever the row holds: the caller alone decides so.
    pub fn shows_nothing(&self) -> bool {
        self.filter.is_false()
    }

    /// The entities whose events it must be shown: the one that is watched, and the one that tells memberships.
    pub fn entities(&self) -> Vec<EntityId> {
        let mut entities = vec![self.prepared.entity];
        entities.extend(self.prepared.membership.as_ref().map(|membership| membership.entity).filter(|entity| *entity != entities[0]));
        entities
    }

    /// What an event is to this reader, from the images of its row.
    pub fn judge(&self, event: &Event, images: &mut Images) -> Verdict {
        if self.touches_caller(event, images) {
            return Verdict::Reset;
        }
        self.judge_row(event, images)
    }

    /// What an event is to this reader by the memberships that the plan holds, also where the event changes them: never [`Verdict::Reset`].
    /// For a reader that takes its memberships anew instead of ending ([`WatchPlan::touches_caller`]).
    pub fn judge_row(&self, event: &Event, images: &mut Images) -> Verdict {
        if event.entity != self.prepared.entity {
            return Verdict::Ignore;
        }
        let saw = self.holds(&self.filter, &mut images.before);
        let sees = self.holds(&self.filter, &mut images.after);
        match (saw, sees) {
            (false, false) => Verdict::Ignore,
            (true, false) => Verdict::Left,
            (false, true) => Verdict::Entered(self.hidden(images)),
            (true, true) => Verdict::Changed(self.hidden(images)),
        }
    }

    /// Whether the event changes of what the caller is a member.
    pub fn touches_caller(&self, event: &Event, images: &mut Images) -> bool {
        let Some(membership) = self.prepared.membership.as_ref().filter(|membership| membership.entity == event.entity) else {
            return false;
        };
        let key = |image: &mut images::Image| {
            self.holds(&membership.filter, image).then(|| image.row().map(|row| row.value(membership.link).clone()))
        };
        key(&mut images.before) != key(&mut images.after)
    }

    /// What a changed row was, as far as this reader could see it then and may see these fields now: the fields that differ, with their old
    /// values, ascending.
    pub fn old_values(&self, images: &mut Images) -> Vec<(FieldId, Value)> {
        let masks = self.masks.iter();
        let hidden: Vec<FieldId> = masks
            .filter(|(_, mask)| !self.holds(mask, &mut images.before) || !self.holds(mask, &mut images.after))
            .map(|(field, _)| *field)
            .collect();
        let (Some(before), Some(after)) = (images.before.row(), images.after.row()) else { return Vec::new() };
        let entity = self.prepared.model.entity(self.prepared.entity);
        let shown = entity.field_ids().filter(|(id, field)| !field.secret && *id != KEY && *id != REVISION && !hidden.contains(id));
        let differing = shown.filter(|(id, _)| before.value(*id) != after.value(*id));
        differing.map(|(id, _)| (id, before.value(id).clone())).collect()
    }

    /// The fields that this reader may not see in the row after.
    fn hidden(&self, images: &mut Images) -> Hidden {
        let masks = self.masks.iter();
        Hidden::of(masks.filter(|(_, mask)| !self.holds(mask, &mut images.after)).map(|(field, _)| *field).collect())
    }

    fn holds(&self, node: &Node, image: &mut images::Image) -> bool {
        if image.row().is_none() {
            return false;
        }
        let mut members = Members(self.members.as_deref());
        let rows = std::mem::take(&mut image.0);
        let mut evaluator = Evaluator { model: &self.prepared.model, params: &self.params, rows, world: &mut members };
        let held = evaluator.value(node);
        image.0 = evaluator.rows;
        matches!(held, Ok(Value::Boolean(true)))
    }
}

impl PartialEq for WatchPlan {
    fn eq(&self, other: &WatchPlan) -> bool {
        Arc::ptr_eq(&self.prepared, &other.prepared)
            && self.params == other.params
            && self.members == other.members
            && self.filter == other.filter
            && self.masks == other.masks
    }
}

impl Eq for WatchPlan {}

impl Hash for WatchPlan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.prepared).hash(state);
        self.params.hash(state);
    }
}

/// The level of the row that a test of membership stands for: it is never read.
const MEMBERSHIP: Level = Level::MAX;

/// A world in which nothing is looked up but memberships.
struct Members<'a>(Option<&'a HashSet<Value>>);

impl World for Members<'_> {
    type Stop = Box<Never>;

    fn one(evaluator: &mut Evaluator<'_, Self>, one: One<'_>) -> Result<Value, Self::Stop> {
        Ok(Value::Boolean(evaluator.world.0.is_some_and(|keys| keys.contains(&one.key))))
    }

    fn exists(_: &mut Evaluator<'_, Self>, _: EntityId, _: Level, _: &Node) -> Result<bool, Self::Stop> {
        Ok(false)
    }
}

impl Node {
    /// Whether it needs no row but its own; a test of membership needs none.
    fn is_local(&self) -> bool {
        let mut local = true;
        self.visit(&mut |part| match part {
            Node::One { level, .. } => local &= *level == MEMBERSHIP,
            Node::Exists { .. } => local = false,
            _ => {}
        });
        local
    }

    fn mark_binds(&self, used: &mut [bool]) {
        self.visit(&mut |part| {
            if let Node::Bind(index, _) | Node::In(_, Set::Bind(index, _)) = part
                && let Some(mark) = used.get_mut(usize::from(*index))
            {
                *mark = true;
            }
        });
    }
}
