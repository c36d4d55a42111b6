//! Redaction: the payloads of a row's events are blanked in place, and the tables are written anew, so that no free page has them either.

use fourfold_model::Value;
use fourfold_op::{Error, ErrorCode};
use fourfold_store::Redacted;
use fourfold_store::log::misformed;
use fourfold_store::record::{self, Record, RecordedEvent};
use tokio_postgres::Client;

use crate::Inner;
use crate::error::{Fail, told};
use crate::lent::Lent;
use crate::system::{STATE, State, locks};

/// Commits that are looked at between two writes.
const COMMITS_AT_ONCE: i64 = 200;

/// Blanks every event of a row.
pub async fn redact(inner: &Inner, entity: u32, key: &Value) -> Result<Redacted, Fail> {
    // What is in the outbox is the row's too.
    inner.numbered().await?;
    let lent = Lent::take(&inner.direct).await?;
    let done = match blanked(lent.client()?.session()?, entity, key).await {
        Ok(done) => done,
        Err(fail) => {
            lent.roll_back().await;
            return Err(fail);
        }
    };
    let client = lent.client()?.session()?;
    // Also where nothing was blanked now: the time before may not have come this far.
    let anew = "SET statement_timeout = 0; SET lock_timeout = 0";
    let mut written = client.batch_execute(anew).await;
    for table in ["fourfold_log", "fourfold_outbox"] {
        if written.is_ok() {
            written = client.batch_execute(&format!("VACUUM (FULL) {table}")).await;
        }
    }
    written.map_err(|error| {
        let message =
            "the events are blanked, but the tables could not be written anew: what they held may be in their free pages; try again";
        Error::new(ErrorCode::Unavailable, message).with_private(told(&error))
    })?;
    let state = State::of(&client.query_one(STATE, &[]).await?)?;
    inner.told(&state);
    // The session's limits are not those of the others any more, so it ends.
    lent.forget();
    Ok(done)
}

async fn blanked(client: &Client, entity: u32, key: &Value) -> Result<Redacted, Fail> {
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({})", locks::PRUNE)).await?;
    let floor = client.query_one("SELECT floor FROM fourfold_state", &[]).await?.try_get::<_, i64>(0)?.unsigned_abs();
    let mut done = Redacted { events: 0, floor };
    let mut after = 0_i64;
    loop {
        let text = "SELECT position, count, events FROM fourfold_log WHERE position > $1 ORDER BY position LIMIT $2";
        let rows = client.query(text, &[&after, &COMMITS_AT_ONCE]).await?;
        for row in &rows {
            let (last, count, events): (i64, i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            after = last;
            if let Some(record) = blank(events, (last, count), &mut done, |event| event.entity == entity && event.key == *key)? {
                client.execute("UPDATE fourfold_log SET events = $2 WHERE position = $1", &[&last, &record.bytes()]).await?;
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    let floor = i64::try_from(done.floor).unwrap_or(i64::MAX);
    client.execute("UPDATE fourfold_state SET floor = greatest(floor, $1)", &[&floor]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(done)
}

/// A commit's record without the payloads of such events; `None` where it has none of them.
fn blank(
    events: &[u8],
    (last, count): (i64, i64),
    done: &mut Redacted,
    is_meant: impl Fn(&RecordedEvent<'_>) -> bool,
) -> Result<Option<Record>, Fail> {
    let (mut record, mut any) = (Record::default(), false);
    for (position, event) in (last - count + 1..).zip(record::events(events)) {
        let event = event.ok_or_else(misformed)?;
        let blank = is_meant(&event) && [event.changed, event.after].into_iter().flatten().any(|payload| !payload.is_empty());
        if blank {
            any = true;
            done.events += 1;
            done.floor = done.floor.max(position.unsigned_abs());
            record.push(&RecordedEvent { changed: event.changed.map(|_| &[][..]), after: event.after.map(|_| &[][..]), ..event });
        } else {
            record.push(&event);
        }
    }
    if record.count() as u64 != count.unsigned_abs() {
        return Err(misformed().into());
    }
    Ok(any.then_some(record))
}
