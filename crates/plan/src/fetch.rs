//! Building a [`Fetch`]: names become columns, with the read rules and masks of all that is touched.

use fourfold_model::expr::{ExprType, Path, Scope};
use fourfold_model::{Base, EntityId, Expr, ExprKind, FieldId, KEY, REVISION, RelationKind, SharedModel};
use fourfold_op::{Aggregate, Error, GroupBy, Limits, List, Measure, Nested, OrderBy, Select, SelectKind};

use crate::coerce;
use crate::compile::{Binds, Compiler, Frame, Kind, Rights, Source};
use crate::node::Node;
use crate::read::{Child, Fetch, FetchKind, GroupFetch, Link, OrderKey, PageFetch};

/// Levels of relations in one read.
const NESTING_MAX: usize = 16;
/// `Bind`s from here on stand for where a page starts, and are gone from a variant.
pub(crate) const START: u16 = 0xC000;

/// A page of the template.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub after: Option<u16>,
    pub order: Vec<OrderKey>,
}

/// Builds the template of one select.
pub(crate) struct Builder<'a> {
    pub model: &'a SharedModel,
    pub limits: &'a Limits,
    pub binds: Binds,
    pub pages: Vec<Page>,
}

impl Builder<'_> {
    fn compiler(&mut self) -> Compiler<'_> {
        Compiler { model: self.model, binds: &mut self.binds, next: 1 }
    }

    /// The template of a select.
    pub fn select(&mut self, select: &Select) -> Result<Fetch, Error> {
        match &select.kind {
            SelectKind::Get { key, cursor } => {
                let base = self.model.entity(select.entity).key_type();
                let param = self.binds.bind(Source::Request { index: key.0, base, list: false });
                let filter = self.filter(select.entity, None)?;
                self.rows(select.entity, &select.fields, &select.nested, FetchKind::Key { param, cursor: *cursor }, filter, 0)
            }
            SelectKind::List(list) => self.list(select.entity, &select.fields, &select.nested, list, self.limits.page_size_default, 0),
            SelectKind::Aggregate(aggregate) => self.groups(select.entity, aggregate),
        }
    }

    fn list(
        &mut self,
        entity: EntityId,
        fields: &[FieldId],
        nested: &[Nested],
        list: &List,
        default: u32,
        depth: usize,
    ) -> Result<Fetch, Error> {
        let filter = self.filter(entity, list.filter.as_ref())?;
        let order = self.order(entity, &list.order)?;
        let number = self.pages.len() as u16;
        let limit = self.binds.bind(Source::PageSize { operand: list.size.map(|operand| operand.0), default });
        let start = list.after.map(|_| Node::Bind(START + number, Base::Boolean));
        if start.is_some() {
            for (key, order) in order.iter().enumerate() {
                self.binds.bind(Source::PageKey { page: number, key: key as u16, base: order.base });
            }
        }
        self.pages.push(Page { after: list.after.map(|operand| operand.0), order: order.clone() });
        let total = list.total.then_some(self.limits.total_max);
        let mut columns = fields.to_vec();
        columns.extend(order.iter().filter_map(|key| key.slot));
        let page = PageFetch { order, limit, total, start, cursors: list.cursors };
        self.rows(entity, &columns, nested, FetchKind::Page(page), filter, depth)
    }

    /// The client's filter and the read rule, in one.
    fn filter(&mut self, entity: EntityId, client: Option<&Expr>) -> Result<Option<Node>, Error> {
        let limit = self.limits.expression_nodes_max;
        if client.is_some_and(|expr| expr.size() > limit * 2) {
            return Err(Error::limit("expression_nodes_max", limit, "nodes"));
        }
        let mut compiler = self.compiler();
        let mut parts = vec![compiler.read_rule(entity, 0)?];
        if let Some(expr) = client {
            parts.push(compiler.node(expr, &Frame::of(entity, 0, Rights::Client))?);
        }
        let node = Node::all(parts);
        Ok((!node.is_true()).then_some(node))
    }

    fn order(&mut self, entity: EntityId, order: &[OrderBy]) -> Result<Vec<OrderKey>, Error> {
        if order.len() > self.limits.order_keys_max {
            return Err(Error::limit("order_keys_max", self.limits.order_keys_max, "keys"));
        }
        let mut keys = Vec::with_capacity(order.len() + 1);
        for by in order {
            keys.push(self.order_key(entity, by)?);
        }
        // After the row's own key nothing can decide; and with it the order is total.
        if !order.iter().any(|by| by.hops.is_empty() && by.field == KEY) {
            let descending = order.last().is_some_and(|by| by.descending);
            keys.push(self.order_key(entity, &OrderBy { hops: Vec::new(), field: KEY, descending })?);
        }
        Ok(keys)
    }

    fn order_key(&mut self, entity: EntityId, by: &OrderBy) -> Result<OrderKey, Error> {
        let mut at = entity;
        for hop in &by.hops {
            at = self.model.entity(at).relation(*hop).target;
        }
        let field = self.model.entity(at).field(by.field);
        let base = field.ty.base;
        if field.ty.list || matches!(base, Base::Json | Base::Owned(_) | Base::Bytes) || field.secret {
            return Err(Error::invalid(format!("rows cannot be ordered by `{}`", field.name)));
        }
        let nullable = field.nullable_out() || !by.hops.is_empty();
        let path = Path { scope: Scope::Row, hops: by.hops.clone() };
        let expr = Expr { kind: ExprKind::Field(path, by.field), ty: ExprType::one(base) };
        let node = self.compiler().node(&expr, &Frame::of(entity, 0, Rights::Client))?;
        let slot = matches!(node, Node::Column(0, _)).then_some(by.field);
        Ok(OrderKey { node, base, slot, nullable, descending: by.descending })
    }

    fn rows(
        &mut self,
        entity: EntityId,
        fields: &[FieldId],
        nested: &[Nested],
        kind: FetchKind,
        filter: Option<Node>,
        depth: usize,
    ) -> Result<Fetch, Error> {
        if depth > NESTING_MAX {
            return Err(Error::limit("expand_depth_max", NESTING_MAX, "levels"));
        }
        let mut children = Vec::with_capacity(nested.len());
        let mut columns = vec![KEY, REVISION];
        columns.extend_from_slice(fields);
        for one in nested {
            let child = self.child(entity, one, depth)?;
            if let Link::One(column) = child.link {
                columns.push(column);
            }
            children.push(child);
        }
        columns.sort_unstable();
        columns.dedup();
        let mut masks = Vec::new();
        for field in &columns {
            if let Some(mask) = self.compiler().mask(entity, 0, *field)? {
                masks.push((*field, mask));
            }
        }
        let model = self.model.clone();
        let definition = model.entity(entity);
        let (owned, columns) = columns.into_iter().partition(|field| matches!(definition.field(*field).ty.base, Base::Owned(_)));
        Ok(Fetch { entity, kind, filter, columns, owned, masks, children })
    }

    fn child(&mut self, entity: EntityId, nested: &Nested, depth: usize) -> Result<Child, Error> {
        let model = self.model.clone();
        let relation = model.entity(entity).relation(nested.relation);
        let target = relation.target;
        let (link, fetch) = match relation.kind {
            RelationKind::One { field, .. } => {
                let filter = self.filter(target, None)?;
                (Link::One(field), self.rows(target, &nested.fields, &nested.nested, FetchKind::Keys, filter, depth + 1)?)
            }
            RelationKind::Many { field, .. } => {
                let mut fetch = self.list(target, &nested.fields, &nested.nested, &nested.list, self.limits.expand_items_max, depth + 1)?;
                // A link that the caller may not see links nothing.
                let seen = self.compiler().column(Rights::Client, Kind::Entity(target), 0, field)?;
                if !matches!(seen, Node::Column(..)) {
                    let visible = Node::IsNull(Box::new(seen)).negated();
                    fetch.filter = Some(Node::all(fetch.filter.take().into_iter().chain([visible]).collect()));
                }
                (Link::Many(field), fetch)
            }
        };
        Ok(Child { relation: nested.relation, link, fetch })
    }

    fn groups(&mut self, entity: EntityId, aggregate: &Aggregate) -> Result<Fetch, Error> {
        let filter = self.filter(entity, aggregate.filter.as_ref())?;
        let mut keys = Vec::with_capacity(aggregate.group_by.len());
        for by in &aggregate.group_by {
            let base = self.groupable(entity, by)?;
            keys.push((self.masked(entity, by.field)?, base, by.by));
        }
        let mut measures = Vec::with_capacity(aggregate.measures.len());
        for measure in &aggregate.measures {
            measures.push((*measure, self.measured(entity, *measure)?));
        }
        let kind = FetchKind::Groups(GroupFetch { keys, measures, limit: self.limits.groups_max });
        Ok(Fetch { entity, kind, filter, columns: Vec::new(), owned: Vec::new(), masks: Vec::new(), children: Vec::new() })
    }

    fn masked(&mut self, entity: EntityId, field: FieldId) -> Result<Node, Error> {
        self.compiler().column(Rights::Client, Kind::Entity(entity), 0, field)
    }

    fn groupable(&self, entity: EntityId, by: &GroupBy) -> Result<Base, Error> {
        let field = self.model.entity(entity).field(by.field);
        let base = field.ty.base;
        if field.ty.list || field.secret || matches!(base, Base::Json | Base::Bytes | Base::Owned(_)) {
            return Err(Error::invalid(format!("rows cannot be grouped by `{}`", field.name)));
        }
        if by.by.is_some() && !matches!(base, Base::DateTime | Base::Date) {
            return Err(Error::invalid(format!(
                "`{}` is {}; only a DateTime or a Date can be truncated",
                field.name,
                coerce::name(self.model, base)
            )));
        }
        Ok(base)
    }

    fn measured(&mut self, entity: EntityId, measure: Measure) -> Result<Option<(Node, Base)>, Error> {
        let (field, what) = match measure {
            Measure::Count => return Ok(None),
            Measure::CountOf(field) => (field, Measurable::Any),
            Measure::CountDistinct(field) => (field, Measurable::Scalar),
            Measure::Sum(field) | Measure::Average(field) => (field, Measurable::Number),
            Measure::Min(field) | Measure::Max(field) => (field, Measurable::Ordered),
        };
        let definition = self.model.entity(entity).field(field);
        let base = definition.ty.base;
        if definition.secret || !what.takes(base, definition.ty.list) {
            return Err(Error::invalid(format!("`{}` is {} and cannot be measured so", definition.name, coerce::name(self.model, base))));
        }
        Ok(Some((self.masked(entity, field)?, base)))
    }
}

enum Measurable {
    Any,
    Scalar,
    Number,
    Ordered,
}

impl Measurable {
    fn takes(&self, base: Base, list: bool) -> bool {
        let number = matches!(base, Base::Int | Base::BigInt | Base::Float | Base::Decimal { .. });
        match self {
            Measurable::Any => !matches!(base, Base::Owned(_)),
            Measurable::Scalar => !list && !matches!(base, Base::Json | Base::Owned(_)),
            Measurable::Number => !list && number,
            Measurable::Ordered => !list && (number || matches!(base, Base::String | Base::DateTime | Base::Date | Base::Uuid)),
        }
    }
}
