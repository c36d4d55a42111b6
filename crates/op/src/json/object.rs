//! The members of one JSON object, each with its exact text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order, duplicates included: names unescaped, values as they stand in the text.
#[derive(Debug)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

/// Reads one JSON object.
///
/// # Errors
/// What is wrong with the text and where, for people: lower case, without a full stop.
pub fn members(text: &str) -> Result<Members<'_>, String> {
    let mut members = Vec::new();
    each_member(text, |name, value| members.push((name, value)))?;
    Ok(Members(members))
}

/// Reads one JSON object, handing over each member as it is met. When the text turns out to be wrong, some were handed over already.
///
/// # Errors
/// As [`members`].
pub(super) fn each_member<'a>(text: &'a str, mut each: impl FnMut(Cow<'a, str>, &'a RawValue)) -> Result<(), String> {
    match text.trim_start().bytes().next() {
        Some(b'{') => {
            let mut reader = serde_json::Deserializer::from_str(text);
            let read = reader.deserialize_map(MembersVisitor(&mut each)).and_then(|()| reader.end());
            read.map_err(|error| format!("not valid JSON: {error}"))
        }
        Some(_) if serde_json::from_str::<&RawValue>(text).is_ok() => Err(format!("expected a JSON object, found {}", kind(text))),
        Some(_) => Err("not valid JSON; expected an object such as {\"name\": \"value\"}".to_owned()),
        None => Err("nothing there; expected a JSON object".to_owned()),
    }
}

/// What a JSON text is, for messages: `a string`.
pub(super) fn kind(text: &str) -> &'static str {
    match text.trim_start().bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether a JSON text has at most so many levels of objects and arrays.
pub(super) fn is_within(text: &str, levels_max: usize) -> bool {
    // A level needs its bracket, so few brackets need no second look.
    memchr::memchr2_iter(b'{', b'[', text.as_bytes()).take(levels_max + 1).count() <= levels_max || depth(text) <= levels_max
}

/// How many levels of objects and arrays a JSON text has.
pub fn depth(text: &str) -> usize {
    let (mut level, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A name as a reference token of a JSON pointer (RFC 6901).
pub fn escape_pointer(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) { Cow::Owned(name.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(name) }
}

struct MembersVisitor<'e, E>(&'e mut E);

impl<'de, E: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for MembersVisitor<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            (self.0)(name, map.next_value::<&'de RawValue>()?);
        }
        Ok(())
    }
}

/// A string, borrowed where the text has no escapes (`Cow` alone always copies).
pub(super) struct Name<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_order_duplicates_and_text() {
        let read = members(r#" {"a": 1.50, "\u0062":[ 1,2 ], "a": null} "#).unwrap();
        let seen: Vec<(&str, &str)> = read.0.iter().map(|(name, value)| (name.as_ref(), value.get())).collect();
        assert_eq!(seen, [("a", "1.50"), ("b", "[ 1,2 ]"), ("a", "null")]);
    }

    #[test]
    fn what_is_no_object_is_named() {
        for (text, said) in [
            ("[]", "expected a JSON object, found an array"),
            ("", "nothing there; expected a JSON object"),
            ("true", "expected a JSON object, found a boolean"),
            ("tru", "not valid JSON; expected an object such as {\"name\": \"value\"}"),
            ("{\"a\":1,}", "not valid JSON: trailing comma at line 1 column 8"),
            ("{} {}", "not valid JSON: trailing characters at line 1 column 4"),
        ] {
            assert_eq!(members(text).unwrap_err(), said);
        }
    }

    #[test]
    fn depth_counts_levels_outside_strings() {
        assert_eq!(depth(r#"{"a":[{"b":"[[[\"[["}]}"#), 3);
        assert_eq!(depth("1"), 0);
    }
}
