//! Numbers and keys as bytes, as outcomes and logs keep them.

use fourfold_model::Value;

/// A key as bytes: one for its type, then its own.
pub fn put_key(out: &mut Vec<u8>, key: &Value) {
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
            put_bytes(out, text.as_bytes());
        }
        // No other type can be a key.
        _ => out.push(0),
    }
}

pub fn take_key(rest: &mut &[u8]) -> Option<Value> {
    match take_byte(rest)? {
        0 => Some(Value::Null),
        1 => Some(Value::Uuid(take(rest, 16)?.try_into().ok()?)),
        2 => Some(Value::Int(i64::from_le_bytes(take(rest, 8)?.try_into().ok()?))),
        3 => Some(Value::text(std::str::from_utf8(take_bytes(rest)?).ok()?)),
        _ => None,
    }
}

/// Bytes behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    take(rest, length)
}

/// Seven bits a byte, the least first, the high bit set on all but the last.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub fn take_number(rest: &mut &[u8]) -> Option<u64> {
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

pub fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1)?.first().copied()
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}
