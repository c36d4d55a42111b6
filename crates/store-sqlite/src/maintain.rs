//! Migration, counting and bulk loading.

use bytes::Bytes;
use fourfold_model::{EntityId, Model, Row, SharedModel, Value};
use fourfold_op::{Error, ErrorCode};
use fourfold_store::sql::{Change, Dialect, Schema, diff, quoted};
use fourfold_store::{Later, Maintain, Migration, MigrationStep, Pruned, Redacted, Retention, StoreError};
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

use crate::SqliteStore;
use crate::commit::{Texts, drop_owned, load_rows};
use crate::connection::{meta, set_meta};
use crate::error::{to_error, unavailable};
use crate::prune::prune;
use crate::redact::redact;
use crate::writer::{Message, Writer};

impl Maintain for SqliteStore {
    fn migration<'a>(&'a self, model: &'a SharedModel) -> Later<'a, Result<Migration, StoreError>> {
        let model = model.clone();
        let task = self.task(move |writer| {
            let changes = changes(&writer.connection, &model)?;
            let steps = changes.into_iter().map(|change| MigrationStep {
                title: change.title,
                destructive: change.destructive,
                statement: change.statement,
            });
            Ok(Migration { steps: steps.collect() })
        });
        Box::pin(async move { task.await.map_err(StoreError::Refused) })
    }

    fn migrate<'a>(&'a self, model: &'a SharedModel, _migration: Migration) -> Later<'a, Result<(), StoreError>> {
        let model = model.clone();
        let task = self.task(move |writer| migrate(writer, &model));
        Box::pin(async move { task.await.map_err(StoreError::Refused) })
    }

    fn count<'a>(&'a self, model: &'a SharedModel, entity: EntityId) -> Later<'a, Result<u64, StoreError>> {
        let model = model.clone();
        let task = self.task(move |writer| rows_of(&writer.connection, &model.entity(entity).table));
        Box::pin(async move { task.await.map_err(StoreError::Refused) })
    }

    fn prune<'a>(&'a self, keep: &'a Retention) -> Later<'a, Result<Pruned, StoreError>> {
        let keep = *keep;
        Box::pin(async move {
            if keep.bytes_max.is_some() {
                self.measure().await.map_err(StoreError::Refused)?;
            }
            self.task(move |writer| prune(writer, &keep)).await.map_err(StoreError::Refused)
        })
    }

    fn redact<'a>(&'a self, model: &'a SharedModel, entity: EntityId, key: &'a Value) -> Later<'a, Result<Redacted, StoreError>> {
        let (number, key) = (model.entity(entity).number, key.clone());
        let task = self.task(move |writer| redact(writer, number, &key));
        Box::pin(async move { task.await.map_err(StoreError::Refused) })
    }
}

impl SqliteStore {
    /// Loads rows as they are, each with its event (`after`: the row as its entity's protobuf message): for import into a store that
    /// was migrated to `model`. All rows of a call are one transaction.
    ///
    /// # Errors
    /// `already_exists` for a key or a unique value that is there, `storage_full`, `unavailable`.
    pub fn load(&self, model: &SharedModel, entity: EntityId, rows: Vec<(Row, Bytes)>) -> Later<'static, Result<u64, Error>> {
        let model = model.clone();
        let count = rows.len() as u64;
        self.task(move |writer| {
            let now = writer.moment().now;
            let generation = writer.inner.generation.load(Ordering::Acquire);
            writer.transaction(|writer| {
                let texts = Texts::of(&model);
                writer.position = load_rows(&writer.connection, &texts, entity, &rows, (generation, now, writer.position))
                    .map_err(|error| loading(&error))?;
                Ok(count)
            })
        })
    }

    /// Runs work on the writer's thread, between transactions.
    pub(crate) fn task<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Error> + Send + 'static,
    ) -> Later<'static, Result<T, Error>> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.clone();
        let message = Message::Task(Box::new(move |writer| {
            let _ = answer.send(work(writer));
        }));
        Box::pin(async move {
            queue.send(message).await.map_err(|_| unavailable("the store is closed"))?;
            answered.await.map_err(|_| unavailable("the store is closed"))?
        })
    }
}

fn loading(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => {
            Error::new(ErrorCode::AlreadyExists, "a row with this key, or with a value that must be unique, is there already")
                .with_private(error)
        }
        _ => to_error(error),
    }
}

fn present(connection: &Connection) -> Result<Schema, Error> {
    let text: Option<String> = meta(connection, "schema").map_err(|error| to_error(&error))?;
    match text {
        None => Ok(Schema::default()),
        Some(text) => Schema::from_text(&text).ok_or_else(|| Error::internal("the database's own schema text cannot be read")),
    }
}

fn changes(connection: &Connection, model: &Model) -> Result<Vec<Change>, Error> {
    let want = Schema::of(Dialect::Sqlite, model);
    if let Some(table) = want.tables.iter().find(|table| table.name.starts_with("fourfold_") || table.name.starts_with("sqlite_")) {
        return Err(Error::invalid(format!("the table name `{}` is the store's own; name another with @@name(table:)", table.name)));
    }
    Ok(diff(Dialect::Sqlite, &present(connection)?, &want))
}

fn rows_of(connection: &Connection, table: &str) -> Result<u64, Error> {
    let count: i64 =
        connection.query_row(&format!("SELECT count(*) FROM {}", quoted(table)), [], |row| row.get(0)).map_err(|error| to_error(&error))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn migrate(writer: &mut Writer, model: &SharedModel) -> Result<(), Error> {
    let inner = writer.inner.clone();
    let fingerprint = model.fingerprint;
    let known = inner.fingerprint.load(Ordering::Acquire) == fingerprint;
    let generation = inner.generation.load(Ordering::Acquire) + u32::from(!known);
    let floor = writer.transaction(|writer| {
        let changes = changes(&writer.connection, model)?;
        for change in &changes {
            apply(&writer.connection, change)?;
        }
        let lost = changes.iter().any(|change| change.destructive || change.rewrites);
        let floor = if lost { writer.position } else { inner.floor.load(Ordering::Acquire) };
        record(&writer.connection, model, generation, floor).map_err(|error| to_error(&error))?;
        Ok(floor)
    })?;
    writer.forget_texts();
    inner.floor.store(floor, Ordering::Release);
    inner.generation.store(generation, Ordering::Release);
    *inner.model.write() = Some(model.clone());
    inner.fingerprint.store(fingerprint, Ordering::Release);
    Ok(())
}

fn record(connection: &Connection, model: &SharedModel, generation: u32, floor: u64) -> rusqlite::Result<()> {
    drop_owned(connection, model)?;
    set_meta(connection, "schema", Schema::of(Dialect::Sqlite, model).to_text())?;
    set_meta(connection, "fingerprint", model.fingerprint.cast_signed())?;
    set_meta(connection, "generation", generation)?;
    set_meta(connection, "floor", i64::try_from(floor).unwrap_or(i64::MAX))
}

fn apply(connection: &Connection, change: &Change) -> Result<(), Error> {
    let refuse =
        |why: &str, rows: u64| Err(Error::new(ErrorCode::FailedPrecondition, format!("{why}, and {rows} rows have no value for it")));
    if let Some((table, why)) = &change.needs_no_rows {
        let rows = rows_of(connection, table)?;
        if rows > 0 {
            return refuse(why, rows);
        }
    }
    if let Some((table, column, why)) = &change.needs_no_nulls {
        let text = format!("SELECT count(*) FROM {} WHERE {} IS NULL", quoted(table), quoted(column));
        let nulls: i64 = connection.query_row(&text, [], |row| row.get(0)).map_err(|error| to_error(&error))?;
        if nulls > 0 {
            return refuse(why, nulls.unsigned_abs());
        }
    }
    connection.execute_batch(&change.statement).map_err(|error| to_error(&error))
}
