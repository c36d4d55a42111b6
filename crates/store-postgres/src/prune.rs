//! Pruning: the oldest commits leave the log in slices, each one short transaction; partitions that are empty go whole.

use std::collections::BTreeMap;

use fourfold_store::log::misformed;
use fourfold_store::{Pruned, Retention, record};
use tokio_postgres::Client;

use crate::Inner;
use crate::commit::key_text;
use crate::error::Fail;
use crate::lent::Lent;
use crate::system::{PARTITION, locks};

/// Commits that are looked at for one slice.
const COMMITS_MAX: i64 = 5_000;
/// Bytes that one slice takes out, its first commit apart.
const SLICE_BYTES_MAX: u64 = 16 << 20;
/// Side records past their end that go with one slice.
const SIDES_MAX: i64 = 1_000;

/// Takes one slice out, and what else may go.
pub async fn prune(inner: &Inner, keep: &Retention) -> Result<Pruned, Fail> {
    let state = inner.numbered().await?;
    let lent = Lent::take(&inner.direct).await?;
    let pruned = match slice_out(lent.client()?.session()?, keep).await {
        Ok(pruned) => pruned,
        Err(fail) => {
            lent.roll_back().await;
            return Err(fail);
        }
    };
    drop_partitions(lent.client()?.session()?, pruned.floor).await;
    lent.done();
    inner.told(&crate::State { floor: pruned.floor, ..state });
    Ok(pruned)
}

/// The commits that go at once.
#[derive(Default)]
struct Slice {
    /// The last position of them; 0: none goes.
    through: u64,
    events: u64,
    bytes: u64,
    /// Bytes of the log that is left.
    left: u64,
    more: bool,
}

async fn slice_out(client: &Client, keep: &Retention) -> Result<Pruned, Fail> {
    // One at a time: two slices would be of the same commits.
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({})", locks::PRUNE)).await?;
    let slice = due(client, keep).await?;
    let floor = client.query_one("SELECT floor FROM fourfold_state", &[]).await?.try_get::<_, i64>(0)?.unsigned_abs();
    if slice.through > 0 {
        delete(client, &slice).await?;
    }
    let text = "DELETE FROM fourfold_side WHERE (space, key) IN (SELECT space, key FROM fourfold_side \
                WHERE keep_until <= (extract(epoch FROM clock_timestamp()) * 1000000)::int8 LIMIT $1)";
    let sides = client.execute(text, &[&SIDES_MAX]).await?;
    client.batch_execute("COMMIT").await?;
    let more = slice.more || i64::try_from(sides).unwrap_or(0) == SIDES_MAX;
    Ok(Pruned { events: slice.events, floor: floor.max(slice.through), bytes: slice.left, more: more || slice.through > 0 })
}

/// The oldest commits before the newest, as far as they are not to be kept.
async fn due(client: &Client, keep: &Retention) -> Result<Slice, Fail> {
    let mut slice = Slice::default();
    let text = "SELECT position, total FROM fourfold_log ORDER BY position DESC LIMIT 1";
    let Some(newest) = client.query_opt(text, &[]).await? else { return Ok(slice) };
    let (newest, all): (i64, i64) = (newest.try_get(0)?, newest.try_get(1)?);
    let text =
        "SELECT position, count, at, total, octet_length(events) + octet_length(by) + 32 FROM fourfold_log ORDER BY position LIMIT $1";
    for row in client.query(text, &[&COMMITS_MAX]).await? {
        let number = |index: usize| row.try_get::<_, i64>(index);
        let (position, count, at, total) = (number(0)?, number(1)?.unsigned_abs(), number(2)?, number(3)?);
        let bytes = u64::from(row.try_get::<_, i32>(4)?.unsigned_abs());
        // What would be left without the commits before this one.
        let left = all.abs_diff(total) + bytes;
        if slice.through == 0 {
            slice.left = left;
        }
        let read = keep.aged_through.is_none_or(|through| position.unsigned_abs() <= through);
        let old = keep.since.is_some_and(|since| read && at < since);
        if position == newest || !old && keep.bytes_max.is_none_or(|max| left <= max) {
            return Ok(slice);
        }
        slice.more = slice.events > 0 && (slice.events + count > keep.slice_events_max || slice.bytes + bytes > SLICE_BYTES_MAX);
        if slice.more {
            return Ok(slice);
        }
        slice.through = position.unsigned_abs();
        slice.events += count;
        slice.bytes += bytes;
        slice.left = left - bytes;
    }
    slice.more = slice.through > 0;
    Ok(slice)
}

/// Takes the commits out of the log, and with each deletion the number that it left: the entity's floor rises to it.
async fn delete(client: &Client, slice: &Slice) -> Result<(), Fail> {
    let through = i64::try_from(slice.through).unwrap_or(i64::MAX);
    let any = client.query_one("SELECT EXISTS (SELECT 1 FROM fourfold_tombstone)", &[]).await?;
    if any.try_get(0)? {
        forget_deletions(client, through).await?;
    }
    client.execute("DELETE FROM fourfold_log WHERE position <= $1", &[&through]).await?;
    client.execute("UPDATE fourfold_state SET floor = greatest(floor, $1)", &[&through]).await?;
    Ok(())
}

async fn forget_deletions(client: &Client, through: i64) -> Result<(), Fail> {
    let (mut entities, mut keys, mut revisions) = (Vec::new(), Vec::new(), Vec::new());
    for row in client.query("SELECT events FROM fourfold_log WHERE position <= $1", &[&through]).await? {
        for event in record::events(row.try_get(0)?) {
            let event = event.ok_or_else(misformed)?;
            if event.after.is_none() {
                entities.push(i64::from(event.entity));
                keys.push(key_text(&event.key));
                revisions.push(i64::try_from(event.revision).unwrap_or(i64::MAX));
            }
        }
    }
    // A key that was made and deleted again since then has a later number.
    let text = "DELETE FROM fourfold_tombstone AS t USING unnest($1::int8[], $2::text[], $3::int8[]) AS d(entity, key, revision) \
                WHERE t.entity = d.entity AND t.key = d.key AND t.revision = d.revision RETURNING t.entity, t.revision";
    let mut floors: BTreeMap<i64, i64> = BTreeMap::new();
    for row in client.query(text, &[&entities, &keys, &revisions]).await? {
        let revision: i64 = row.try_get(1)?;
        let floor = floors.entry(row.try_get(0)?).or_insert(revision);
        *floor = revision.max(*floor);
    }
    let text = "INSERT INTO fourfold_floor AS f (entity, revision) VALUES ($1, $2) \
                ON CONFLICT (entity) DO UPDATE SET revision = greatest(f.revision, excluded.revision)";
    for (entity, floor) in floors {
        client.execute(text, &[&entity, &floor]).await?;
    }
    Ok(())
}

/// Drops the partitions that lie below a position. One that somebody reads stays until the next time.
async fn drop_partitions(client: &Client, floor: u64) {
    let text =
        "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'fourfold_log'::regclass";
    let Ok(rows) = client.query(text, &[]).await else { return };
    for name in rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok()) {
        let Some(number) = name.strip_prefix("fourfold_log_").and_then(|number| number.parse::<u64>().ok()) else { continue };
        if (number + 1) * PARTITION <= floor {
            let text = format!("BEGIN; SET LOCAL lock_timeout = '200ms'; DROP TABLE {name}; COMMIT");
            if client.batch_execute(&text).await.is_err() {
                let _ = client.batch_execute("ROLLBACK").await;
            }
        }
    }
}
