//! The log: events in order, handed out by whole commits, without those that a list has shown already.

use fourfold_model::{Model, SharedModel};
use fourfold_op::{Cursor, Error};
use fourfold_store::log::{Handed, LoggedCommit, elsewhere, too_old};
use fourfold_store::{Budget, Entities, Tail};
use futures_util::future::join4;
use tokio_postgres::Row;

use crate::error::{Fail, unavailable};
use crate::lent::Lent;
use crate::read::ONE_SNAPSHOT;
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
    let lent = Lent::take(&inner.pooled).await?;
    let client = lent.client()?;
    let state = client.prepared(STATE).await?;
    // Sizes are summed before the events are fetched, so that no more is fetched than can be handed out.
    let text = "SELECT position, count, generation, at, by, events, xid::text FROM (SELECT *, sum(octet_length(events)) OVER (ORDER BY position) \
                - octet_length(events) AS before FROM fourfold_log WHERE position > $1 ORDER BY position LIMIT $2) AS l \
                WHERE before < $3 ORDER BY position";
    let rows = client.prepared(text).await?;
    let left =
        client.prepared("SELECT EXISTS (SELECT 1 FROM fourfold_outbox WHERE pg_visible_in_snapshot(xid, $1::text::pg_snapshot))").await?;
    let first = i64::try_from(after.after).unwrap_or(i64::MAX);
    let bytes_max = i64::try_from(budget.bytes_max).unwrap_or(BYTES_MAX).clamp(1, BYTES_MAX);
    let unnumbered = async {
        match &skip {
            Some((_, text)) => Ok(client.query_one(&left, &[text]).await?.try_get::<_, bool>(0)?),
            None => Ok::<_, Fail>(false),
        }
    };
    let begin = client.begin(ONE_SNAPSHOT, None);
    let (begun, state, rows, unnumbered) = join4(
        client.batch_execute(&begin),
        client.query_one(&state, &[]),
        client.query(&rows, &[&first, &COMMITS_MAX, &bytes_max]),
        unnumbered,
    )
    .await;
    begun?;
    let (state, rows, unnumbered) = (State::of(&state?)?, rows?, unnumbered?);
    inner.told_by(client, &state)?;
    lent.end_reading();
    if state.fingerprint != model.fingerprint {
        // Another node migrated: these ids are not those of the log's model, and whoever asks must learn it.
        return Ok(Tail { events: Vec::new(), through: after.clone(), model: state.fingerprint });
    }
    check(&state, after)?;
    let log = Log { model: &model, of, shown: skip.as_ref().map(|(shown, _)| shown) };
    let Handed { events, through, .. } = log.within(&rows, after, budget)?;
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

struct Log<'a> {
    model: &'a Model,
    of: &'a Entities,
    shown: Option<&'a Shown>,
}

impl Log<'_> {
    /// As many commits as fit.
    fn within(&self, rows: &[Row], after: &Cursor, budget: Budget) -> Result<Handed, Fail> {
        let mut handed = Handed::after(after.after, budget);
        for row in rows {
            let commit = logged(row)?;
            let last = commit.last;
            if last.saturating_sub(commit.count) > handed.through {
                return Err(too_old().into());
            }
            let events = if self.was_shown(row)? { Vec::new() } else { commit.read(self.model, self.of)? };
            if !handed.take(last, events) {
                break;
            }
        }
        Ok(handed)
    }

    /// Whether a list has shown what this commit did.
    fn was_shown(&self, row: &Row) -> Result<bool, Fail> {
        let Some(shown) = self.shown else { return Ok(false) };
        Ok(shown.had(row.try_get::<_, &str>(6)?.parse().unwrap_or(u64::MAX)))
    }
}

fn logged(row: &Row) -> Result<LoggedCommit<'_>, Fail> {
    let number = |index| row.try_get::<_, i64>(index).map(i64::unsigned_abs);
    let generation = row.try_get::<_, i32>(2)?.unsigned_abs();
    let by = row.try_get::<_, &str>(4)?.into();
    Ok(LoggedCommit { last: number(0)?, count: number(1)?, generation, at: row.try_get(3)?, by, events: row.try_get(5)? })
}
