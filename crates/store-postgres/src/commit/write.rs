//! Rows loaded under their locks, and written with their events.

use std::collections::{BTreeMap, HashMap};

use fourfold_model::{EntityId, FieldId, KEY, Model, OnDelete, REVISION, Row, Value};
use fourfold_op::{Change, Error};
use fourfold_plan::{Reference, Settled, WritePlan};
use fourfold_store::record::RecordedEvent;
use fourfold_store::sql::{Codec, Dialect, TableWrites};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join, join_all};
use tokio_postgres::error::SqlState;

use super::{Committing, Done, Stop};
use crate::error::misformed;
use crate::read::{key_codec, value_at};
use crate::value::{Bound, bound, bound_array};

/// A row as it was found under its lock, and where there is none, the highest revision that its key had.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub row: Option<Row>,
    pub revision_floor: u64,
}

/// A key as the tables of tombstones and owned elements keep it.
pub fn key_text(key: &Value) -> String {
    match key {
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Uuid(bytes) => uuid::Uuid::from_bytes(*bytes).hyphenated().to_string(),
        _ => String::new(),
    }
}

/// Keys to lock and load: of an entity, and whether its row is to be deleted.
#[derive(Debug, Default)]
pub struct Heads(BTreeMap<(u16, bool), Vec<Value>>);

impl Heads {
    /// Of all steps of a plan.
    pub fn of(plan: &WritePlan) -> Heads {
        let mut heads = Heads::default();
        heads.add(plan);
        heads
    }

    /// Those of another plan.
    pub fn add(&mut self, plan: &WritePlan) {
        for step in 0..plan.len() {
            let head = plan.head(step);
            if let Some(key) = head.key {
                self.0.entry((head.entity.0, plan.deletes(step))).or_default().push(key.clone());
            }
        }
    }
}

impl Committing<'_> {
    /// The rows of all heads, locked in the order of their keys.
    pub(super) async fn load_heads(&self, heads: Heads) -> Done<Vec<((EntityId, Value), Loaded)>> {
        let mut found = Vec::new();
        for ((entity, to_delete), mut keys) in heads.0 {
            let mut seen = std::collections::HashSet::new();
            keys.retain(|key| seen.insert(key.clone()));
            found.extend(self.load(EntityId(entity), &keys, to_delete).await?);
        }
        Ok(found)
    }

    /// The rows with some keys, locked, each with its owned lists.
    pub(super) async fn load(&self, id: EntityId, keys: &[Value], to_delete: bool) -> Done<Vec<((EntityId, Value), Loaded)>> {
        let model = self.model();
        let texts = self.texts.table(id)?;
        let text = if to_delete { &texts.load_to_delete } else { &texts.load_to_change };
        let load = self.client.prepared(text).await?;
        let names: Vec<String> = keys.iter().map(key_text).collect();
        let rows = self.rows(&load, vec![bound_array(model, key_codec(model, id), keys)]);
        let owned = join_all(texts.load_owned.iter().map(|text| async {
            let statement = self.client.prepared(text).await?;
            Ok::<_, Stop>(self.client.query(&statement, &[&names]).await?)
        }));
        let (rows, (owned, floors)) = join(rows, join(owned, self.floors(id, &names))).await;
        let (rows, floors) = (rows?, floors?);
        let mut lists: Vec<HashMap<String, Vec<Row>>> = Vec::new();
        for (elements, texts) in owned.into_iter().zip(&texts.writes.owned) {
            lists.push(self.elements(elements?, &texts.columns, &model.owned(texts.owned).table)?);
        }
        let mut found: HashMap<Value, Row> = HashMap::new();
        for row in rows {
            let row = self.whole(id, &row, &mut lists)?;
            found.insert(row.value(KEY).clone(), row);
        }
        let entity_floor = floors.get(&None).copied().unwrap_or(0);
        self.inner.floor_seen(model.entity(id).number, entity_floor);
        let loaded = keys.iter().zip(names).map(|(key, name)| {
            let revision_floor = floors.get(&Some(name)).copied().unwrap_or(0).max(entity_floor);
            ((id, key.clone()), Loaded { row: found.remove(key), revision_floor })
        });
        Ok(loaded.collect())
    }

    /// A row's columns and its owned lists.
    fn whole(&self, id: EntityId, found: &tokio_postgres::Row, lists: &mut [HashMap<String, Vec<Row>>]) -> Done<Row> {
        let model = self.model();
        let (entity, writes) = (model.entity(id), &self.texts.table(id)?.writes);
        let mut row = Row::nulls(entity.fields.len());
        for (index, (field, codec)) in writes.columns.iter().enumerate() {
            row.set(*field, value_at(model, *codec, found, index)?.ok_or_else(|| misformed(&entity.table))?);
        }
        let name = key_text(row.value(KEY));
        for (owned, list) in writes.owned.iter().zip(lists) {
            row.set(owned.field, Value::Owned(list.remove(&name).unwrap_or_default().into()));
        }
        Ok(row)
    }

    /// The elements of each parent, in order.
    fn elements(&self, rows: Vec<tokio_postgres::Row>, columns: &[Codec], table: &str) -> Done<HashMap<String, Vec<Row>>> {
        let mut lists: HashMap<String, Vec<Row>> = HashMap::new();
        for row in rows {
            let mut values = Vec::with_capacity(columns.len());
            for (index, codec) in columns.iter().enumerate() {
                values.push(value_at(self.model(), *codec, &row, index + 2)?.ok_or_else(|| misformed(table))?);
            }
            lists.entry(row.try_get(0)?).or_default().push(Row(values.into()));
        }
        Ok(lists)
    }

    /// The revisions that deleted keys left, and under `None` the one above which all new rows begin: of one snapshot, so that a number that
    /// goes from the one to the other is in one of them.
    async fn floors(&self, id: EntityId, names: &[String]) -> Done<HashMap<Option<String>, u64>> {
        let text = "SELECT NULL, revision FROM fourfold_floor WHERE entity = $1 \
                    UNION ALL SELECT key, revision FROM fourfold_tombstone WHERE entity = $1 AND key = ANY($2)";
        let statement = self.client.prepared(text).await?;
        let number = i64::from(self.model().entity(id).number);
        let rows = self.client.query(&statement, &[&number, &names]).await?;
        let floor = |row: tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()));
        rows.into_iter().map(floor).collect()
    }

    /// Writes a settled row and its event; a deleted row's references are seen to.
    pub(super) fn write<'w>(&'w mut self, settled: &'w Settled, keyed: bool) -> BoxFuture<'w, Done<()>> {
        async move {
            let Some(change) = settled.change else { return Ok(()) };
            self.event(settled)?;
            self.touched.insert((settled.entity, settled.key.clone()));
            match change {
                Change::Created => self.insert(settled, keyed).await,
                Change::Updated => self.update(settled).await,
                Change::Deleted => {
                    self.restrict(settled).await?;
                    // Before the row itself: a table of others may have foreign keys that hold at every moment, or take rows along unseen.
                    self.going.insert((settled.entity, settled.key.clone()));
                    self.cascade(settled).await?;
                    self.remove(settled).await
                }
            }
        }
        .boxed()
    }

    pub(super) async fn insert(&self, settled: &Settled, keyed: bool) -> Done<()> {
        let writes = &self.texts.table(settled.entity)?.writes;
        let statement = self.client.prepared(&writes.insert).await?;
        let model = self.model();
        let values = writes.columns.iter().map(|(field, codec)| bound(model, *codec, settled.row.value(*field)));
        let inserted = self.client.execute_raw(&statement, values.collect());
        // Sent together: where the row is refused, so is the question after it.
        let (inserted, asked) = match keyed {
            true => join(inserted, self.not_deleted_meanwhile(settled.entity, &[settled])).await,
            false => (inserted.await, Ok(())),
        };
        inserted.map_err(|error| self.unique(settled.entity, error))?;
        asked?;
        if keyed {
            self.sequence_moved(settled).await?;
        }
        for owned in 0..writes.owned.len() {
            self.put_owned(settled, owned, false).await?;
        }
        self.counted(settled).await
    }

    /// Another commit may have made and deleted a row of this key since it was looked for: then its revision is to be above that one's.
    pub(super) async fn not_deleted_meanwhile(&self, entity: EntityId, made: &[&Settled]) -> Done<()> {
        let text = "SELECT EXISTS (SELECT 1 FROM unnest($2::text[], $3::int8[]) AS m(key, revision) JOIN fourfold_tombstone AS t \
                    ON t.entity = $1 AND t.key = m.key AND t.revision >= m.revision)";
        let statement = self.client.prepared(text).await?;
        let number = i64::from(self.model().entity(entity).number);
        let names: Vec<String> = made.iter().map(|settled| key_text(&settled.key)).collect();
        let revisions: Vec<i64> = made.iter().map(|settled| i64::try_from(settled.revision).unwrap_or(i64::MAX)).collect();
        let deleted: bool = self.client.query_one(&statement, &[&number, &names, &revisions]).await?.try_get(0)?;
        if deleted { Err(Stop::Again) } else { Ok(()) }
    }

    pub(super) async fn update(&self, settled: &Settled) -> Done<()> {
        let model: &Model = self.plan.model();
        let writes = &self.texts.table(settled.entity)?.writes;
        let stored = writes.columns.iter().filter(|(field, _)| *field == REVISION || settled.changed_fields.contains(field));
        let columns: Vec<(FieldId, Codec)> = stored.copied().collect();
        let fields: Vec<FieldId> = columns.iter().map(|(field, _)| *field).collect();
        let statement = self.client.prepared(&TableWrites::update(Dialect::Postgres, model, settled.entity, &fields)).await?;
        let mut values: Vec<Bound> = columns.iter().map(|(field, codec)| bound(model, *codec, settled.row.value(*field))).collect();
        values.push(bound(model, key_codec(model, settled.entity), &settled.key));
        let updated = self.client.execute_raw(&statement, values).await;
        updated.map_err(|error| self.unique(settled.entity, error))?;
        for (owned, list) in writes.owned.iter().enumerate() {
            if settled.changed_fields.contains(&list.field) {
                self.put_owned(settled, owned, true).await?;
            }
        }
        self.counted(settled).await
    }

    async fn put_owned(&self, settled: &Settled, owned: usize, replace: bool) -> Done<()> {
        let model = self.model();
        let Some(texts) = self.texts.table(settled.entity)?.writes.owned.get(owned) else { return Ok(()) };
        let key = || bound(model, key_codec(model, settled.entity), &settled.key);
        if replace {
            let statement = self.client.prepared(&texts.delete).await?;
            self.client.execute_raw(&statement, vec![key()]).await?;
        }
        let Value::Owned(elements) = settled.row.value(texts.field) else { return Ok(()) };
        let statement = self.client.prepared(&texts.insert).await?;
        let inserts = elements.iter().enumerate().map(|(ordinal, element)| {
            let values = texts.columns.iter().zip(element.0.iter()).map(|(codec, value)| bound(model, *codec, value));
            let before = [key(), Bound::int(ordinal as i64)].into_iter();
            self.client.execute_raw(&statement, before.chain(values).collect::<Vec<_>>())
        });
        for done in join_all(inserts).await {
            done?;
        }
        Ok(())
    }

    async fn remove(&self, settled: &Settled) -> Done<()> {
        let model = self.model();
        let writes = &self.texts.table(settled.entity)?.writes;
        let texts = std::iter::once(&writes.delete).chain(writes.owned.iter().map(|owned| &owned.delete));
        for text in texts {
            let statement = self.client.prepared(text).await?;
            self.client.execute_raw(&statement, vec![bound(model, key_codec(model, settled.entity), &settled.key)]).await?;
        }
        let text = "INSERT INTO fourfold_tombstone (entity, key, revision) VALUES ($1, $2, $3) \
                    ON CONFLICT (entity, key) DO UPDATE SET revision = excluded.revision";
        let statement = self.client.prepared(text).await?;
        let number = i64::from(model.entity(settled.entity).number);
        let revision = i64::try_from(settled.revision).unwrap_or(i64::MAX);
        self.client.execute(&statement, &[&number, &key_text(&settled.key), &revision]).await?;
        Ok(())
    }

    /// Keys of the rows that refer to a deleted row.
    async fn referring(&self, by: Reference, settled: &Settled) -> Done<Vec<Value>> {
        let model = self.model();
        let most = self.plan.events_max().saturating_add(1);
        let text = format!("{} LIMIT {most}", TableWrites::referencing(Dialect::Postgres, model, by.entity, by.field));
        let statement = self.client.prepared(&text).await?;
        let rows = self.rows(&statement, vec![bound(model, key_codec(model, settled.entity), &settled.key)]).await?;
        let table = &model.entity(by.entity).table;
        let key = |row: &tokio_postgres::Row| Ok(value_at(model, key_codec(model, by.entity), row, 0)?.ok_or_else(|| misformed(table))?);
        rows.iter().map(key).collect()
    }

    async fn restrict(&self, settled: &Settled) -> Done<()> {
        for by in settled.references.iter().filter(|by| by.on_delete == OnDelete::Restrict) {
            // A row that refers to itself goes with itself.
            let others = self.referring(*by, settled).await?.into_iter().any(|key| by.entity != settled.entity || key != settled.key);
            if others {
                return Err(self.plan.still_referenced(settled.entity, *by).into());
            }
        }
        Ok(())
    }

    async fn cascade(&mut self, settled: &Settled) -> Done<()> {
        for by in settled.references.iter().filter(|by| by.on_delete != OnDelete::Restrict) {
            let keys = self.referring(*by, settled).await?;
            if keys.is_empty() {
                continue;
            }
            for (_, loaded) in self.load(by.entity, &keys, by.on_delete == OnDelete::Cascade).await? {
                // An earlier cascade of this commit, or another commit, may have taken or changed it.
                let Some(before) = loaded.row.filter(|row| row.value(by.field) == &settled.key) else { continue };
                let at = (by.entity, before.value(KEY).clone());
                if self.going.contains(&at) {
                    continue;
                }
                if self.touched.contains(&at) {
                    self.follow_anew(*by, settled, before.value(KEY)).await?;
                } else {
                    self.follow(*by, &before).await?;
                }
            }
        }
        Ok(())
    }

    /// A row that this commit has written since it was loaded with the others.
    async fn follow_anew(&mut self, by: Reference, settled: &Settled, key: &Value) -> Done<()> {
        let loaded = self.load(by.entity, std::slice::from_ref(key), by.on_delete == OnDelete::Cascade).await?.pop();
        match loaded.and_then(|(_, loaded)| loaded.row).filter(|row| row.value(by.field) == &settled.key) {
            Some(before) => self.follow(by, &before).await,
            None => Ok(()),
        }
    }

    async fn follow(&mut self, by: Reference, before: &Row) -> Done<()> {
        let plan = self.plan;
        let next = self.settle(|answers, moment| plan.settle_cascade(by, before, answers, moment)).await?;
        self.write(&next, false).await
    }

    /// The database names the index that a row broke; the caller learns the fields.
    pub(super) fn unique(&self, id: EntityId, error: tokio_postgres::Error) -> Stop {
        let broken = error.as_db_error().filter(|told| *told.code() == SqlState::UNIQUE_VIOLATION).and_then(|told| told.constraint());
        let (Some(name), Ok(texts)) = (broken, self.texts.table(id)) else { return error.into() };
        if name == texts.key_name {
            return Stop::KeyTaken(self.plan.not_unique(id, &[KEY]));
        }
        if self.is_adopted(id) {
            return self.not_unique_in(id, &error);
        }
        match texts.unique_names.iter().find(|(known, _)| known == name) {
            Some((_, fields)) => self.plan.not_unique(id, fields).into(),
            None => error.into(),
        }
    }

    /// The same of a table of others, whose indexes have names of their own: PostgreSQL tells their columns, in every language `(a, b)=(…)`.
    fn not_unique_in(&self, id: EntityId, error: &tokio_postgres::Error) -> Stop {
        let entity = self.model().entity(id);
        let detail = error.as_db_error().and_then(|told| told.detail()).unwrap_or_default();
        let columns = detail.split_once('(').and_then(|(_, rest)| rest.split_once(")=(")).map_or("", |(columns, _)| columns);
        let named = |column: &str| entity.field_ids().find(|(_, field)| field.column == column.trim_matches('"')).map(|(id, _)| id);
        let fields: Vec<FieldId> = columns.split(", ").filter_map(named).collect();
        let refused = self.plan.not_unique(id, &fields);
        if fields == [KEY] { Stop::KeyTaken(refused) } else { refused.into() }
    }

    /// Adds a row's event to the commit's record.
    pub(super) fn event(&mut self, settled: &Settled) -> Done<()> {
        let bytes = payload(settled);
        if self.record.count() >= self.plan.events_max() {
            return Err(Error::limit("commit_events_max", self.plan.events_max(), "events").into());
        }
        if self.bytes + bytes > self.plan.bytes_max() {
            return Err(Error::limit("commit_bytes_max", self.plan.bytes_max(), "bytes").into());
        }
        self.bytes += bytes;
        self.record.push(&RecordedEvent {
            entity: self.plan.model().entity(settled.entity).number,
            key: settled.key.clone(),
            revision: settled.revision,
            changed: settled.changed.as_deref(),
            after: settled.after.as_deref(),
        });
        Ok(())
    }
}

/// Bytes of a row's event.
pub fn payload(settled: &Settled) -> usize {
    [&settled.changed, &settled.after].into_iter().flatten().map(|bytes| bytes.len()).sum()
}
