//! Problems of the edge, before any API is known (RFC 9457).

use fourfold_op::{Error, ErrorCode, RequestId};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::body::{self, Body};

/// An error as an answer.
pub fn problem(error: &Error, request: Option<&RequestId>) -> Response<Body> {
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Response::new(body::full(document(error, request).to_string()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, challenge(error));
    }
    if let Some(after) = error.public.retry_after_ms {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1000)));
    }
    // The log reads the error from here.
    answer.extensions_mut().insert(error.clone());
    answer
}

/// What a caller without a good token is asked for (RFC 6750 §3).
pub(crate) fn challenge(error: &Error) -> HeaderValue {
    HeaderValue::from_static(match error.code {
        ErrorCode::TokenExpired => "Bearer error=\"invalid_token\", error_description=\"the token has expired\"",
        _ => "Bearer",
    })
}

fn document(error: &Error, request: Option<&RequestId>) -> Value {
    let row = error.code.row();
    let mut document = Map::new();
    document.insert("type".into(), json!(format!("/problems/{}", row.name)));
    document.insert("title".into(), json!(row.title));
    document.insert("status".into(), json!(error.http_status()));
    document.insert("code".into(), json!(row.name));
    document.insert("detail".into(), json!(error.public.message));
    if let Some(limit) = &error.public.limit {
        document.insert("limit".into(), json!(limit.name));
        document.insert("limit_value".into(), json!(limit.value));
        document.insert("limit_unit".into(), json!(limit.unit));
    }
    if let Some(request) = request {
        document.insert("request_id".into(), json!(&*request.0));
    }
    if let Some(after) = error.public.retry_after_ms {
        document.insert("retry_after_ms".into(), json!(after));
    }
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_with_its_value_and_unit_as_each_face_tells_it() {
        let told = document(&Error::limit("body_bytes_max", 1024, "bytes"), None);
        assert_eq!((&told["limit"], &told["limit_value"], &told["limit_unit"]), (&json!("body_bytes_max"), &json!(1024), &json!("bytes")));
    }

    #[test]
    fn an_expired_token_is_told_from_none() {
        assert_eq!(challenge(&Error::new(ErrorCode::Unauthenticated, "")), "Bearer");
        assert!(challenge(&Error::new(ErrorCode::TokenExpired, "")).to_str().is_ok_and(|text| text.contains("invalid_token")));
    }
}
