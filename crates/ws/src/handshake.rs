//! From an HTTP request to a connection: RFC 6455 §4.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_op::{Authenticate, Context, Error, render};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::codec::Codec;
use crate::connection;
use crate::fixture::Fixture;
use crate::peer::Peer;

/// A request's or an answer's body, the same on each face.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The WebSocket face of one engine.
pub struct WebSocket {
    engine: Arc<Engine>,
    authenticate: Arc<dyn Authenticate>,
    fixture: Fixture,
}

impl WebSocket {
    /// The face of an engine; connections show their tokens to `authenticate`.
    pub fn new(engine: Arc<Engine>, authenticate: Arc<dyn Authenticate>) -> WebSocket {
        WebSocket { engine, authenticate, fixture: Fixture::default() }
    }

    /// The same, with what a suite of others asks for.
    pub fn with_fixture(self, fixture: Fixture) -> WebSocket {
        WebSocket { fixture, ..self }
    }

    /// Answers a request for a connection; the connection itself then runs on a task of its own.
    pub async fn serve(&self, context: Context, mut request: Request<Body>) -> Response<Body> {
        let (accepted, codec) = match accept(&request) {
            Ok(accepted) => accepted,
            Err(refusal) => return refusal.into_response(&context),
        };
        let bearer = bearer(request.headers());
        let upgrade = hyper::upgrade::on(&mut request);
        let peer = Box::new(Peer::new((self.engine.clone(), self.authenticate.clone(), self.fixture), context, bearer));
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                connection::run(hyper_util::rt::TokioIo::new(upgraded), codec, peer).await;
            }
        });
        accepted
    }
}

/// Why a request does not become a connection.
pub(crate) enum Refusal {
    Error(Error),
    /// 426: no WebSocket was asked for, or another version of it.
    Upgrade(&'static str),
}

/// The 101 that a request is to be answered with, and the form in which its connection then speaks.
pub(crate) fn accept(request: &Request<Body>) -> Result<(Response<Body>, Codec), Refusal> {
    let headers = request.headers();
    if request.method() != http::Method::GET || !has_token(headers, &CONNECTION, "upgrade") || !has_token(headers, &UPGRADE, "websocket") {
        return Err(Refusal::Upgrade("this path speaks WebSocket; connect with `Upgrade: websocket`"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Upgrade("expected `Sec-WebSocket-Version: 13`"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| Refusal::Error(Error::invalid("`Sec-WebSocket-Key` is missing or is not 16 bytes in base64")))?;
    let offered = [("centrifuge-protobuf", Codec::Protobuf), ("centrifuge-json", Codec::Json)];
    let chosen = offered.into_iter().find(|(name, _)| has_token(headers, &SEC_WEBSOCKET_PROTOCOL, name));
    let asked = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "cf_protocol=protobuf"));
    let codec = chosen.map_or(if asked { Codec::Protobuf } else { Codec::Json }, |(_, codec)| codec);
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some((name, _)) = chosen {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Ok((response, codec))
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The token of `Authorization: Bearer`, for clients that can send it.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

impl Refusal {
    pub(crate) fn into_response(self, context: &Context) -> Response<Body> {
        let (status, text) = match self {
            Refusal::Error(error) => {
                let mut text = Vec::with_capacity(256);
                render::write_problem(&mut text, &error, &context.request.0);
                (StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::BAD_REQUEST), text)
            }
            Refusal::Upgrade(detail) => {
                let text = format!(r#"{{"type":"about:blank","title":"Upgrade Required","status":426,"detail":"{detail}"}}"#);
                (StatusCode::UPGRADE_REQUIRED, text.into_bytes())
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}
