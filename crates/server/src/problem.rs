//! Problems of the edge, before any API is known (RFC 9457).

use fourfold_op::{Error, RequestId};
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
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after) = error.public.retry_after_ms {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1000)));
    }
    // The log reads the error from here.
    answer.extensions_mut().insert(error.clone());
    answer
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
    }
    if let Some(request) = request {
        document.insert("request_id".into(), json!(&*request.0));
    }
    if let Some(after) = error.public.retry_after_ms {
        document.insert("retry_after_ms".into(), json!(after));
    }
    Value::Object(document)
}
