//! Gets and lists.

use std::collections::HashMap;

use fourfold_model::{Base, EntityId, Expr, Value};

use super::{Asked, Asking, Pairs, Shape, Wrong};
use crate::json::{did_you_mean, quoted};
use crate::{List, Operation, OrderBy, Select, SelectKind};

/// Parameters of lists that are no fields; a field of such a name is asked as `name__eq`.
pub const RESERVED: [&str; 11] =
    ["filter", "search", "order_by", "fields", "expand", "page_size", "page_token", "with_total", "after", "initial", "mode"];

/// Parameters of aggregates that are no fields.
pub const RESERVED_AGGREGATE: [&str; 7] = ["group_by", "count", "sum", "avg", "min", "max", "count_distinct"];

/// Parameters by name, in the order of their first appearance, with all their values.
pub(super) struct Grouped<'a>(pub(super) Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Grouped<'a> {
    pub(super) fn new(pairs: &'a Pairs<'_>) -> Grouped<'a> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in pairs {
            let place = *places.entry(name).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => groups.push((name, vec![value])),
            }
        }
        Grouped(groups)
    }
}

/// The parameters of a list that are not filters.
#[derive(Default)]
struct Paging<'a> {
    order_by: Option<&'a str>,
    fields: Option<&'a str>,
    expand: Option<&'a str>,
    page_size: Option<&'a str>,
    page_token: Option<&'a str>,
    with_total: Option<&'a str>,
    filter: Option<&'a str>,
}

impl Asking<'_> {
    /// `GET /v1/products/{key}`: with `fields` and `expand`.
    ///
    /// # Errors
    /// `invalid_argument` with everything that is wrong.
    pub fn get(mut self, entity: EntityId, key: Value, pairs: &Pairs<'_>) -> Result<Asked, crate::Error> {
        let key = self.lift(key);
        let (fields, expand) = self.row_parameters(pairs, "one row");
        let shown = self.shown(entity, fields, expand);
        let select = Select { entity, kind: SelectKind::Get { key, cursor: false }, fields: shown.fields, nested: shown.nested };
        self.finish(Operation::Read(vec![select]), Shape::Rows(shown.shape))
    }

    /// `fields` and `expand`, where there are no other parameters.
    pub(super) fn row_parameters<'p>(&mut self, pairs: &'p Pairs<'_>, of: &str) -> (Option<&'p str>, Option<&'p str>) {
        let (mut fields, mut expand) = (None, None);
        for (name, values) in Grouped::new(pairs).0 {
            match name {
                "fields" => fields = self.once(name, &values),
                "expand" => expand = self.once(name, &values),
                _ => {
                    let near = did_you_mean(name, ["fields", "expand"].into_iter());
                    self.wrong(name, format!("unknown parameter {}; for {of} there are `fields` and `expand`{near}", quoted(name)));
                }
            }
        }
        (fields, expand)
    }

    /// `GET /v1/products?…`: a page of the rows that match.
    ///
    /// # Errors
    /// `invalid_argument` with everything that is wrong.
    pub fn list(mut self, entity: EntityId, pairs: &Pairs<'_>) -> Result<Asked, crate::Error> {
        let mut paging = Paging::default();
        let mut terms = Vec::new();
        for (name, values) in Grouped::new(pairs).0 {
            if let Some(slot) = paging.slot(name) {
                *slot = self.once(name, &values);
            } else if let Some(refusal) = elsewhere(name) {
                self.wrong(name, refusal);
            } else {
                terms.push((name, values));
            }
        }
        let filter = self.filter(entity, &terms, paging.filter);
        let order = paging.order_by.map(|text| self.order(entity, text)).unwrap_or_default();
        let size = paging.page_size.and_then(|text| self.page_size(text)).map(|size| self.lift(size));
        let after = paging.page_token.map(|token| self.lift(Value::text(token)));
        let total = paging.with_total.is_some_and(|text| self.flag("with_total", text));
        let shown = self.shown(entity, paging.fields, paging.expand);
        let list = List { filter, order, size, after, total, cursors: false };
        let select = Select { entity, kind: SelectKind::List(list), fields: shown.fields, nested: shown.nested };
        self.finish(Operation::Read(vec![select]), Shape::Rows(shown.shape))
    }

    /// All filter parameters and `filter=`, in one.
    pub(super) fn filter(&mut self, entity: EntityId, terms: &[(&str, Vec<&str>)], expression: Option<&str>) -> Option<Expr> {
        let terms_max = self.limits.filter_terms_max;
        if terms.len() > terms_max {
            self.exceeded("", "filter_terms_max", terms_max, "filter parameters");
            return None;
        }
        let mut parts: Vec<Expr> = terms.iter().filter_map(|(name, values)| self.term(entity, name, values)).collect();
        parts.extend(expression.and_then(|text| self.expression(entity, text)));
        if parts.is_empty() { None } else { Some(Expr::all(parts)) }
    }

    /// The value of a parameter that may be given once.
    pub(super) fn once<'v>(&mut self, name: &str, values: &[&'v str]) -> Option<&'v str> {
        if values.len() > 1 {
            self.wrong(name, format!("{} is given {} times; once is right", quoted(name), values.len()));
        }
        values.first().copied()
    }

    fn flag(&mut self, name: &str, text: &str) -> bool {
        if !matches!(text, "true" | "false") {
            self.wrong(name, format!("{} is not a Boolean; expected true or false", quoted(text)));
        }
        text == "true"
    }

    /// A size above the maximum is taken as the maximum, 0 as the default (AIP-158).
    fn page_size(&mut self, text: &str) -> Option<Value> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.wrong("page_size", format!("{} is not a whole number; expected 1 to {}", quoted(text), self.limits.page_size_max));
            return None;
        }
        let size = text.parse::<i64>().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX });
        if size < 0 {
            self.wrong("page_size", format!("{} is negative; expected 1 to {}", quoted(text), self.limits.page_size_max));
        }
        (size > 0).then(|| Value::Int(size.min(i64::from(self.limits.page_size_max))))
    }

    fn order(&mut self, entity: EntityId, text: &str) -> Vec<OrderBy> {
        let keys: Vec<&str> = text.split(',').map(str::trim).collect();
        let keys_max = self.limits.order_keys_max;
        if keys.len() > keys_max {
            self.exceeded("order_by", "order_keys_max", keys_max, "keys");
            return Vec::new();
        }
        let mut order: Vec<OrderBy> = Vec::new();
        for key in keys {
            match self.order_key(entity, key) {
                Ok(key) if order.iter().any(|known| known.field == key.field && known.hops == key.hops) => {
                    self.wrong("order_by", format!("`{text}` names one field twice"));
                }
                Ok(key) => order.push(key),
                Err(wrong) => self.refused("order_by", wrong),
            }
        }
        order
    }

    fn order_key(&self, entity: EntityId, text: &str) -> Result<OrderBy, Wrong> {
        let (descending, path) = text.strip_prefix('-').map_or((false, text), |path| (true, path));
        if path.is_empty() {
            return Err(Wrong::Detail("`order_by` has an empty name; expected names such as `-price,title`".to_owned()));
        }
        let segments: Vec<&str> = if path.contains('.') { path.split('.').collect() } else { path.split("__").collect() };
        let target = self.walk(entity, &segments, path)?;
        let ty = self.entity(target.entity).field(target.field).ty;
        if ty.list || matches!(ty.base, Base::Json | Base::Owned(_)) {
            return Err(Wrong::Detail(format!("{} has no order: it is a list or Json", quoted(path))));
        }
        Ok(OrderBy { hops: target.hops, field: target.field, descending })
    }
}

impl<'a> Paging<'a> {
    fn slot(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        Some(match name {
            "order_by" => &mut self.order_by,
            "fields" => &mut self.fields,
            "expand" => &mut self.expand,
            "page_size" => &mut self.page_size,
            "page_token" => &mut self.page_token,
            "with_total" => &mut self.with_total,
            "filter" => &mut self.filter,
            _ => return None,
        })
    }
}

/// Reserved names that mean something to other requests.
pub(super) fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "search" => "`search` is not served yet; `field__icontains=` finds parts of a text",
        "after" => "`after` is for watching; a list goes on by `page_token`",
        "initial" => "`initial` is for watching",
        "mode" => "`mode` is for ingest: POST with `Content-Type: application/x-ndjson`",
        _ => return None,
    })
}
