//! Keys as bytes, as outcomes and logs keep them; numbers and bytes are protobuf's, of [`fourfold_op::wire::bytes`].

use fourfold_model::Value;
use fourfold_op::wire::bytes::{Reader, put_varint};

/// A key: one byte for its type, then its own.
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

/// Reads what [`put_key`] wrote.
pub fn take_key(from: &mut Reader<'_>) -> Option<Value> {
    match take_byte(from)? {
        0 => Some(Value::Null),
        1 => from.fixed().ok().map(Value::Uuid),
        2 => from.fixed().ok().map(|bytes| Value::Int(i64::from_le_bytes(bytes))),
        3 => Some(Value::text(std::str::from_utf8(from.bytes().ok()?).ok()?)),
        _ => None,
    }
}

/// Bytes behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The next byte.
pub fn take_byte(from: &mut Reader<'_>) -> Option<u8> {
    from.fixed::<1>().ok().map(|[byte]| byte)
}
