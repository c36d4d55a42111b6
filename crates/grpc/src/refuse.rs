//! What is refused before a method was asked (a token that is none, a body too large), in the form of the protocol that asked.
//!
//! No message has been read then, so none of `connectrpc`'s ways to answer can be taken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use connectrpc::envelope::Envelope;
use fourfold_op::wire::bytes::{put_bytes, put_nested, put_number};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::error::Status;
use crate::transport::{Body, connect_error};

/// The answer to a request with this `Content-Type`; `http` is the status of a unary Connect call, the others have 200.
pub fn refusal(status: Status, http: StatusCode, asked: Option<&HeaderValue>) -> Response<Body> {
    match asked.filter(|kind| is_of(kind, "application/grpc") || is_of(kind, "application/connect+")) {
        Some(kind) if is_of(kind, "application/grpc") => trailers_only(&status, kind.clone()),
        Some(kind) => answer(StatusCode::OK, kind.clone(), end_of_stream(status)),
        None => answer(http, HeaderValue::from_static("application/json"), connect_error(status).to_json()),
    }
}

fn is_of(kind: &HeaderValue, family: &str) -> bool {
    kind.as_bytes().starts_with(family.as_bytes())
}

fn answer(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// gRPC's trailers in the head, as both gRPC and gRPC-Web allow where there is no message.
fn trailers_only(status: &Status, kind: HeaderValue) -> Response<Body> {
    let mut answer = answer(StatusCode::OK, kind, Bytes::new());
    let headers = answer.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(u16::from(status.code)));
    for (name, text) in [("grpc-message", percent(&status.message)), ("grpc-status-details-bin", STANDARD_NO_PAD.encode(packed(status)))] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    answer
}

/// The last envelope of a Connect stream, and here the only one.
fn end_of_stream(status: Status) -> Bytes {
    let end = [br#"{"error":"#, &*connect_error(status).to_json(), b"}"].concat();
    Envelope::end_stream(end.into()).encode()
}

/// `google.rpc.Status`.
fn packed(status: &Status) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_number(&mut bytes, 1, u64::from(status.code));
    put_bytes(&mut bytes, 2, status.message.as_bytes());
    for detail in &status.details {
        put_nested(&mut bytes, 3, |any| {
            put_bytes(any, 1, format!("type.googleapis.com/{}", detail.type_name).as_bytes());
            put_bytes(any, 2, &detail.bytes);
        });
    }
    bytes
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
