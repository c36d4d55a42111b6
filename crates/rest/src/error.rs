//! Refusals: errors of operations and of HTTP itself, both as problem details (RFC 9457).

use fourfold_op::{Context, Error, ErrorCode, RequestId, json, render};
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use crate::body::{Body, full};

/// Why a request is not served.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// By a code of the one table.
    Error(Error),
    /// By HTTP: 405, 406, 415.
    Http(HttpRefusal),
}

/// A refusal that HTTP itself names.
#[derive(Debug)]
pub(crate) struct HttpRefusal {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Error(error)
    }
}

impl Refusal {
    /// 405, with what is allowed.
    pub(crate) fn method(method: &http::Method, allow: &'static str) -> Refusal {
        let detail = format!("`{method}` is not served here; expected one of {allow}");
        let header = Some((ALLOW, HeaderValue::from_static(allow)));
        Refusal::Http(HttpRefusal { status: StatusCode::METHOD_NOT_ALLOWED, detail, header })
    }

    /// 406.
    pub(crate) fn not_acceptable(detail: impl Into<String>) -> Refusal {
        Refusal::Http(HttpRefusal { status: StatusCode::NOT_ACCEPTABLE, detail: detail.into(), header: None })
    }

    /// 415, with what is understood.
    pub(crate) fn media(detail: String, header: HeaderName, accepted: &'static str) -> Refusal {
        let header = Some((header, HeaderValue::from_static(accepted)));
        Refusal::Http(HttpRefusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, header })
    }

    pub(crate) fn into_response(self, context: &Context) -> Response<Body> {
        match self {
            Refusal::Error(error) => problem(&error, &context.request),
            Refusal::Http(refusal) => refusal.into_response(context),
        }
    }
}

impl HttpRefusal {
    fn into_response(self, context: &Context) -> Response<Body> {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(b"{\"type\":\"about:blank\",\"title\":");
        json::write_string(&mut text, self.status.canonical_reason().unwrap_or("Refused"));
        text.extend_from_slice(format!(",\"status\":{},\"detail\":", self.status.as_u16()).as_bytes());
        json::write_string(&mut text, &self.detail);
        text.extend_from_slice(b",\"request_id\":");
        json::write_string(&mut text, &context.request.0);
        text.push(b'}');
        let mut response = response(self.status, text);
        response
            .headers_mut()
            .extend(self.header.map(|(name, value)| (Some(name), value)).into_iter().filter_map(|(name, value)| Some((name?, value))));
        response
    }
}

/// An error as a problem, with the headers that its code asks for.
pub(crate) fn problem(error: &Error, request: &RequestId) -> Response<Body> {
    let mut text = Vec::with_capacity(256);
    render::write_problem(&mut text, error, &request.0);
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, text);
    // The server's log and metrics read the code from here.
    response.extensions_mut().insert(error.code);
    let headers = response.headers_mut();
    match error.code {
        ErrorCode::Unauthenticated | ErrorCode::TokenExpired => {
            let challenge = HeaderValue::try_from(error.challenge()).unwrap_or(HeaderValue::from_static("Bearer"));
            headers.insert(WWW_AUTHENTICATE, challenge)
        }
        ErrorCode::RateLimited | ErrorCode::Overloaded | ErrorCode::Unavailable => {
            let seconds = error.public.retry_after_ms.unwrap_or(1_000).div_ceil(1_000);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds))
        }
        _ => None,
    };
    response
}

fn response(status: StatusCode, text: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
