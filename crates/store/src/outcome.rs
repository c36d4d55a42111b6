//! What a commit came to, as bytes: kept in a side record so that a request sent twice is answered alike.
//!
//! Entities stand by lock number, so a record outlives a reload of the model. No row is in it: rows are read again, under the
//! rules of the day.

use bytes::Bytes;
use fourfold_model::{Model, Value};
use fourfold_op::{Change, Error};

use crate::SettledStep;

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
    put_number(&mut out, steps.len() as u64);
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
    let mut rest = bytes;
    let count = take_number(&mut rest)?;
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
    put_number(out, u64::from(model.entity(step.entity).number));
    put_number(out, step.revision);
    put_key(out, &step.key);
}

fn take_step(rest: &mut &[u8], model: &Model) -> Option<Option<SettledStep>> {
    let change = match take_byte(rest)? {
        REFUSED => return Some(None),
        UNCHANGED => None,
        CREATED => Some(Change::Created),
        UPDATED => Some(Change::Updated),
        DELETED => Some(Change::Deleted),
        _ => return None,
    };
    let number = u32::try_from(take_number(rest)?).ok()?;
    let entity = model.entity_by_number(number)?;
    let revision = take_number(rest)?;
    let key = take_key(rest)?;
    Some(Some(SettledStep { entity, key, revision, change, answer: None }))
}

/// A key as bytes: one for its type, then its own.
fn put_key(out: &mut Vec<u8>, key: &Value) {
    match key {
        Value::Uuid(bytes) => {
            out.push(1);
            out.extend_from_slice(bytes);
        }
        Value::Int(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(3);
            put_number(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        // No other type can be a key.
        _ => out.push(0),
    }
}

fn take_key(rest: &mut &[u8]) -> Option<Value> {
    match take_byte(rest)? {
        0 => Some(Value::Null),
        1 => Some(Value::Uuid(take(rest, 16)?.try_into().ok()?)),
        2 => Some(Value::Int(i64::from_le_bytes(take(rest, 8)?.try_into().ok()?))),
        3 => {
            let length = usize::try_from(take_number(rest)?).ok()?;
            Some(Value::text(std::str::from_utf8(take(rest, length)?).ok()?))
        }
        _ => None,
    }
}

/// Seven bits a byte, the least first, the high bit set on all but the last.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1)?.first().copied()
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use fourfold_model::{EntityId, Lock};

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
