//! Running a fetch's statements: rows, then owned lists and relations for all rows at once.

use std::cmp::Ordering;
use std::rc::Rc;

use fourfold_model::{Base, Decimal, EntityId, FieldId, KEY, Model, Row, Value};
use fourfold_op::{Answered, Error, Joined, Page, Record};
use fourfold_plan::{Fetch, FetchKind, Link, PageFetch, ReadPlan};
use fourfold_store::sql::fetched::{Wanted, average, join_owned, limit};
use fourfold_store::sql::{Codec, FetchSql, Fetched, GroupColumn, KindSql, Measured, OwnedSql, Source, Statement};
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
        let limit = limit(self.plan, page);
        let mut answer = Page { more: fetched.records.len() > limit, ..Page::default() };
        fetched.records.truncate(limit);
        self.complete(sql, fetch, &mut fetched)?;
        if let KindSql::Page { total: Some((statement, most)) } = &sql.kind {
            let count = self.count(statement)?;
            answer.total = Some(count.min(*most));
            answer.total_capped = count > *most;
        }
        Ok(fetched.into_page(self.plan, sql, page, answer))
    }

    /// Owned lists and relations of rows that are kept.
    fn complete(&mut self, sql: &FetchSql, fetch: &Fetch, fetched: &mut Fetched) -> Result<(), Fail> {
        if fetched.records.is_empty() {
            return Ok(());
        }
        for (place, owned) in sql.owned.iter().enumerate() {
            self.owned(sql, owned, &mut fetched.records)?;
            fetched.hide(place, owned.field);
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
        let wanted = Wanted::of(parents, slot);
        let mut fetched = Fetched::default();
        if !wanted.keys.is_empty() {
            let keys = wanted.keys.iter().map(|key| to_stored(self.model, codec, key)).collect();
            fetched = self.rows(sql, &sql.rows, Keys::Many(Rc::new(keys)))?;
            self.complete(sql, fetch, &mut fetched)?;
        }
        wanted.join(fetched, parents);
        Ok(())
    }

    /// For each parent a page of the rows whose column names it.
    fn many_each(&mut self, sql: &FetchSql, fetch: &Fetch, parent: EntityId, parents: &mut [Record]) -> Result<(), Fail> {
        let FetchKind::Page(page) = &fetch.kind else { return Err(Error::internal("a to-many child without a page").into()) };
        let codec = self.key_codec(parent);
        let keys: Vec<Stored> = parents.iter().map(|parent| to_stored(self.model, codec, parent.row.value(KEY))).collect();
        let all = match &sql.rows_of_all {
            Some(statement) if keys.len() > 1 => self.all(sql, statement, &keys, limit(self.plan, page))?,
            _ => None,
        };
        let mut fetched = match (all, keys.as_slice(), &sql.rows_of_one) {
            (Some(all), ..) => all,
            (None, [key], Some(statement)) => self.rows(sql, statement, Keys::One(key.clone()))?,
            _ => self.rows(sql, &sql.rows, Keys::Many(Rc::new(keys.clone())))?,
        };
        let mut pages: Vec<Page> = parents.iter().map(|_| Page::default()).collect();
        let counts = fetched.cut(limit(self.plan, page), &mut pages);
        self.complete(sql, fetch, &mut fetched)?;
        if let KindSql::Page { total: Some((statement, most)) } = &sql.kind {
            self.totals(statement, *most, keys, &mut pages)?;
        }
        fetched.into_pages(self.plan, sql, page, counts, &mut pages);
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
        let mut elements = Vec::new();
        let model = self.model;
        let mut prepared = self.prepared(&owned.rows, &Keys::Many(Rc::new(keys)))?;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let (number, ordinal): (i64, i64) = (row.get(0)?, row.get(1)?);
            let mut values = Vec::with_capacity(owned.columns.len());
            for (index, codec) in owned.columns.iter().enumerate() {
                values.push(from_sql(model, *codec, row.get_ref(index + 2)?).ok_or_else(|| misformed(&model.owned(owned.owned).table))?);
            }
            elements.push((number, ordinal, Row(values.into())));
        }
        join_owned(elements, owned.field, records);
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
            Ok(average(base, &read(if base == Base::Float { Codec::Float } else { Codec::Int })?, count))
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
