//! The log: events in order, handed out by whole commits.

use fourfold_op::{Cursor, Epoch, Error, ErrorCode, Event};

use super::state::{LogRecord, State};
use crate::store::{Budget, Entities, StoreError, Tail};

/// Whole commits after a cursor, until the budget is spent.
pub(super) fn events(state: &State, epoch: &Epoch, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, StoreError> {
    state.open().map_err(StoreError::Refused)?;
    let start = start(state, epoch, after).map_err(StoreError::Refused)?;
    let mut events = Vec::new();
    let (mut through, mut bytes) = (start, 0);
    for commit in commits(&state.log, start) {
        let wanted: Vec<Event> = commit.iter().filter_map(|record| named(state, of, record)).collect();
        let more = wanted.iter().map(payload).sum::<usize>();
        if !events.is_empty() && (events.len() + wanted.len() > budget.events_max || bytes + more > budget.bytes_max) {
            break;
        }
        bytes += more;
        events.extend(wanted);
        through += commit.len();
    }
    let model = state.model.as_ref().map_or(0, |model| model.fingerprint);
    Ok(Tail { events, through: Cursor { epoch: epoch.clone(), after: through as u64, skip: None }, model })
}

/// Where a cursor points to in the log.
fn start(state: &State, epoch: &Epoch, after: &Cursor) -> Result<usize, Error> {
    let position = usize::try_from(after.after).unwrap_or(usize::MAX);
    if after.epoch != *epoch || position > state.log.len() {
        let message = "this cursor is of another log; list again, and go on from the list's cursor";
        return Err(Error::new(ErrorCode::CursorExpired, message));
    }
    Ok(position)
}

/// The log from an index on, cut where commits end.
fn commits(log: &[LogRecord], from: usize) -> impl Iterator<Item = &[LogRecord]> {
    let rest = log.get(from..).unwrap_or_default();
    rest.chunk_by(|a, b| a.event.commit_last == b.event.commit_last)
}

/// The event with its entity's id of today; `None` when it is not wanted, or the model no longer has the entity.
fn named(state: &State, of: &Entities, record: &LogRecord) -> Option<Event> {
    let entity = state.model.as_ref()?.entity_by_number(record.entity)?;
    let wanted = match of {
        Entities::All => true,
        Entities::Some(entities) => entities.contains(&entity),
    };
    wanted.then(|| Event { entity, ..record.event.clone() })
}

fn payload(event: &Event) -> usize {
    [&event.changed, &event.after].into_iter().flatten().map(|bytes| bytes.len()).sum()
}
