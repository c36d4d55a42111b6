//! The log: events in order, handed out by whole commits.

use fourfold_op::{Cursor, Epoch, Error, Event};

use super::state::{LogRecord, State};
use crate::log::{Handed, elsewhere, too_old};
use crate::store::{Budget, Entities, StoreError, Tail};

/// Whole commits after a cursor, until the budget is spent.
pub(super) fn events(state: &State, epoch: &Epoch, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, StoreError> {
    state.open().map_err(StoreError::Refused)?;
    let start = start(state, epoch, after).map_err(StoreError::Refused)?;
    let mut handed = Handed::after(after.after, budget);
    let mut rest = state.log.iter().skip(start).peekable();
    while let Some(last) = rest.peek().map(|record| record.event.commit_last) {
        let commit: Vec<&LogRecord> = std::iter::from_fn(|| rest.next_if(|record| record.event.commit_last == last)).collect();
        if !handed.take(last.0.get(), commit.iter().filter_map(|record| named(state, of, record)).collect()) {
            break;
        }
    }
    let model = state.model.as_ref().map_or(0, |model| model.fingerprint);
    let through = Cursor { epoch: epoch.clone(), after: handed.through, skip: None };
    Ok(Tail { events: handed.events, through, model })
}

/// Where a cursor points to in the log.
fn start(state: &State, epoch: &Epoch, after: &Cursor) -> Result<usize, Error> {
    if after.epoch != *epoch || after.after > state.position() {
        return Err(elsewhere());
    }
    let start = after.after.checked_sub(state.gone).filter(|_| after.after >= state.floor);
    start.and_then(|start| usize::try_from(start).ok()).ok_or_else(too_old)
}

/// The event with its entity's id of today; `None` when it is not wanted, or the model no longer has the entity.
fn named(state: &State, of: &Entities, record: &LogRecord) -> Option<Event> {
    let entity = state.model.as_ref()?.entity_by_number(record.entity)?;
    of.has(entity).then(|| Event { entity, ..record.event.clone() })
}
