//! Pruning: the oldest commits leave the log, and the numbers of deleted rows leave with them.

use super::log::payload;
use super::state::{Key, LogRecord, State, now_us};
use crate::store::{Pruned, Retention};

/// What an event takes beside its payload, in bytes.
const EVENT_BYTES: u64 = 64;

/// Takes one slice.
pub(super) fn prune(state: &mut State, keep: &Retention) -> Pruned {
    let now = now_us();
    state.sides.retain(|_, kept| kept.until.is_none_or(|until| until > now));
    let (mut bytes, mut events) = (state.log.iter().map(size).sum::<u64>(), 0);
    let newest = state.log.back().map(|record| record.event.commit_last);
    let goes = |record: &LogRecord, bytes: u64| {
        let (old, large) = (keep.since.is_some_and(|since| record.event.at < since), keep.bytes_max.is_some_and(|max| bytes > max));
        (old || large) && Some(record.event.commit_last) != newest
    };
    let mut more = false;
    while let Some(last) = state.log.front().filter(|record| goes(record, bytes)).map(|record| record.event.commit_last) {
        let count = last.0.get() - state.gone;
        more = events > 0 && events + count > keep.slice_events_max;
        if more {
            break;
        }
        for _ in 0..count {
            bytes -= state.log.pop_front().map_or(0, |record| forget(state, &record));
        }
        state.gone += count;
        events += count;
    }
    Pruned { events, floor: state.gone, bytes, more }
}

/// The tombstone that a deletion left goes with its event, and the entity's floor rises to it; the event's size.
fn forget(state: &mut State, record: &LogRecord) -> u64 {
    let event = &record.event;
    let key = Key(event.key.clone());
    if event.after.is_none()
        && let Some(table) = state.tables.get_mut(&record.entity)
        && table.tombstones.get(&key) == Some(&event.revision)
    {
        table.tombstones.remove(&key);
        table.revision_floor = table.revision_floor.max(event.revision);
    }
    size(record)
}

fn size(record: &LogRecord) -> u64 {
    EVENT_BYTES + payload(&record.event) as u64
}
