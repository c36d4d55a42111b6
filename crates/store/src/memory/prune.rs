//! Pruning: the oldest commits leave the log, and the numbers of deleted rows leave with them. Redaction: payloads leave alone.

use bytes::Bytes;
use fourfold_model::Value;

use super::state::{Key, LogRecord, State, now_us};
use crate::log::payload;
use crate::store::{Pruned, Redacted, Retention};

/// What an event takes beside its payload, in bytes.
const EVENT_BYTES: u64 = 64;

/// Takes one slice.
pub(super) fn prune(state: &mut State, keep: &Retention) -> Pruned {
    let now = now_us();
    state.sides.retain(|_, kept| kept.until.is_none_or(|until| until > now));
    let (mut bytes, mut events) = (state.log.iter().map(size).sum::<u64>(), 0);
    let newest = state.log.back().map(|record| record.event.commit_last);
    let goes = |record: &LogRecord, bytes: u64| {
        let read = keep.aged_through.is_none_or(|through| record.event.commit_last.0.get() <= through);
        let (old, large) = (keep.since.is_some_and(|since| read && record.event.at < since), keep.bytes_max.is_some_and(|max| bytes > max));
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
    state.floor = state.floor.max(state.gone);
    Pruned { events, floor: state.floor, bytes, more }
}

/// Blanks the payloads of a row's events.
pub(super) fn redact(state: &mut State, number: u32, key: &Value) -> Redacted {
    let is_of_row = |record: &&mut LogRecord| record.entity == number && record.event.key == *key;
    let (mut events, mut last) = (0, state.floor);
    for record in state.log.iter_mut().filter(is_of_row) {
        let event = &mut record.event;
        let payloads = [&mut event.changed, &mut event.after].into_iter().flatten().filter(|payload| !payload.is_empty());
        if payloads.map(|payload| *payload = Bytes::new()).count() > 0 {
            events += 1;
            last = last.max(event.position.0.get());
        }
    }
    state.floor = last;
    Redacted { events, floor: state.floor }
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
