//! A small model a server of it over the memory store, and a client for each protocol.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_grpc::{Body, Grpc};
use fourfold_model::{Lock, Model};
use fourfold_op::{Claims, Context, Deadline, Limits, Principal, RequestId};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;
use http_body_util::{BodyExt, Full};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value as Json;

/// The model, as if a field of Album had been removed once.
pub fn model() -> Model {
    let lock = Lock::parse("entity Artist 1 plural=artists\nentity Album 2 plural=albums\nreserved Album.old 40\n").unwrap();
    fourfold_model::load(include_str!("shop.fourfold"), &lock).unwrap().model
}

pub struct Shop {
    pub grpc: Grpc,
    pub engine: Arc<Engine>,
    pub pool: DescriptorPool,
}

/// What a call came to: the message, or the status with the reason of its `ErrorInfo`.
pub type Answer = Result<Json, (u32, String, String)>;

pub async fn shop() -> Shop {
    shop_of(model(), Limits::default()).await
}

pub async fn shop_of(model: Model, limits: Limits) -> Shop {
    let model = Arc::new(model);
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let pool = DescriptorPool::decode(fourfold_grpc::descriptor_set(&model).as_slice()).unwrap();
    let engine = Engine::new(Arc::new(store), model, 1, limits);
    Shop { grpc: Grpc::new(engine.clone()), engine, pool }
}

pub fn context() -> Context {
    let principal = Principal { issuer: "test".into(), subject: "ada".into(), claims: Claims::default() };
    Context { principal: Arc::new(principal), deadline: Deadline::default(), idempotency: None, request: RequestId("r1".into()) }
}

pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub fn envelope(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend((message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out
}

impl Shop {
    pub fn method(&self, path: &str) -> MethodDescriptor {
        let (service, method) = path.split_once('/').unwrap();
        let service = self.pool.get_service_by_name(&format!("shop.v1.{service}")).unwrap();
        service.methods().find(|one| one.name() == method).unwrap()
    }

    /// Calls by gRPC; the messages are made and read by another implementation from the contract.
    pub async fn grpc(&self, path: &str, request: Json) -> Answer {
        let method = self.method(path);
        let message = dynamic(method.input(), request).encode_to_vec();
        let (status, mut messages) = self.raw(path, envelope(&message)).await;
        status?;
        Ok(json(&decode(method.output(), &messages.remove(0))))
    }

    /// Streams by gRPC.
    pub async fn stream(&self, path: &str, requests: Vec<Json>) -> (Result<(), (u32, String, String)>, Vec<Json>) {
        let method = self.method(path);
        let sent = requests.into_iter().flat_map(|request| envelope(&dynamic(method.input(), request).encode_to_vec()));
        let (status, messages) = self.raw(path, sent.collect()).await;
        (status, messages.iter().map(|message| json(&decode(method.output(), message))).collect())
    }

    pub async fn raw(&self, path: &str, sent: Vec<u8>) -> (Result<(), (u32, String, String)>, Vec<Vec<u8>>) {
        let name = if path.starts_with("grpc.") { format!("/{path}") } else { format!("/shop.v1.{path}") };
        let request =
            http::Request::post(name).header("content-type", "application/grpc").header("te", "trailers").body(body(sent)).unwrap();
        let response = self.grpc.serve(context(), request).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or(headers);
        let status = status_of(&trailers);
        (status, messages(&collected.to_bytes()))
    }

    /// Calls by Connect with JSON.
    pub async fn connect(&self, path: &str, request: Json) -> (u16, Json) {
        let head = http::Request::post(format!("/shop.v1.{path}")).header("content-type", "application/json");
        self.http(head.body(body(request.to_string())).unwrap()).await
    }

    pub async fn http(&self, request: http::Request<Body>) -> (u16, Json) {
        let response = self.grpc.serve(context(), request).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Json::Null))
    }
}

fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        messages.push(rest[..length].to_vec());
        bytes = &rest[length..];
    }
    messages
}

fn status_of(trailers: &http::HeaderMap) -> Result<(), (u32, String, String)> {
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let code: u32 = text("grpc-status").parse().unwrap();
    if code == 0 {
        return Ok(());
    }
    let status = google_status(&text("grpc-status-details-bin"));
    let reason = status.info().unwrap_or_default().reason;
    let fields = status.details.iter().filter(|any| any.type_url.ends_with("google.rpc.BadRequest"));
    let fields: Vec<String> =
        fields.flat_map(|any| BadRequest::decode(any.value.as_slice()).unwrap().violations).map(|violation| violation.field).collect();
    Err((code, reason, fields.join(",")))
}

pub fn unpadded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')).unwrap()
}

/// What `grpc-status-details-bin` holds.
pub fn google_status(text: &str) -> GoogleStatus {
    GoogleStatus::decode(unpadded(text).as_slice()).unwrap()
}

impl GoogleStatus {
    pub fn info(&self) -> Option<ErrorInfo> {
        let info = self.details.iter().find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"))?;
        Some(ErrorInfo::decode(info.value.as_slice()).unwrap())
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GoogleStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(map = "string, string", tag = "3")]
    pub metadata: std::collections::HashMap<String, String>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    field: String,
}

pub fn dynamic(descriptor: MessageDescriptor, json: Json) -> DynamicMessage {
    DynamicMessage::deserialize_with_options(descriptor, json, &DeserializeOptions::new()).unwrap()
}

pub fn decode(descriptor: MessageDescriptor, bytes: &[u8]) -> DynamicMessage {
    let message = DynamicMessage::decode(descriptor, bytes).unwrap();
    assert_eq!(message.unknown_fields().count(), 0, "a number that the contract does not have");
    message
}

pub fn json(message: &DynamicMessage) -> Json {
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).unwrap()
}
