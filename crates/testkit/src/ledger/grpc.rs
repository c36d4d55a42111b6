//! Watches over gRPC.

use fourfold_store::Later;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use super::http::http2;
use super::{Asked, From, Kind, Opened, Reader, Stop, Told, told};
use crate::framed::framed;

struct Grpc {
    body: Incoming,
    waiting: Vec<u8>,
    output: MessageDescriptor,
    entity: String,
}

pub(crate) async fn open(io: DuplexStream, asked: &Asked, from: &From, pool: &DescriptorPool) -> Opened {
    let service = pool.get_service_by_name(&format!("ledger.v1.{}Service", asked.entity)).expect("a service");
    let method = service.methods().find(|method| method.name().starts_with("Watch")).expect("a method");
    let mut body = json!({ "read_mask": asked.fields().join(",").replace("room_id", "roomId") });
    match from {
        From::Rows => body["initial"] = true.into(),
        From::After(cursor) => body["after"] = cursor.as_str().into(),
    }
    if let Some(text) = asked.text() {
        body["filter"] = text.into();
    }
    let message = DynamicMessage::deserialize(method.input(), body).expect("a message");
    let request = Request::post(format!("http://localhost/{}/{}", service.full_name(), method.name()));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    let request = request.header("authorization", format!("Bearer {}", asked.caller.token));
    let response = http2(io, request.body(Full::new(framed(&message.encode_to_vec()))).expect("a request")).await?;
    if response.headers().contains_key("grpc-status") {
        return Err(ended(response.headers()));
    }
    let (body, waiting) = (response.into_body(), Vec::new());
    Ok(Box::new(Grpc { body, waiting, output: method.output(), entity: asked.entity.to_lowercase() }))
}

impl Reader for Grpc {
    fn next(&mut self) -> Later<'_, Result<Told, Stop>> {
        Box::pin(async {
            let message = self.message().await?;
            self.read(&message)
        })
    }
}

impl Grpc {
    async fn message(&mut self) -> Result<Vec<u8>, Stop> {
        loop {
            if let Some((head, rest)) = self.waiting.split_first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if rest.len() >= length {
                    return Ok(self.waiting.drain(..5 + length).skip(5).collect());
                }
            }
            let frame = self.body.frame().await.ok_or_else(|| Stop::broken("the end"))?.map_err(Stop::broken)?;
            match frame.into_data() {
                Ok(data) => self.waiting.extend_from_slice(&data),
                Err(frame) => return Err(ended(frame.trailers_ref().unwrap_or(&HeaderMap::new()))),
            }
        }
    }

    fn read(&self, message: &[u8]) -> Result<Told, Stop> {
        let message = DynamicMessage::decode(self.output.clone(), message).map_err(|error| Stop::Fault(error.to_string()))?;
        let mut body = to_json(&message);
        let cursor = body["cursor"].as_str().map(str::to_owned);
        match (body["change"].as_str().unwrap_or_default(), cursor) {
            ("CHANGE_RESET", _) => Ok(Told::Reset),
            ("CHANGE_BOOKMARK", Some(cursor)) => Ok(Told::At(cursor)),
            (name, cursor) => {
                let kind = Kind::parse(name).ok_or_else(|| Stop::Fault(body.to_string()))?;
                body["key"] = body["id"].take();
                body["item"] = body[self.entity.as_str()].take();
                told(kind, &body, cursor.as_deref())
            }
        }
    }
}

/// By the names of the model.
pub(crate) fn to_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).expect("JSON")
}

fn ended(trailers: &HeaderMap) -> Stop {
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "11" => Stop::Reset,
        "4" => Stop::Again("deadline exceeded".to_owned()),
        "14" => Stop::Again(format!("unavailable: {}", text("grpc-message"))),
        status => Stop::Fault(format!("status {status}: {}", text("grpc-message"))),
    }
}
