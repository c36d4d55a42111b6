//! A client of gRPC itself: HTTP/2, framed messages and trailers, with messages written and read by another protobuf from the descriptors
//! that the server hands out.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use fourfold_store::Later;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::client::{Answer, Ask, Client, Refusal, Wire, camel, connector, enum_of, no_answer, plain, request, snake};
use crate::grpc::{called, shaped};

/// A client of gRPC.
pub struct Grpc {
    address: SocketAddr,
    http: Http<HttpConnector, Full<Bytes>>,
    pool: OnceCell<DescriptorPool>,
}

impl Grpc {
    /// For a server.
    pub fn new(address: SocketAddr) -> Grpc {
        let http = Http::builder(TokioExecutor::new()).http2_only(true).build(connector());
        Grpc { address, http, pool: OnceCell::new() }
    }

    async fn call(&self, ask: &Ask<'_>) -> Answer {
        let (path, mut body) = called(ask);
        proto_json(ask, &mut body);
        let method = self.method(&path).await?;
        let message = DynamicMessage::deserialize(method.input(), body.clone()).map_err(|error| unwritable(&body, &error))?;
        let mut request = request(ask, "POST", format!("http://{}{path}", self.address)).header("content-type", "application/grpc");
        request = request.header("te", "trailers");
        let request = request.body(Full::new(framed(&message.encode_to_vec()))).expect("a request");
        let response = self.http.request(request).await.map_err(|error| no_answer(&error))?;
        let head = response.headers().clone();
        let collected = response.into_body().collect().await.map_err(|error| no_answer(&error))?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        // Trailers say more where both are there: the details are only in them.
        refused(&trailers)?;
        refused(&head)?;
        let bytes = collected.to_bytes();
        let message = bytes.get(5..).ok_or_else(|| no_answer(&"no message"))?;
        let message = DynamicMessage::decode(method.output(), message).expect("a message of the descriptors");
        let options = SerializeOptions::new().use_proto_field_name(true);
        let json = message.serialize_with_options(serde_json::value::Serializer, &options).expect("JSON");
        Ok(shaped(ask, &json))
    }

    /// A method by its path, from the descriptors that are served.
    async fn method(&self, path: &str) -> Result<MethodDescriptor, Refusal> {
        let pool = self.pool.get_or_try_init(async || {
            let get = http::Request::builder().uri(format!("http://{}/descriptor.binpb", self.address));
            let answer = Wire::default().send(get, Vec::new()).await;
            DescriptorPool::decode(answer.body).map_err(|error| no_answer(&error))
        });
        let (service, method) = path.trim_start_matches('/').split_once('/').expect("a path");
        let service = pool.await?.get_service_by_name(service).expect("a service");
        Ok(service.methods().find(|known| known.name() == method).expect("a method"))
    }
}

/// ProtoJSON as the standard has it: `STATE_LIVE` for an enum's value, and a field mask in camel case.
fn proto_json(ask: &Ask<'_>, body: &mut Value) {
    let entity = ask.of();
    for field in &entity.fields {
        let value = body.get_mut(entity.snake.as_str()).and_then(|row| row.get_mut(field.name.as_str()));
        let (Some(found), Some(value)) = (enum_of(ask.model, field), value) else { continue };
        let name = format!("{}_{}", snake(&found.name).trim_start_matches('_'), plain(value));
        *value = Value::String(name.to_uppercase());
    }
    if let Some(mask) = body.get_mut("update_mask") {
        *mask = Value::String(camel(&plain(mask)));
    }
}

/// What the types of the contract cannot even carry never reaches the server: to a caller it is an invalid argument.
fn unwritable(body: &Value, error: &dyn std::fmt::Display) -> Refusal {
    Refusal { code: "invalid_argument".into(), pointers: Vec::new(), text: format!("{body} cannot be written: {error}") }
}

/// One message: a flag, four bytes of its length, itself.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut out = vec![0];
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out.into()
}

/// Refuses where a head or trailers say so.
fn refused(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = text("grpc-status");
    if status.is_empty() || status == "0" {
        return Ok(());
    }
    let details = text("grpc-status-details-bin");
    let details = STANDARD_NO_PAD.decode(details).or_else(|_| STANDARD.decode(details)).unwrap_or_default();
    let code = reason(&details).unwrap_or_else(|| format!("status {status}"));
    Err(Refusal { code: code.to_lowercase(), pointers: Vec::new(), text: format!("{status}: {}", text("grpc-message")) })
}

/// `ErrorInfo.reason`: behind the type's name in `google.rpc.Status`, the first text of the `Any`'s value.
fn reason(status: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"type.googleapis.com/google.rpc.ErrorInfo";
    let at = status.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let [0x12, rest @ ..] = status.get(at..)? else { return None };
    let after_length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let [0x0a, length, reason @ ..] = rest.get(after_length..)? else { return None };
    String::from_utf8(reason.get(..usize::from(*length))?.to_vec()).ok()
}

impl Client for Grpc {
    fn name(&self) -> &'static str {
        "grpc"
    }
    fn ask<'a>(&'a self, ask: &'a Ask<'a>) -> Later<'a, Answer> {
        Box::pin(self.call(ask))
    }
}
