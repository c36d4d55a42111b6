//! The protocol in JSON: one object a line.

use fourfold_op::json::{depth, members, write_string};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::codec::Malformed;
use crate::message::{Answer, ClientInfo, Command, Kind, Publication, Push, Pushed, Reply, SubscribeResult};

/// Reads one command.
pub(crate) fn command(line: &str, depth_max: usize) -> Result<Command, Malformed> {
    if depth(line) > depth_max + 2 {
        return Err(Malformed);
    }
    let mut command = Command::default();
    for (name, value) in members(line).map_err(|_| Malformed)?.0 {
        match (name.as_ref(), &command.kind) {
            ("id", _) => command.id = value.get().parse().map_err(|_| Malformed)?,
            (name, before) => match (kind(name, value)?, before) {
                (Some(_), Some(_)) => return Err(Malformed),
                (Some(kind), None) => command.kind = Some(kind),
                // Fields that a newer client may add.
                (None, _) => {}
            },
        }
    }
    Ok(command)
}

fn kind(name: &str, value: &RawValue) -> Result<Option<Kind>, Malformed> {
    Ok(Some(match name {
        "connect" => Kind::Connect(request(value)?),
        "subscribe" => Kind::Subscribe(request(value)?),
        "unsubscribe" => Kind::Unsubscribe(request(value)?),
        "publish" => Kind::Publish(request(value)?),
        "presence" => Kind::Presence(request(value)?),
        "presence_stats" => Kind::PresenceStats(request(value)?),
        "history" => Kind::History(request(value)?),
        "ping" => Kind::Ping(request(value)?),
        "send" => Kind::Send(request(value)?),
        "rpc" => Kind::Rpc(request(value)?),
        "refresh" => Kind::Refresh(request(value)?),
        "sub_refresh" => Kind::SubRefresh(request(value)?),
        _ => return Ok(None),
    }))
}

fn request<T: DeserializeOwned>(value: &RawValue) -> Result<T, Malformed> {
    serde_json::from_str(value.get()).map_err(|_| Malformed)
}

/// Appends a reply, on one line.
pub(crate) fn write_reply(out: &mut Vec<u8>, reply: &Reply) {
    let mut object = Object::begin(out);
    if reply.id != 0 {
        object.number("id", u64::from(reply.id));
    }
    if let Some(answer) = &reply.answer {
        write_answer(&mut object, answer);
    }
    object.end();
}

fn write_answer(reply: &mut Object<'_>, answer: &Answer) {
    match answer {
        Answer::Error(error) => reply.object("error", |object| {
            object.number("code", u64::from(error.code));
            object.text("message", &error.message);
            object.truth("temporary", error.temporary);
        }),
        Answer::Push(push) => reply.object("push", |object| write_push(object, push)),
        Answer::Connect(result) => reply.object("connect", |object| {
            object.text("client", &result.client);
            object.text("version", &result.version);
            write_ttl(object, result.expires, result.ttl);
            object.number("ping", u64::from(result.ping));
            object.truth("pong", result.pong);
            if !result.subs.is_empty() {
                object.object("subs", |subs| {
                    result.subs.iter().for_each(|(channel, sub)| subs.object(channel, |object| write_subscribed(object, sub)));
                });
            }
        }),
        Answer::Subscribe(result) => reply.object("subscribe", |object| write_subscribed(object, result)),
        Answer::Unsubscribe(_) => reply.object("unsubscribe", |_| {}),
        Answer::Publish(_) => reply.object("publish", |_| {}),
        Answer::Presence(result) => reply.object("presence", |object| {
            object.object("presence", |present| {
                result.presence.iter().for_each(|(client, info)| present.object(client, |object| write_info(object, info)));
            });
        }),
        Answer::PresenceStats(result) => reply.object("presence_stats", |object| {
            object.number("num_clients", u64::from(result.num_clients));
            object.number("num_users", u64::from(result.num_users));
        }),
        Answer::History(result) => reply.object("history", |object| {
            object.array("publications", &result.publications, write_publication);
            object.text("epoch", &result.epoch);
            object.number("offset", result.offset);
        }),
        Answer::Ping(_) => reply.object("ping", |_| {}),
        Answer::Rpc(result) => reply.object("rpc", |object| object.data("data", &result.data)),
        Answer::Refresh(result) => reply.object("refresh", |object| {
            object.text("client", &result.client);
            object.text("version", &result.version);
            write_ttl(object, result.expires, result.ttl);
        }),
        Answer::SubRefresh(result) => reply.object("sub_refresh", |object| write_ttl(object, result.expires, result.ttl)),
    }
}

fn write_ttl(object: &mut Object<'_>, expires: bool, ttl: u32) {
    if expires {
        object.truth("expires", true);
        object.number("ttl", u64::from(ttl));
    }
}

fn write_subscribed(object: &mut Object<'_>, result: &SubscribeResult) {
    write_ttl(object, result.expires, result.ttl);
    object.truth("recoverable", result.recoverable);
    object.truth("positioned", result.positioned);
    object.text("epoch", &result.epoch);
    object.number("offset", result.offset);
    if result.was_recovering {
        object.truth("was_recovering", true);
        object.truth("recovered", result.recovered);
    }
    if !result.publications.is_empty() {
        object.array("publications", &result.publications, write_publication);
    }
    if !result.data.is_empty() {
        object.data("data", &result.data);
    }
}

fn write_push(object: &mut Object<'_>, push: &Push) {
    object.text("channel", &push.channel);
    match &push.pushed {
        Some(Pushed::Publication(publication)) => object.object("pub", |object| write_publication(object, publication)),
        Some(Pushed::Join(coming)) => object.object("join", |object| write_who(object, coming.info.as_ref())),
        Some(Pushed::Leave(coming)) => object.object("leave", |object| write_who(object, coming.info.as_ref())),
        Some(Pushed::Unsubscribe(unsubscribe)) => object.object("unsubscribe", |object| {
            object.number("code", u64::from(unsubscribe.code));
            object.text("reason", &unsubscribe.reason);
        }),
        None => {}
    }
}

fn write_publication(object: &mut Object<'_>, publication: &Publication) {
    if publication.offset != 0 {
        object.number("offset", publication.offset);
    }
    object.data("data", &publication.data);
    write_who(object, publication.info.as_ref());
}

fn write_who(object: &mut Object<'_>, info: Option<&ClientInfo>) {
    if let Some(info) = info {
        object.object("info", |object| write_info(object, info));
    }
}

fn write_info(object: &mut Object<'_>, info: &ClientInfo) {
    object.text("user", &info.user);
    object.text("client", &info.client);
    if !info.chan_info.is_empty() {
        object.data("chan_info", &info.chan_info);
    }
}

/// An object while it is written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, empty: true }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        write_string(self.out, name);
        self.out.push(b':');
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_string(self.out, value);
    }

    fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut object = Object::begin(self.out);
        write(&mut object);
        object.end();
    }

    fn array<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut Object<'_>, &T)) {
        self.name(name);
        self.out.push(b'[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            let mut object = Object::begin(self.out);
            write(&mut object, item);
            object.end();
        }
        self.out.push(b']');
    }

    /// What is JSON already.
    fn data(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        let begin = self.out.len();
        self.out.extend_from_slice(json);
        // A Json value is kept as it was sent: between its tokens there may be ends of lines, and inside them there are none.
        self.out.iter_mut().skip(begin).filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        match command(line, 64) {
            Ok(Command { id, kind }) => format!("{id} {kind:?}"),
            Err(Malformed) => "malformed".to_owned(),
        }
    }

    #[test]
    fn commands_are_read_and_strangers_refused() {
        for (line, expected) in [
            ("{}", "0 None"),
            (r#"{"id":1}"#, "1 None"),
            (r#"{"id":1,"nothing":{}}"#, "1 None"),
            (r#"{"id":1,"refresh":{"token":null}}"#, r#"1 Some(Refresh(RefreshRequest { token: "" }))"#),
            (r#"{"id":1,"refresh":{"token":"a","x":[1]}}"#, r#"1 Some(Refresh(RefreshRequest { token: "a" }))"#),
            (r#"{"id":1,"rpc":{"method":"a.get"}}"#, r#"1 Some(Rpc(RpcRequest { data: b"", method: "a.get" }))"#),
            (r#"{"id":1,"rpc":{"data":{"a": 1}}}"#, r#"1 Some(Rpc(RpcRequest { data: b"{\"a\": 1}", method: "" }))"#),
            (r#"{"id":2,"unsubscribe":{"channel":"a"}}"#, r#"2 Some(Unsubscribe(ChannelRequest { channel: "a" }))"#),
            (r#"{"id":2,"publish":{"channel":"a"}}"#, r#"2 Some(Publish(PublishRequest { channel: "a", data: b"" }))"#),
            (r#"{"send":{"data":1}}"#, "0 Some(Send(Nothing))"),
            (r#"{"id":2,"subscribe":{"channel":5}}"#, "malformed"),
            (r#"{"id":2,"subscribe":{"channel":"a","offset":-1}}"#, "malformed"),
            (r#"{"id":-1,"ping":{}}"#, "malformed"),
            (r#"{"id":1,"rpc":{},"connect":{}}"#, "malformed"),
            (r#"{"id":1,"rpc":5}"#, "malformed"),
            ("[]", "malformed"),
            ("{", "malformed"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        let deep = format!(r#"{{"id":1,"rpc":{{"data":{}1{}}}}}"#, "[".repeat(65), "]".repeat(65));
        assert_eq!(read(&deep), "malformed");
    }

    #[test]
    fn a_reply_is_one_line_whatever_its_data_hold() {
        let (mut out, data) = (Vec::new(), bytes::Bytes::from_static(b"{\"a\":\r\n\n[1,\n2]}"));
        let publication = Publication { data: data.clone(), info: None, offset: 7 };
        let subscribed = SubscribeResult { publications: vec![publication], data, ..Default::default() };
        write_reply(&mut out, &Reply { id: 3, answer: Some(Answer::Subscribe(subscribed)) });
        let expected = r#"{"id":3,"subscribe":{"recoverable":false,"positioned":false,"epoch":"","offset":0,"publications":[{"offset":7,"data":{"a":   [1, 2]}}],"data":{"a":   [1, 2]}}}"#;
        assert_eq!(String::from_utf8(out).unwrap_or_default(), expected);
    }
}
