//! A client of WebSocket: the Centrifugo protocol in JSON, one connection a question.

use std::net::SocketAddr;

use fourfold_store::Later;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json as object};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Answer, Ask, Client, Refusal, no_answer};

/// A client of WebSocket.
pub struct WebSocket {
    address: SocketAddr,
}

impl WebSocket {
    /// For a server.
    pub fn new(address: SocketAddr) -> WebSocket {
        WebSocket { address }
    }

    async fn call(&self, ask: &Ask<'_>) -> Answer {
        let stream = TcpStream::connect(self.address).await.map_err(|error| no_answer(&error))?;
        let uri = format!("ws://{}/connection/websocket", self.address);
        let (mut socket, _) = tokio_tungstenite::client_async(uri, stream).await.map_err(|error| no_answer(&error))?;
        let connect = match &ask.token {
            Some(token) => object!({ "id": 1, "connect": { "token": token } }),
            None => object!({ "id": 1, "connect": {} }),
        };
        reply(&mut socket, 1, &connect).await?;
        let method = match ask.verb.as_str() {
            "batch" => "batch".to_owned(),
            verb => format!("{}.{verb}", ask.of().plural),
        };
        let rpc = object!({ "id": 2, "rpc": { "method": method, "data": data(ask) } });
        let answer = reply(&mut socket, 2, &rpc).await?;
        Ok(answer["rpc"]["data"].clone())
    }
}

/// The members of `data`.
fn data(ask: &Ask<'_>) -> Value {
    let mut data = Map::new();
    match ask.verb.as_str() {
        "list" | "aggregate" => data.extend(ask.parameters().into_iter().map(|(name, value)| (name, Value::String(value)))),
        "batch" => {
            data.insert("operations".into(), ask.body["batch"].clone());
        }
        "create" => {
            let mut row = ask.data();
            row.extend(ask.body.get("key").map(|key| ("id".to_owned(), key.clone())));
            data.insert("data".into(), Value::Object(row));
        }
        verb => {
            data.insert("id".into(), ask.body["key"].clone());
            if matches!(verb, "update" | "upsert") {
                data.insert("data".into(), Value::Object(ask.data()));
            }
        }
    }
    data.extend(ask.body.get("if_revision").map(|revision| ("if_revision".to_owned(), revision.clone())));
    data.extend(ask.key.as_ref().map(|key| ("request_id".to_owned(), Value::String(key.clone()))));
    Value::Object(data)
}

/// Sends a command, and waits for the reply with its id.
async fn reply(socket: &mut WebSocketStream<TcpStream>, id: u64, command: &Value) -> Answer {
    socket.send(Message::text(command.to_string())).await.map_err(|error| no_answer(&error))?;
    loop {
        let message = socket.next().await.ok_or_else(|| no_answer(&"the end"))?.map_err(|error| no_answer(&error))?;
        let text = match message {
            Message::Text(text) => text,
            Message::Close(frame) => return Err(closed(frame.map(|frame| (u16::from(frame.code), frame.reason.to_string())))),
            _ => continue,
        };
        let found = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|reply| reply["id"] == id);
        let Some(reply) = found else { continue };
        let Some(error) = reply.get("error") else { return Ok(reply) };
        let message = error["message"].as_str().unwrap_or_default();
        let code = message.split(':').next().unwrap_or_default();
        return Err(Refusal { code: code.to_owned(), pointers: Vec::new(), text: error.to_string() });
    }
}

fn closed(frame: Option<(u16, String)>) -> Refusal {
    Refusal { code: frame.as_ref().map_or(0, |(code, _)| *code).to_string(), pointers: Vec::new(), text: format!("{frame:?}") }
}

impl Client for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }
    fn ask<'a>(&'a self, ask: &'a Ask<'a>) -> Later<'a, Answer> {
        Box::pin(self.call(ask))
    }
}
