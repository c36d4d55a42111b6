//! Messages of the Centrifugo protocol in Protobuf, as the JSON that they stand for: only what a watch says and hears.

use serde_json::{Map, Value};

/// The type of a field.
#[derive(Clone, Copy)]
enum Type {
    Number,
    Truth,
    Text,
    /// Bytes that are JSON.
    Json,
    Message(Fields),
    List(Fields),
}

type Fields = &'static [(u64, &'static str, Type)];

use Type::{Json, List, Message, Number, Text, Truth};

const PUBLICATION: Fields = &[(4, "data", Json), (6, "offset", Number)];
const ERROR: Fields = &[(1, "code", Number), (2, "message", Text), (3, "temporary", Truth)];
const CONNECT: Fields = &[(1, "token", Text)];
const SUBSCRIBE: Fields = &[(1, "channel", Text), (3, "recover", Truth), (6, "epoch", Text), (7, "offset", Number), (8, "data", Json)];
const SUBSCRIBED: Fields = &[
    (3, "recoverable", Truth),
    (6, "epoch", Text),
    (7, "publications", List(PUBLICATION)),
    (8, "recovered", Truth),
    (9, "offset", Number),
    (10, "positioned", Truth),
    (11, "data", Json),
    (12, "was_recovering", Truth),
];
const CONNECTED: Fields =
    &[(1, "client", Text), (2, "version", Text), (3, "expires", Truth), (4, "ttl", Number), (7, "ping", Number), (8, "pong", Truth)];
const PUSH: Fields =
    &[(2, "channel", Text), (4, "pub", Message(PUBLICATION)), (7, "unsubscribe", Message(&[(2, "code", Number), (3, "reason", Text)]))];
const COMMAND: Fields = &[(1, "id", Number), (4, "connect", Message(CONNECT)), (5, "subscribe", Message(SUBSCRIBE))];
const REPLY: Fields = &[
    (1, "id", Number),
    (2, "error", Message(ERROR)),
    (4, "push", Message(PUSH)),
    (5, "connect", Message(CONNECTED)),
    (6, "subscribe", Message(SUBSCRIBED)),
];

/// A command behind its length.
pub(crate) fn command(json: &Value) -> Vec<u8> {
    let message = encode(COMMAND, json);
    let mut out = Vec::new();
    varint(&mut out, message.len() as u64);
    out.extend(message);
    out
}

/// The replies of a message, each behind its length; none where it is broken.
pub(crate) fn replies(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        replies.push(decode(REPLY, take(&mut bytes)?)?);
    }
    Some(replies)
}

fn encode(fields: Fields, json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, name, of) in fields {
        let value = &json[*name];
        let bytes = match of {
            _ if value.is_null() => continue,
            Number | Truth => {
                varint(&mut out, number << 3);
                varint(&mut out, value.as_u64().unwrap_or_else(|| u64::from(value == true)));
                continue;
            }
            Text => value.as_str().expect("a text").as_bytes().to_vec(),
            Json => value.to_string().into_bytes(),
            Message(of) | List(of) => encode(of, value),
        };
        varint(&mut out, number << 3 | 2);
        varint(&mut out, bytes.len() as u64);
        out.extend(bytes);
    }
    out
}

fn decode(fields: Fields, mut bytes: &[u8]) -> Option<Value> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let (_, name, of) = fields.iter().find(|(number, ..)| *number == tag >> 3)?;
        let value = match (tag & 7, of) {
            (0, Number) => take_varint(&mut bytes)?.into(),
            (0, Truth) => (take_varint(&mut bytes)? == 1).into(),
            (2, Text) => std::str::from_utf8(take(&mut bytes)?).ok()?.into(),
            (2, Json) => serde_json::from_slice(take(&mut bytes)?).ok()?,
            (2, Message(of)) => decode(of, take(&mut bytes)?)?,
            (2, List(of)) => {
                let item = decode(of, take(&mut bytes)?)?;
                let list = object.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut()?.push(item);
                continue;
            }
            _ => return None,
        };
        object.insert((*name).to_owned(), value);
    }
    Some(Value::Object(object))
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
