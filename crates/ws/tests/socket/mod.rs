//! A face over the reference store, and clients of it in both forms of the protocol.

#![allow(dead_code)]

mod wire;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::Engine;
use fourfold_model::{Lock, SharedModel, Value};
use fourfold_op::{Authenticate, Authenticated, Claims, Error, ErrorCode, Limits, Principal};
use fourfold_store::conformance::{fixture, world};
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Store};
use fourfold_ws::{Body, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Bytes that a connection holds between its two ends.
const PIPE_BYTES: usize = 1 << 20;

/// In which form a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Protobuf,
}

/// Every behaviour is the same in both.
pub const FORMS: [Form; 2] = [Form::Json, Form::Protobuf];

/// Tokens are `NAME/ROLES/SECONDS`: roles with commas between, and the seconds that it is still good, which may be missing.
/// `bad` is none, `old` has ended.
pub struct Tokens;

impl Authenticate for Tokens {
    fn authenticate(&self, token: Option<&str>) -> Result<Authenticated, Error> {
        let of = |issuer: &str, subject: &str, roles: &[&str]| {
            let name = if subject.is_empty() { Value::Null } else { Value::text(subject) };
            let claims = Claims(vec![Value::Null, fixture::texts(roles), name].into());
            Arc::new(Principal { issuer: issuer.into(), subject: subject.into(), claims })
        };
        match token {
            None => Ok(Authenticated { principal: of("", "", &[]), expires_at: None }),
            Some("bad") => Err(Error::new(ErrorCode::Unauthenticated, "the token is not valid")),
            Some("old") => Err(Error::new(ErrorCode::TokenExpired, "the token has expired")),
            Some(token) => {
                let mut parts = token.split('/');
                let name = parts.next().unwrap();
                let roles: Vec<&str> = parts.next().unwrap_or_default().split(',').filter(|role| !role.is_empty()).collect();
                let expires_at = parts.next().map(|seconds| now() + seconds.parse::<i64>().unwrap());
                Ok(Authenticated { principal: of("test", name, &roles), expires_at })
            }
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub fn talk() -> SharedModel {
    Arc::new(fourfold_model::load(include_str!("talk.fourfold"), &Lock::default()).unwrap().model)
}

/// A face, and its engine.
#[derive(Clone)]
pub struct Face {
    pub websocket: Arc<WebSocket>,
    pub engine: Arc<Engine>,
    pub pipe_bytes: usize,
}

impl Face {
    pub async fn of(model: SharedModel, limits: Limits) -> Face {
        let store = MemoryStore::new();
        let migration = store.migration(&model).await.unwrap();
        store.migrate(&model, migration).await.unwrap();
        Face::over(Arc::new(store), model, limits)
    }

    pub fn over(store: Arc<dyn Store>, model: SharedModel, limits: Limits) -> Face {
        let engine = Engine::new(store, model, 1, limits);
        Face { websocket: Arc::new(WebSocket::new(engine.clone(), Arc::new(Tokens))), engine, pipe_bytes: PIPE_BYTES }
    }

    /// With the model `talk`.
    pub async fn talk() -> Face {
        Face::of(talk(), Limits::default()).await
    }

    pub async fn limited(limits: Limits) -> Face {
        Face::of(talk(), limits).await
    }

    /// A client that has not connected yet.
    pub async fn open(&self, form: Form) -> Client {
        let query = if form == Form::Protobuf { "?cf_protocol=protobuf" } else { "" };
        let request = format!("ws://localhost/connection/websocket{query}").into_client_request().unwrap();
        self.open_by(request, form).await
    }

    /// One that asks for Protobuf by the name of the subprotocol.
    pub async fn open_by_subprotocol(&self) -> Client {
        let mut request = "ws://localhost/connection/websocket".into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "centrifuge-protobuf".parse().unwrap());
        self.open_by(request, Form::Protobuf).await
    }

    async fn open_by(&self, request: http::Request<()>, form: Form) -> Client {
        let (ours, theirs) = tokio::io::duplex(self.pipe_bytes);
        let face = self.websocket.clone();
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let face = face.clone();
            let request = request.map(|body| -> Body { body.map_err(Into::into).boxed_unsync() });
            async move { Ok::<_, std::convert::Infallible>(face.serve(world::anonymous(), request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
        tokio::spawn(connection.with_upgrades());
        let (socket, _) = client_async(request, ours).await.unwrap();
        Client { socket, form, replies: VecDeque::new() }
    }

    /// A client whose token this is.
    pub async fn connected(&self, form: Form, token: &str) -> Client {
        let mut client = self.open(form).await;
        let reply = client.ask(json!({"id": 1, "connect": {"token": token}})).await;
        assert_eq!((&reply["connect"]["ping"], &reply["connect"]["pong"]), (&json!(25), &json!(true)), "{reply}");
        client
    }

    /// A client that may do everything, and writes.
    pub async fn writer(&self) -> Client {
        self.connected(Form::Json, "writer/admin").await
    }
}

/// A client. What it says and hears are JSON, whatever its form.
pub struct Client {
    socket: WebSocketStream<DuplexStream>,
    form: Form,
    replies: VecDeque<Json>,
}

impl Client {
    /// Sends commands in one message.
    pub async fn send(&mut self, commands: &[Json]) {
        let message = match self.form {
            Form::Json => Message::text(commands.iter().map(Json::to_string).collect::<Vec<_>>().join("\n")),
            Form::Protobuf => {
                let mut out = Vec::new();
                for command in commands {
                    let bytes = wire::encode("Command", command);
                    wire::varint(&mut out, bytes.len() as u64);
                    out.extend_from_slice(&bytes);
                }
                Message::binary(out)
            }
        };
        self.send_message(message).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// What comes after a command.
    pub async fn ask(&mut self, command: Json) -> Json {
        self.send(&[command]).await;
        self.next().await
    }

    /// The next reply or push; the end of the connection is `{"close": [CODE, REASON]}`.
    pub async fn next(&mut self) -> Json {
        while self.replies.is_empty() {
            let message = tokio::time::timeout(Duration::from_secs(60), self.socket.next()).await.expect("nothing is said");
            match (message, self.form) {
                (Some(Ok(Message::Text(text))), Form::Json) => {
                    let replies = text.lines().map(|line| wire::plain("Reply", serde_json::from_str(line).expect(line)));
                    self.replies.extend(replies);
                }
                (Some(Ok(Message::Binary(bytes))), Form::Protobuf) => {
                    let mut bytes = &bytes[..];
                    while !bytes.is_empty() {
                        self.replies.push_back(wire::decode("Reply", wire::take(&mut bytes)));
                    }
                }
                (Some(Ok(Message::Close(Some(frame)))), _) => return json!({"close": [u16::from(frame.code), frame.reason.as_str()]}),
                (other, form) => panic!("{form:?}: {other:?}"),
            }
        }
        self.replies.pop_front().unwrap()
    }

    /// Calls, and the answer's data.
    pub async fn rpc(&mut self, method: &str, data: Json) -> Json {
        let reply = self.ask(json!({"id": 7, "rpc": {"method": method, "data": data}})).await;
        assert!(reply["error"].is_null(), "{method}: {reply}");
        reply["rpc"]["data"].clone()
    }

    /// Replies that came and were not taken yet.
    pub fn waiting(&self) -> usize {
        self.replies.len()
    }

    /// Puts a row with a title.
    pub async fn put(&mut self, plural: &str, id: u32, title: &str) {
        self.rpc(&format!("{plural}.upsert"), json!({"id": id, "data": {"title": title}})).await;
    }

    /// Subscribes, and the result.
    pub async fn subscribe(&mut self, channel: &str, more: Json) -> Json {
        let reply = self.ask(subscribe(channel, more)).await;
        assert!(reply["error"].is_null(), "{channel}: {reply}");
        assert_eq!((&reply["id"], &reply["subscribe"]["recoverable"]), (&json!(3), &json!(true)), "{channel}: {reply}");
        reply["subscribe"].clone()
    }

    /// The next push, in short: `entered Ada@1`, `left 2`, `bookmark`, `unsubscribe 2600`, `close 3001`.
    pub async fn told(&mut self) -> String {
        let said = self.next().await;
        if let Some(close) = said["close"].as_array() {
            return format!("close {}", close[0]);
        }
        let push = &said["push"];
        match push["unsubscribe"]["code"].as_u64() {
            Some(code) => format!("unsubscribe {code}"),
            None => short(&push["pub"]["data"]),
        }
    }
}

/// A call in Protobuf with any data.
pub fn call(method: &str, data: &[u8]) -> Vec<u8> {
    let (mut request, mut command, mut out) = (Vec::new(), vec![1 << 3, 7], Vec::new());
    wire::put(&mut request, 1, data);
    wire::put(&mut request, 2, method.as_bytes());
    wire::put(&mut command, 13, &request);
    wire::varint(&mut out, command.len() as u64);
    out.extend_from_slice(&command);
    out
}

/// A subscribe command with more members.
pub fn subscribe(channel: &str, more: Json) -> Json {
    let mut request = json!({"channel": channel});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"id": 3, "subscribe": request})
}

/// A change in short.
pub fn short(change: &Json) -> String {
    match change["change"].as_str() {
        Some("left") => format!("left {}", change["key"]),
        Some("bookmark") => "bookmark".to_owned(),
        Some(name) => format!("{name} {}@{}", change["item"]["title"].as_str().unwrap_or("-"), change["revision"]),
        None => panic!("{change}"),
    }
}
