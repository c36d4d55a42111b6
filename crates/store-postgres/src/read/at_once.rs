//! A row that is read by one statement, which needs no transaction: its snapshot is one.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use fourfold_op::{Answered, Error};
use fourfold_plan::ReadPlan;
use fourfold_store::Snapshot;
use fourfold_store::sql::{Dialect, FetchSql, Fetched, KindSql};
use futures_util::TryStreamExt;
use futures_util::future::join;

use super::{Keys, Reading, cursor, known, of_model};
use crate::Inner;
use crate::error::Fail;
use crate::pooled::Pooled;
use crate::system::{STATE, STATE_COLUMNS, State};

/// What every read must know: of which model the database is.
const FINGERPRINT: &str = "SELECT fingerprint FROM fourfold_state";

/// A row by its key, on a connection that others use too. `None` where the plans ask for more, or for what may take long, or none is shared now.
pub async fn row_in_line(inner: &Inner, plans: &[ReadPlan]) -> Result<Option<Snapshot>, Fail> {
    let [plan] = plans else { return Ok(None) };
    if !compiled(plan)?.is_quick {
        return Ok(None);
    }
    let Some(share) = inner.shared.join(&inner.pooled).await? else { return Ok(None) };
    let client = share.client()?;
    let read = row_at_once(inner, client, plans, None).await;
    if matches!(read, Err(Fail::Stale)) {
        client.forget_statements();
    }
    share.done();
    read
}

/// A row by its key that nothing hangs on, and what the plan wants of the state: one statement, whose snapshot is its own. `None` where the plans
/// ask for more.
pub async fn row_at_once(inner: &Inner, client: &Pooled, plans: &[ReadPlan], left: Option<Duration>) -> Result<Option<Snapshot>, Fail> {
    let [plan] = plans else { return Ok(None) };
    let Some(text) = compiled(plan)?.at_once.as_ref().filter(|_| client.is_session()) else { return Ok(None) };
    let statement = client.prepared(text).await?;
    let reading = Reading { client, plan, model: plan.model(), statements: &AtomicU32::new(1) };
    let sql = &compiled(plan)?.sql;
    let rows = async { client.query_raw(&statement, reading.parameters(&sql.rows, &Keys::None)).await?.try_collect::<Vec<_>>().await };
    let rows = match client.limit(left) {
        Some(limit) => {
            let (limited, rows) = join(client.batch_execute(&limit), rows).await;
            limited?;
            rows?
        }
        None => rows.await?,
    };
    let row = rows.first().ok_or_else(|| Error::internal("the store's own state is not there"))?;
    let (cursor, columns) = if plan.wants_cursor() {
        let state = State::of(row)?;
        known(inner, client, plans, &state)?;
        (Some(cursor(state)), STATE_COLUMNS)
    } else {
        of_model(plans, row.try_get::<_, i64>(0)?.cast_unsigned())?;
        (None, 1)
    };
    let mut fetched = Fetched::default();
    if row.try_get::<_, Option<bool>>(columns)?.is_some() {
        reading.take(sql, row, columns + 1, false, &mut fetched)?;
    }
    Ok(Some(Snapshot { answers: vec![Answered::Row(fetched.records.pop())], cursor, statements: 1 }))
}

/// A plan's statements.
pub struct Compiled {
    pub sql: FetchSql,
    /// What is wanted of the state, and the row by its key, where that is all.
    at_once: Option<String>,
    /// Whether that takes no longer than finding rows by their keys.
    is_quick: bool,
}

/// The statements of a plan, made once.
pub fn compiled(plan: &ReadPlan) -> Result<&Compiled, Fail> {
    let compiled = plan.compiled(|shape| {
        let sql = fourfold_store::sql::fetch(Dialect::Postgres, shape.model(), shape.fetch());
        let alone = matches!(sql.kind, KindSql::Key) && sql.owned.is_empty() && sql.children.is_empty();
        let rows = &sql.rows.text;
        let state = if shape.wants_cursor() { STATE } else { FINGERPRINT };
        let at_once =
            alone.then(|| format!("SELECT s.*, r.* FROM ({state}) AS s LEFT JOIN (SELECT TRUE, q.* FROM ({rows}) AS q) AS r ON TRUE"));
        let is_quick = at_once.is_some() && !shape.fetch().goes_through_rows();
        Arc::new(Compiled { sql, at_once, is_quick })
    });
    compiled.downcast_ref().ok_or_else(|| Error::internal("a plan compiled by another store").into())
}
