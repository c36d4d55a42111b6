//! Preparing reads: from a [`Select`] to a [`Fetch`] that holds the rules and masks, and its variants for callers.

use std::sync::{Arc, OnceLock, RwLock};

use fourfold_model::expr::Compare;
use fourfold_model::{Base, EntityId, Model, SharedModel, Value};
use fourfold_op::{Context, Error, Limits, List, Select, SelectKind};

use crate::coerce::coerce;
use crate::compile::{Binds, Source};
use crate::eval::{Evaluator, Never, One, World};
use crate::fetch::{Builder, Page, START};
use crate::node::{Level, Node};
use crate::read::{Fetch, FetchKind, OrderKey, ReadPlan, ReadShape};
use crate::token;

/// `Bind`s from here on stand for conditions on the caller alone, and are gone from a variant.
const CONDITION: u16 = 0x8000;
/// Variants of one shape that are kept; callers fall into few kinds.
const VARIANTS_MAX: usize = 64;

/// A select, prepared: a template in which what depends on the caller alone is still open.
#[derive(Debug)]
pub(crate) struct PreparedSelect {
    model: SharedModel,
    template: Fetch,
    sources: Vec<Source>,
    conditions: Vec<Node>,
    pages: Vec<Page>,
    list: Option<(u32, List)>,
    limits: Limits,
    variants: RwLock<Vec<(Vec<u8>, Arc<ReadShape>)>>,
}

/// Prepares one select.
pub(crate) fn prepare(model: &SharedModel, select: &Select, limits: &Limits) -> Result<PreparedSelect, Error> {
    let mut builder = Builder { model, limits, binds: Binds::default(), pages: Vec::new() };
    let mut template = builder.select(select)?;
    let mut conditions = Vec::new();
    let sources = builder.binds.sources;
    template.each_node(&mut |node| extract(node, &sources, &mut conditions));
    let list = match &select.kind {
        SelectKind::List(list) => Some((model.entity(select.entity).number, list.clone())),
        _ => None,
    };
    let pages = builder.pages;
    Ok(PreparedSelect {
        model: model.clone(),
        template,
        sources,
        conditions,
        pages,
        list,
        limits: limits.clone(),
        variants: RwLock::default(),
    })
}

impl PreparedSelect {
    /// Puts a caller and values in.
    pub fn bind(&self, context: &Context, values: &[Value]) -> Result<ReadPlan, Error> {
        let token_hash = self.list.as_ref().map_or(0, |(entity, list)| token::hash(*entity, list, values));
        let starts = self.starts(values, token_hash)?;
        let mut params = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            params.push(self.param(source, context, values, &starts)?);
        }
        let shape = self.variant(&params, &starts);
        Ok(ReadPlan { shape, params, token_hash })
    }

    /// The order keys that each page starts after; none for a first page.
    fn starts(&self, values: &[Value], hash: u64) -> Result<Vec<Vec<Value>>, Error> {
        self.pages
            .iter()
            .map(|page| match page.after.and_then(|index| values.get(usize::from(index))) {
                Some(Value::Text(text)) => token::decode(text, hash, page.order.len()),
                _ => Ok(Vec::new()),
            })
            .collect()
    }

    fn param(&self, source: &Source, context: &Context, values: &[Value], starts: &[Vec<Value>]) -> Result<Value, Error> {
        match source {
            Source::Claim(claim) => Ok(context.principal.claims.value(*claim).clone()),
            Source::Request { index, base, list } => {
                let value = values.get(usize::from(*index)).unwrap_or(&Value::Null);
                coerce(&self.model, *base, *list, value).map_err(Error::invalid)
            }
            Source::PageKey { page, key, base } => {
                let value = starts.get(usize::from(*page)).and_then(|keys| keys.get(usize::from(*key))).unwrap_or(&Value::Null);
                coerce(&self.model, *base, false, value).map_err(|_| Error::invalid("this page token was not made by this server"))
            }
            Source::PageSize { operand, default } => self.page_size(operand.and_then(|index| values.get(usize::from(index))), *default),
            Source::Now => Err(Error::internal("`now` in a read")),
        }
    }

    fn page_size(&self, given: Option<&Value>, default: u32) -> Result<Value, Error> {
        match given {
            None | Some(Value::Null | Value::Int(0)) => Ok(Value::Int(i64::from(default))),
            Some(Value::Int(size)) if *size > 0 => Ok(Value::Int((*size).min(i64::from(self.limits.page_size_max)))),
            Some(Value::Int(size)) => {
                Err(Error::invalid_at("/page_size", format!("`{size}` is no page size; expected 0 to {}", self.limits.page_size_max)))
            }
            Some(_) => Err(Error::invalid_at("/page_size", "expected a number of rows")),
        }
    }

    /// The shape for callers of this kind: conditions on the caller alone are decided, so that a store can use its indexes.
    fn variant(&self, params: &[Value], starts: &[Vec<Value>]) -> Arc<ReadShape> {
        let truths: Vec<Value> = self.conditions.iter().map(|condition| decide(&self.model, condition, params)).collect();
        let key = variant_key(&truths, starts);
        let known = |variants: &[(Vec<u8>, Arc<ReadShape>)]| variants.iter().find(|(of, _)| *of == key).map(|(_, shape)| shape.clone());
        if let Some(shape) = self.variants.read().ok().and_then(|variants| known(&variants)) {
            return shape;
        }
        let shape = Arc::new(self.specialise(&truths, starts));
        if let Ok(mut variants) = self.variants.write() {
            if variants.len() >= VARIANTS_MAX {
                variants.remove(0);
            }
            variants.push((key, shape.clone()));
        }
        shape
    }

    fn specialise(&self, truths: &[Value], starts: &[Vec<Value>]) -> ReadShape {
        let mut fetch = self.template.clone();
        fetch.each_node(&mut |node| {
            node.map(&mut |part| match part {
                Node::Bind(index, _) if index >= START => self.start(index - START, starts),
                Node::Bind(index, base) if index >= CONDITION => {
                    Node::Constant(truths.get(usize::from(index - CONDITION)).cloned().unwrap_or_default(), base)
                }
                other => other,
            })
        });
        fetch.tidy();
        ReadShape { model: self.model.clone(), fetch, page_bytes_max: self.limits.page_bytes_max, compiled: OnceLock::new() }
    }

    /// Rows that come after the page's start: equal in the first keys and beyond in the next.
    fn start(&self, page: u16, starts: &[Vec<Value>]) -> Node {
        let (Some(definition), Some(keys)) = (self.pages.get(usize::from(page)), starts.get(usize::from(page))) else {
            return Node::truth();
        };
        if keys.is_empty() {
            return Node::truth();
        }
        let bind = |key: usize, base: Base| {
            let source = Source::PageKey { page, key: key as u16, base };
            Node::Bind(self.sources.iter().position(|known| *known == source).unwrap_or(0) as u16, base)
        };
        let mut alternatives = Vec::new();
        let mut equal = Vec::new();
        for (index, (key, value)) in definition.order.iter().zip(keys).enumerate() {
            let mut parts = equal.clone();
            parts.push(beyond(key, value.is_null(), bind(index, key.base)));
            alternatives.push(Node::all(parts));
            equal.push(if value.is_null() {
                Node::IsNull(Box::new(key.node.clone()))
            } else {
                Node::equal(key.node.clone(), bind(index, key.base))
            });
        }
        Node::any(alternatives)
    }
}

/// After `value` in the key's direction. Nulls are first ascending and last descending.
fn beyond(key: &OrderKey, value_is_null: bool, value: Node) -> Node {
    let is_null = || Node::IsNull(Box::new(key.node.clone()));
    let compare = |by| Node::Compare(by, Box::new(key.node.clone()), Box::new(value.clone()));
    match (key.descending, value_is_null) {
        (false, true) => is_null().negated(),
        (false, false) => compare(Compare::Greater),
        (true, true) => Node::falsity(),
        (true, false) if key.nullable => Node::any(vec![compare(Compare::Less), is_null()]),
        (true, false) => compare(Compare::Less),
    }
}

fn variant_key(truths: &[Value], starts: &[Vec<Value>]) -> Vec<u8> {
    let truth = |value: &Value| match value {
        Value::Boolean(true) => 1,
        Value::Boolean(false) => 0,
        _ => 2,
    };
    let mut key: Vec<u8> = truths.iter().map(truth).collect();
    for start in starts {
        key.push(3);
        key.extend(start.iter().map(|value| u8::from(value.is_null())));
    }
    key
}

/// No other row is needed to decide a condition on the caller.
struct Nowhere;

impl World for Nowhere {
    type Stop = Box<Never>;
    fn one(_: &mut Evaluator<'_, Self>, _: One<'_>) -> Result<Value, Self::Stop> {
        Ok(Value::Null)
    }
    fn exists(_: &mut Evaluator<'_, Self>, _: EntityId, _: Level, _: &Node) -> Result<bool, Self::Stop> {
        Ok(false)
    }
}

/// What a condition of constants and parameters comes to.
pub(crate) fn decide(model: &Model, condition: &Node, params: &[Value]) -> Value {
    Evaluator { model, params, rows: crate::eval::Rows::new(), world: &mut Nowhere }.value(condition).unwrap_or_default()
}

/// Puts a placeholder in the place of each condition on the caller alone.
fn extract(node: Node, sources: &[Source], conditions: &mut Vec<Node>) -> Node {
    node.map(&mut |part| {
        let of_caller = |index: u16| matches!(sources.get(usize::from(index)), Some(Source::Claim(_)));
        if !part.is_condition() || !part.is_made_of(&of_caller) {
            return part;
        }
        let index = conditions.iter().position(|known| *known == part).unwrap_or_else(|| {
            conditions.push(part.clone());
            conditions.len() - 1
        });
        Node::Bind(CONDITION + index as u16, Base::Boolean)
    })
}

impl Fetch {
    /// Replaces every node by what `change` makes of it.
    fn each_node(&mut self, change: &mut dyn FnMut(Node) -> Node) {
        let mut at = |node: &mut Node| *node = change(std::mem::replace(node, Node::And(Vec::new())));
        self.filter.as_mut().map(&mut at);
        self.masks.iter_mut().for_each(|(_, node)| at(node));
        match &mut self.kind {
            FetchKind::Page(page) => {
                page.start.as_mut().map(&mut at);
                page.order.iter_mut().for_each(|key| at(&mut key.node));
            }
            FetchKind::Groups(groups) => {
                groups.keys.iter_mut().for_each(|(node, ..)| at(node));
                groups.measures.iter_mut().filter_map(|(_, of)| of.as_mut()).for_each(|(node, _)| at(node));
            }
            FetchKind::Key { .. } | FetchKind::Keys => {}
        }
        for child in &mut self.children {
            child.fetch.each_node(change);
        }
    }

    /// Drops what a variant decided: filters and masks that are true.
    fn tidy(&mut self) {
        self.filter.take_if(|node| node.is_true());
        self.masks.retain(|(_, node)| !node.is_true());
        if let FetchKind::Page(page) = &mut self.kind {
            page.start.take_if(|node| node.is_true());
            let masks = &self.masks;
            for key in &mut page.order {
                if let Node::Column(0, field) = key.node
                    && masks.iter().all(|(masked, _)| *masked != field)
                {
                    key.slot = Some(field);
                }
            }
        }
        self.children.iter_mut().for_each(|child| child.fetch.tidy());
    }
}
