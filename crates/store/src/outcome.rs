//! What a commit came to, as bytes: kept in a side record so that a request sent twice is answered alike.
//!
//! Entities stand by lock number, so a record outlives a reload of the model. No row is in it: rows are read again, under the
//! rules of the day.

use bytes::Bytes;
use fourfold_model::Model;
use fourfold_op::wire::bytes::{Reader, put_varint};
use fourfold_op::{Change, Error};

use crate::SettledStep;
use crate::bytes::{put_key, take_byte, take_key};

const REFUSED: u8 = 0;
const UNCHANGED: u8 = 1;
const CREATED: u8 = 2;
const UPDATED: u8 = 3;
const DELETED: u8 = 4;

/// The bytes of [`Put::Outcome`](crate::Put::Outcome): the caller's own, then each step's entity, key, revision and change.
///
/// # Example
/// ```
/// use fourfold_model::Model;
/// let bytes = fourfold_store::encode_outcome(b"mine", &Model::default(), &[]);
/// assert_eq!(bytes.get(..4), Some(&b"mine"[..]));
/// let steps = fourfold_store::decode_outcome(&Model::default(), &bytes[4..]);
/// assert!(steps.is_some_and(|steps| steps.is_empty()));
/// ```
pub fn encode_outcome(own: &[u8], model: &Model, steps: &[Result<SettledStep, Error>]) -> Bytes {
    let mut out = Vec::with_capacity(own.len() + 4 + steps.len() * 32);
    out.extend_from_slice(own);
    put_varint(&mut out, steps.len() as u64);
    for step in steps {
        match step {
            Ok(step) => put_step(&mut out, model, step),
            Err(_) => out.push(REFUSED),
        }
    }
    Bytes::from(out)
}

/// The steps that [`encode_outcome`] wrote, without the caller's own bytes; a refused one is `None`.
///
/// `None` when these are not such bytes, or the model no longer has one of the entities. No step has an `answer`.
pub fn decode_outcome(model: &Model, bytes: &[u8]) -> Option<Vec<Option<SettledStep>>> {
    let mut rest = Reader::new(bytes);
    let count = rest.varint().ok()?;
    let mut steps = Vec::new();
    for _ in 0..count {
        steps.push(take_step(&mut rest, model)?);
    }
    rest.is_empty().then_some(steps)
}

fn put_step(out: &mut Vec<u8>, model: &Model, step: &SettledStep) {
    out.push(match step.change {
        None => UNCHANGED,
        Some(Change::Created) => CREATED,
        Some(Change::Updated) => UPDATED,
        Some(Change::Deleted) => DELETED,
    });
    put_varint(out, u64::from(model.entity(step.entity).number));
    put_varint(out, step.revision);
    put_key(out, &step.key);
}

fn take_step(rest: &mut Reader<'_>, model: &Model) -> Option<Option<SettledStep>> {
    let change = match take_byte(rest)? {
        REFUSED => return Some(None),
        UNCHANGED => None,
        CREATED => Some(Change::Created),
        UPDATED => Some(Change::Updated),
        DELETED => Some(Change::Deleted),
        _ => return None,
    };
    let number = u32::try_from(rest.varint().ok()?).ok()?;
    let entity = model.entity_by_number(number)?;
    let revision = rest.varint().ok()?;
    let key = take_key(rest)?;
    Some(Some(SettledStep { entity, key, revision, change, answer: None }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use fourfold_model::{EntityId, Lock, Value};

    /// A model with one entity, of number 7.
    fn model() -> Model {
        let lock = Lock::parse("entity Product 7 plural=products").unwrap();
        fourfold_model::load("package shop.v1\nentity Product { id Uuid @key }", &lock).unwrap().model
    }

    fn step(key: Value, change: Option<Change>) -> SettledStep {
        SettledStep { entity: EntityId(0), key, revision: 300, change, answer: None }
    }

    #[test]
    fn an_outcome_is_read_back_as_it_was_written() {
        let model = model();
        let steps = [
            Ok(step(Value::Uuid([9; 16]), Some(Change::Created))),
            Err(Error::invalid("no")),
            Ok(step(Value::text("schlüssel"), None)),
            Ok(step(Value::Int(-5), Some(Change::Deleted))),
        ];
        let bytes = encode_outcome(b"own", &model, &steps);
        let read = decode_outcome(&model, bytes.strip_prefix(b"own").unwrap()).unwrap();
        assert_eq!(read.len(), 4);
        assert!(read[1].is_none());
        for (wrote, read) in steps.iter().zip(&read) {
            let (Ok(wrote), Some(read)) = (wrote, read) else { continue };
            assert_eq!((&wrote.key, wrote.revision, wrote.change), (&read.key, read.revision, read.change));
        }
    }

    #[test]
    fn bytes_cut_short_are_no_outcome() {
        let model = model();
        let bytes = encode_outcome(b"", &model, &[Ok(step(Value::text("k"), None))]);
        for end in 0..bytes.len() {
            assert!(decode_outcome(&model, &bytes[..end]).is_none(), "cut at {end}");
        }
    }
}
