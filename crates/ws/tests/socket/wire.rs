//! The protocol's schema, and its two forms: what a test says and hears is JSON in both.

use serde_json::{Map, Value as Json};

/// The type of a field.
enum Type {
    Number,
    Truth,
    Text,
    /// Bytes that are JSON.
    Data,
    Message(&'static str),
    List(&'static str),
    /// Messages by name.
    Named(&'static str),
}

use Type::{Data, List, Message, Named, Number, Text, Truth};

type Fields = &'static [(u32, &'static str, Type)];

/// The numbers of `client.proto`.
const SCHEMA: &[(&str, Fields)] = &[
    (
        "Command",
        &[
            (1, "id", Number),
            (4, "connect", Message("ConnectRequest")),
            (5, "subscribe", Message("SubscribeRequest")),
            (6, "unsubscribe", Message("UnsubscribeRequest")),
            (7, "publish", Message("PublishRequest")),
            (8, "presence", Message("PresenceRequest")),
            (9, "presence_stats", Message("PresenceRequest")),
            (10, "history", Message("HistoryRequest")),
            (11, "ping", Message("Empty")),
            (12, "send", Message("SendRequest")),
            (13, "rpc", Message("RPCRequest")),
            (14, "refresh", Message("RefreshRequest")),
            (15, "sub_refresh", Message("SubRefreshRequest")),
        ],
    ),
    (
        "Reply",
        &[
            (1, "id", Number),
            (2, "error", Message("Error")),
            (4, "push", Message("Push")),
            (5, "connect", Message("ConnectResult")),
            (6, "subscribe", Message("SubscribeResult")),
            (7, "unsubscribe", Message("Empty")),
            (8, "publish", Message("Empty")),
            (9, "presence", Message("PresenceResult")),
            (10, "presence_stats", Message("PresenceStatsResult")),
            (11, "history", Message("HistoryResult")),
            (12, "ping", Message("Empty")),
            (13, "rpc", Message("RPCResult")),
            (14, "refresh", Message("RefreshResult")),
            (15, "sub_refresh", Message("SubRefreshResult")),
        ],
    ),
    ("Empty", &[]),
    ("Error", &[(1, "code", Number), (2, "message", Text), (3, "temporary", Truth)]),
    (
        "Push",
        &[
            (2, "channel", Text),
            (4, "pub", Message("Publication")),
            (5, "join", Message("Join")),
            (6, "leave", Message("Join")),
            (7, "unsubscribe", Message("Unsubscribe")),
        ],
    ),
    ("Publication", &[(4, "data", Data), (5, "info", Message("ClientInfo")), (6, "offset", Number)]),
    ("Join", &[(1, "info", Message("ClientInfo"))]),
    ("ClientInfo", &[(1, "user", Text), (2, "client", Text), (3, "conn_info", Data), (4, "chan_info", Data)]),
    ("HistoryRequest", &[(1, "channel", Text), (7, "limit", Number), (8, "since", Message("StreamPosition")), (9, "reverse", Truth)]),
    ("StreamPosition", &[(1, "offset", Number), (2, "epoch", Text)]),
    ("HistoryResult", &[(1, "publications", List("Publication")), (2, "epoch", Text), (3, "offset", Number)]),
    ("PresenceResult", &[(1, "presence", Named("ClientInfo"))]),
    ("PresenceStatsResult", &[(1, "num_clients", Number), (2, "num_users", Number)]),
    ("Unsubscribe", &[(2, "code", Number), (3, "reason", Text)]),
    ("ConnectRequest", &[(1, "token", Text), (2, "data", Data), (3, "subs", Named("SubscribeRequest")), (4, "name", Text)]),
    (
        "ConnectResult",
        &[
            (1, "client", Text),
            (2, "version", Text),
            (3, "expires", Truth),
            (4, "ttl", Number),
            (6, "subs", Named("SubscribeResult")),
            (7, "ping", Number),
            (8, "pong", Truth),
        ],
    ),
    ("RefreshRequest", &[(1, "token", Text)]),
    ("RefreshResult", &[(1, "client", Text), (2, "version", Text), (3, "expires", Truth), (4, "ttl", Number)]),
    ("SubRefreshRequest", &[(1, "channel", Text), (2, "token", Text)]),
    ("SubRefreshResult", &[(1, "expires", Truth), (2, "ttl", Number)]),
    (
        "SubscribeRequest",
        &[
            (1, "channel", Text),
            (2, "token", Text),
            (3, "recover", Truth),
            (6, "epoch", Text),
            (7, "offset", Number),
            (8, "data", Data),
            (9, "positioned", Truth),
            (11, "join_leave", Truth),
            (13, "tf", Message("FilterNode")),
            (14, "flag", Number),
            (15, "type", Number),
        ],
    ),
    ("FilterNode", &[(1, "op", Text), (2, "key", Text), (4, "val", Text)]),
    (
        "SubscribeResult",
        &[
            (1, "expires", Truth),
            (2, "ttl", Number),
            (3, "recoverable", Truth),
            (6, "epoch", Text),
            (7, "publications", List("Publication")),
            (8, "recovered", Truth),
            (9, "offset", Number),
            (10, "positioned", Truth),
            (11, "data", Data),
            (12, "was_recovering", Truth),
        ],
    ),
    ("UnsubscribeRequest", &[(1, "channel", Text)]),
    ("PublishRequest", &[(1, "channel", Text), (2, "data", Data)]),
    ("PresenceRequest", &[(1, "channel", Text)]),
    ("SendRequest", &[(1, "data", Data)]),
    ("RPCRequest", &[(1, "data", Data), (2, "method", Text)]),
    ("RPCResult", &[(1, "data", Data)]),
];

fn fields(message: &str) -> Fields {
    SCHEMA.iter().find(|(name, _)| *name == message).unwrap_or_else(|| panic!("no message {message}")).1
}

/// A message in Protobuf.
pub fn encode(message: &str, json: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in json.as_object().unwrap() {
        let (number, _, of) = fields(message).iter().find(|(_, field, _)| field == name).unwrap_or_else(|| panic!("{message}.{name}"));
        match of {
            Number | Truth => {
                varint(&mut out, u64::from(number << 3));
                let number = value.as_u64().or(value.as_i64().map(|number| number as u64));
                varint(&mut out, number.unwrap_or_else(|| u64::from(value.as_bool().unwrap())));
            }
            Text => put(&mut out, *number, value.as_str().unwrap().as_bytes()),
            Data => put(&mut out, *number, value.to_string().as_bytes()),
            Message(of) => put(&mut out, *number, &encode(of, value)),
            List(of) => value.as_array().unwrap().iter().for_each(|item| put(&mut out, *number, &encode(of, item))),
            Named(of) => {
                for (key, value) in value.as_object().unwrap() {
                    let mut entry = Vec::new();
                    put(&mut entry, 1, key.as_bytes());
                    put(&mut entry, 2, &encode(of, value));
                    put(&mut out, *number, &entry);
                }
            }
        }
    }
    out
}

pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    varint(out, u64::from(number << 3 | 2));
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A message that was in Protobuf.
pub fn decode(message: &str, mut bytes: &[u8]) -> Json {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes);
        let (number, wire) = ((tag >> 3) as u32, tag & 7);
        let (_, name, of) = fields(message).iter().find(|(field, ..)| *field == number).unwrap_or_else(|| panic!("{message} {number}"));
        let value = match (wire, of) {
            (0, Number) => take_varint(&mut bytes).into(),
            (0, Truth) => (take_varint(&mut bytes) == 1).into(),
            (2, of) => {
                let bytes = take(&mut bytes);
                match of {
                    Text => std::str::from_utf8(bytes).unwrap().into(),
                    Data => serde_json::from_slice(bytes).unwrap(),
                    Message(of) => decode(of, bytes),
                    List(of) => {
                        object.entry(*name).or_insert_with(|| Json::Array(Vec::new())).as_array_mut().unwrap().push(decode(of, bytes));
                        continue;
                    }
                    Named(of) => {
                        let (key, value) = entry(bytes);
                        let named = object.entry(*name).or_insert_with(|| Json::Object(Map::new()));
                        named.as_object_mut().unwrap().insert(key, decode(of, value));
                        continue;
                    }
                    Number | Truth => panic!("{message}.{name}"),
                }
            }
            _ => panic!("{message}.{name}: wire type {wire}"),
        };
        object.insert((*name).to_owned(), value);
    }
    Json::Object(object)
}

fn entry(mut bytes: &[u8]) -> (String, &[u8]) {
    assert_eq!(take_varint(&mut bytes), 1 << 3 | 2);
    let key = std::str::from_utf8(take(&mut bytes)).unwrap().to_owned();
    assert_eq!(take_varint(&mut bytes), 2 << 3 | 2);
    (key, take(&mut bytes))
}

pub fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

pub fn take<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = take_varint(bytes) as usize;
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

/// A message that was in JSON, without what Protobuf leaves out: false, 0 and empty texts. What the schema lacks is a failure.
pub fn plain(message: &str, json: Json) -> Json {
    let Json::Object(object) = json else { panic!("{message}: {json}") };
    let mut kept = Map::new();
    for (name, value) in object {
        let (.., of) = fields(message).iter().find(|(_, field, _)| *field == name).unwrap_or_else(|| panic!("{message}.{name}"));
        let value = match of {
            Number | Truth | Text if value == 0 || value == false || value == "" => continue,
            Number | Truth | Text | Data => value,
            Message(of) => plain(of, value),
            List(of) => value.as_array().unwrap().iter().map(|item| plain(of, item.clone())).collect(),
            Named(of) => {
                let named = value.as_object().unwrap().iter();
                Json::Object(named.map(|(key, value)| (key.clone(), plain(of, value.clone()))).collect())
            }
        };
        kept.insert(name, value);
    }
    Json::Object(kept)
}
