//! The log: events in order, handed out by whole commits, without those that a list has shown already.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{EntityId, Model, SharedModel};
use fourfold_op::{Cursor, Error, ErrorCode, Event, Position};
use fourfold_store::{Budget, Entities, Tail, record};
use futures_util::future::join4;
use tokio_postgres::Row;

use crate::connect::prepared;
use crate::error::{Fail, unavailable};
use crate::lent::Lent;
use crate::shown::Shown;
use crate::system::{STATE, State};
use crate::{Inner, PostgresStore};

/// Commits that are read at once.
const COMMITS_MAX: i64 = 1_000;
/// Bytes that are read at once, whatever the budget; a first commit that is larger comes whole.
const BYTES_MAX: i64 = 8 << 20;

impl PostgresStore {
    /// From now on events are told by the entities of `model`, which the store was migrated to elsewhere; nothing is migrated here. Of a store
    /// that is of another model, nothing is told but that ([`Tail::model`]).
    pub fn tell_as(&self, model: &SharedModel) {
        *self.inner.model.write() = Some(model.clone());
    }
}

/// Whole commits after a cursor, until the budget is spent.
pub async fn events(inner: &Inner, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, Fail> {
    let Some(model) = inner.model() else { return Err(unavailable("the store has no model yet").into()) };
    let skip = match &after.skip {
        None => None,
        Some(text) => Some((Shown::parse(text).ok_or_else(elsewhere)?, text.as_ref())),
    };
    let lent = Lent::take(&inner.pool, &inner.target).await?;
    let client = lent.client()?;
    let state = prepared(client, STATE).await?;
    // Sizes are summed before the events are fetched, so that no more is fetched than can be handed out.
    let text = "SELECT position, count, generation, at, by, events, xid::text FROM (SELECT *, sum(octet_length(events)) OVER (ORDER BY position) \
                - octet_length(events) AS before FROM fourfold_log WHERE position > $1 ORDER BY position LIMIT $2) AS l \
                WHERE before < $3 ORDER BY position";
    let rows = prepared(client, text).await?;
    let left =
        prepared(client, "SELECT EXISTS (SELECT 1 FROM fourfold_outbox WHERE pg_visible_in_snapshot(xid, $1::text::pg_snapshot))").await?;
    let first = i64::try_from(after.after).unwrap_or(i64::MAX);
    let bytes_max = i64::try_from(budget.bytes_max).unwrap_or(BYTES_MAX).clamp(1, BYTES_MAX);
    let unnumbered = async {
        match &skip {
            Some((_, text)) => client.query_one(&left, &[text]).await?.try_get::<_, bool>(0),
            None => Ok(false),
        }
    };
    let (begun, state, rows, unnumbered) = join4(
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        client.query_one(&state, &[]),
        client.query(&rows, &[&first, &COMMITS_MAX, &bytes_max]),
        unnumbered,
    )
    .await;
    begun?;
    let (state, rows, unnumbered) = (State::of(&state?)?, rows?, unnumbered?);
    lent.end_reading();
    inner.told(&state);
    if state.fingerprint != model.fingerprint {
        // Another node migrated: these ids are not those of the log's model, and whoever asks must learn it.
        return Ok(Tail { events: Vec::new(), through: after.clone(), model: state.fingerprint });
    }
    check(&state, after)?;
    let log = Log { model: &model, of, shown: skip.as_ref().map(|(shown, _)| shown) };
    let (events, through) = log.within(&rows, after, budget)?;
    // Once all that the snapshot had is numbered and behind, nothing is left to skip.
    let behind = through >= state.position && !unnumbered;
    let skip = after.skip.clone().filter(|_| !behind);
    Ok(Tail { events, through: Cursor { epoch: state.epoch, after: through, skip }, model: model.fingerprint })
}

fn check(state: &State, after: &Cursor) -> Result<(), Error> {
    if after.epoch != state.epoch || after.after > state.position {
        return Err(elsewhere());
    }
    if after.after < state.floor { Err(too_old()) } else { Ok(()) }
}

fn elsewhere() -> Error {
    Error::new(ErrorCode::CursorExpired, "this cursor is of another log; list again, and go on from the list's cursor")
}

fn too_old() -> Error {
    Error::new(ErrorCode::CursorExpired, "this cursor is older than the log; list again, and go on from the list's cursor")
}

struct Log<'a> {
    model: &'a Model,
    of: &'a Entities,
    shown: Option<&'a Shown>,
}

impl Log<'_> {
    /// As many commits as fit, and how far they go.
    fn within(&self, rows: &[Row], after: &Cursor, budget: Budget) -> Result<(Vec<Event>, u64), Fail> {
        let mut events = Vec::new();
        let (mut through, mut bytes) = (after.after, 0);
        for row in rows {
            let (last, count) = (row.try_get::<_, i64>(0)?.unsigned_abs(), row.try_get::<_, i64>(1)?.unsigned_abs());
            if last.saturating_sub(count) > through {
                return Err(too_old().into());
            }
            let mut commit = self.commit(row, last, count)?;
            // A cursor may stand within a commit.
            commit.retain(|event| event.position.0.get() > after.after);
            let more: usize = commit.iter().map(payload).sum();
            if !events.is_empty() && (events.len() + commit.len() > budget.events_max || bytes + more > budget.bytes_max) {
                break;
            }
            bytes += more;
            events.append(&mut commit);
            through = last;
        }
        Ok((events, through))
    }

    /// A commit's events, without those that are not wanted, were shown, or whose entity the model no longer has.
    fn commit(&self, row: &Row, last: u64, count: u64) -> Result<Vec<Event>, Fail> {
        let xid = row.try_get::<_, &str>(6)?.parse().unwrap_or(u64::MAX);
        if self.shown.is_some_and(|shown| shown.had(xid)) {
            return Ok(Vec::new());
        }
        let generation = row.try_get::<_, i32>(2)?.unsigned_abs();
        let (at, by, bytes): (i64, &str, &[u8]) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let (by, commit_last): (Arc<str>, _) = (by.into(), at_position(last));
        let mut position = last.saturating_sub(count);
        let mut events = Vec::new();
        for event in record::events(bytes) {
            let event = event.ok_or_else(misformed)?;
            position += 1;
            let Some(entity) = self.model.entity_by_number(event.entity).filter(|entity| self.wanted(*entity)) else { continue };
            events.push(Event {
                position: at_position(position),
                commit_last,
                entity,
                key: event.key,
                revision: event.revision,
                generation,
                changed: event.changed.map(Bytes::copy_from_slice),
                after: event.after.map(Bytes::copy_from_slice),
                at,
                by: Arc::clone(&by),
            });
        }
        if position == last { Ok(events) } else { Err(misformed().into()) }
    }

    fn wanted(&self, entity: EntityId) -> bool {
        match self.of {
            Entities::All => true,
            Entities::Some(entities) => entities.contains(&entity),
        }
    }
}

fn at_position(number: u64) -> Position {
    Position(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
}

/// The log is not as we write it.
pub fn misformed() -> Error {
    Error::internal("the log holds a commit of another form")
}

fn payload(event: &Event) -> usize {
    [&event.changed, &event.after].into_iter().flatten().map(|bytes| bytes.len()).sum()
}
