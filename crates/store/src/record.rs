//! The events of a commit as bytes, for a log that keeps one record a commit.
//!
//! A commit of a thousand rows is then one write of the log, not a thousand. What all events of a commit share (who, when, which
//! generation of the model) stands beside the record, once. Entities stand by lock number.

use fourfold_model::Value;
use fourfold_op::wire::bytes::{Reader, put_varint};

use crate::bytes::{put_bytes, put_key, take_byte, take_key};

const CHANGED: u8 = 1;
const AFTER: u8 = 2;

/// An event within its commit's record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent<'a> {
    /// The entity's number in the lock file.
    pub entity: u32,
    /// The row's key.
    pub key: Value,
    /// The row's revision: of the deleted row, for a deletion.
    pub revision: u64,
    /// What the changed members were before, as a protobuf message.
    pub changed: Option<&'a [u8]>,
    /// The row, as a protobuf message; `None` when it was deleted.
    pub after: Option<&'a [u8]>,
}

/// The events of one commit, in order, as they are written.
///
/// # Example
/// ```
/// use fourfold_store::record::{Record, RecordedEvent, events};
/// let event = RecordedEvent { entity: 7, key: fourfold_model::Value::Int(1), revision: 1, changed: None, after: Some(b"row") };
/// let mut record = Record::default();
/// record.push(&event);
/// let read: Option<Vec<_>> = events(record.bytes()).collect();
/// assert_eq!(read, Some(vec![event]));
/// ```
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    count: usize,
}

/// A place in a [`Record`], to which it can be cut back.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize, usize);

impl Record {
    /// Adds an event behind the others.
    pub fn push(&mut self, event: &RecordedEvent<'_>) {
        let out = &mut self.bytes;
        let has = |bytes: Option<&[u8]>, flag| if bytes.is_some() { flag } else { 0 };
        out.push(has(event.changed, CHANGED) | has(event.after, AFTER));
        put_varint(out, u64::from(event.entity));
        put_key(out, &event.key);
        put_varint(out, event.revision);
        for bytes in [event.changed, event.after].into_iter().flatten() {
            put_bytes(out, bytes);
        }
        self.count += 1;
    }

    /// How many events are in it.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the log keeps, for [`events`] to read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place behind the last event.
    pub fn mark(&self) -> Mark {
        Mark(self.bytes.len(), self.count)
    }

    /// Takes away what was added since a mark.
    pub fn cut(&mut self, mark: Mark) {
        self.bytes.truncate(mark.0);
        self.count = mark.1;
    }
}

/// The events of a record, in order; `None`, and then nothing more, where the bytes are not what [`Record`] writes.
pub fn events(record: &[u8]) -> impl Iterator<Item = Option<RecordedEvent<'_>>> {
    let mut rest = Reader::new(record);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let event = take_event(&mut rest);
        if event.is_none() {
            rest = Reader::new(&[]);
        }
        Some(event)
    })
}

fn take_event<'a>(rest: &mut Reader<'a>) -> Option<RecordedEvent<'a>> {
    let flags = take_byte(rest).filter(|flags| flags & !(CHANGED | AFTER) == 0)?;
    let entity = u32::try_from(rest.varint().ok()?).ok()?;
    let key = take_key(rest)?;
    let revision = rest.varint().ok()?;
    let mut optional = |flag| if flags & flag == 0 { Some(None) } else { rest.bytes().ok().map(Some) };
    Some(RecordedEvent { entity, key, revision, changed: optional(CHANGED)?, after: optional(AFTER)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn samples() -> [RecordedEvent<'static>; 4] {
        let event = |key, changed, after| RecordedEvent { entity: 300, key, revision: 129, changed, after };
        [
            event(Value::Int(-1), None, Some(&b"row"[..])),
            event(Value::text("schlüssel"), Some(&b"old"[..]), Some(&b""[..])),
            event(Value::Uuid([7; 16]), Some(&b"whole"[..]), None),
            event(Value::text(""), Some(&[0xff; 300][..]), None),
        ]
    }

    fn written(samples: &[RecordedEvent<'_>]) -> Record {
        let mut record = Record::default();
        samples.iter().for_each(|event| record.push(event));
        record
    }

    #[test]
    fn events_are_read_back_as_they_were_written() {
        let record = written(&samples());
        assert_eq!(record.count(), 4);
        assert_eq!(events(record.bytes()).collect::<Option<Vec<_>>>().unwrap(), samples());
    }

    #[test]
    fn a_record_is_cut_back_to_a_mark() {
        let [first, second, ..] = samples();
        let mut record = written(std::slice::from_ref(&first));
        let mark = record.mark();
        record.push(&second);
        record.cut(mark);
        assert_eq!(record.count(), 1);
        assert_eq!(events(record.bytes()).collect::<Option<Vec<_>>>().unwrap(), [first]);
    }

    #[test]
    fn bytes_cut_short_or_of_another_form_are_told() {
        for sample in samples() {
            let record = written(&[sample]);
            for end in 1..record.bytes().len() {
                assert_eq!(events(&record.bytes()[..end]).collect::<Vec<_>>(), [None], "cut at {end}");
            }
        }
        assert_eq!(events(&[0x80, 1]).collect::<Vec<_>>(), [None]);
    }
}
