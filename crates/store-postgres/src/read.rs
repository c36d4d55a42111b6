//! Running a fetch's statements: its rows, then owned lists and relations for all rows at once, sent together.

mod at_once;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fourfold_model::{Base, Decimal, EntityId, FieldId, KEY, Model, Row, Value};
use fourfold_op::{Answered, Cursor, Deadline, Error, Joined, Page, Record};
use fourfold_plan::{Fetch, FetchKind, Link, PageFetch, ReadPlan};
use fourfold_store::Snapshot;
use fourfold_store::sql::fetched::{Wanted, average, join_owned, limit};
use fourfold_store::sql::read::by_key;
use fourfold_store::sql::{Codec, FetchSql, Fetched, GroupColumn, KindSql, Measured, OwnedSql, Source, Statement};
use futures_util::future::{BoxFuture, join, join_all, join3};
use futures_util::{FutureExt, TryStreamExt, pin_mut};
use tokio_postgres::RowStream;

use at_once::{compiled, row_at_once, row_in_line};

use crate::Inner;
use crate::error::{Fail, all, late, misformed, sum_overflow, unavailable};
use crate::lent::Lent;
use crate::pooled::Pooled;
use crate::system::{STATE, State};
use crate::value::{Bound, Raw, Text, Whole, bound, bound_array, taken, whole};

/// The mode of a transaction that reads.
pub const ONE_SNAPSHOT: &str = " ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Reads all plans of one snapshot.
pub async fn read(inner: &Arc<Inner>, plans: &[ReadPlan], deadline: &Deadline) -> Result<Snapshot, Fail> {
    let Some(at) = deadline.0 else { return read_in_time(inner, plans, None).await };
    let left = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or_else(late)?;
    match tokio::time::timeout(left, read_in_time(inner, plans, Some(left))).await {
        Ok(done) => done,
        Err(_) => Err(Fail::Late),
    }
}

async fn read_in_time(inner: &Arc<Inner>, plans: &[ReadPlan], left: Option<Duration>) -> Result<Snapshot, Fail> {
    if let Some(row) = row_in_line(inner, plans).await? {
        return Ok(row);
    }
    let lent = Lent::take(&inner.pooled).await?;
    let read = match row_at_once(inner, lent.client()?, plans, left).await {
        Ok(Some(snapshot)) => {
            lent.done();
            return Ok(snapshot);
        }
        Ok(None) => snapshot(inner, &lent, plans, left).await,
        Err(fail) => Err(fail),
    };
    match read {
        Ok(snapshot) => {
            lent.end_reading();
            Ok(snapshot)
        }
        Err(Fail::Stale) => {
            lent.client()?.forget_statements();
            lent.roll_back().await;
            Err(Fail::Stale)
        }
        Err(fail) => {
            lent.roll_back().await;
            Err(fail)
        }
    }
}

/// Takes in the state of a snapshot, which must be of the plans' model.
fn known(inner: &Inner, client: &Pooled, plans: &[ReadPlan], state: &State) -> Result<(), Fail> {
    inner.told_by(client, state)?;
    of_model(plans, state.fingerprint)
}

fn of_model(plans: &[ReadPlan], fingerprint: u64) -> Result<(), Fail> {
    if plans.iter().any(|plan| plan.model().fingerprint != fingerprint) {
        return Err(unavailable("the store is being migrated to another model; try again").into());
    }
    Ok(())
}

fn cursor(state: State) -> Cursor {
    Cursor { epoch: state.epoch, after: state.position, skip: state.unnumbered.map(Arc::from) }
}

/// Everything is sent before the first answer comes: the beginning, the state, and each plan's first statements.
async fn snapshot(inner: &Inner, lent: &Lent, plans: &[ReadPlan], left: Option<Duration>) -> Result<Snapshot, Fail> {
    let client = lent.client()?;
    let state = client.prepared(STATE).await?;
    let begin = client.begin(ONE_SNAPSHOT, left);
    let statements = AtomicU32::new(0);
    let readings = plans
        .iter()
        .map(|plan| async { Reading { client, plan, model: plan.model(), statements: &statements }.answer(&compiled(plan)?.sql).await });
    let (begun, state, answers) = join3(client.batch_execute(&begin), client.query_one(&state, &[]), join_all(readings)).await;
    begun?;
    let state = State::of(&state?)?;
    known(inner, client, plans, &state)?;
    Ok(Snapshot { answers: all(answers)?, cursor: Some(cursor(state)), statements: statements.into_inner() })
}

/// One plan being read in a transaction.
struct Reading<'a> {
    client: &'a Pooled,
    plan: &'a ReadPlan,
    model: &'a Model,
    statements: &'a AtomicU32,
}

/// The keys that a child's statement asks for.
enum Keys<'k> {
    None,
    One(&'k Value),
    Many(&'k [Value]),
}

/// What hangs on the rows of a fetch.
enum Part {
    Owned(usize, FieldId, Vec<(i64, i64, Row)>),
    One(Wanted, Fetched),
    Many(Vec<Page>),
}

impl Reading<'_> {
    /// The plan's answer.
    async fn answer(&self, sql: &FetchSql) -> Result<Answered, Fail> {
        let fetch = self.plan.fetch();
        match (&sql.kind, &fetch.kind) {
            (KindSql::Groups { columns, limit }, _) => self.groups(sql, columns, *limit).await.map(Answered::Groups),
            (KindSql::Page { .. }, FetchKind::Page(page)) => self.root_page(sql, fetch, page).await.map(Answered::Page),
            _ => {
                let mut fetched = self.rows(sql, &sql.rows, Keys::None).await?;
                self.complete(sql, fetch, &mut fetched).await?;
                Ok(Answered::Row(fetched.records.pop()))
            }
        }
    }

    async fn root_page(&self, sql: &FetchSql, fetch: &Fetch, page: &PageFetch) -> Result<Page, Fail> {
        let counted = async {
            match &sql.kind {
                KindSql::Page { total: Some((statement, most)) } => Ok::<_, Fail>(Some((self.count(statement).await?, *most))),
                _ => Ok(None),
            }
        };
        let (rows, counted) = join(self.rows(sql, &sql.rows, Keys::None), counted).await;
        let mut fetched = rows?;
        let limit = limit(self.plan, page);
        let mut answer = Page { more: fetched.records.len() > limit, ..Page::default() };
        fetched.records.truncate(limit);
        if let Some((count, most)) = counted? {
            (answer.total, answer.total_capped) = (Some(count.min(most)), count > most);
        }
        self.complete(sql, fetch, &mut fetched).await?;
        Ok(fetched.into_page(self.plan, sql, page, answer))
    }

    /// Owned lists and relations of rows that are kept.
    fn complete<'f>(&'f self, sql: &'f FetchSql, fetch: &'f Fetch, fetched: &'f mut Fetched) -> BoxFuture<'f, Result<(), Fail>> {
        async move {
            if fetched.records.is_empty() {
                return Ok(());
            }
            let records = fetched.records.as_slice();
            let owned = sql.owned.iter().enumerate().map(|(place, owned)| self.owned(place, owned, records).boxed());
            let children = sql.children.iter().zip(&fetch.children).map(|(sql, child)| match sql.link {
                Link::One(slot) => self.one_each(&sql.fetch, &child.fetch, slot, records).boxed(),
                Link::Many(_) => self.many_each(&sql.fetch, &child.fetch, records).boxed(),
            });
            let parts = all(join_all(owned.chain(children)).await)?;
            parts.into_iter().for_each(|part| hang(part, fetched));
            Ok(())
        }
        .boxed()
    }

    /// For each parent the row that its slot names.
    async fn one_each(&self, sql: &FetchSql, fetch: &Fetch, slot: FieldId, parents: &[Record]) -> Result<Part, Fail> {
        let wanted = Wanted::of(parents, slot);
        let mut fetched = Fetched::default();
        if !wanted.keys.is_empty() {
            fetched = self.rows(sql, &sql.rows, Keys::Many(&wanted.keys)).await?;
            self.complete(sql, fetch, &mut fetched).await?;
        }
        Ok(Part::One(wanted, fetched))
    }

    /// For each parent a page of the rows whose column names it.
    async fn many_each(&self, sql: &FetchSql, fetch: &Fetch, parents: &[Record]) -> Result<Part, Fail> {
        let FetchKind::Page(page) = &fetch.kind else { return Err(Error::internal("a to-many child without a page").into()) };
        let keys = keys_of(parents);
        let rows = match (keys.as_slice(), &sql.rows_of_one) {
            ([key], Some(statement)) => self.rows(sql, statement, Keys::One(key)).boxed(),
            _ => self.rows(sql, &sql.rows, Keys::Many(&keys)).boxed(),
        };
        let (rows, totals) = join(rows, self.totals(sql, &keys)).await;
        let mut fetched = rows?;
        if let Some(by) = by_key(page) {
            fetched.order_by_key(by.descending);
        }
        let mut pages: Vec<Page> = parents.iter().map(|_| Page::default()).collect();
        for (number, total, capped) in totals? {
            if let Some(page) = usize::try_from(number - 1).ok().and_then(|index| pages.get_mut(index)) {
                (page.total, page.total_capped) = (Some(total), capped);
            }
        }
        let counts = fetched.cut(limit(self.plan, page), &mut pages);
        self.complete(sql, fetch, &mut fetched).await?;
        fetched.into_pages(self.plan, sql, page, counts, &mut pages);
        Ok(Part::Many(pages))
    }

    /// Of each parent's number the total, and whether there are more.
    async fn totals(&self, sql: &FetchSql, keys: &[Value]) -> Result<Vec<(i64, u64, bool)>, Fail> {
        let KindSql::Page { total: Some((statement, most)) } = &sql.kind else { return Ok(Vec::new()) };
        let rows = self.sent(statement, &Keys::Many(keys)).await?;
        pin_mut!(rows);
        let mut totals = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let count = row.try_get::<_, i64>(1)?.unsigned_abs();
            totals.push((row.try_get(0)?, count.min(*most), count > *most));
        }
        Ok(totals)
    }

    async fn count(&self, statement: &Statement) -> Result<u64, Fail> {
        let rows = self.sent(statement, &Keys::None).await?;
        pin_mut!(rows);
        match rows.try_next().await? {
            Some(row) => Ok(row.try_get::<_, i64>(0)?.unsigned_abs()),
            None => Ok(0),
        }
    }

    /// Sends a statement with its parameters.
    async fn sent(&self, statement: &Statement, keys: &Keys<'_>) -> Result<RowStream, Fail> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let prepared = self.client.prepared(&statement.text).await?;
        Ok(self.client.query_raw(&prepared, self.parameters(statement, keys)).await?)
    }

    fn parameters(&self, statement: &Statement, keys: &Keys<'_>) -> Vec<Bound> {
        statement.sources.iter().map(|source| bind(self.model, self.plan.params(), source, keys)).collect()
    }

    async fn rows(&self, sql: &FetchSql, statement: &Statement, keys: Keys<'_>) -> Result<Fetched, Fail> {
        let with_parent = matches!(keys, Keys::Many(_));
        let mut fetched = Fetched::default();
        let rows = self.sent(statement, &keys).await?;
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await? {
            self.take(sql, &row, 0, with_parent, &mut fetched)?;
        }
        Ok(fetched)
    }

    /// Takes a row whose columns begin at a place.
    fn take(&self, sql: &FetchSql, row: &tokio_postgres::Row, from: usize, with_parent: bool, fetched: &mut Fetched) -> Result<(), Fail> {
        let (model, table) = (self.model, &self.model.entity(sql.entity).table);
        let value =
            |codec: Codec, at: usize| value_at(model, codec, row, at).and_then(|value| value.ok_or_else(|| misformed(table).into()));
        let mut at = from;
        if with_parent {
            fetched.parents.push(usize::try_from(row.try_get::<_, i64>(at)?).unwrap_or(0));
            at += 1;
        }
        // Columns ascend, so each slot is filled once: by its value, or by a null.
        let mut record = Vec::with_capacity(sql.width);
        for (field, codec) in &sql.columns {
            let value = value(*codec, at)?;
            while record.len() < usize::from(field.0) {
                record.push(Value::Null);
            }
            record.push(value);
            at += 1;
        }
        record.resize_with(sql.width, Value::default);
        for place in &sql.owned_masks {
            if !row.try_get::<_, bool>(at)? {
                fetched.hidden.push((fetched.records.len(), *place));
            }
            at += 1;
        }
        if !sql.order_keys.is_empty() {
            let keys = sql.order_keys.iter().enumerate().map(|(index, (_, codec))| value(*codec, at + index));
            fetched.keys.push(keys.collect::<Result<_, _>>()?);
        }
        fetched.records.push(Record { row: Row(record.into()), nested: Vec::with_capacity(sql.children.len()) });
        Ok(())
    }

    async fn owned(&self, place: usize, owned: &OwnedSql, records: &[Record]) -> Result<Part, Fail> {
        let table = &self.model.owned(owned.owned).table;
        let keys = keys_of(records);
        let rows = self.sent(&owned.rows, &Keys::Many(&keys)).await?;
        pin_mut!(rows);
        let mut elements = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let values = owned.columns.iter().enumerate().map(|(index, codec)| {
                value_at(self.model, *codec, &row, index + 2).and_then(|value| value.ok_or_else(|| misformed(table).into()))
            });
            elements.push((row.try_get(0)?, row.try_get(1)?, Row(values.collect::<Result<Vec<_>, Fail>>()?.into())));
        }
        Ok(Part::Owned(place, owned.field, elements))
    }

    async fn groups(&self, sql: &FetchSql, columns: &[GroupColumn], limit: u32) -> Result<Vec<Vec<Value>>, Fail> {
        let rows = self.sent(&sql.rows, &Keys::None).await?;
        pin_mut!(rows);
        let mut answer = Vec::new();
        while let Some(row) = rows.try_next().await? {
            if answer.len() as u64 >= u64::from(limit) {
                return Err(Error::limit("groups_max", limit as usize, "groups").into());
            }
            let mut at = 0;
            let values = columns.iter().map(|column| group_value(self.model, *column, &row, &mut at));
            answer.push(values.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(answer)
    }
}

fn hang(part: Part, fetched: &mut Fetched) {
    match part {
        Part::Owned(place, field, elements) => {
            join_owned(elements, field, &mut fetched.records);
            fetched.hide(place, field);
        }
        Part::One(wanted, found) => wanted.join(found, &mut fetched.records),
        Part::Many(pages) => {
            for (parent, page) in fetched.records.iter_mut().zip(pages) {
                parent.nested.push(Joined::Many(page));
            }
        }
    }
}

fn keys_of(records: &[Record]) -> Vec<Value> {
    records.iter().map(|record| record.row.value(KEY).clone()).collect()
}

/// The value in a column of a row; `None` inside where it is not of its type. Most are whole numbers and texts, which take a way of their own.
#[inline]
pub fn value_at(model: &Model, codec: Codec, row: &tokio_postgres::Row, at: usize) -> Result<Option<Value>, Fail> {
    match codec {
        Codec::Int => Ok(row.try_get::<_, Option<Whole>>(at)?.map_or(Some(Value::Null), |Whole(number)| number.map(Value::Int))),
        Codec::Text => Ok(row.try_get::<_, Option<Text<'_>>>(at)?.map_or(Some(Value::Null), |Text(text)| text.map(Value::text))),
        _ => other_at(model, codec, row, at),
    }
}

fn other_at(model: &Model, codec: Codec, row: &tokio_postgres::Row, at: usize) -> Result<Option<Value>, Fail> {
    let raw: Option<Raw<'_>> = row.try_get(at)?;
    Ok(taken(model, codec, raw.as_ref()))
}

fn group_value(model: &Model, column: GroupColumn, row: &tokio_postgres::Row, at: &mut usize) -> Result<Value, Fail> {
    let place = *at;
    *at += 1;
    let read = |codec: Codec| value_at(model, codec, row, place)?.ok_or_else(|| misformed("a group").into());
    match column {
        GroupColumn::Key(codec) => read(codec),
        GroupColumn::Count => read(Codec::Int),
        GroupColumn::Measured(Measured::Extreme, base) => read(Codec::of(base)),
        GroupColumn::Measured(Measured::Sum, Base::Float) => finite(read(Codec::Float)?),
        GroupColumn::Measured(Measured::Sum, base) => {
            let sum = digits(row, place, base)?;
            Ok(match (sum, base) {
                (None, _) => Value::Null,
                (Some(unscaled), Base::BigInt) => Value::Decimal(Decimal { unscaled, scale: 0 }),
                (Some(unscaled), Base::Decimal { scale, .. }) => Value::Decimal(Decimal { unscaled, scale }),
                (Some(sum), _) => Value::Int(sum),
            })
        }
        GroupColumn::Measured(Measured::Average, base) => {
            let count: i64 = row.try_get(*at)?;
            *at += 1;
            let sum = match base {
                Base::Float => read(Codec::Float)?,
                _ => digits(row, place, base)?.map_or(Value::Null, Value::Int),
            };
            Ok(average(base, &sum, count))
        }
    }
}

fn finite(sum: Value) -> Result<Value, Fail> {
    match sum {
        Value::Float(sum) if !sum.is_finite() => Err(sum_overflow().into()),
        sum => Ok(sum),
    }
}

/// A sum's digits: a Decimal's at its scale.
fn digits(row: &tokio_postgres::Row, at: usize, base: Base) -> Result<Option<i64>, Fail> {
    let scale = match base {
        Base::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let Some(raw) = row.try_get::<_, Option<Raw<'_>>>(at)? else { return Ok(None) };
    whole(&raw, scale).map(Some).ok_or_else(|| sum_overflow().into())
}

/// The value of one parameter.
fn bind(model: &Model, params: &[Value], source: &Source, keys: &Keys<'_>) -> Bound {
    let key_codec = |value: &Value| match value {
        Value::Int(_) => Codec::Int,
        Value::Uuid(_) => Codec::Uuid,
        _ => Codec::Text,
    };
    match (source, keys) {
        (Source::Param { index, base, list: false }, _) => {
            bound(model, Codec::of(*base), params.get(usize::from(*index)).unwrap_or(&Value::Null))
        }
        (Source::Param { index, base, list: true }, _) => match params.get(usize::from(*index)) {
            Some(Value::List(values)) => bound_array(model, Codec::of(*base), values),
            _ => bound_array(model, Codec::of(*base), &[]),
        },
        (Source::Keys, Keys::Many(keys)) => bound_array(model, keys.first().map_or(Codec::Int, key_codec), keys),
        (Source::Key, Keys::One(key)) => bound(model, key_codec(key), key),
        (Source::Value(value, base), _) => bound(model, constant_codec(value, *base), value),
        (Source::Values(values, base), _) => bound_array(model, Codec::of(*base), values),
        // No statement of ours asks for what it is not given.
        (Source::Keys | Source::Key | Source::Most, _) => bound(model, Codec::Int, &Value::Null),
    }
}

fn constant_codec(value: &Value, base: Base) -> Codec {
    match value {
        Value::Decimal(Decimal { scale, .. }) => Codec::Decimal(*scale),
        _ => Codec::of(base),
    }
}

/// The parameters of a probe's statement, whose sources are all values.
pub fn constants(model: &Model, sources: &[Source]) -> Vec<Bound> {
    sources.iter().map(|source| bind(model, &[], source, &Keys::None)).collect()
}

/// The form of an entity's key.
pub fn key_codec(model: &Model, entity: EntityId) -> Codec {
    Codec::of(model.entity(entity).key_type())
}
