//! Page tokens: the order keys of the last item, and a hash of the operation they belong to.
//!
//! A token is base64url of a version byte, the hash, and the tagged values. It is not a capability: rules are applied to the
//! page it asks for like to any other.

use std::hash::{Hash, Hasher};

use fourfold_model::{Decimal, SmolStr, Value};
use fourfold_op::{Error, List};

const VERSION: u8 = 1;

/// FNV-1a, 64 bit: the same on every machine and in every build, so that a token outlives its process.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The hash of what a page's token depends on: the entity, the filter with its values, and the order.
pub(crate) fn hash(entity: u32, list: &List, values: &[Value]) -> u64 {
    let mut fnv = Fnv::new();
    entity.hash(&mut fnv);
    list.order.hash(&mut fnv);
    if let Some(filter) = &list.filter {
        with_values(filter.clone(), values).hash(&mut fnv);
    }
    fnv.finish()
}

/// The filter with its values in their places, so that their numbering does not matter.
fn with_values(mut expr: fourfold_model::Expr, values: &[Value]) -> fourfold_model::Expr {
    use fourfold_model::ExprKind as K;
    expr.kind = match expr.kind {
        K::Value(index) => K::Literal(values.get(usize::from(index)).cloned().unwrap_or_default()),
        K::List(parts) => K::List(parts.into_iter().map(|part| with_values(part, values)).collect()),
        K::And(parts) => K::And(parts.into_iter().map(|part| with_values(part, values)).collect()),
        K::Or(parts) => K::Or(parts.into_iter().map(|part| with_values(part, values)).collect()),
        K::Call(function, parts) => K::Call(function, parts.into_iter().map(|part| with_values(part, values)).collect()),
        K::Not(a) => K::Not(boxed(a, values)),
        K::Negate(a) => K::Negate(boxed(a, values)),
        K::IsNull(a) => K::IsNull(boxed(a, values)),
        K::Rescale(a) => K::Rescale(boxed(a, values)),
        K::Quantified(quantifier, over, a) => K::Quantified(quantifier, over, boxed(a, values)),
        K::Compare(by, a, b) => K::Compare(by, boxed(a, values), boxed(b, values)),
        K::In(a, b) => K::In(boxed(a, values), boxed(b, values)),
        K::Arithmetic(by, a, b) => K::Arithmetic(by, boxed(a, values), boxed(b, values)),
        K::Conditional(a, b, c) => K::Conditional(boxed(a, values), boxed(b, values), boxed(c, values)),
        leaf => leaf,
    };
    expr
}

#[expect(clippy::boxed_local, reason = "it stands where a boxed part stood")]
fn boxed(expr: Box<fourfold_model::Expr>, values: &[Value]) -> Box<fourfold_model::Expr> {
    Box::new(with_values(*expr, values))
}

/// The text of a token.
pub(crate) fn encode(hash: u64, keys: &[Value]) -> SmolStr {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&hash.to_be_bytes());
    for key in keys {
        put(key, &mut bytes);
    }
    SmolStr::new(base64url(&bytes))
}

/// The keys of a token for the operation with this hash.
pub(crate) fn decode(text: &str, hash: u64, count: usize) -> Result<Vec<Value>, Error> {
    let not_a_token = || Error::invalid("this page token was not made by this server");
    let bytes = from_base64url(text).ok_or_else(not_a_token)?;
    let (head, mut rest) = bytes.split_at_checked(9).ok_or_else(not_a_token)?;
    if head[0] != VERSION {
        return Err(not_a_token());
    }
    if head[1..] != hash.to_be_bytes() {
        return Err(Error::invalid("this page token belongs to other arguments; send it with those of the page it came from"));
    }
    let mut keys = Vec::with_capacity(count);
    while !rest.is_empty() {
        let (key, after) = take(rest).ok_or_else(not_a_token)?;
        keys.push(key);
        rest = after;
    }
    if keys.len() == count { Ok(keys) } else { Err(not_a_token()) }
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Boolean(v) => out.extend_from_slice(&[1, u8::from(*v)]),
        Value::Int(v) => tagged(2, &v.to_be_bytes(), out),
        Value::Float(v) => tagged(3, &v.to_bits().to_be_bytes(), out),
        Value::Decimal(v) => {
            tagged(4, &v.unscaled.to_be_bytes(), out);
            out.push(v.scale);
        }
        Value::Text(v) => {
            tagged(5, &(v.len() as u32).to_be_bytes(), out);
            out.extend_from_slice(v.as_bytes());
        }
        Value::DateTime(v) => tagged(6, &v.to_be_bytes(), out),
        Value::Date(v) => tagged(7, &v.to_be_bytes(), out),
        Value::Uuid(v) => tagged(8, v, out),
        Value::Enum(v) => tagged(9, &v.to_be_bytes(), out),
        Value::Null | Value::Bytes(_) | Value::Json(_) | Value::List(_) | Value::Owned(_) => out.push(0),
    }
}

fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn take(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    Some(match tag {
        0 => (Value::Null, rest),
        1 => (Value::Boolean(*rest.first()? != 0), &rest[1..]),
        2 => number(rest, |n| Value::Int(i64::from_be_bytes(n)))?,
        3 => number(rest, |n| Value::Float(f64::from_bits(u64::from_be_bytes(n))))?,
        4 => {
            let (unscaled, rest) = rest.split_first_chunk::<8>()?;
            let (scale, rest) = rest.split_first()?;
            if *scale > 18 {
                return None;
            }
            (Value::Decimal(Decimal { unscaled: i64::from_be_bytes(*unscaled), scale: *scale }), rest)
        }
        5 => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            (Value::Text(SmolStr::new(std::str::from_utf8(text).ok()?)), rest)
        }
        6 => number(rest, |n| Value::DateTime(i64::from_be_bytes(n)))?,
        7 => number(rest, |n| Value::Date(i32::from_be_bytes(n)))?,
        8 => number(rest, Value::Uuid)?,
        9 => number(rest, |n| Value::Enum(i32::from_be_bytes(n)))?,
        _ => return None,
    })
}

fn number<const N: usize>(bytes: &[u8], make: impl FnOnce([u8; N]) -> Value) -> Option<(Value, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    Some((make(*head), rest))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for sextet in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * sextet)) as usize & 63]));
        }
    }
    text
}

fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for letter in text.bytes() {
        let sextet = ALPHABET.iter().position(|known| *known == letter)?;
        word = (word << 6) | sextet as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    (word == 0).then_some(bytes)
}
