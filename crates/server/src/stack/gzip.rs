//! gzip, for who asks for it and where it is worth its time.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tower_http::compression::Compression;
use tower_service::Service;

use crate::body::{Body, empty};

/// Smaller answers are sent as they are.
const WORTH_BYTES: u64 = 1024;

/// Whether `Accept-Encoding` asks for gzip.
pub(super) fn is_wanted(accept: &HeaderValue) -> bool {
    accept.to_str().is_ok_and(|text| {
        text.split(',').any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
        })
    })
}

/// The answer, compressed where that is worth it. Its tag says so, because it is another representation.
pub(super) async fn gzip(answer: Response<Body>) -> Response<Body> {
    if answer.status() == StatusCode::NOT_MODIFIED {
        return tagged(answer);
    }
    let large = answer.body().size_hint().exact().is_some_and(|bytes| bytes >= WORTH_BYTES);
    if !large || !is_text(answer.headers()) || answer.headers().contains_key(header::CONTENT_ENCODING) {
        return answer;
    }
    let mut request = Request::new(());
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    match Compression::new(Once(Some(answer))).call(request).await {
        Ok(answer) => tagged(answer.map(|body| body.map_err(Into::into).boxed_unsync())),
        Err(never) => match never {},
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.starts_with("text/") && kind != "text/event-stream" || kind.ends_with("json")
    })
}

const SUFFIX: &str = "-gzip\"";

fn tagged(mut answer: Response<Body>) -> Response<Body> {
    let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).and_then(|tag| tag.strip_suffix('"'));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&format!("{tag}{SUFFIX}")).ok()) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// Takes our suffix off the tags that a client sends back.
pub(super) fn untag(headers: &mut HeaderMap) {
    for name in [header::IF_NONE_MATCH, header::IF_MATCH] {
        let plain = headers
            .get(&name)
            .and_then(|tags| tags.to_str().ok())
            .filter(|tags| tags.contains(SUFFIX))
            .map(|tags| tags.replace(SUFFIX, "\""));
        if let Some(plain) = plain.and_then(|tags| HeaderValue::from_str(&tags).ok()) {
            headers.insert(name, plain);
        }
    }
}

/// A service that has its answer already.
struct Once(Option<Response<Body>>);

impl Service<Request<()>> for Once {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<()>) -> Self::Future {
        ready(Ok(self.0.take().unwrap_or_else(|| Response::new(empty()))))
    }
}
