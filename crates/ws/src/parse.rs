//! Frames to commands: one JSON object a line.

use fourfold_op::json::{depth, members};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A command of a client.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    /// What its reply is known by; 0 for a command without one.
    pub(crate) id: u32,
    pub(crate) kind: Kind<'a>,
}

/// What a command asks.
#[derive(Debug)]
pub(crate) enum Kind<'a> {
    /// The answer to our ping: `{}`.
    Pong,
    Connect {
        token: Option<String>,
    },
    Refresh {
        token: Option<String>,
    },
    Rpc {
        method: String,
        data: Option<&'a RawValue>,
    },
    /// A one-way message: nothing takes one.
    Send,
    /// The client's own ping: answered by an empty reply.
    Ping,
    /// Of the protocol, but not served yet.
    Later(&'static str),
}

/// Commands of the protocol that a later version serves.
const LATER: [&str; 7] = ["subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history", "sub_refresh"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tokened {
    token: Option<String>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(default)]
    method: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The lines of a frame.
pub(crate) fn lines(frame: &str) -> impl Iterator<Item = &str> {
    frame.split('\n').map(str::trim).filter(|line| !line.is_empty())
}

/// Reads one command; an error is the end of the connection (3501).
pub(crate) fn command(line: &str, depth_max: usize) -> Result<Command<'_>, String> {
    if depth(line) > depth_max + 2 {
        return Err(format!("more than {depth_max} levels"));
    }
    let (mut id, mut kind) = (0u32, None);
    for (name, value) in members(line)?.0 {
        match name.as_ref() {
            "id" => id = value.get().parse().map_err(|_| "an id is a number of 32 bits".to_owned())?,
            other => match (known(other, value)?, &kind) {
                (Some(_), Some(_)) => return Err("two commands in one object".to_owned()),
                (Some(found), None) => kind = Some(found),
                // Fields that a newer client may add.
                (None, _) => {}
            },
        }
    }
    match (kind, id) {
        (Some(kind), _) => Ok(Command { id, kind }),
        (None, 0) => Ok(Command { id, kind: Kind::Pong }),
        (None, _) => Err("a command without a known name".to_owned()),
    }
}

fn known<'a>(name: &str, value: &'a RawValue) -> Result<Option<Kind<'a>>, String> {
    let wrong = |error: serde_json::Error| format!("`{name}`: {error}");
    Ok(Some(match name {
        "connect" => Kind::Connect { token: token(value).map_err(wrong)? },
        "refresh" => Kind::Refresh { token: token(value).map_err(wrong)? },
        "rpc" => {
            let called: Called<'a> = serde_json::from_str(value.get()).map_err(wrong)?;
            Kind::Rpc { method: called.method, data: called.data }
        }
        "send" => Kind::Send,
        "ping" => Kind::Ping,
        _ => match LATER.iter().find(|later| **later == name) {
            Some(later) => Kind::Later(later),
            None => return Ok(None),
        },
    }))
}

fn token(value: &RawValue) -> Result<Option<String>, serde_json::Error> {
    let read: Tokened = serde_json::from_str(value.get())?;
    Ok(read.token.filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        match command(line, 64) {
            Ok(command) => format!("{} {:?}", command.id, command.kind),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn commands_are_read_and_strangers_refused() {
        for (line, expected) in [
            ("{}", "0 Pong"),
            (r#"{"id":1,"connect":{}}"#, "1 Connect { token: None }"),
            (r#"{"id":1,"connect":{"token":"a","name":"js","data":{"x":1}}}"#, "1 Connect { token: Some(\"a\") }"),
            (r#"{"id":1,"rpc":{"method":"a.get"}}"#, "1 Rpc { method: \"a.get\", data: None }"),
            (r#"{"id":2,"subscribe":{"channel":"a"}}"#, "2 Later(\"subscribe\")"),
            (r#"{"send":{"data":1}}"#, "0 Send"),
            (r#"{"id":1}"#, "refused"),
            (r#"{"id":-1,"ping":{}}"#, "refused"),
            (r#"{"id":1,"rpc":{},"connect":{}}"#, "refused"),
            (r#"{"id":1,"rpc":5}"#, "refused"),
            ("[]", "refused"),
            ("{", "refused"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        assert_eq!(lines("{}\n\n {} \n").count(), 2);
    }
}
