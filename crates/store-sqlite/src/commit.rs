//! One request inside the writer's transaction: side records are compared, steps settled and written, events numbered.

mod counters;
mod several;
mod texts;

use fourfold_model::{Default as FieldDefault, EntityId, FieldId, KEY, Model, OnDelete, Row, Value};
use fourfold_op::{Change, Error};
use fourfold_plan::{Before, Moment, Probe, Reference, Settled, Settling, WritePlan};
use fourfold_store::record::{Record, RecordedEvent};
use fourfold_store::sql::{Codec, Dialect, NodeWriter, Table, TableWrites, owner_number};
use fourfold_store::{CommitError, Expect, Put, SettledStep, Side, encode_outcome};
use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::error::misformed;
use crate::read::bind_constants;
use crate::value::{from_sql, to_sql};

pub use counters::Counters;
pub use texts::Texts;

/// Why a request, or the whole transaction, went no further.
pub enum Stop {
    /// This request is refused; what it wrote is rolled back, the others stand.
    Refused(CommitError),
    /// SQLite failed: nothing of the transaction can stand.
    Storage(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Stop {
        Stop::Storage(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Refused(CommitError::Refused(error))
    }
}

type Done<T> = Result<T, Stop>;

/// A request under way.
pub struct Committing<'a> {
    pub connection: &'a Connection,
    pub texts: &'a mut Texts,
    pub counters: &'a mut Counters,
    pub plan: &'a WritePlan,
    pub moment: Moment,
    /// The last position so far.
    pub position: u64,
    record: Record,
    /// Of the events' payloads.
    bytes: usize,
    /// The last insert's statement: the rows of an ingest are of one entity.
    insert: Option<(EntityId, CachedStatement<'a>)>,
    /// Likewise for several rows.
    insert_several: Option<(EntityId, CachedStatement<'a>)>,
    /// What became of the steps so far, where each stands alone.
    steps: Vec<Result<SettledStep, Error>>,
    /// Rows of steps that wait to be inserted together.
    waiting: Vec<(usize, Box<Settled>)>,
}

impl<'a> Committing<'a> {
    /// A request that begins at a position of the log.
    pub fn new(
        connection: &'a Connection,
        texts: &'a mut Texts,
        counters: &'a mut Counters,
        plan: &'a WritePlan,
        (moment, position): (Moment, u64),
    ) -> Self {
        Committing {
            connection,
            texts,
            counters,
            plan,
            moment,
            position,
            record: Record::default(),
            bytes: 0,
            insert: None,
            insert_several: None,
            steps: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Does it all; what a refused request wrote is rolled back.
    pub fn run(&mut self, side: Vec<Side>) -> Done<Vec<Result<SettledStep, Error>>> {
        // Before the steps: a request that is sent twice must meet its record, not the row that it made.
        for wanted in &side {
            self.expect(wanted)?;
        }
        let steps = if self.plan.each() { self.each()? } else { self.together()? };
        self.append()?;
        for record in side {
            self.put(record, &steps)?;
        }
        Ok(steps)
    }

    fn together(&mut self) -> Done<Vec<Result<SettledStep, Error>>> {
        if self.plan.len() == 1 && self.is_one_statement(0) { self.all() } else { self.guarded(Self::all) }
    }

    /// Whether a step writes by one statement, so that nothing of it stands when it is refused. The event is written after all steps.
    fn is_one_statement(&self, step: usize) -> bool {
        let entity = self.plan.head(step).entity;
        !self.plan.deletes(step) && self.texts.table(entity).is_ok_and(|table| table.owned.is_empty())
    }

    fn all(&mut self) -> Done<Vec<Result<SettledStep, Error>>> {
        let mut steps = Vec::with_capacity(self.plan.len());
        for step in 0..self.plan.len() {
            match self.step(step) {
                Ok(done) => steps.push(Ok(done)),
                Err(Stop::Refused(CommitError::Refused(error))) if self.plan.len() > 1 => return Err(error.at_operation(step).into()),
                Err(stop) => return Err(stop),
            }
        }
        Ok(steps)
    }

    fn each(&mut self) -> Done<Vec<Result<SettledStep, Error>>> {
        self.steps.reserve(self.plan.len());
        for step in 0..self.plan.len() {
            let done = match self.is_one_statement(step) {
                true => self.step(step),
                false => {
                    self.insert_waiting()?;
                    self.guarded(|this| this.step(step))
                }
            };
            self.steps.push(match done {
                Ok(done) => Ok(done),
                Err(Stop::Refused(CommitError::Refused(error))) => Err(error),
                Err(stop) => return Err(stop),
            });
            self.insert_when_several()?;
        }
        self.insert_waiting()?;
        Ok(std::mem::take(&mut self.steps))
    }

    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Done<T>) -> Done<T> {
        self.connection.prepare_cached("SAVEPOINT request")?.raw_execute()?;
        let done = work(self);
        if let Err(Stop::Refused(_)) = done {
            self.connection.prepare_cached("ROLLBACK TO request")?.raw_execute()?;
        }
        if !matches!(done, Err(Stop::Storage(_))) {
            self.connection.prepare_cached("RELEASE request")?.raw_execute()?;
        }
        done
    }

    fn step(&mut self, step: usize) -> Done<SettledStep> {
        let plan = self.plan;
        let head = plan.head(step);
        let row = match head.key {
            Some(key) if !self.is_above(head.entity, key)? => {
                self.insert_waiting()?;
                self.load(head.entity, key)?
            }
            _ => None,
        };
        let revision_floor = match (head.key, &row) {
            (_, Some(_)) => 0,
            (Some(key), None) if self.texts.has_tombstones(self.connection, head.entity)? => {
                self.tombstone(head.entity, key)?.max(self.texts.revision_floor(self.connection, head.entity)?)
            }
            _ => self.texts.revision_floor(self.connection, head.entity)?,
        };
        let mut settled =
            self.settle(|answers, moment| plan.settle(step, Before { row: row.as_ref(), revision_floor }, answers, moment))?;
        let done = SettledStep {
            entity: settled.entity,
            key: settled.key.clone(),
            revision: settled.revision,
            change: settled.change,
            answer: settled.answer.take(),
        };
        self.write_or_wait(step, settled)?;
        Ok(done)
    }

    fn settle(&mut self, ask: impl Fn(&[Value], &Moment) -> Result<Settling, Error>) -> Done<Box<Settled>> {
        let mut answers = Vec::new();
        loop {
            match ask(&answers, &self.moment)? {
                Settling::Done(settled) => return Ok(settled),
                Settling::Ask(probe) => {
                    // What it asks about may be among them.
                    self.insert_waiting()?;
                    answers.push(self.probe(probe)?);
                }
            }
        }
    }

    fn key_codec(&self, entity: EntityId) -> Codec {
        Codec::of(self.plan.model().entity(entity).key_type())
    }

    /// Whether a key is above every number that its counter gave or saw, so that there is no row to look for.
    fn is_above(&mut self, id: EntityId, key: &Value) -> Done<bool> {
        let model: &Model = self.plan.model();
        match (key, &model.entity(id).field(KEY).default) {
            (Value::Int(number), Some(FieldDefault::Next)) => Ok(*number > self.counters.last(self.connection, model, id, KEY)?),
            _ => Ok(false),
        }
    }

    /// A whole row, with its owned lists.
    fn load(&self, id: EntityId, key: &Value) -> Done<Option<Row>> {
        let model: &Model = self.plan.model();
        let texts = self.texts.table(id)?;
        let entity = model.entity(id);
        let key = to_sql(model, self.key_codec(id), key);
        let mut statement = self.connection.prepare_cached(&texts.load)?;
        let mut rows = statement.query([&key])?;
        let Some(found) = rows.next()? else { return Ok(None) };
        let mut row = Row::nulls(entity.fields.len());
        for (index, (field, codec)) in texts.columns.iter().enumerate() {
            row.set(*field, from_sql(model, *codec, found.get_ref(index)?).ok_or_else(|| misformed(&entity.table))?);
        }
        drop(rows);
        for owned in &texts.owned {
            let mut statement = self.connection.prepare_cached(&owned.load)?;
            let mut rows = statement.query([&key])?;
            let mut elements = Vec::new();
            while let Some(found) = rows.next()? {
                let mut values = Vec::with_capacity(owned.columns.len());
                for (index, codec) in owned.columns.iter().enumerate() {
                    values.push(from_sql(model, *codec, found.get_ref(index + 1)?).ok_or_else(|| misformed(&entity.table))?);
                }
                elements.push(Row(values.into()));
            }
            row.set(owned.field, Value::Owned(elements.into()));
        }
        Ok(Some(row))
    }

    fn tombstone(&self, id: EntityId, key: &Value) -> Done<u64> {
        let model: &Model = self.plan.model();
        let text = "SELECT revision FROM fourfold_tombstone WHERE entity = ?1 AND key = ?2";
        let mut statement = self.connection.prepare_cached(text)?;
        let found: Option<i64> =
            statement.query_row(params![model.entity(id).number, to_sql(model, self.key_codec(id), key)], |row| row.get(0)).optional()?;
        Ok(found.and_then(|revision| u64::try_from(revision).ok()).unwrap_or(0))
    }

    fn probe(&mut self, probe: Probe) -> Done<Value> {
        let model = self.plan.model().clone();
        match probe {
            Probe::Next { entity, field } => self.counters.next(self.connection, &model, entity, field).map(Value::Int),
            Probe::Exists { entity, filter } => {
                let mut writer = NodeWriter::lifting(Dialect::Sqlite, &model, entity);
                writer.put("SELECT EXISTS (SELECT 1 FROM ");
                writer.put_table(0, Table::Entity(entity));
                writer.put(" WHERE ");
                writer.put_condition(&filter);
                writer.put(")");
                let mut statement = self.connection.prepare_cached(&writer.statement.text)?;
                bind_constants(&mut statement, &model, &writer.statement.sources)?;
                let mut rows = statement.raw_query();
                let found: bool = match rows.next()? {
                    Some(row) => row.get(0)?,
                    None => false,
                };
                Ok(Value::Boolean(found))
            }
            Probe::Value { entity, key, guard, value } => {
                let Some(codec) = codec_of(&model, entity, &value) else { return self.evaluated(entity, &key, guard, &value) };
                let mut writer = NodeWriter::lifting(Dialect::Sqlite, &model, entity);
                writer.put("SELECT ");
                writer.put_value(&value);
                writer.put(" FROM ");
                writer.put_table(0, Table::Entity(entity));
                writer.put(" WHERE ");
                writer.put_column(0, KEY);
                writer.put(" = ");
                writer.put_value(&fourfold_plan::Node::Constant(key, model.entity(entity).key_type()));
                writer.and_condition(guard.as_ref());
                let mut statement = self.connection.prepare_cached(&writer.statement.text)?;
                bind_constants(&mut statement, &model, &writer.statement.sources)?;
                let mut rows = statement.raw_query();
                match rows.next()? {
                    Some(row) => Ok(from_sql(&model, codec, row.get_ref(0)?).ok_or_else(|| misformed(&model.entity(entity).table))?),
                    None => Ok(Value::Null),
                }
            }
        }
    }

    /// A value whose form in SQL is not known beforehand: read from the row itself.
    fn evaluated(&self, id: EntityId, key: &Value, guard: Option<fourfold_plan::Node>, value: &fourfold_plan::Node) -> Done<Value> {
        let Some(row) = self.load(id, key)? else { return Ok(Value::Null) };
        let model = self.plan.model();
        let scan = Loads(self);
        let passes = guard.is_none_or(|guard| fourfold_plan::eval(model, &guard, &row, &[], &scan) == Value::Boolean(true));
        Ok(if passes { fourfold_plan::eval(model, value, &row, &[], &scan) } else { Value::Null })
    }

    /// Writes a settled row and its event; a deleted row's references are seen to.
    fn write(&mut self, settled: &Settled) -> Done<()> {
        let Some(change) = settled.change else { return Ok(()) };
        self.event(settled)?;
        match change {
            Change::Created => self.insert(settled),
            Change::Updated => self.update(settled),
            Change::Deleted => {
                self.restrict(settled)?;
                self.remove(settled)?;
                self.cascade(settled)
            }
        }
    }

    fn insert(&mut self, settled: &Settled) -> Done<()> {
        let model: &Model = self.plan.model();
        let texts = self.texts.table(settled.entity)?;
        let mut statement = match self.insert.take() {
            Some((entity, statement)) if entity == settled.entity => statement,
            _ => self.connection.prepare_cached(&texts.insert)?,
        };
        for (index, (field, codec)) in texts.columns.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, to_sql(model, *codec, settled.row.value(*field)))?;
        }
        let result = statement.raw_execute();
        self.insert = Some((settled.entity, statement));
        result.map_err(|error| self.unique(settled.entity, error))?;
        for owned in 0..self.texts.table(settled.entity)?.owned.len() {
            self.put_owned(settled, owned, false)?;
        }
        self.counted(settled);
        Ok(())
    }

    fn update(&mut self, settled: &Settled) -> Done<()> {
        let plan = self.plan;
        let model: &Model = plan.model();
        let texts = self.texts.table(settled.entity)?;
        let columns: Vec<(FieldId, Codec)> =
            texts.columns.iter().filter(|(field, _)| settled.changed_fields.contains(field)).copied().collect();
        let lists: Vec<usize> = texts
            .owned
            .iter()
            .enumerate()
            .filter(|(_, owned)| settled.changed_fields.contains(&owned.field))
            .map(|(index, _)| index)
            .collect();
        let mut fields: Vec<FieldId> = columns.iter().map(|(field, _)| *field).collect();
        if !fields.contains(&fourfold_model::REVISION) {
            fields.push(fourfold_model::REVISION);
        }
        let text = self.texts.update(settled.entity, &fields);
        let mut statement = self.connection.prepare_cached(&text)?;
        for (index, field) in fields.iter().enumerate() {
            let codec = Codec::of_type(model.entity(settled.entity).field(*field).ty);
            statement.raw_bind_parameter(index + 1, to_sql(model, codec, settled.row.value(*field)))?;
        }
        statement.raw_bind_parameter(fields.len() + 1, to_sql(model, self.key_codec(settled.entity), &settled.key))?;
        let result = statement.raw_execute();
        drop(statement);
        result.map_err(|error| self.unique(settled.entity, error))?;
        for owned in lists {
            self.put_owned(settled, owned, true)?;
        }
        self.counted(settled);
        Ok(())
    }

    fn put_owned(&self, settled: &Settled, owned: usize, replace: bool) -> Done<()> {
        let model: &Model = self.plan.model();
        let Some(texts) = self.texts.table(settled.entity)?.owned.get(owned) else { return Ok(()) };
        let key = to_sql(model, self.key_codec(settled.entity), &settled.key);
        if replace {
            self.connection.prepare_cached(&texts.delete)?.execute([&key])?;
        }
        let Value::Owned(elements) = settled.row.value(texts.field) else { return Ok(()) };
        let mut statement = self.connection.prepare_cached(&texts.insert)?;
        for (ordinal, element) in elements.iter().enumerate() {
            statement.raw_bind_parameter(1, &key)?;
            statement.raw_bind_parameter(2, ordinal as i64)?;
            for (index, (codec, value)) in texts.columns.iter().zip(element.0.iter()).enumerate() {
                statement.raw_bind_parameter(index + 3, to_sql(model, *codec, value))?;
            }
            statement.raw_execute()?;
        }
        Ok(())
    }

    fn counted(&mut self, settled: &Settled) {
        let entity = self.plan.model().entity(settled.entity);
        for field in self.texts.counted.get(usize::from(settled.entity.0)).into_iter().flatten() {
            self.counters.seen((entity.number, entity.field(*field).number), settled.row.value(*field));
        }
    }

    fn remove(&mut self, settled: &Settled) -> Done<()> {
        self.texts.deleted(settled.entity);
        let model: &Model = self.plan.model();
        let texts = self.texts.table(settled.entity)?;
        let key: ToSqlOutput<'_> = to_sql(model, self.key_codec(settled.entity), &settled.key);
        self.connection.prepare_cached(&texts.delete)?.execute([&key])?;
        for owned in &texts.owned {
            self.connection.prepare_cached(&owned.delete)?.execute([&key])?;
        }
        let text = "INSERT INTO fourfold_tombstone (entity, key, revision) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET revision = excluded.revision";
        let revision = i64::try_from(settled.revision).unwrap_or(i64::MAX);
        self.connection.prepare_cached(text)?.execute(params![model.entity(settled.entity).number, key, revision])?;
        Ok(())
    }

    /// Keys of the rows that refer to a deleted row.
    fn referring(&self, by: Reference, settled: &Settled) -> Done<Vec<Value>> {
        let model: &Model = self.plan.model();
        let text = TableWrites::referencing(Dialect::Sqlite, model, by.entity, by.field);
        let codec = self.key_codec(by.entity);
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query([to_sql(model, self.key_codec(settled.entity), &settled.key)])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.push(from_sql(model, codec, row.get_ref(0)?).ok_or_else(|| misformed(&model.entity(by.entity).table))?);
            if keys.len() > self.plan.events_max() {
                break;
            }
        }
        Ok(keys)
    }

    fn restrict(&self, settled: &Settled) -> Done<()> {
        for by in settled.references.iter().filter(|by| by.on_delete == OnDelete::Restrict) {
            // A row that refers to itself goes with itself.
            let others = self.referring(*by, settled)?.into_iter().any(|key| by.entity != settled.entity || key != settled.key);
            if others {
                return Err(self.plan.still_referenced(settled.entity, *by).into());
            }
        }
        Ok(())
    }

    fn cascade(&mut self, settled: &Settled) -> Done<()> {
        for by in settled.references.iter().filter(|by| by.on_delete != OnDelete::Restrict) {
            for key in self.referring(*by, settled)? {
                // An earlier cascade of this commit may have taken or changed it.
                let Some(before) = self.load(by.entity, &key)?.filter(|row| row.value(by.field) == &settled.key) else { continue };
                let plan = self.plan;
                let next = self.settle(|answers, moment| plan.settle_cascade(*by, &before, answers, moment))?;
                self.write(&next)?;
            }
        }
        Ok(())
    }

    /// SQLite names the columns of a broken constraint; the caller learns the fields.
    fn unique(&self, id: EntityId, error: rusqlite::Error) -> Stop {
        let rusqlite::Error::SqliteFailure(failure, Some(message)) = &error else { return Stop::Storage(error) };
        if failure.code != rusqlite::ErrorCode::ConstraintViolation {
            return Stop::Storage(error);
        }
        let Some(columns) = message.strip_prefix("UNIQUE constraint failed: ") else { return Stop::Storage(error) };
        let entity = self.plan.model().entity(id);
        let start = format!("{}.", entity.table);
        let named = |column: &str| {
            let column = column.strip_prefix(&start)?;
            entity.field_ids().find(|(_, field)| field.column == column).map(|(id, _)| id)
        };
        let fields: Vec<FieldId> = columns.split(", ").filter_map(named).collect();
        self.plan.not_unique(id, &fields).into()
    }

    fn event(&mut self, settled: &Settled) -> Done<()> {
        self.bytes += [&settled.changed, &settled.after].into_iter().flatten().map(|bytes| bytes.len()).sum::<usize>();
        if self.record.count() >= self.plan.events_max() {
            return Err(Error::limit("commit_events_max", self.plan.events_max(), "events").into());
        }
        if self.bytes > self.plan.bytes_max() {
            return Err(Error::limit("commit_bytes_max", self.plan.bytes_max(), "bytes").into());
        }
        self.record.push(&RecordedEvent {
            entity: self.plan.model().entity(settled.entity).number,
            key: settled.key.clone(),
            revision: settled.revision,
            changed: settled.changed.as_deref(),
            after: settled.after.as_deref(),
        });
        Ok(())
    }

    /// Numbers the events, densely and as one.
    fn append(&mut self) -> Done<()> {
        if self.record.count() == 0 {
            return Ok(());
        }
        let shared = Shared { generation: self.plan.generation(), at: self.moment.now, by: self.plan.by() };
        self.position = append(self.connection, self.position, &self.record, &shared)?;
        Ok(())
    }

    fn expect(&self, side: &Side) -> Done<()> {
        let version = match side.expect {
            Expect::Any => return Ok(()),
            _ => self.version(side)?,
        };
        let as_expected = match side.expect {
            Expect::Any => true,
            Expect::Absent => version.is_none(),
            Expect::Version(wanted) => version == Some(wanted),
        };
        if as_expected { Ok(()) } else { Err(Stop::Refused(CommitError::Conflict(side.space))) }
    }

    /// The version of the record that is there; one past its end is nothing.
    fn version(&self, side: &Side) -> Done<Option<u64>> {
        let text = "SELECT version FROM fourfold_side WHERE space = ?1 AND key = ?2 AND (keep_until IS NULL OR keep_until > ?3)";
        let mut statement = self.connection.prepare_cached(text)?;
        let version: Option<i64> =
            statement.query_row(params![side.space as u8, side.key, self.moment.now], |row| row.get(0)).optional()?;
        Ok(version.and_then(|version| u64::try_from(version).ok()))
    }

    fn put(&self, side: Side, steps: &[Result<SettledStep, Error>]) -> Done<()> {
        let version = match side.put {
            Put::Nothing => return Ok(()),
            _ => self.version(&side)?.unwrap_or(0) + 1,
        };
        let bytes = match side.put {
            Put::Nothing => return Ok(()),
            Put::Bytes(bytes) => bytes,
            Put::Outcome(own) => encode_outcome(&own, self.plan.model(), steps),
        };
        let text = "INSERT INTO fourfold_side (space, key, version, bytes, keep_until) VALUES (?1, ?2, ?3, ?4, ?5) \
                    ON CONFLICT DO UPDATE SET version = excluded.version, bytes = excluded.bytes, keep_until = excluded.keep_until";
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        self.connection.prepare_cached(text)?.execute(params![side.space as u8, side.key, version, &bytes[..], side.keep_until])?;
        Ok(())
    }
}

/// The form of a probe's value, where it is a column or a constant; others are evaluated from the row.
fn codec_of(model: &Model, entity: EntityId, value: &fourfold_plan::Node) -> Option<Codec> {
    let fourfold_plan::Node::Column(0, field) = value else { return None };
    let ty = model.entity(entity).field(*field).ty;
    (!matches!(ty.base, fourfold_model::Base::Owned(_))).then(|| Codec::of_type(ty))
}

/// Rows for `eval`, read by the writer.
struct Loads<'a, 'c>(&'a Committing<'c>);

impl fourfold_plan::Scan for Loads<'_, '_> {
    fn by_key(&self, entity: EntityId, key: &Value) -> Option<Row> {
        self.0.load(entity, key).ok().flatten()
    }

    fn rows(&self, entity: EntityId) -> Vec<Row> {
        let model: &Model = self.0.plan.model();
        let definition = model.entity(entity);
        let Some(key) = definition.fields.first() else { return Vec::new() };
        let text = format!("SELECT {} FROM {}", fourfold_store::sql::quoted(&key.column), fourfold_store::sql::quoted(&definition.table));
        let codec = self.0.key_codec(entity);
        let keys = self.0.connection.prepare_cached(&text).and_then(|mut statement| {
            let keys = statement.query_map([], |row| Ok(from_sql(model, codec, row.get_ref(0)?)))?;
            keys.collect::<rusqlite::Result<Vec<_>>>()
        });
        keys.unwrap_or_default().into_iter().flatten().filter_map(|key| self.by_key(entity, &key)).collect()
    }
}

/// What all events of a commit share.
struct Shared<'a> {
    generation: u32,
    at: i64,
    by: &'a str,
}

/// Writes a commit's record behind a position; the position of its last event.
fn append(connection: &Connection, after: u64, record: &Record, shared: &Shared<'_>) -> rusqlite::Result<u64> {
    let position = after + record.count() as u64;
    let text = "INSERT INTO fourfold_commit (position, count, generation, at, by, events) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let number = i64::try_from(position).unwrap_or(i64::MAX);
    let count = i64::try_from(record.count()).unwrap_or(i64::MAX);
    let values = params![number, count, shared.generation, shared.at, shared.by, record.bytes()];
    connection.prepare_cached(text)?.execute(values)?;
    Ok(position)
}

/// Writes rows as they are, each with its event: for import, which has rows and no caller.
pub fn load_rows(
    connection: &Connection,
    texts: &Texts,
    entity: EntityId,
    rows: &[(Row, bytes::Bytes)],
    at: (u32, i64, u64),
) -> rusqlite::Result<u64> {
    let (generation, now, mut position) = at;
    let model: &Model = &texts.model;
    let Some(table) = texts.tables.get(usize::from(entity.0)) else { return Ok(position) };
    let definition = model.entity(entity);
    let key_codec = Codec::of(definition.key_type());
    let mut insert = connection.prepare_cached(&table.insert)?;
    let shared = Shared { generation, at: now, by: "import" };
    for (row, after) in rows {
        for (index, (field, codec)) in table.columns.iter().enumerate() {
            insert.raw_bind_parameter(index + 1, to_sql(model, *codec, row.value(*field)))?;
        }
        insert.raw_execute()?;
        let mut record = Record::default();
        let (key, revision) = (row.value(KEY).clone(), row.revision());
        record.push(&RecordedEvent { entity: definition.number, key, revision, changed: None, after: Some(after) });
        position = append(connection, position, &record, &shared)?;
        for owned in &table.owned {
            let Value::Owned(elements) = row.value(owned.field) else { continue };
            let mut statement = connection.prepare_cached(&owned.insert)?;
            for (ordinal, element) in elements.iter().enumerate() {
                statement.raw_bind_parameter(1, to_sql(model, key_codec, row.value(KEY)))?;
                statement.raw_bind_parameter(2, ordinal as i64)?;
                for (index, (codec, value)) in owned.columns.iter().zip(element.0.iter()).enumerate() {
                    statement.raw_bind_parameter(index + 3, to_sql(model, *codec, value))?;
                }
                statement.raw_execute()?;
            }
        }
    }
    Ok(position)
}

/// Takes the elements of owned lists whose owner a migration dropped.
pub fn drop_owned(connection: &Connection, model: &Model) -> rusqlite::Result<()> {
    for (index, owned) in model.owned.iter().enumerate() {
        let lists = model.entities.iter().flat_map(|entity| {
            let fields = entity
                .fields
                .iter()
                .filter(move |field| matches!(field.ty.base, fourfold_model::Base::Owned(id) if usize::from(id.0) == index));
            fields.map(move |field| owner_number(entity.number, field.number).to_string())
        });
        let kept = lists.collect::<Vec<_>>().join(", ");
        connection.execute(&format!("DELETE FROM {} WHERE _owner NOT IN ({kept})", fourfold_store::sql::quoted(&owned.table)), [])?;
    }
    Ok(())
}
