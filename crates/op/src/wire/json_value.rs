//! A JSON text as `google.protobuf.Value`, and back.
//!
//! Numbers are doubles there, so an integer beyond 2^53 loses digits and `1.0` becomes `1`; the order of members stays.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::bytes::{Malformed, Reader, WireType, put_bytes, put_nested, put_number, put_tag};

const NULL: u32 = 1;
const NUMBER: u32 = 2;
const STRING: u32 = 3;
const BOOL: u32 = 4;
const STRUCT: u32 = 5;
const LIST: u32 = 6;

const DEPTH_MAX: usize = 64;
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes the fields of a `google.protobuf.Value` for a JSON text; a text that is not JSON is written as null.
pub fn put_json(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    if (ValueWriter { out }).deserialize(&mut deserializer).is_err() {
        out.truncate(start);
        put_number(out, NULL, 0);
    }
}

struct ValueWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ValueWriter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueWriter<'_> {
    fn number<E>(self, value: f64) -> Result<(), E> {
        put_tag(self.out, NUMBER, WireType::Fixed64);
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

impl<'de> Visitor<'de> for ValueWriter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        put_number(self.out, NULL, 0);
        Ok(())
    }
    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        put_number(self.out, BOOL, u64::from(value));
        Ok(())
    }
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }
    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }
    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        put_bytes(self.out, STRING, value.as_bytes());
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut result = Ok(());
        put_nested(self.out, LIST, |out| {
            result = put_elements(out, &mut elements);
        });
        result
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut result = Ok(());
        put_nested(self.out, STRUCT, |out| {
            result = put_members(out, &mut members);
        });
        result
    }
}

fn put_elements<'de, A: SeqAccess<'de>>(out: &mut Vec<u8>, elements: &mut A) -> Result<(), A::Error> {
    loop {
        let mut next = Ok(None);
        let start = out.len();
        put_nested(out, 1, |out| {
            next = elements.next_element_seed(ValueWriter { out });
        });
        if next?.is_none() {
            out.truncate(start);
            return Ok(());
        }
    }
}

fn put_members<'de, A: MapAccess<'de>>(out: &mut Vec<u8>, members: &mut A) -> Result<(), A::Error> {
    while let Some(key) = members.next_key::<std::borrow::Cow<'de, str>>()? {
        let mut result = Ok(());
        put_nested(out, 1, |out| {
            put_bytes(out, 1, key.as_bytes());
            put_nested(out, 2, |out| {
                result = members.next_value_seed(ValueWriter { out });
            });
        });
        result?;
    }
    Ok(())
}

/// Reads the fields of a `google.protobuf.Value` as compact JSON text.
///
/// # Errors
/// When the bytes are no such message: more than 64 levels, a number that is not finite, or a member twice included.
pub fn read_json(message: &[u8]) -> Result<String, Malformed> {
    let mut out = Vec::with_capacity(message.len() + 8);
    read_value(message, &mut out, 0)?;
    String::from_utf8(out).map_err(|_| Malformed)
}

fn read_value(message: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed);
    }
    let start = out.len();
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        // Of a oneof the last one given counts.
        if (NULL..=LIST).contains(&number) {
            out.truncate(start);
        }
        match (number, wire_type) {
            (NULL, WireType::Varint) => reader.varint().map(|_| out.extend_from_slice(b"null"))?,
            (NUMBER, WireType::Fixed64) => put_json_number(out, reader.double()?)?,
            (STRING, WireType::Bytes) => put_json_string(out, reader.bytes()?)?,
            (BOOL, WireType::Varint) => out.extend_from_slice(if reader.varint()? == 0 { b"false" } else { b"true" }),
            (STRUCT, WireType::Bytes) => read_struct(reader.bytes()?, out, depth)?,
            (LIST, WireType::Bytes) => read_list(reader.bytes()?, out, depth)?,
            _ => reader.skip(number, wire_type)?,
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

fn read_list(message: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    out.push(b'[');
    let mut first = true;
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        if (number, wire_type) != (1, WireType::Bytes) {
            reader.skip(number, wire_type)?;
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        read_value(reader.bytes()?, out, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn read_struct(message: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    out.push(b'{');
    let mut seen = HashSet::new();
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        if (number, wire_type) != (1, WireType::Bytes) {
            reader.skip(number, wire_type)?;
            continue;
        }
        let (key, value) = read_member(reader.bytes()?)?;
        if !seen.is_empty() {
            out.push(b',');
        }
        if !seen.insert(key) {
            return Err(Malformed);
        }
        put_json_string(out, key)?;
        out.push(b':');
        read_value(value, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

fn read_member(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        match (number, wire_type) {
            (1, WireType::Bytes) => key = reader.bytes()?,
            (2, WireType::Bytes) => value = reader.bytes()?,
            _ => reader.skip(number, wire_type)?,
        }
    }
    Ok((key, value))
}

fn put_json_number(out: &mut Vec<u8>, value: f64) -> Result<(), Malformed> {
    if !value.is_finite() {
        return Err(Malformed);
    }
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX && !(value == 0.0 && value.is_sign_negative()) {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
    Ok(())
}

fn put_json_string(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed)?;
    serde_json::to_writer(out, text).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let mut out = Vec::new();
        put_json(&mut out, text);
        read_json(&out).unwrap()
    }

    #[test]
    fn a_json_text_comes_back_with_its_members_in_order() {
        let long = format!("[{}]", vec!["\"0123456789abcdef\""; 40].join(","));
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-12",
            "1.5",
            "\"a\\\"b\\n\u{e9}\"",
            "[]",
            "{}",
            "[[],{},null]",
            r#"{"z":1,"a":[2,{"b":""}]}"#,
            &long,
        ] {
            assert_eq!(round_trip(text), text);
        }
        assert_eq!(round_trip(" { \"a\" : 1.0 } "), "{\"a\":1}");
        assert_eq!(round_trip("{\"caf\\u00e9\":1}"), "{\"café\":1}");
    }

    #[test]
    fn what_is_not_json_is_written_as_null() {
        assert_eq!(round_trip("{"), "null");
        assert_eq!(round_trip(""), "null");
    }

    #[test]
    fn hostile_values_are_refused() {
        let mut deep = Vec::new();
        for _ in 0..200 {
            let inner = std::mem::take(&mut deep);
            put_nested(&mut deep, LIST, |out| put_bytes(out, 1, &inner));
        }
        assert_eq!(read_json(&deep), Err(Malformed));
        let mut nan = Vec::new();
        put_tag(&mut nan, NUMBER, WireType::Fixed64);
        nan.extend_from_slice(&f64::NAN.to_le_bytes());
        assert_eq!(read_json(&nan), Err(Malformed));
        let mut twice = Vec::new();
        put_nested(&mut twice, STRUCT, |out| {
            put_nested(out, 1, |out| put_bytes(out, 1, b"a"));
            put_nested(out, 1, |out| put_bytes(out, 1, b"a"));
        });
        assert_eq!(read_json(&twice), Err(Malformed));
        assert_eq!(read_json(b"\x1a\x01\xff"), Err(Malformed));
    }

    #[test]
    fn the_last_of_a_oneof_counts() {
        let mut both = Vec::new();
        put_number(&mut both, BOOL, 1);
        put_bytes(&mut both, STRING, b"last");
        assert_eq!(read_json(&both).unwrap(), "\"last\"");
    }
}
