//! What is refused before a face was asked, in the form of the face's own protocol.

use fourfold_op::{Error, RequestId};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::Faces;
use super::route::{Api, Route};
use crate::body::{Body, full};
use crate::problem::{challenge, problem};

pub(super) fn refuse(faces: &Faces, route: &Route<'_>, error: &Error, request: &RequestId) -> Response<Body> {
    match route.api {
        Api::GraphQl => graphql(error, request),
        Api::Grpc => finish(faces.grpc.refuse(error, request, route.content_type.as_ref()), error),
        Api::Rest => finish(faces.rest.refuse(error, request), error),
        Api::WebSocket | Api::Public => problem(error, Some(request)),
    }
}

fn graphql(error: &Error, request: &RequestId) -> Response<Body> {
    let code = error.code.name().to_ascii_uppercase();
    let mut extensions = json!({"code": code, "request_id": &*request.0});
    if let Some(limit) = &error.public.limit {
        extensions["limit"] = limit.name.into();
    }
    let body = json!({"errors": [{"message": error.public.message, "extensions": extensions}]});
    let mut answer = Response::new(full(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(answer, error)
}

fn finish(mut answer: Response<Body>, error: &Error) -> Response<Body> {
    if answer.status() == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge(error));
    }
    if let Some(after) = error.public.retry_after_ms {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1000)));
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.extensions_mut().insert(error.clone());
    answer
}
