//! What is served beside the four APIs: contracts, health, problems, and in `dev` a page.

use bytes::Bytes;
use fourfold_op::{Context, Error, ErrorCode};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

use super::Faces;
use crate::body::{Body, full};
use crate::config::Visibility;
use crate::page;
use crate::problem::problem;

pub(super) fn answer(faces: &Faces, context: &Context, method: &Method, path: &str, ready: bool) -> Response<Body> {
    let found = match path {
        "/live" => Some(plain(StatusCode::OK, "live\n")),
        "/ready" if ready => Some(plain(StatusCode::OK, "ready\n")),
        "/ready" => Some(plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
        "/" => faces.contracts.page.clone().map(|page| typed("text/html; charset=utf-8", page)),
        _ => path.strip_prefix("/problems/").and_then(problem_page),
    };
    let found = match found.map_or_else(|| contract(faces, context, path), |found| Ok(Some(found))) {
        Ok(Some(found)) => found,
        Ok(None) => return problem(&Error::new(ErrorCode::NotFound, "nothing is served here"), Some(&context.request)),
        Err(error) => return problem(&error, Some(&context.request)),
    };
    if matches!(*method, Method::GET | Method::HEAD) { found } else { only_read(context) }
}

/// A contract, for who may read it.
fn contract(faces: &Faces, context: &Context, path: &str) -> Result<Option<Response<Body>>, Error> {
    if !faces.contracts.has(path) {
        return Ok(None);
    }
    match faces.contracts.visibility {
        Visibility::Off => Ok(None),
        Visibility::Authenticated if context.principal.is_anonymous() => {
            Err(Error::new(ErrorCode::Unauthenticated, "contracts are shown to callers with a token"))
        }
        _ => Ok(faces.contracts.at(path).map(|(kind, text)| typed(kind, text))),
    }
}

fn typed(kind: &'static str, text: Bytes) -> Response<Body> {
    let mut answer = Response::new(full(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = typed("text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn problem_page(code: &str) -> Option<Response<Body>> {
    let code = ErrorCode::by_name(code)?;
    Some(typed("text/html; charset=utf-8", page::problem(code).into()))
}

fn only_read(context: &Context) -> Response<Body> {
    let mut answer = problem(&Error::invalid("only GET and HEAD are served here"), Some(&context.request));
    *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}
