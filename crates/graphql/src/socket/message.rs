//! Messages of graphql-transport-ws, from JSON and to it.

use std::sync::Arc;

use fourfold_op::json::{quoted, write_string};
use serde_json::{Map, Value as Json};

use super::Close;
use crate::parse::request::{self, Asked};

/// Bytes of an operation's id: each of its messages carries it.
const ID_BYTES_MAX: usize = 256;

/// What a client says.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    Init { token: Option<String> },
    Ping { payload: Option<Map<String, Json>> },
    Pong,
    Subscribe { id: Arc<str>, asked: Box<Asked> },
    Complete { id: Arc<str> },
}

/// Reads one message.
///
/// # Errors
/// 4400 that says what is wrong with it; 4403 for a credential that is no bearer token.
pub(super) fn parse(text: &str) -> Result<Received, Close> {
    let mut members = match serde_json::from_str(text) {
        Ok(Json::Object(members)) => members,
        Ok(_) => return Err(Close::bad("not a JSON object")),
        Err(error) => return Err(Close::bad(format_args!("not JSON: {error}"))),
    };
    let kind = match members.remove("type") {
        Some(Json::String(kind)) => kind,
        Some(_) => return Err(Close::bad("`type` is not a string")),
        None => return Err(Close::bad("`type` is missing")),
    };
    Ok(match kind.as_str() {
        "connection_init" => Received::Init { token: token(payload(&mut members)?.unwrap_or_default())? },
        "ping" => Received::Ping { payload: payload(&mut members)? },
        "pong" => {
            payload(&mut members)?;
            Received::Pong
        }
        "subscribe" => {
            let id = id(&mut members)?;
            let payload = payload(&mut members)?.ok_or_else(|| Close::bad("`payload` is missing"))?;
            let asked = request::of_members(payload, true).map_err(|refused| Close::bad(refused.error.public.message))?;
            Received::Subscribe { id, asked: Box::new(Asked { may_stream: true, ..asked }) }
        }
        "complete" => Received::Complete { id: id(&mut members)? },
        other => return Err(Close::bad(format_args!("a client does not send the type {}", quoted(other)))),
    })
}

fn payload(members: &mut Map<String, Json>) -> Result<Option<Map<String, Json>>, Close> {
    match members.remove("payload") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(payload)) => Ok(Some(payload)),
        Some(_) => Err(Close::bad("`payload` is not an object")),
    }
}

fn id(members: &mut Map<String, Json>) -> Result<Arc<str>, Close> {
    match members.remove("id") {
        Some(Json::String(id)) if id.is_empty() => Err(Close::bad("`id` is empty")),
        Some(Json::String(id)) if id.len() > ID_BYTES_MAX => Err(Close::bad(format_args!("`id` is longer than {ID_BYTES_MAX} bytes"))),
        Some(Json::String(id)) => Ok(id.into()),
        Some(_) => Err(Close::bad("`id` is not a string")),
        None => Err(Close::bad("`id` is missing")),
    }
}

/// The token of an init: `token`, or `authorization` in any case of letters, as the header has it.
fn token(payload: Map<String, Json>) -> Result<Option<String>, Close> {
    let credential = |name: &str| name == "token" || name.eq_ignore_ascii_case("authorization");
    let mut found = payload.into_iter().filter(|(name, value)| credential(name) && !value.is_null());
    let Some((name, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Close::bad("there is more than one credential; send `token` or `authorization`"));
    }
    let Json::String(text) = value else { return Err(Close::bad(format_args!("`{name}` is not a string"))) };
    if name == "token" {
        return Ok(Some(text));
    }
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        _ => Err(Close::forbidden("`authorization` is not `Bearer TOKEN`")),
    }
}

pub(super) fn ack() -> Vec<u8> {
    br#"{"type":"connection_ack"}"#.to_vec()
}

/// The answer to a ping, with its payload.
pub(super) fn pong(payload: Option<Map<String, Json>>) -> Vec<u8> {
    let Some(payload) = payload else { return br#"{"type":"pong"}"#.to_vec() };
    format!(r#"{{"type":"pong","payload":{}}}"#, Json::Object(payload)).into_bytes()
}

/// A result of an operation.
pub(super) fn next(id: &str, result: &[u8]) -> Vec<u8> {
    of_operation(id, "next", Some(result))
}

/// The errors for which an operation was not executed, or ended; nothing follows.
pub(super) fn error(id: &str, errors: &[u8]) -> Vec<u8> {
    of_operation(id, "error", Some(errors))
}

/// That nothing follows.
pub(super) fn complete(id: &str) -> Vec<u8> {
    of_operation(id, "complete", None)
}

fn of_operation(id: &str, kind: &str, payload: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.map_or(0, <[u8]>::len) + id.len() + 48);
    out.extend_from_slice(b"{\"id\":");
    write_string(&mut out, id);
    out.extend_from_slice(format!(",\"type\":\"{kind}\"").as_bytes());
    if let Some(payload) = payload {
        out.extend_from_slice(b",\"payload\":");
        out.extend_from_slice(payload);
    }
    out.push(b'}');
    out
}
