//! From a [`Fetch`] to its statements: one for its rows, one for each owned list, one for a total, and its children's.
//!
//! The count of statements is bounded by the plan alone, never by the rows: a child's rows are fetched for all parents at once, by
//! their keys in one array.

use fourfold_model::expr::Compare;
use fourfold_model::{Base, EntityId, FieldId, KEY, Model, OwnedId};
use fourfold_op::{Measure, Truncate};
use fourfold_plan::{Child, Fetch, FetchKind, GroupFetch, Link, Node, OrderKey, PageFetch};

use super::node::{NodeWriter, Source, Statement, Table};
use super::schema::{Index, indexes};
use super::{Codec, Dialect, owner_number, quoted};

/// The statements of a fetch and the meaning of their columns.
#[derive(Clone, Debug)]
pub struct FetchSql {
    /// The entity.
    pub entity: EntityId,
    /// Slots of its row, up to the last that is read.
    pub width: usize,
    /// The rows. As a child: those of all parents, the parent's number (from 1) first.
    pub rows: Statement,
    /// For a child of a to-many relation: the rows where there is but one parent, without the parent's number.
    pub rows_of_one: Option<Statement>,
    /// For a child of a to-many relation in the order of its keys: the rows of all parents without a page's end, at most
    /// [`Source::Most`] of them. Where they are fewer they are all, and come cheaper than page by page.
    pub rows_of_all: Option<Statement>,
    /// Columns of the row, in the order of the result.
    pub columns: Vec<(FieldId, Codec)>,
    /// After them: whether each masked owned list may be seen, by its place in `owned`.
    pub owned_masks: Vec<usize>,
    /// After them: the order keys that are no slot of the row, by their place in the order.
    pub order_keys: Vec<(usize, Codec)>,
    /// The owned lists.
    pub owned: Vec<OwnedSql>,
    /// What kind of answer it is.
    pub kind: KindSql,
    /// Rows of relations.
    pub children: Vec<ChildSql>,
}

/// What kind of answer a fetch gives.
#[derive(Clone, Debug)]
pub enum KindSql {
    /// At most one row.
    Key,
    /// A page.
    Page {
        /// Counts what matches, up to one more than the cap; as a child: the parent's number, then the count.
        total: Option<(Statement, u64)>,
    },
    /// A row for each parent's key.
    Keys,
    /// Groups, in the order of their keys; the columns of the result in their order.
    Groups {
        /// Keys, then measures.
        columns: Vec<GroupColumn>,
        /// How many groups at most.
        limit: u32,
    },
}

/// What stands in a column (or two) of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupColumn {
    /// A key.
    Key(Codec),
    /// A count.
    Count,
    /// A measure of a type.
    Measured(Measured, Base),
}

/// The measures that are of the field's type, or computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Its sum.
    Sum,
    /// Two columns: the sum and the count, from which the average is taken.
    Average,
    /// The least or the greatest.
    Extreme,
}

/// The elements of an owned list, for all rows of a page: the row's number (from 1), the ordinal, then the columns.
#[derive(Clone, Debug)]
pub struct OwnedSql {
    /// The slot of the row.
    pub field: FieldId,
    /// The owned type.
    pub owned: OwnedId,
    /// The elements.
    pub rows: Statement,
    /// The elements' columns.
    pub columns: Vec<Codec>,
}

/// A child's statements.
#[derive(Clone, Debug)]
pub struct ChildSql {
    /// How it hangs on its parent.
    pub link: Link,
    /// Its statements.
    pub fetch: FetchSql,
}

/// The statements of a fetch.
pub fn fetch(dialect: Dialect, model: &Model, fetch: &Fetch) -> FetchSql {
    Compiler { dialect, model, fetch, link: None }.fetch()
}

struct Compiler<'m> {
    dialect: Dialect,
    model: &'m Model,
    fetch: &'m Fetch,
    link: Option<Link>,
}

impl Compiler<'_> {
    fn fetch(&self) -> FetchSql {
        let fetch = self.fetch;
        FetchSql {
            entity: fetch.entity,
            width: fetch.width(),
            rows: self.rows(),
            rows_of_one: self.rows_of_one(),
            rows_of_all: self.rows_of_all(),
            columns: fetch.columns.iter().map(|id| (*id, self.codec(*id))).collect(),
            owned_masks: self.masked_owned().map(|(place, _)| place).collect(),
            order_keys: self.extra_keys().map(|(place, key)| (place, Codec::of(key.base))).collect(),
            owned: fetch.owned.iter().filter_map(|id| self.owned(*id)).collect(),
            kind: self.kind(),
            children: fetch.children.iter().map(|child| self.child(child)).collect(),
        }
    }

    fn codec(&self, field: FieldId) -> Codec {
        Codec::of_type(self.model.entity(self.fetch.entity).field(field).ty)
    }

    fn child(&self, child: &Child) -> ChildSql {
        let compiler = Compiler { dialect: self.dialect, model: self.model, fetch: &child.fetch, link: Some(child.link) };
        ChildSql { link: child.link, fetch: compiler.fetch() }
    }

    fn kind(&self) -> KindSql {
        match &self.fetch.kind {
            FetchKind::Key { .. } => KindSql::Key,
            FetchKind::Keys => KindSql::Keys,
            FetchKind::Page(page) => KindSql::Page { total: page.total.map(|cap| (self.total(cap), cap)) },
            FetchKind::Groups(groups) => KindSql::Groups { columns: group_columns(groups), limit: groups.limit },
        }
    }

    fn rows(&self) -> Statement {
        match (&self.fetch.kind, self.link) {
            (FetchKind::Key { param, .. }, _) => self.by_key(*param),
            (FetchKind::Keys, _) => self.by_keys(KEY),
            (FetchKind::Page(page), Some(Link::Many(field))) => self.pages(page, field),
            (FetchKind::Page(page), _) => self.page(page, None),
            (FetchKind::Groups(groups), _) => self.groups(groups),
        }
    }

    fn rows_of_one(&self) -> Option<Statement> {
        match (&self.fetch.kind, self.link) {
            (FetchKind::Page(page), Some(Link::Many(field))) => Some(self.page(page, Some(field))),
            _ => None,
        }
    }

    fn rows_of_all(&self) -> Option<Statement> {
        let (FetchKind::Page(page), Some(Link::Many(field))) = (&self.fetch.kind, self.link) else { return None };
        // PostgreSQL promises no order, and would sort them all to keep one.
        if by_key(page)?.descending || self.dialect == Dialect::Postgres {
            return None;
        }
        let mut writer = self.writer();
        writer.put("SELECT k.rowid, ");
        self.put_columns(&mut writer);
        self.put_from_keys(&mut writer, field);
        writer.put(" WHERE ");
        writer.put_column(0, field);
        writer.put(" = k.value");
        writer.and_condition(self.fetch.filter.as_ref());
        writer.and_condition(page.start.as_ref());
        writer.put(" LIMIT ");
        writer.put_source(Source::Most, Base::BigInt);
        Some(writer.statement)
    }

    fn writer(&self) -> NodeWriter<'_> {
        NodeWriter::new(self.dialect, self.model, self.fetch.entity)
    }

    fn put_from(&self, writer: &mut NodeWriter<'_>) {
        writer.put_table(0, Table::Entity(self.fetch.entity));
    }

    fn by_key(&self, key: u16) -> Statement {
        let mut writer = self.writer();
        writer.put("SELECT ");
        self.put_columns(&mut writer);
        writer.put(" FROM ");
        self.put_from(&mut writer);
        writer.put(" WHERE ");
        writer.put_column(0, KEY);
        writer.put(" = ");
        writer.put_param(key, self.model.entity(self.fetch.entity).key_type(), false);
        writer.and_condition(self.fetch.filter.as_ref());
        writer.statement
    }

    /// Rows for the keys of all parents, each as often as it is asked for.
    fn by_keys(&self, field: FieldId) -> Statement {
        let mut writer = self.writer();
        writer.put("SELECT ");
        self.put_number(&mut writer);
        writer.put(", ");
        self.put_columns(&mut writer);
        self.put_from_keys(&mut writer, field);
        writer.put(" WHERE ");
        writer.put_column(0, field);
        writer.put(" = k.value");
        writer.and_condition(self.fetch.filter.as_ref());
        writer.statement
    }

    /// The number of a key in the array of all parents' keys, from 1.
    fn put_number(&self, writer: &mut NodeWriter<'_>) {
        writer.put(match self.dialect {
            Dialect::Sqlite => "k.rowid",
            Dialect::Postgres => "k.number",
        });
    }

    /// The keys of all parents, with their numbers; they are of a column's type.
    fn put_keys_table(&self, writer: &mut NodeWriter<'_>, field: FieldId) {
        match self.dialect {
            Dialect::Sqlite => writer.put("rarray("),
            Dialect::Postgres => writer.put("unnest("),
        }
        writer.put_source(Source::Keys, self.model.entity(self.fetch.entity).field(field).ty.base);
        writer.put(match self.dialect {
            Dialect::Sqlite => ") AS k",
            Dialect::Postgres => ") WITH ORDINALITY AS k(value, number)",
        });
    }

    fn put_from_keys(&self, writer: &mut NodeWriter<'_>, field: FieldId) {
        writer.put(" FROM ");
        self.put_keys_table(writer, field);
        // CROSS JOIN keeps the order: SQLite would otherwise be free to scan the table and look into the array.
        writer.put(" CROSS JOIN ");
        self.put_from(writer);
    }

    /// A page, of all rows or of one parent's.
    fn page(&self, page: &PageFetch, parent: Option<FieldId>) -> Statement {
        let mut writer = self.writer();
        writer.put("SELECT ");
        self.put_columns(&mut writer);
        writer.put(" FROM ");
        self.put_from(&mut writer);
        self.put_where(&mut writer, parent, page.start.as_ref());
        self.put_order(&mut writer, page);
        self.put_limit(&mut writer, page);
        writer.statement
    }

    /// A page for each parent: the rows that an inner, correlated page finds through the relation's index.
    ///
    /// A window function over all rows would read all of every parent; this stops at each page's end.
    fn pages(&self, page: &PageFetch, field: FieldId) -> Statement {
        match self.dialect {
            Dialect::Sqlite => self.pages_within(page, field),
            Dialect::Postgres => self.pages_beside(page, field),
        }
    }

    fn pages_within(&self, page: &PageFetch, field: FieldId) -> Statement {
        let mut writer = self.writer();
        writer.put("SELECT k.rowid, ");
        self.put_columns(&mut writer);
        self.put_from_keys(&mut writer, field);
        writer.put(" WHERE t0.rowid IN (SELECT t0.rowid FROM ");
        self.put_from(&mut writer);
        self.put_rows_of_page(&mut writer, page, field);
        writer.put(") ORDER BY k.rowid");
        self.put_keys(&mut writer, page, true);
        writer.statement
    }

    /// The same beside each key. The rows are numbered as they come in their order, so that nothing is compared twice; the number is the last
    /// column. In the order of their keys they need no number: the reader sees whether they came so.
    fn pages_beside(&self, page: &PageFetch, field: FieldId) -> Statement {
        let mut writer = self.writer();
        writer.put("SELECT k.number, p.* FROM ");
        self.put_keys_table(&mut writer, field);
        writer.put(" CROSS JOIN LATERAL (SELECT ");
        self.put_columns(&mut writer);
        if by_key(page).is_some() {
            writer.put(" FROM ");
            self.put_from(&mut writer);
            self.put_rows_of_page(&mut writer, page, field);
            writer.put(") AS p");
            return writer.statement;
        }
        writer.put(", row_number() OVER (");
        self.put_order(&mut writer, page);
        writer.put(") AS \"fourfold order\" FROM ");
        self.put_from(&mut writer);
        self.put_rows_of_page(&mut writer, page, field);
        writer.put(") AS p ORDER BY k.number, p.\"fourfold order\"");
        writer.statement
    }

    /// From the WHERE of a page of the parent `k` to its end.
    fn put_rows_of_page(&self, writer: &mut NodeWriter<'_>, page: &PageFetch, field: FieldId) {
        writer.put(" WHERE ");
        writer.put_column(0, field);
        writer.put(" = k.value");
        writer.and_condition(self.fetch.filter.as_ref());
        writer.and_condition(page.start.as_ref());
        self.put_order(writer, page);
        self.put_limit(writer, page);
    }

    fn total(&self, cap: u64) -> Statement {
        let mut writer = self.writer();
        match self.link {
            Some(Link::Many(field)) => {
                writer.put("SELECT ");
                self.put_number(&mut writer);
                writer.put(", (");
                self.put_count(&mut writer, Some(field), cap);
                writer.put(") FROM ");
                self.put_keys_table(&mut writer, field);
            }
            _ => self.put_count(&mut writer, None, cap),
        }
        writer.statement
    }

    fn put_count(&self, writer: &mut NodeWriter<'_>, parent: Option<FieldId>, cap: u64) {
        writer.put("SELECT count(*) FROM (SELECT 1 FROM ");
        self.put_from(writer);
        match parent {
            Some(field) => {
                writer.put(" WHERE ");
                writer.put_column(0, field);
                writer.put(" = k.value");
                writer.and_condition(self.fetch.filter.as_ref());
            }
            None => self.put_where(writer, None, None),
        }
        writer.put(" LIMIT ");
        writer.put_number(i64::try_from(cap).unwrap_or(i64::MAX - 1) + 1);
        writer.put(if self.dialect == Dialect::Postgres { ") AS c" } else { ")" });
    }

    fn put_where(&self, writer: &mut NodeWriter<'_>, parent: Option<FieldId>, start: Option<&Node>) {
        let conditions = [self.fetch.filter.as_ref(), start];
        let mut word = " WHERE ";
        if let Some(field) = parent {
            writer.put(word);
            writer.put_column(0, field);
            writer.put(" = ");
            writer.put_source(Source::Key, self.model.entity(self.fetch.entity).field(field).ty.base);
            word = " AND ";
        }
        for condition in conditions.into_iter().flatten().filter(|condition| !condition.is_true()) {
            writer.put(word);
            writer.put_condition(condition);
            word = " AND ";
        }
    }

    /// SQLite's own order of nulls is ours: first ascending, last descending. PostgreSQL's is the other way round.
    ///
    /// A key is never null, and the index of a primary key is in PostgreSQL's own order: in another it would not serve. An index that leads to the
    /// rows of some values ends in the key in our order.
    fn put_order(&self, writer: &mut NodeWriter<'_>, page: &PageFetch) {
        writer.put(" ORDER BY ");
        let postgres = self.dialect == Dialect::Postgres;
        if let Some(by) = by_key(page).filter(|_| postgres && self.link.is_none() && !self.is_led_to_by_index()) {
            writer.put_value(&by.node);
            let codec = writer.codec_of(&by.node);
            writer.put(collation(self.dialect, codec));
            return writer.put(if by.descending { " DESC" } else { "" });
        }
        self.put_keys(writer, page, false);
    }

    /// Whether the filter fixes all columns of an index but the key that it ends in.
    fn is_led_to_by_index(&self) -> bool {
        let entity = self.model.entity(self.fetch.entity);
        let fixed: Vec<u32> = fixed_columns(self.fetch.filter.as_ref()).map(|id| entity.field(id).number).collect();
        let leads = |index: &Index| match index.columns.split_last() {
            Some((_, before)) => !index.unique && before.iter().all(|(number, _)| fixed.contains(number)),
            None => false,
        };
        indexes(self.dialect, entity).iter().any(leads)
    }

    fn put_keys(&self, writer: &mut NodeWriter<'_>, page: &PageFetch, mut following: bool) {
        for key in &page.order {
            if following {
                writer.put(", ");
            }
            following = true;
            writer.put_value(&key.node);
            let codec = writer.codec_of(&key.node);
            writer.put(collation(self.dialect, codec));
            writer.put(match (self.dialect, key.descending) {
                (Dialect::Sqlite, false) => "",
                (Dialect::Sqlite, true) => " DESC",
                (Dialect::Postgres, false) => " NULLS FIRST",
                (Dialect::Postgres, true) => " DESC NULLS LAST",
            });
        }
    }

    fn put_limit(&self, writer: &mut NodeWriter<'_>, page: &PageFetch) {
        writer.put(" LIMIT ");
        writer.put_param(page.limit, Base::Int, false);
        writer.put(" + 1");
    }

    /// The row's columns (masked), then the masks of owned lists, then order keys that are no slot.
    fn put_columns(&self, writer: &mut NodeWriter<'_>) {
        for (index, field) in self.fetch.columns.iter().enumerate() {
            if index > 0 {
                writer.put(", ");
            }
            self.put_masked(writer, *field);
        }
        for (_, mask) in self.masked_owned() {
            writer.put(", ");
            writer.put_value(&Node::Truth(Box::new(mask.clone())));
        }
        for (_, key) in self.extra_keys() {
            writer.put(", ");
            writer.put_value(&key.node);
        }
    }

    fn put_masked(&self, writer: &mut NodeWriter<'_>, field: FieldId) {
        match self.mask(field) {
            Some(mask) => {
                writer.put("CASE WHEN ");
                writer.put_condition(mask);
                writer.put(" THEN ");
                writer.put_column(0, field);
                writer.put(" END");
            }
            None => writer.put_column(0, field),
        }
    }

    fn mask(&self, field: FieldId) -> Option<&Node> {
        self.fetch.masks.iter().find(|(masked, _)| *masked == field).map(|(_, mask)| mask).filter(|mask| !mask.is_true())
    }

    fn masked_owned(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.fetch.owned.iter().enumerate().filter_map(|(place, field)| self.mask(*field).map(|mask| (place, mask)))
    }

    fn extra_keys(&self) -> impl Iterator<Item = (usize, &OrderKey)> {
        let order = match &self.fetch.kind {
            FetchKind::Page(page) => page.order.as_slice(),
            _ => &[],
        };
        order.iter().enumerate().filter(|(_, key)| key.slot.is_none())
    }

    fn owned(&self, field: FieldId) -> Option<OwnedSql> {
        let entity = self.model.entity(self.fetch.entity);
        let definition = entity.field(field);
        let Base::Owned(id) = definition.ty.base else { return None };
        let owned = self.model.owned(id);
        let mut writer = self.writer();
        writer.put("SELECT ");
        self.put_number(&mut writer);
        writer.put(", o._ordinal");
        for column in owned.fields.iter() {
            writer.put(", o.");
            writer.put_name(&column.column);
        }
        writer.put(" FROM ");
        self.put_keys_table(&mut writer, KEY);
        let owner = owner_number(entity.number, definition.number);
        writer.put(&format!(" CROSS JOIN {} AS o WHERE o._owner = {owner} AND o._parent = ", quoted(&owned.table)));
        self.dialect.put_parent(&mut writer.statement.text, "k.value", entity.key_type());
        let columns = owned.fields.iter().map(|field| Codec::of_type(field.ty)).collect();
        Some(OwnedSql { field, owned: id, rows: writer.statement, columns })
    }

    fn groups(&self, groups: &GroupFetch) -> Statement {
        let mut writer = self.writer();
        writer.put("SELECT ");
        let mut following = false;
        for (node, base, by) in &groups.keys {
            separate(&mut writer, &mut following);
            put_truncated(self.dialect, &mut writer, node, *base, *by);
        }
        for (measure, of) in &groups.measures {
            separate(&mut writer, &mut following);
            put_measure(self.dialect, &mut writer, *measure, of.as_ref());
        }
        if !following {
            writer.put("1");
        }
        writer.put(" FROM ");
        self.put_from(&mut writer);
        self.put_where(&mut writer, None, None);
        put_places(&mut writer, " GROUP BY ", groups.keys.len(), "");
        let nulls = if self.dialect == Dialect::Postgres { " NULLS FIRST" } else { "" };
        put_places(&mut writer, " ORDER BY ", groups.keys.len(), nulls);
        writer.put(" LIMIT ");
        writer.put_number(i64::from(groups.limit) + 1);
        writer.statement
    }
}

/// The only key of a page's order, where that is the rows' own.
pub fn by_key(page: &PageFetch) -> Option<&OrderKey> {
    match page.order.as_slice() {
        [by] if by.slot == Some(KEY) => Some(by),
        _ => None,
    }
}

/// The columns that a filter lets have one value.
fn fixed_columns(filter: Option<&Node>) -> impl Iterator<Item = FieldId> {
    let parts = match filter {
        Some(Node::And(parts)) => parts.as_slice(),
        filter => filter.map(std::slice::from_ref).unwrap_or_default(),
    };
    parts.iter().filter_map(|part| match part {
        Node::Compare(Compare::Equal, a, _) => match **a {
            Node::Column(0, field) => Some(field),
            _ => None,
        },
        _ => None,
    })
}

/// Texts are ordered by code point also where a column, of a table of others, was made with another order.
fn collation(dialect: Dialect, codec: Option<Codec>) -> &'static str {
    match (dialect, codec) {
        (Dialect::Postgres, Some(Codec::Text | Codec::Enum(_))) => " COLLATE \"C\"",
        _ => "",
    }
}

fn separate(writer: &mut NodeWriter<'_>, following: &mut bool) {
    if *following {
        writer.put(", ");
    }
    *following = true;
}

/// `GROUP BY 1, 2`.
fn put_places(writer: &mut NodeWriter<'_>, words: &str, count: usize, after: &str) {
    for place in 1..=count {
        writer.put(if place == 1 { words } else { ", " });
        writer.put_number(place as i64);
        writer.put(after);
    }
}

fn put_truncated(dialect: Dialect, writer: &mut NodeWriter<'_>, node: &Node, base: Base, by: Option<Truncate>) {
    let Some(by) = by else { return writer.put_value(node) };
    let (before, after) = match (dialect, base) {
        (Dialect::Sqlite, Base::Date) => ("ff_truncate_date('", ")"),
        (Dialect::Sqlite, _) => ("ff_truncate('", ")"),
        (Dialect::Postgres, Base::Date) => ("date_trunc('", "::timestamp)::date"),
        (Dialect::Postgres, _) => ("date_trunc('", ", 'UTC')"),
    };
    writer.put(before);
    writer.put(match by {
        Truncate::Hour => "hour",
        Truncate::Day => "day",
        Truncate::Week => "week",
        Truncate::Month => "month",
        Truncate::Year => "year",
    });
    writer.put("', ");
    writer.put_value(node);
    writer.put(after);
}

fn put_measure(dialect: Dialect, writer: &mut NodeWriter<'_>, measure: Measure, of: Option<&(Node, Base)>) {
    let Some((node, base)) = of else { return writer.put("count(*)") };
    let function = match measure {
        Measure::Count | Measure::CountOf(_) => "count(",
        Measure::CountDistinct(_) => "count(DISTINCT ",
        Measure::Sum(_) | Measure::Average(_) => "sum(",
        Measure::Min(_) => "min(",
        Measure::Max(_) => "max(",
    };
    // PostgreSQL has no least UUID; as text they are in the same order.
    let as_text = dialect == Dialect::Postgres && *base == Base::Uuid && matches!(measure, Measure::Min(_) | Measure::Max(_));
    let codec = if matches!(measure, Measure::Min(_) | Measure::Max(_)) { writer.codec_of(node) } else { None };
    writer.put(function);
    writer.put_value(node);
    writer.put(collation(dialect, codec));
    writer.put(if as_text { "::text COLLATE \"C\")::uuid" } else { ")" });
    if let Measure::Average(_) = measure {
        writer.put(", count(");
        writer.put_value(node);
        writer.put(")");
    }
}

fn group_columns(groups: &GroupFetch) -> Vec<GroupColumn> {
    let keys = groups.keys.iter().map(|(_, base, _)| GroupColumn::Key(Codec::of(*base)));
    let measures = groups.measures.iter().map(|(measure, of)| match (measure, of) {
        (Measure::Sum(_), Some((_, base))) => GroupColumn::Measured(Measured::Sum, *base),
        (Measure::Average(_), Some((_, base))) => GroupColumn::Measured(Measured::Average, *base),
        (Measure::Min(_) | Measure::Max(_), Some((_, base))) => GroupColumn::Measured(Measured::Extreme, *base),
        _ => GroupColumn::Count,
    });
    keys.chain(measures).collect()
}
