//! A stream under way, message by message, in each of the protocols.

use std::collections::HashMap;
use std::time::Duration;

use fourfold_grpc::Body;
use fourfold_op::{Authenticated, Context};
use http_body_util::BodyExt;
use prost::Message as _;
use prost_reflect::MessageDescriptor;
use serde_json::Value as Json;

use crate::shop::{self, ErrorInfo, Shop};

/// The types of a stream's body: gRPC, gRPC-Web, and Connect in both of its forms.
pub const GRPC: &str = "application/grpc";
pub const GRPC_WEB: &str = "application/grpc-web+proto";
pub const CONNECT: &str = "application/connect+json";
pub const CONNECT_PROTO: &str = "application/connect+proto";
pub const PROTOCOLS: [&str; 4] = [GRPC, GRPC_WEB, CONNECT, CONNECT_PROTO];

pub struct Stream {
    body: Body,
    kind: &'static str,
    output: MessageDescriptor,
    waiting: Vec<u8>,
    trailers: Option<http::HeaderMap>,
}

/// How a stream ended.
#[derive(Debug, Default, PartialEq)]
pub struct Ended {
    pub code: u32,
    pub reason: String,
    pub cursor: Option<String>,
}

/// How a call is made, beside what it asks.
#[derive(Default)]
pub struct How {
    pub headers: &'static [(&'static str, &'static str)],
    pub expires_at: Option<i64>,
}

impl Shop {
    /// Begins a call of one message that is answered by a stream.
    pub async fn begin(&self, caller: Context, path: &str, request: Json, kind: &'static str, how: How) -> Stream {
        let method = self.method(path);
        let message = match kind {
            CONNECT => request.to_string().into_bytes(),
            _ => shop::dynamic(method.input(), request).encode_to_vec(),
        };
        let mut head = http::Request::post(format!("/shop.v1.{path}")).header("content-type", kind).header("te", "trailers");
        for (name, value) in how.headers {
            head = head.header(*name, *value);
        }
        let who = Authenticated { principal: caller.principal.clone(), expires_at: how.expires_at };
        let request = head.extension(who).body(shop::body(shop::envelope(&message))).unwrap();
        let response = self.grpc.serve(caller, request).await;
        assert_eq!(response.status(), 200);
        let (head, body) = response.into_parts();
        // Where there is no message, the trailers are in the head.
        let trailers = head.headers.contains_key("grpc-status").then_some(head.headers);
        Stream { body, kind, output: method.output(), waiting: Vec::new(), trailers }
    }
}

impl Stream {
    /// The next envelope: its flags and what it holds; none at the end.
    pub async fn envelope(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((head, rest)) = self.waiting.split_first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if rest.len() >= length {
                    let told = (head[0], rest[..length].to_vec());
                    self.waiting.drain(..5 + length);
                    return Some(told);
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.expect("nothing is told");
            match frame?.unwrap().into_data() {
                Ok(data) => self.waiting.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// The next message, as ProtoJSON.
    pub async fn next(&mut self) -> Json {
        let (flags, message) = self.envelope().await.expect("the stream has ended");
        assert_eq!(flags, 0, "{}", String::from_utf8_lossy(&message));
        match self.kind {
            CONNECT => serde_json::from_slice(&message).unwrap(),
            _ => shop::json(&shop::decode(self.output.clone(), &message)),
        }
    }

    /// How it ends, which is the next that it says, and the last.
    pub async fn ended(mut self) -> Ended {
        let last = self.envelope().await;
        let ended = match (self.kind, last) {
            (GRPC, None) => of_trailers(&texts(&self.trailers.take().expect("trailers"))),
            (GRPC_WEB, Some((0x80, text))) => of_trailers(&lines(&text)),
            (GRPC_WEB, None) => of_trailers(&texts(&self.trailers.take().expect("trailers"))),
            (CONNECT | CONNECT_PROTO, Some((2, text))) => of_connect(&serde_json::from_slice(&text).unwrap()),
            (kind, last) => panic!("{kind} goes on with {last:?}"),
        };
        assert_eq!(self.envelope().await, None);
        ended
    }
}

fn texts(headers: &http::HeaderMap) -> HashMap<String, String> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn lines(text: &[u8]) -> HashMap<String, String> {
    let lines = std::str::from_utf8(text).unwrap().split("\r\n").filter(|line| !line.is_empty());
    lines.map(|line| line.split_once(':').unwrap()).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn of_trailers(trailers: &HashMap<String, String>) -> Ended {
    let info = trailers.get("grpc-status-details-bin").and_then(|details| shop::google_status(details).info());
    of_info(trailers["grpc-status"].parse().unwrap(), info)
}

fn of_connect(end: &Json) -> Ended {
    let codes = [("deadline_exceeded", 4), ("out_of_range", 11), ("unavailable", 14), ("unauthenticated", 16)];
    let error = &end["error"];
    let code = codes.iter().find(|(name, _)| error["code"] == *name).unwrap_or_else(|| panic!("{end}")).1;
    let details = error["details"].as_array().into_iter().flatten();
    let info = details.filter(|detail| detail["type"] == "google.rpc.ErrorInfo").map(|detail| detail["value"].as_str().unwrap());
    of_info(code, info.map(|value| ErrorInfo::decode(shop::unpadded(value).as_slice()).unwrap()).next())
}

fn of_info(code: u32, info: Option<ErrorInfo>) -> Ended {
    let info = info.unwrap_or_default();
    Ended { code, reason: info.reason, cursor: info.metadata.get("cursor").cloned() }
}
