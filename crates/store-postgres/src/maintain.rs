//! Migration and counting.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fourfold_model::{Base, EntityId, Model, SharedModel, Value};
use fourfold_op::{Error, ErrorCode};
use fourfold_store::sql::{Change, Dialect, Schema, diff, owner_number, quoted};
use fourfold_store::{Later, Maintain, Migration, MigrationStep, Pruned, Redacted, Retention, StoreError};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::adopt::{self, Parted};
use crate::capture;
use crate::error::{Fail, unavailable};
use crate::lent::Lent;
use crate::system::{STATE, State, locks};
use crate::{Inner, PostgresStore, prune, redact};

/// How long a migration waits for the commits before it to be numbered.
const NUMBERED_MAX: Duration = Duration::from_secs(30);
/// Milliseconds that it waits for others to end what they write into a table that is captured.
const LOCK_MAX_MS: u32 = 30_000;
/// How often it looks.
const NUMBERED_LOOK: Duration = Duration::from_millis(10);

impl Maintain for PostgresStore {
    fn migration<'a>(&'a self, model: &'a SharedModel) -> Later<'a, Result<Migration, StoreError>> {
        Box::pin(async move {
            let planned = async {
                self.inner.open()?;
                let client = self.inner.direct.take().await?;
                planned(client.session()?, model).await
            };
            let (changes, _) = planned.await.map_err(refused)?;
            let step = |change: Change| MigrationStep { title: change.title, destructive: change.destructive, statement: change.statement };
            Ok(Migration { steps: changes.into_iter().map(step).collect() })
        })
    }

    fn migrate<'a>(&'a self, model: &'a SharedModel, _migration: Migration) -> Later<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            self.inner.migrate(model).await.map_err(refused)
        })
    }

    fn count<'a>(&'a self, model: &'a SharedModel, entity: EntityId) -> Later<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let counted = async {
                self.inner.open()?;
                rows_of(self.inner.direct.take().await?.session()?, &model.entity(entity).table).await
            };
            counted.await.map_err(refused)
        })
    }

    fn prune<'a>(&'a self, keep: &'a Retention) -> Later<'a, Result<Pruned, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            prune::prune(&self.inner, keep).await.map_err(refused)
        })
    }

    fn redact<'a>(&'a self, model: &'a SharedModel, entity: EntityId, key: &'a Value) -> Later<'a, Result<Redacted, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            redact::redact(&self.inner, model.entity(entity).number, key).await.map_err(refused)
        })
    }
}

fn refused(fail: Fail) -> StoreError {
    StoreError::Refused(fail.into_error())
}

impl Inner {
    async fn migrate(&self, model: &SharedModel) -> Result<(), Fail> {
        let lent = Lent::take(&self.direct).await?;
        let migrated = self.migrated(&lent, model).await;
        let state = lent.ended(migrated).await?;
        self.told(&state);
        *self.model.write() = Some(model.clone());
        Ok(())
    }

    /// Alone with the tables: every commit before is over, and has its positions.
    async fn migrated(&self, lent: &Lent, model: &SharedModel) -> Result<State, Fail> {
        let client = lent.client()?.session()?;
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0; \
             SELECT pg_advisory_xact_lock({})",
            locks::MODEL
        );
        client.batch_execute(&begin).await?;
        lock_captured(client, model).await?;
        self.all_numbered(client).await?;
        let state = State::of(&client.query_one(STATE, &[]).await?)?;
        let (changes, parted) = planned(client, model).await?;
        for change in &changes {
            apply(client, change).await?;
        }
        let known = state.fingerprint == model.fingerprint;
        let generation = state.generation + u32::from(!known);
        let lost = changes.iter().any(|change| change.destructive || change.rewrites);
        let floor = if lost { state.position } else { state.floor };
        drop_owned(client, model).await?;
        let text = "UPDATE fourfold_state SET schema = $1, fingerprint = $2, generation = $3, floor = $4";
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        adopt::note(client, &parted).await?;
        *self.adopted.write() = adopt::adopted(client, model, &parted).await?;
        let schema = parted.own.to_text();
        let generation_now = i32::try_from(generation).unwrap_or(i32::MAX);
        client.execute(text, &[&schema, &model.fingerprint.cast_signed(), &generation_now, &number(floor)]).await?;
        client.batch_execute("COMMIT").await?;
        self.generation.store(generation, Ordering::Release);
        Ok(State { generation, floor, fingerprint: model.fingerprint, unnumbered: None, ..state })
    }

    async fn all_numbered(&self, client: &Client) -> Result<(), Fail> {
        let started = tokio::time::Instant::now();
        while client.query_one("SELECT EXISTS (SELECT 1 FROM fourfold_outbox)", &[]).await?.try_get(0)? {
            if started.elapsed() > NUMBERED_MAX {
                return Err(unavailable("commits are waiting to be numbered; try again").into());
            }
            self.committed();
            tokio::time::sleep(NUMBERED_LOOK).await;
        }
        Ok(())
    }
}

/// Holds back others' writes into tables that are captured, or are to be: what they wrote before is numbered before, by the model before.
async fn lock_captured(client: &Client, model: &Model) -> Result<(), Fail> {
    let mut tables: BTreeSet<String> = capture::captured(client).await?.into_keys().collect();
    tables.extend(model.entities.iter().filter(|entity| entity.captured).map(|entity| entity.table.to_string()));
    client.batch_execute(&format!("SET LOCAL lock_timeout = {LOCK_MAX_MS}")).await?;
    for table in tables {
        let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&quoted(&table)]).await?;
        if there.try_get(0)? {
            let locked = client.batch_execute(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", quoted(&table))).await;
            locked.map_err(|error| match error.code() {
                Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    unavailable(&format!("others are writing to `{table}`; try again when they have ended")).into()
                }
                _ => Fail::from(error),
            })?;
        }
    }
    Ok(client.batch_execute("SET LOCAL lock_timeout = 0").await?)
}

/// The steps to a model, and which of its tables are this store's own.
async fn planned(client: &Client, model: &Model) -> Result<(Vec<Change>, Parted), Fail> {
    let want = Schema::of(Dialect::Postgres, model);
    if let Some(table) = want.tables.iter().find(|table| table.name.starts_with("fourfold_") || table.name.starts_with("pg_")) {
        let message = format!("the table name `{}` is the store's own; name another with @@name(table:)", table.name);
        return Err(Error::invalid(message).into());
    }
    let row = client.query_one("SELECT schema FROM fourfold_state", &[]).await?;
    let have = Schema::from_text(row.try_get(0)?).ok_or_else(|| Error::internal("the database's own schema text cannot be read"))?;
    let mut parted = adopt::part(client, model, &have, want).await?;
    let mut changes = std::mem::take(&mut parted.changes);
    changes.extend(diff(Dialect::Postgres, &have, &parted.own));
    changes.extend(capture::changes(client, model).await?);
    Ok((changes, parted))
}

async fn rows_of(client: &Client, table: &str) -> Result<u64, Fail> {
    let row = client.query_one(&format!("SELECT count(*) FROM {}", quoted(table)), &[]).await?;
    Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
}

async fn apply(client: &Client, change: &Change) -> Result<(), Fail> {
    let refuse = |why: &str, rows: u64| {
        Err(Error::new(ErrorCode::FailedPrecondition, format!("{why}, and {rows} rows have no value for it")).into())
    };
    if let Some((table, why)) = &change.needs_no_rows {
        let rows = rows_of(client, table).await?;
        if rows > 0 {
            return refuse(why, rows);
        }
    }
    if let Some((table, column, why)) = &change.needs_no_nulls {
        let text = format!("SELECT count(*) FROM {} WHERE {} IS NULL", quoted(table), quoted(column));
        let nulls = client.query_one(&text, &[]).await?.try_get::<_, i64>(0)?;
        if nulls > 0 {
            return refuse(why, nulls.unsigned_abs());
        }
    }
    Ok(client.batch_execute(&change.statement).await?)
}

/// Takes the elements of owned lists whose owner this migration dropped.
async fn drop_owned(client: &Client, model: &Model) -> Result<(), Fail> {
    for (index, owned) in model.owned.iter().enumerate() {
        let lists = model.entities.iter().flat_map(|entity| {
            let is_of = move |base: Base| matches!(base, Base::Owned(id) if usize::from(id.0) == index);
            entity.fields.iter().filter(move |field| is_of(field.ty.base)).map(|field| owner_number(entity.number, field.number))
        });
        let kept: Vec<i64> = lists.collect();
        client.execute(&format!("DELETE FROM {} WHERE _owner <> ALL ($1)", quoted(&owned.table)), &[&kept]).await?;
    }
    Ok(())
}
