//! Which web pages may call: CORS, and the checks that a browser does not make for WebSocket.

use fourfold_op::{Error, ErrorCode};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::route::Api;
use crate::body::{Body, empty};

/// The origins that may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    exact: Vec<String>,
    any: bool,
}

impl Origins {
    /// Exact origins such as `https://app.example`; `*` is any.
    pub fn new(origins: &[String]) -> Origins {
        Origins { any: origins.iter().any(|origin| origin == "*"), exact: origins.to_vec() }
    }

    /// Whether a page of this origin may call.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.any || self.exact.iter().any(|exact| exact.as_bytes() == origin.as_bytes())
    }

    /// Refuses a page that may not open a socket or a stream, and in `dev` whatever was led here by another name.
    pub(super) fn check<B>(&self, request: &Request<B>, api: Api, dev: bool) -> Result<(), Error> {
        let host = host(request);
        if dev && !host.is_some_and(is_loopback) {
            return Err(denied("`fourfold dev` answers to `localhost`, `127.0.0.1` and `[::1]` alone; `Host` names another"));
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
        let own = host.is_some_and(|host| is_own(origin, host));
        let strict = dev || api == Api::WebSocket || wants_stream(request.headers()) || request.headers().contains_key(header::UPGRADE);
        if own || !strict || self.allows(origin) {
            return Ok(());
        }
        Err(denied("pages of this origin may not call; `server.origins` names those that may"))
    }

    /// The answer to a preflight; `None` when the request is none.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        headers.get(header::ORIGIN).filter(|origin| is_preflight && self.allows(origin))?;
        let mut answer = Response::new(empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let ours = answer.headers_mut();
        ours.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        ours.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            ours.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        Some(answer)
    }

    /// The headers of an answer to a page that may call.
    pub(super) fn dress(&self, headers: &mut HeaderMap, origin: &HeaderValue) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

const EXPOSED: &str = "ETag, Location, Link, Retry-After, X-Request-Id, Server-Timing, grpc-status, grpc-message, grpc-status-details-bin";

fn host<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    authority.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn is_own(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    [origin.strip_prefix("http://"), origin.strip_prefix("https://")].into_iter().flatten().any(|authority| authority == host)
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"))
}

fn denied(message: &str) -> Error {
    Error::new(ErrorCode::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn check(host: &str, origin: Option<&str>, api: Api, dev: bool) -> bool {
        let mut request = Request::builder().header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        Origins::new(&["https://app.example".to_owned()]).check(&request.body(()).unwrap(), api, dev).is_ok()
    }

    #[test]
    fn sockets_are_for_known_pages_and_for_programs() {
        assert!(check("a:1", None, Api::WebSocket, false));
        assert!(check("a:1", Some("https://app.example"), Api::WebSocket, false));
        assert!(check("a:1", Some("http://a:1"), Api::WebSocket, false));
        assert!(!check("a:1", Some("https://evil.example"), Api::WebSocket, false));
        assert!(check("a:1", Some("https://evil.example"), Api::Rest, false));
    }

    #[test]
    fn dev_answers_to_loopback_names_and_its_own_pages() {
        assert!(check("localhost:8080", None, Api::Rest, true));
        assert!(check("[::1]:8080", Some("http://[::1]:8080"), Api::Rest, true));
        assert!(!check("evil.example:8080", None, Api::Rest, true));
        assert!(!check("localhost:8080", Some("https://evil.example"), Api::Rest, true));
    }
}
