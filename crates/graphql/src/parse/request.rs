//! The wire: what an HTTP request asks (GraphQL over HTTP, sections 5 and 6).

use std::borrow::Cow;

use bytes::Bytes;
use fourfold_op::{Error, IdempotencyKey};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value as Json};

use crate::Body;

/// A GraphQL request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// The document's text.
    pub query: String,
    /// Which of its operations.
    pub operation: Option<String>,
    /// The variables' values.
    pub variables: Map<String, Json>,
    /// The key under which a mutation is done once, for clients that cannot send a header.
    pub idempotency: Option<IdempotencyKey>,
    /// Whether a mutation may be done: not over GET.
    pub may_write: bool,
    /// Whether the answer can be a stream: a subscription needs one.
    pub may_stream: bool,
}

/// A request that is not one of GraphQL: the status says so, whatever media type the answer has.
#[derive(Debug)]
pub(crate) struct Refused {
    pub status: StatusCode,
    pub error: Error,
    pub allow: Option<&'static str>,
}

impl Refused {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Refused {
        Refused { status, error: Error::invalid(message), allow: None }
    }

    fn bad(message: impl Into<String>) -> Refused {
        Refused::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn method(allow: &'static str, message: impl Into<String>) -> Refused {
        Refused { status: StatusCode::METHOD_NOT_ALLOWED, error: Error::invalid(message), allow: Some(allow) }
    }
}

/// Reads a request: by GET its query, by POST its body.
pub(crate) async fn read(parts: &Parts, body: Body) -> Result<Asked, Refused> {
    match parts.method {
        Method::GET => of_query(parts.uri.query().unwrap_or_default()),
        Method::POST => {
            check_media_type(&parts.headers)?;
            of_body(&collect(body).await?)
        }
        _ => Err(Refused::method("GET, POST, OPTIONS", format!("`{}` is not served here; send GET or POST", parts.method))),
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => matches_utf8(value),
        _ => true,
    });
    if json && utf8 {
        return Ok(());
    }
    Err(Refused::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("`content-type: {given}` is not served here; send `application/json` in UTF-8"),
    ))
}

/// Whether a `charset` names UTF-8.
pub(crate) fn matches_utf8(charset: &str) -> bool {
    let charset = charset.trim().trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

async fn collect(body: Body) -> Result<Bytes, Refused> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than this server takes"))
        }
        Err(_) => Err(Refused::bad("the body did not arrive whole")),
    }
}

fn of_body(body: &[u8]) -> Result<Asked, Refused> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => of_members(members, true),
        Ok(Json::Array(_)) => Err(Refused::bad("a batch (an array) is not served; send one request as an object")),
        Ok(_) => Err(Refused::bad("the body is not a JSON object such as {\"query\": \"{ __typename }\"}")),
        Err(error) => Err(Refused::bad(format!("the body is not valid JSON: {error}"))),
    }
}

pub(crate) fn of_members(mut members: Map<String, Json>, may_write: bool) -> Result<Asked, Refused> {
    let operation = match members.remove("operationName") {
        None | Some(Json::Null) => None,
        Some(Json::String(name)) => Some(name),
        Some(_) => return Err(Refused::bad("`operationName` is not a string")),
    };
    let variables = object(members.remove("variables"), "variables")?;
    let mut extensions = object(members.remove("extensions"), "extensions")?;
    let idempotency = match extensions.remove("idempotencyKey") {
        None | Some(Json::Null) => None,
        Some(Json::String(key)) => Some(IdempotencyKey(key.into())),
        Some(_) => return Err(Refused::bad("`extensions.idempotencyKey` is not a string")),
    };
    let query = match members.remove("query") {
        Some(Json::String(query)) => query,
        // What clients of persisted queries take as: send the text, then.
        None if extensions.contains_key("persistedQuery") => return Err(Refused::bad("PersistedQueryNotSupported")),
        None | Some(Json::Null) => return Err(Refused::bad("`query` is missing; it holds the document's text")),
        Some(_) => return Err(Refused::bad("`query` is not a string")),
    };
    Ok(Asked { query, operation, variables, idempotency, may_write, may_stream: false })
}

fn object(member: Option<Json>, name: &str) -> Result<Map<String, Json>, Refused> {
    match member {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(members)) => Ok(members),
        Some(_) => Err(Refused::bad(format!("`{name}` is not an object"))),
    }
}

fn of_query(query: &str) -> Result<Asked, Refused> {
    let mut members = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        let value = match name.as_ref() {
            "variables" | "extensions" if value.is_empty() => Json::Null,
            "variables" | "extensions" => {
                serde_json::from_str(&value).map_err(|error| Refused::bad(format!("`{name}` is not valid JSON: {error}")))?
            }
            _ => Json::String(value.into_owned()),
        };
        members.insert(name.into_owned(), value);
    }
    if members.get("operationName").is_some_and(|name| name.as_str() == Some("")) {
        members.remove("operationName");
    }
    of_members(members, false)
}

/// A part of a query string without its percent-encoding.
fn decoded(text: &str) -> Result<Cow<'_, str>, Refused> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => escaped(rest.next(), rest.next())
                .ok_or_else(|| Refused::bad("a `%` in the query is not followed by two hexadecimal digits"))?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Refused::bad("the query is not UTF-8"))
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn bodies_are_read_or_refused_by_name() {
        let asked = of_body(br#"{"query":"{a}","operationName":null,"variables":{"x":1},"extensions":null}"#).unwrap();
        assert_eq!((asked.query.as_str(), asked.operation, asked.variables.len(), asked.may_write), ("{a}", None, 1, true));
        let asked = of_body(br#"{"query":"{a}","extensions":{"idempotencyKey":"k"}}"#).unwrap();
        assert_eq!(asked.idempotency, Some(IdempotencyKey("k".into())));
        for (body, said) in [
            ("[]", "a batch (an array) is not served; send one request as an object"),
            ("{}", "`query` is missing; it holds the document's text"),
            (r#"{"query":1}"#, "`query` is not a string"),
            (r#"{"query":"{a}","operationName":7}"#, "`operationName` is not a string"),
            (r#"{"query":"{a}","variables":[]}"#, "`variables` is not an object"),
            (r#"{"query":"{a}","extensions":"x"}"#, "`extensions` is not an object"),
            (r#"{"query":"{a}","extensions":{"idempotencyKey":7}}"#, "`extensions.idempotencyKey` is not a string"),
            (r#"{"extensions":{"persistedQuery":{"version":1}}}"#, "PersistedQueryNotSupported"),
        ] {
            assert_eq!(of_body(body.as_bytes()).unwrap_err().error.public.message, said, "{body}");
        }
    }

    #[test]
    fn query_strings_are_decoded() {
        let asked = of_query("query=%7Ba+b%7D&variables=%7B%22x%22%3A%22%C3%A9%22%7D&operationName=").unwrap();
        assert_eq!(asked.query, "{a b}");
        assert_eq!(asked.variables["x"], "é");
        assert!(!asked.may_write && asked.operation.is_none());
        assert!(of_query("query=%zz").is_err());
        assert!(of_query("query=%ff").is_err());
        assert!(of_query("variables={").is_err());
    }
}
