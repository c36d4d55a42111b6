//! From an HTTP request to a WebSocket (RFC 6455 §4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fourfold_op::{Error, RequestId};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::body::{Body, empty};
use crate::problem::problem;

/// What a request for a WebSocket comes to.
pub(super) struct Upgraded {
    /// The 101 that it is answered with.
    pub(super) answer: Response<Body>,
    /// The connection, once the answer is written.
    pub(super) stream: OnUpgrade,
    /// Whether the client speaks the subprotocol.
    pub(super) acceptable: bool,
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET && has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

/// Upgrades a request that [asks](is_asked) for it. One that offers no good subprotocol is upgraded too, to be closed with a code.
///
/// # Errors
/// The refusal: 426 for another version, 400 for a bad key.
pub(super) fn upgrade<B>(request: &mut Request<B>, subprotocol: &'static str, id: &RequestId) -> Result<Upgraded, Box<Response<Body>>> {
    let headers = request.headers();
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut answer = problem(&Error::invalid("expected `Sec-WebSocket-Version: 13`"), Some(id));
        *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(answer));
    }
    let Some(accept) = headers.get(SEC_WEBSOCKET_KEY).and_then(accept) else {
        return Err(Box::new(problem(&Error::invalid("`Sec-WebSocket-Key` is missing or is not 16 bytes in base64"), Some(id))));
    };
    let acceptable = has_token(headers, &SEC_WEBSOCKET_PROTOCOL, subprotocol);
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let ours = answer.headers_mut();
    ours.insert(UPGRADE, HeaderValue::from_static("websocket"));
    ours.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    ours.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if acceptable {
        ours.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    Ok(Upgraded { answer, stream: hyper::upgrade::on(request), acceptable })
}

/// What proves that the key was read.
fn accept(key: &HeaderValue) -> Option<HeaderValue> {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.decode(key).ok().filter(|nonce| nonce.len() == 16)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    HeaderValue::try_from(STANDARD.encode(digest)).ok()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn the_key_of_the_standard_has_its_answer() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accept(&HeaderValue::from_static("dG9vIHNob3J0")), None);
    }
}
