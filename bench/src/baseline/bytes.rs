//! hyper alone: it answers the bytes it was given by `PUT`, for each path.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::answer::{self, Answer};
use crate::Failure;

type Given = Arc<RwLock<HashMap<String, (HeaderMap, Bytes)>>>;

/// Serves until killed.
pub async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let given = Given::default();
    answer::serve(listener, move |request| handle(given.clone(), request)).await
}

async fn handle(given: Given, request: Request<Incoming>) -> Answer {
    if request.method() == Method::PUT {
        return store(given, request).await;
    }
    let path = request.uri().path().to_owned();
    if request.method() == Method::POST {
        let _ = request.into_body().collect().await;
    }
    let found = given.read().ok().and_then(|given| given.get(&path).cloned());
    let Some((headers, body)) = found else { return answer::status(StatusCode::NOT_FOUND, "{}") };
    let mut answer = Response::new(Full::new(body));
    *answer.headers_mut() = headers;
    answer
}

/// The body, and the headers whose names start with `x-give-`, will be given.
async fn store(given: Given, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else { return answer::status(StatusCode::BAD_REQUEST, "{}") };
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        if let Some(name) = name.as_str().strip_prefix("x-give-").and_then(|name| name.parse::<http::HeaderName>().ok()) {
            headers.insert(name, value.clone());
        }
    }
    if let Ok(mut given) = given.write() {
        given.insert(parts.uri.path().to_owned(), (headers, body));
    }
    answer::json("{}")
}
