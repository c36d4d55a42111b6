//! Errors as `google.rpc.Status`: the code of the one table, with `ErrorInfo`, `BadRequest` and `RetryInfo`.

use fourfold_op::wire::bytes::{put_bytes, put_nested, put_number};
use fourfold_op::{Cursor, Error, ErrorCode, RequestId};

/// An error as it goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The gRPC status number.
    pub code: u8,
    /// One sentence for people.
    pub message: String,
    /// Messages that say more.
    pub details: Vec<Detail>,
}

/// A message of a status.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// Its full name: `google.rpc.ErrorInfo`.
    pub type_name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What every error of a service says beside its own.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `shop.v1`.
    pub domain: &'a str,
    /// The request's id.
    pub request: Option<&'a RequestId>,
    /// From where a watch that has ended can go on.
    pub cursor: Option<&'a Cursor>,
}

/// RESOURCE_EXHAUSTED: gRPC's own word for a message beyond its limit, whatever `limit_exceeded` is otherwise.
const RESOURCE_EXHAUSTED: u8 = 8;

impl Status {
    /// The status of an error.
    pub fn new(error: &Error, sender: Sender<'_>) -> Status {
        let too_large = error.public.limit.as_ref().is_some_and(|limit| limit.name == MESSAGE_LIMIT);
        let code = if too_large { RESOURCE_EXHAUSTED } else { error.code.row().grpc };
        let mut details = vec![error_info(error, sender)];
        details.extend(bad_request(error));
        details.extend(retry_info(error));
        Status { code, message: error.public.message.clone(), details }
    }
}

const MESSAGE_LIMIT: &str = "grpc_message_bytes_max";

/// The error for a message that is too large to be sent.
pub fn too_large(bytes_max: usize) -> Error {
    Error::limit(MESSAGE_LIMIT, bytes_max, "bytes in one message")
}

/// Nothing is served under this name.
pub fn unimplemented(what: &str) -> Error {
    Error::new(ErrorCode::Unimplemented, format!("{what} is not served"))
}

fn error_info(error: &Error, sender: Sender<'_>) -> Detail {
    let mut bytes = Vec::with_capacity(64);
    put_bytes(&mut bytes, 1, error.code.name().to_uppercase().as_bytes());
    put_bytes(&mut bytes, 2, sender.domain.as_bytes());
    let mut put = |key: &str, value: &str| {
        put_nested(&mut bytes, 3, |out| {
            put_bytes(out, 1, key.as_bytes());
            put_bytes(out, 2, value.as_bytes());
        });
    };
    if let Some(limit) = &error.public.limit {
        put("limit", limit.name);
        put("limit_value", &limit.value.to_string());
        put("limit_unit", limit.unit);
    }
    if let Some(operation) = error.public.operation {
        put("operation", &operation.to_string());
    }
    if let Some(cursor) = sender.cursor {
        put("cursor", &cursor.to_string());
    }
    if let Some(request) = sender.request {
        put("request_id", &request.0);
    }
    Detail { type_name: "google.rpc.ErrorInfo", bytes }
}

fn bad_request(error: &Error) -> Option<Detail> {
    if error.public.errors.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    for violation in &error.public.errors {
        put_nested(&mut bytes, 1, |out| {
            put_bytes(out, 1, field_path(&violation.pointer).as_bytes());
            put_bytes(out, 2, violation.detail.as_bytes());
        });
    }
    Some(Detail { type_name: "google.rpc.BadRequest", bytes })
}

fn retry_info(error: &Error) -> Option<Detail> {
    let after = error.public.retry_after_ms?;
    let mut bytes = Vec::new();
    put_nested(&mut bytes, 1, |out| {
        if after >= 1_000 {
            put_number(out, 1, after / 1_000);
        }
        if after % 1_000 != 0 {
            put_number(out, 2, after % 1_000 * 1_000_000);
        }
    });
    Some(Detail { type_name: "google.rpc.RetryInfo", bytes })
}

/// A JSON pointer as `google.rpc.BadRequest` names fields: `/lines/0/quantity` is `lines[0].quantity`.
pub fn field_path(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len());
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_become_field_paths() {
        assert_eq!(field_path("/lines/0/quantity"), "lines[0].quantity");
        assert_eq!(field_path("/price"), "price");
        assert_eq!(field_path(""), "");
    }
}
