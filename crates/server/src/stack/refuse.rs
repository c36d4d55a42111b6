//! What is refused before a face was asked, in the form of the face's own protocol.

use fourfold_op::{Error, RequestId};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::route::Api;
use crate::body::{Body, empty, full};
use crate::problem::problem;

pub(super) fn refuse(api: Api, error: &Error, request: &RequestId) -> Response<Body> {
    match api {
        Api::GraphQl => graphql(error, request),
        Api::Grpc => grpc(error),
        _ => problem(error, Some(request)),
    }
}

fn graphql(error: &Error, request: &RequestId) -> Response<Body> {
    let code = error.code.name().to_ascii_uppercase();
    let body = json!({"errors": [{"message": error.public.message, "extensions": {"code": code, "request_id": &*request.0}}]});
    let mut answer = Response::new(full(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(answer, error)
}

/// A trailers-only answer; gRPC-Web reads it from the head too, and Connect the status and the JSON of [`connect`].
fn grpc(error: &Error) -> Response<Body> {
    let mut answer = Response::new(empty());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(error.code.row().grpc)));
    if let Ok(message) = HeaderValue::from_str(&percent(&error.public.message)) {
        headers.insert("grpc-message", message);
    }
    finish(answer, error)
}

/// A unary Connect call's error.
pub(super) fn connect(error: &Error) -> Response<Body> {
    let row = error.code.row();
    let code = CONNECT_CODES.get(usize::from(row.grpc)).copied().unwrap_or("unknown");
    let mut answer = Response::new(full(json!({"code": code, "message": error.public.message}).to_string()));
    *answer.status_mut() = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(answer, error)
}

/// Connect's names of the gRPC codes, by number.
const CONNECT_CODES: &[&str] = &[
    "ok",
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

fn finish(mut answer: Response<Body>, error: &Error) -> Response<Body> {
    if answer.status() == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after) = error.public.retry_after_ms {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1000)));
    }
    answer.extensions_mut().insert(error.clone());
    answer
}

/// `grpc-message` is percent-encoded UTF-8.
fn percent(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
