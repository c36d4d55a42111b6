//! Memberships: the one `exists` of a rule of class M becomes a test in the caller's own set of keys.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use fourfold_model::expr::{Collection, Compare, Quantifier};
use fourfold_model::{
    Entity, EntityId, Expr, ExprKind, FieldId, KEY, Model, REVISION, RelationId, RelationKind, RuleClass, SharedModel, Value, Verb,
};
use fourfold_op::{Answered, Error};

use super::MEMBERSHIP;
use crate::compile::{Compiler, Frame, Kind, Rights, Source};
use crate::node::Node;
use crate::read::{Fetch, FetchKind, OrderKey, PageFetch, ReadShape};

/// What tells of what a caller is a member.
#[derive(Debug)]
pub(super) struct Membership {
    /// Whose rows are the memberships.
    pub entity: EntityId,
    /// Their column with the key of what the caller is a member of.
    pub link: FieldId,
    /// Which of them are the caller's.
    pub filter: Node,
    /// The read of all that are.
    pub shape: Arc<ReadShape>,
    /// The parameter that holds how many are read at most.
    pub limit: u16,
    keys_max: u32,
}

impl Membership {
    /// The membership that an entity's read rules ask for; `None` where they ask for none.
    pub fn of(model: &SharedModel, compiler: &mut Compiler<'_>, watched: &Entity, keys_max: u32) -> Result<Option<Membership>, Error> {
        if watched.class != RuleClass::Membership {
            return Ok(None);
        }
        let Some(found) = watched.rules_for(Verb::Read).find_map(|rule| find(&rule.expr)) else {
            return Err(Error::internal("a rule of class M without an `exists`"));
        };
        Membership::found(model, compiler, (watched, found), None, keys_max).map(Some)
    }

    /// The membership that one rule about the row with a key asks for; `None` where it asks for none. One in that very row is all that counts.
    pub fn of_rule(
        model: &SharedModel,
        compiler: &mut Compiler<'_>,
        (of, rule): (&Entity, &Expr),
        key: &Node,
        keys_max: u32,
    ) -> Result<Option<Membership>, Error> {
        let Some(found) = find(rule) else { return Ok(None) };
        let key = found.0.is_empty().then_some(key);
        Membership::found(model, compiler, (of, found), key, keys_max).map(Some)
    }

    fn found(
        model: &SharedModel,
        compiler: &mut Compiler<'_>,
        (of, (hops, relation, body)): (&Entity, Found<'_>),
        key: Option<&Node>,
        keys_max: u32,
    ) -> Result<Membership, Error> {
        let (entity, link) = target(model, of, hops, relation)?;
        let frame = Frame { variables: vec![(0, Kind::Entity(entity))], ..Frame::of(entity, 0, Rights::Author) };
        let mut filter = compiler.node(body, &frame)?;
        if !filter.is_local() {
            return Err(Error::internal("a membership that looks beyond its row"));
        }
        if let Some(key) = key {
            filter = Node::all(vec![Node::equal(Node::Column(0, link), key.clone()), filter]);
        }
        let limit = compiler.binds.bind(Source::PageSize { operand: None, default: keys_max });
        let shape = Arc::new(shape(model, entity, link, filter.clone(), limit));
        Ok(Membership { entity, link, filter, shape, limit, keys_max })
    }

    /// The rule with the test in place of its `exists`: null where there is no key to test, as the rule itself says.
    pub fn test_in(&self, rule: Node) -> Node {
        let test = |key: Node| Node::One {
            entity: self.entity,
            level: MEMBERSHIP,
            key: Box::new(key),
            guard: None,
            value: Box::new(Node::truth()),
        };
        // Innermost first: the `exists` becomes a test of its parent's key, and a hop to that parent a test of the column that holds the key.
        rule.map(&mut |part| match part {
            Node::Exists { entity, level, body } if entity == self.entity => match self.parent(level, &body) {
                Some(parent) => test(Node::Column(parent, KEY)),
                None => Node::Exists { entity, level, body },
            },
            Node::One { level, key, guard: None, value, .. } if is_test_of(&value, level) => test(*key),
            other => other,
        })
    }

    /// The level of the row whose memberships an `exists` is about: its link is the first of its conditions.
    fn parent(&self, level: u8, body: &Node) -> Option<u8> {
        let link = match body {
            Node::And(parts) => parts.first()?,
            alone => alone,
        };
        let Node::Compare(Compare::Equal, a, b) = link else { return None };
        match (&**a, &**b) {
            (Node::Column(of, field), Node::Column(parent, KEY)) if *of == level && *field == self.link => Some(*parent),
            _ => None,
        }
    }

    /// The keys that the read of memberships found.
    ///
    /// # Errors
    /// `limit_exceeded`, `internal` for an answer to another read.
    pub fn keys(&self, answered: &Answered) -> Result<HashSet<Value>, Error> {
        let Answered::Page(page) = answered else { return Err(Error::internal("memberships are read as a page")) };
        if page.more {
            return Err(Error::limit("watch_membership_keys_max", self.keys_max as usize, "memberships"));
        }
        Ok(page.items.iter().map(|record| record.row.value(self.link).clone()).collect())
    }
}

fn is_test_of(value: &Node, level: u8) -> bool {
    match value {
        Node::One { level: MEMBERSHIP, key, .. } => matches!(**key, Node::Column(of, KEY) if of == level),
        _ => false,
    }
}

/// The hops to the row of an `exists`, its relation, and its body.
type Found<'e> = (&'e [RelationId], RelationId, &'e Expr);

/// The `exists` over a relation in an expression.
fn find(expr: &Expr) -> Option<Found<'_>> {
    match &expr.kind {
        ExprKind::Quantified(Quantifier::Exists, Collection::Relation(path, relation), body) => Some((&path.hops, *relation, body)),
        _ => expr.parts().into_iter().find_map(find),
    }
}

/// The entity that a relation of the row at the end of the hops leads to, and its column that leads back.
fn target(model: &Model, watched: &Entity, hops: &[RelationId], relation: RelationId) -> Result<(EntityId, FieldId), Error> {
    let mut of = watched;
    for hop in hops {
        of = model.entity(of.relation(*hop).target);
    }
    let relation = of.relation(relation);
    match relation.kind {
        RelationKind::Many { field, .. } => Ok((relation.target, field)),
        RelationKind::One { .. } => Err(Error::internal("an `exists` over a to-one relation")),
    }
}

fn shape(model: &SharedModel, entity: EntityId, link: FieldId, filter: Node, limit: u16) -> ReadShape {
    let base = model.entity(entity).key_type();
    let order = OrderKey { node: Node::Column(0, KEY), base, slot: Some(KEY), nullable: false, descending: false };
    let page = PageFetch { order: vec![order], limit, total: None, start: None, cursors: false };
    let fetch = Fetch {
        entity,
        kind: FetchKind::Page(page),
        filter: (!filter.is_true()).then_some(filter),
        columns: vec![KEY, REVISION, link],
        owned: Vec::new(),
        masks: Vec::new(),
        children: Vec::new(),
    };
    // What is read is counted, and small: three scalars a row.
    ReadShape { model: model.clone(), fetch, page_bytes_max: usize::MAX, compiled: OnceLock::new() }
}
