//! The log: events in order, handed out by whole commits.

use fourfold_op::{Cursor, Epoch, Error, ErrorCode, Event};

use super::state::{LogRecord, State};
use crate::store::{Budget, Entities, StoreError, Tail};

/// Whole commits after a cursor, until the budget is spent.
pub(super) fn events(state: &State, epoch: &Epoch, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, StoreError> {
    state.open().map_err(StoreError::Refused)?;
    let start = start(state, epoch, after).map_err(StoreError::Refused)?;
    let mut events = Vec::new();
    let (mut through, mut bytes) = (after.after, 0);
    let mut rest = state.log.iter().skip(start).peekable();
    while let Some(last) = rest.peek().map(|record| record.event.commit_last) {
        let commit: Vec<&LogRecord> = std::iter::from_fn(|| rest.next_if(|record| record.event.commit_last == last)).collect();
        let wanted: Vec<Event> = commit.iter().filter_map(|record| named(state, of, record)).collect();
        let more = wanted.iter().map(payload).sum::<usize>();
        if !events.is_empty() && (events.len() + wanted.len() > budget.events_max || bytes + more > budget.bytes_max) {
            break;
        }
        bytes += more;
        events.extend(wanted);
        through = last.0.get();
    }
    let model = state.model.as_ref().map_or(0, |model| model.fingerprint);
    Ok(Tail { events, through: Cursor { epoch: epoch.clone(), after: through, skip: None }, model })
}

/// Where a cursor points to in the log.
fn start(state: &State, epoch: &Epoch, after: &Cursor) -> Result<usize, Error> {
    if after.epoch != *epoch || after.after > state.position() {
        let message = "this cursor is of another log; list again, and go on from the list's cursor";
        return Err(Error::new(ErrorCode::CursorExpired, message));
    }
    let start = after.after.checked_sub(state.gone).filter(|_| after.after >= state.floor);
    start.and_then(|start| usize::try_from(start).ok()).ok_or_else(|| {
        let message = "this cursor is older than the log; list again, and go on from the list's cursor";
        Error::new(ErrorCode::CursorExpired, message)
    })
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

pub(super) fn payload(event: &Event) -> usize {
    [&event.changed, &event.after].into_iter().flatten().map(|bytes| bytes.len()).sum()
}
