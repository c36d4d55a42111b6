//! Running a fetch's statements: rows, then owned lists and relations for all rows at once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use fourfold_model::{Base, Decimal, EntityId, FieldId, KEY, Model, Row, Value};
use fourfold_op::{Answered, Error, Joined, Page, Record};
use fourfold_plan::{Fetch, FetchKind, Link, PageFetch, ReadPlan};
use fourfold_store::size::record_bytes;
use fourfold_store::sql::{Codec, FetchSql, GroupColumn, KindSql, Measured, OwnedSql, Source, Statement};
use rusqlite::types::Value as Stored;
use rusqlite::{CachedStatement, Connection};

use crate::error::{Fail, misformed, sum_overflow};
use crate::value::{from_sql, to_sql, to_stored};

/// One plan being read on a connection that holds a snapshot.
pub struct Reading<'a> {
    pub connection: &'a Connection,
    pub plan: &'a ReadPlan,
    pub model: &'a Model,
    /// Statements run so far.
    pub statements: u32,
}

/// The keys that a child's statement asks for.
enum Keys {
    None,
    One(Stored),
    Many(Rc<Vec<Stored>>),
    /// Likewise, and how many rows at most.
    All(Rc<Vec<Stored>>, i64),
}

/// Rows of one statement.
#[derive(Default)]
struct Fetched {
    records: Vec<Record>,
    /// The parent's number of each, from 1; empty without parents.
    parents: Vec<usize>,
    /// The order keys of each that are no slot; empty where all are.
    keys: Vec<Vec<Value>>,
    /// Owned lists that may not be seen: (row, place in the fetch's owned lists).
    hidden: Vec<(usize, usize)>,
}

impl Reading<'_> {
    /// The plan's answer.
    pub fn answer(&mut self, sql: &FetchSql) -> Result<Answered, Fail> {
        let fetch = self.plan.fetch();
        match (&sql.kind, &fetch.kind) {
            (KindSql::Groups { columns, limit }, _) => self.groups(sql, columns, *limit).map(Answered::Groups),
            (KindSql::Page { .. }, FetchKind::Page(page)) => self.root_page(sql, fetch, page).map(Answered::Page),
            _ => {
                let mut fetched = self.rows(sql, &sql.rows, Keys::None)?;
                self.complete(sql, fetch, &mut fetched)?;
                Ok(Answered::Row(fetched.records.pop()))
            }
        }
    }

    fn root_page(&mut self, sql: &FetchSql, fetch: &Fetch, page: &PageFetch) -> Result<Page, Fail> {
        let mut fetched = self.rows(sql, &sql.rows, Keys::None)?;
        let limit = self.limit(page);
        let mut answer = Page { more: fetched.records.len() > limit, ..Page::default() };
        fetched.records.truncate(limit);
        self.complete(sql, fetch, &mut fetched)?;
        if let KindSql::Page { total: Some((statement, most)) } = &sql.kind {
            let count = self.count(statement)?;
            answer.total = Some(count.min(*most));
            answer.total_capped = count > *most;
        }
        self.end_early(&mut fetched.records, &mut answer);
        let token = |index: usize, record: &Record| self.plan.token(&order_keys(sql, page, record, fetched.keys.get(index)));
        if page.cursors {
            answer.cursors = fetched.records.iter().enumerate().map(|(index, record)| token(index, record)).collect();
        }
        if answer.more {
            answer.next = fetched.records.last().map(|record| token(fetched.records.len() - 1, record));
        }
        answer.items = fetched.records;
        Ok(answer)
    }

    fn limit(&self, page: &PageFetch) -> usize {
        match self.plan.params().get(usize::from(page.limit)) {
            Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(0),
            _ => 0,
        }
    }

    /// Ends a page where its bytes do; one item always stays.
    fn end_early(&self, records: &mut Vec<Record>, page: &mut Page) {
        let most = self.plan.page_bytes_max();
        let mut bytes = 0;
        let over = records.iter().position(|record| {
            let first = bytes == 0;
            bytes += record_bytes(record);
            !first && bytes > most
        });
        if let Some(at) = over {
            records.truncate(at);
            page.more = true;
        }
    }

    /// Owned lists and relations of rows that are kept.
    fn complete(&mut self, sql: &FetchSql, fetch: &Fetch, fetched: &mut Fetched) -> Result<(), Fail> {
        if fetched.records.is_empty() {
            return Ok(());
        }
        for (place, owned) in sql.owned.iter().enumerate() {
            self.owned(sql, owned, &mut fetched.records)?;
            for (row, _) in fetched.hidden.iter().filter(|(_, hidden)| *hidden == place) {
                if let Some(record) = fetched.records.get_mut(*row) {
                    record.row.set(owned.field, Value::Null);
                }
            }
        }
        for (child_sql, child) in sql.children.iter().zip(&fetch.children) {
            match child_sql.link {
                Link::One(slot) => self.one_each(&child_sql.fetch, &child.fetch, slot, &mut fetched.records)?,
                Link::Many(_) => self.many_each(&child_sql.fetch, &child.fetch, sql.entity, &mut fetched.records)?,
            }
        }
        Ok(())
    }

    fn key_codec(&self, entity: EntityId) -> Codec {
        Codec::of(self.model.entity(entity).key_type())
    }

    /// For each parent the row that its slot names.
    fn one_each(&mut self, sql: &FetchSql, fetch: &Fetch, slot: FieldId, parents: &mut [Record]) -> Result<(), Fail> {
        let codec = self.key_codec(sql.entity);
        // Each key is asked for once, however many lead to it.
        let (mut keys, mut wanted) = (Vec::with_capacity(parents.len()), Vec::with_capacity(parents.len()));
        let mut places: HashMap<&Value, usize, foldhash::fast::RandomState> = HashMap::default();
        for parent in parents.iter() {
            let key = parent.row.value(slot);
            wanted.push((!key.is_null()).then(|| {
                *places.entry(key).or_insert_with(|| {
                    keys.push(to_stored(self.model, codec, key));
                    keys.len() - 1
                })
            }));
        }
        let mut found: Vec<Option<Arc<Record>>> = vec![None; keys.len()];
        if !keys.is_empty() {
            let mut fetched = self.rows(sql, &sql.rows, Keys::Many(Rc::new(keys)))?;
            self.complete(sql, fetch, &mut fetched)?;
            for (number, record) in fetched.parents.iter().zip(fetched.records) {
                if let Some(place) = number.checked_sub(1).and_then(|index| found.get_mut(index)) {
                    *place = Some(Arc::new(record));
                }
            }
        }
        for (parent, place) in parents.iter_mut().zip(wanted) {
            parent.nested.push(Joined::One(place.and_then(|place| found.get(place).cloned().flatten())));
        }
        Ok(())
    }

    /// For each parent a page of the rows whose column names it.
    fn many_each(&mut self, sql: &FetchSql, fetch: &Fetch, parent: EntityId, parents: &mut [Record]) -> Result<(), Fail> {
        let FetchKind::Page(page) = &fetch.kind else { return Err(Error::internal("a to-many child without a page").into()) };
        let codec = self.key_codec(parent);
        let keys: Vec<Stored> = parents.iter().map(|parent| to_stored(self.model, codec, parent.row.value(KEY))).collect();
        let all = match &sql.rows_of_all {
            Some(statement) if keys.len() > 1 => self.all(sql, statement, &keys, self.limit(page))?,
            _ => None,
        };
        let mut fetched = match (all, keys.as_slice(), &sql.rows_of_one) {
            (Some(all), ..) => all,
            (None, [key], Some(statement)) => self.rows(sql, statement, Keys::One(key.clone()))?,
            _ => self.rows(sql, &sql.rows, Keys::Many(Rc::new(keys.clone())))?,
        };
        let mut pages: Vec<Page> = parents.iter().map(|_| Page::default()).collect();
        let mut kept = self.cut(page, &mut fetched, &mut pages);
        self.complete(sql, fetch, &mut fetched)?;
        if let KindSql::Page { total: Some((statement, most)) } = &sql.kind {
            self.totals(statement, *most, keys, &mut pages)?;
        }
        let mut records = fetched.records.into_iter().enumerate();
        for (page_of, count) in pages.iter_mut().zip(kept.drain(..)) {
            page_of.items.reserve_exact(count);
            for (index, record) in records.by_ref().take(count) {
                if page.cursors {
                    page_of.cursors.push(self.plan.token(&order_keys(sql, page, &record, fetched.keys.get(index))));
                }
                page_of.items.push(record);
            }
            if page_of.more && page.cursors {
                page_of.next = page_of.cursors.last().cloned();
            }
        }
        for (parent, page) in parents.iter_mut().zip(pages) {
            parent.nested.push(Joined::Many(page));
        }
        Ok(())
    }

    /// The rows of all parents, where they are no more than their pages could hold together, and come in their order as SQLite finds
    /// them; `None` where each page must be asked for.
    fn all(&mut self, sql: &FetchSql, statement: &Statement, keys: &[Stored], limit: usize) -> Result<Option<Fetched>, Fail> {
        let most = keys.len().saturating_mul(limit.saturating_add(1));
        let fetched = self.rows(sql, statement, Keys::All(Rc::new(keys.to_vec()), i64::try_from(most).unwrap_or(i64::MAX)))?;
        let order = |index: usize| Some((fetched.parents.get(index)?, fetched.records.get(index)?.row.value(KEY)));
        let in_order = (1..fetched.records.len()).all(|index| match (order(index - 1), order(index)) {
            (Some((before, one)), Some((parent, other))) => {
                before < parent || (before == parent && one.compare(other) == Some(Ordering::Less))
            }
            _ => false,
        });
        Ok((in_order && fetched.records.len() < most).then_some(fetched))
    }

    /// Drops the row beyond each parent's page; how many each keeps.
    fn cut(&self, page: &PageFetch, fetched: &mut Fetched, pages: &mut [Page]) -> Vec<usize> {
        let limit = self.limit(page);
        let mut counts = vec![0usize; pages.len()];
        let alone = fetched.parents.is_empty();
        let mut keep = Vec::with_capacity(fetched.records.len());
        for index in 0..fetched.records.len() {
            let parent = if alone { 0 } else { fetched.parents.get(index).map_or(0, |number| number.saturating_sub(1)) };
            let Some(count) = counts.get_mut(parent) else { continue };
            let fits = *count < limit;
            keep.push(fits);
            if fits {
                *count += 1;
            } else if let Some(page) = pages.get_mut(parent) {
                page.more = true;
            }
        }
        retain(&mut fetched.records, &keep);
        retain(&mut fetched.keys, &keep);
        let mut moved = Vec::new();
        for (row, place) in &fetched.hidden {
            if keep.get(*row) == Some(&true) {
                moved.push((keep.iter().take(*row).filter(|kept| **kept).count(), *place));
            }
        }
        fetched.hidden = moved;
        counts
    }

    fn totals(&mut self, statement: &Statement, most: u64, keys: Vec<Stored>, pages: &mut [Page]) -> Result<(), Fail> {
        let mut prepared = self.prepared(statement, &Keys::Many(Rc::new(keys)))?;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let (number, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            let count = u64::try_from(count).unwrap_or(0);
            if let Some(page) = usize::try_from(number - 1).ok().and_then(|index| pages.get_mut(index)) {
                page.total = Some(count.min(most));
                page.total_capped = count > most;
            }
        }
        Ok(())
    }

    fn count(&mut self, statement: &Statement) -> Result<u64, Fail> {
        let mut prepared = self.prepared(statement, &Keys::None)?;
        let mut rows = prepared.raw_query();
        let count: i64 = match rows.next()? {
            Some(row) => row.get(0)?,
            None => 0,
        };
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A statement of the connection's cache with its parameters bound.
    fn prepared(&mut self, statement: &Statement, keys: &Keys) -> Result<CachedStatement<'_>, Fail> {
        self.statements += 1;
        let mut prepared = self.connection.prepare_cached(&statement.text)?;
        for (index, source) in statement.sources.iter().enumerate() {
            bind(&mut prepared, self.model, self.plan.params(), index + 1, source, keys)?;
        }
        Ok(prepared)
    }

    fn rows(&mut self, sql: &FetchSql, statement: &Statement, keys: Keys) -> Result<Fetched, Fail> {
        let model = self.model;
        let with_parent = matches!(keys, Keys::Many(_) | Keys::All(..));
        let table = &model.entity(sql.entity).table;
        let mut fetched = Fetched::default();
        let mut prepared = self.prepared(statement, &keys)?;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let mut at = 0;
            if with_parent {
                fetched.parents.push(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
                at = 1;
            }
            // Columns ascend, so each slot is filled once: by its value, or by a null.
            let mut record = Vec::with_capacity(sql.width);
            for (field, codec) in &sql.columns {
                let value = from_sql(model, *codec, row.get_ref(at)?).ok_or_else(|| misformed(table))?;
                record.resize_with(usize::from(field.0), Value::default);
                record.push(value);
                at += 1;
            }
            record.resize_with(sql.width, Value::default);
            for place in &sql.owned_masks {
                if row.get::<_, i64>(at)? == 0 {
                    fetched.hidden.push((fetched.records.len(), *place));
                }
                at += 1;
            }
            if !sql.order_keys.is_empty() {
                let mut extra = Vec::with_capacity(sql.order_keys.len());
                for (_, codec) in &sql.order_keys {
                    extra.push(from_sql(model, *codec, row.get_ref(at)?).ok_or_else(|| misformed(table))?);
                    at += 1;
                }
                fetched.keys.push(extra);
            }
            fetched.records.push(Record { row: Row(record.into()), nested: Vec::with_capacity(sql.children.len()) });
        }
        Ok(fetched)
    }

    fn owned(&mut self, sql: &FetchSql, owned: &OwnedSql, records: &mut [Record]) -> Result<(), Fail> {
        let codec = self.key_codec(sql.entity);
        let keys = records.iter().map(|record| to_stored(self.model, codec, record.row.value(KEY))).collect();
        let mut lists: Vec<Vec<(i64, Row)>> = records.iter().map(|_| Vec::new()).collect();
        let model = self.model;
        let mut prepared = self.prepared(&owned.rows, &Keys::Many(Rc::new(keys)))?;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let (number, ordinal): (i64, i64) = (row.get(0)?, row.get(1)?);
            let mut values = Vec::with_capacity(owned.columns.len());
            for (index, codec) in owned.columns.iter().enumerate() {
                values.push(from_sql(model, *codec, row.get_ref(index + 2)?).ok_or_else(|| misformed(&model.owned(owned.owned).table))?);
            }
            if let Some(list) = usize::try_from(number - 1).ok().and_then(|index| lists.get_mut(index)) {
                list.push((ordinal, Row(values.into())));
            }
        }
        for (record, mut list) in records.iter_mut().zip(lists) {
            // In order already, as the table lies; nothing in SQL promises it.
            list.sort_by_key(|(ordinal, _)| *ordinal);
            record.row.set(owned.field, Value::Owned(list.into_iter().map(|(_, row)| row).collect()));
        }
        Ok(())
    }

    fn groups(&mut self, sql: &FetchSql, columns: &[GroupColumn], limit: u32) -> Result<Vec<Vec<Value>>, Fail> {
        let model = self.model;
        let mut answer = Vec::new();
        let mut prepared = self.prepared(&sql.rows, &Keys::None)?;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            if answer.len() as u64 >= u64::from(limit) {
                return Err(Error::limit("groups_max", limit as usize, "groups").into());
            }
            let mut values = Vec::with_capacity(columns.len());
            let mut at = 0;
            for column in columns {
                values.push(group_value(model, *column, row, &mut at)?);
            }
            answer.push(values);
        }
        Ok(answer)
    }
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        keep.get(index - 1).copied().unwrap_or(false)
    });
}

/// An item's order keys: of its row, or read beside it.
fn order_keys(sql: &FetchSql, page: &PageFetch, record: &Record, extra: Option<&Vec<Value>>) -> Vec<Value> {
    let beside = |place: usize| {
        let index = sql.order_keys.iter().position(|(known, _)| *known == place)?;
        extra?.get(index).cloned()
    };
    let keys = page.order.iter().enumerate();
    keys.map(|(place, key)| match key.slot {
        Some(slot) => record.row.value(slot).clone(),
        None => beside(place).unwrap_or_default(),
    })
    .collect()
}

fn group_value(model: &Model, column: GroupColumn, row: &rusqlite::Row<'_>, at: &mut usize) -> Result<Value, Fail> {
    let stored = row.get_ref(*at)?;
    *at += 1;
    let read = |codec: Codec| from_sql(model, codec, stored).ok_or_else(|| Fail::Error(misformed("a group")));
    match column {
        GroupColumn::Key(codec) => read(codec),
        GroupColumn::Count => read(Codec::Int),
        GroupColumn::Measured(Measured::Extreme, base) => read(Codec::of(base)),
        GroupColumn::Measured(Measured::Sum, base) => match base {
            Base::BigInt => read(Codec::Decimal(0)),
            Base::Decimal { scale, .. } => read(Codec::Decimal(scale)),
            Base::Float => match read(Codec::Float)? {
                Value::Float(sum) if !sum.is_finite() => Err(sum_overflow().into()),
                sum => Ok(sum),
            },
            _ => read(Codec::Int),
        },
        GroupColumn::Measured(Measured::Average, base) => {
            let count: i64 = row.get(*at)?;
            *at += 1;
            if count == 0 {
                return Ok(Value::Null);
            }
            let sum = match (base, read(if base == Base::Float { Codec::Float } else { Codec::Int })?) {
                (_, Value::Float(sum)) => sum,
                (Base::Decimal { scale, .. }, Value::Int(sum)) => sum as f64 / 10f64.powi(i32::from(scale)),
                (_, Value::Int(sum)) => sum as f64,
                _ => return Ok(Value::Null),
            };
            Ok(Value::Float(sum / count as f64))
        }
    }
}

/// Binds one parameter.
fn bind(
    statement: &mut CachedStatement<'_>,
    model: &Model,
    params: &[Value],
    at: usize,
    source: &Source,
    keys: &Keys,
) -> Result<(), rusqlite::Error> {
    match source {
        Source::Param { index, base, list: false } => match params.get(usize::from(*index)) {
            Some(value) => statement.raw_bind_parameter(at, to_sql(model, Codec::of(*base), value)),
            None => statement.raw_bind_parameter(at, rusqlite::types::Null),
        },
        Source::Param { index, base, list: true } => {
            let values: &[Value] = match params.get(usize::from(*index)) {
                Some(Value::List(values)) => values,
                _ => &[],
            };
            bind_values(statement, model, at, values, *base)
        }
        Source::Keys => match keys {
            Keys::Many(keys) | Keys::All(keys, _) => statement.raw_bind_parameter(at, keys),
            _ => Ok(()),
        },
        Source::Key => match keys {
            Keys::One(key) => statement.raw_bind_parameter(at, key),
            _ => Ok(()),
        },
        Source::Most => match keys {
            Keys::All(_, most) => statement.raw_bind_parameter(at, most),
            _ => Ok(()),
        },
        Source::Value(value, base) => statement.raw_bind_parameter(at, to_sql(model, constant_codec(value, *base), value)),
        Source::Values(values, base) => bind_values(statement, model, at, values, *base),
    }
}

fn bind_values(statement: &mut CachedStatement<'_>, model: &Model, at: usize, values: &[Value], base: Base) -> Result<(), rusqlite::Error> {
    let stored: Rc<Vec<Stored>> = Rc::new(values.iter().map(|value| to_stored(model, Codec::of(base), value)).collect());
    statement.raw_bind_parameter(at, &stored)
}

fn constant_codec(value: &Value, base: Base) -> Codec {
    match value {
        Value::Decimal(Decimal { scale, .. }) => Codec::Decimal(*scale),
        _ => Codec::of(base),
    }
}

/// Binds a probe's statement, whose sources are all values.
pub fn bind_constants(statement: &mut CachedStatement<'_>, model: &Model, sources: &[Source]) -> Result<(), rusqlite::Error> {
    sources.iter().enumerate().try_for_each(|(index, source)| bind(statement, model, &[], index + 1, source, &Keys::None))
}
