//! Problems of the edge, before any API is known (RFC 9457).

use fourfold_op::{Error, RequestId, render};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::body::{self, Body};

/// An error as an answer.
pub fn problem(error: &Error, request: Option<&RequestId>) -> Response<Body> {
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut text = Vec::with_capacity(256);
    render::write_problem(&mut text, error, request.map_or("", |request| &*request.0));
    let mut answer = Response::new(body::full(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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
    HeaderValue::try_from(error.challenge()).unwrap_or(HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use fourfold_op::ErrorCode;

    use super::*;

    #[test]
    fn a_bad_token_is_told_from_none() {
        let none = Error::new(ErrorCode::Unauthenticated, "no \"token\" à la `x`");
        assert_eq!(challenge(&none), "Bearer");
        assert_eq!(challenge(&none.of_bad_token()), "Bearer error=\"invalid_token\", error_description=\"no token  la `x`\"");
    }
}
