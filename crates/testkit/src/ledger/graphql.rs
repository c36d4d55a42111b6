//! Watches over GraphQL: graphql-sse and `graphql-transport-ws`.

use fourfold_store::Later;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::http::{Events, http1};
use super::{Asked, From, Kind, Opened, Reader, Stop, Told, told};
use crate::client::{camel, renamed, snake};

/// Closed with this who has not said `connection_init` in time: its line was not read for a while within the handshake.
const LATE: u16 = 4408;

struct Sse(Events);

struct Socket(WebSocketStream<DuplexStream>);

pub(crate) async fn open_sse(io: DuplexStream, asked: &Asked, from: &From) -> Opened {
    let request = Request::post("/graphql").header("host", "localhost").header("accept", "text/event-stream");
    let request = request.header("content-type", "application/json").header("authorization", format!("Bearer {}", asked.caller.token));
    let request = request.body(Full::from(operation(asked, from).to_string())).expect("a request");
    Ok(Box::new(Sse(Events::of(http1(io, request).await?).await?)))
}

pub(crate) async fn open_socket(io: DuplexStream, asked: &Asked, from: &From) -> Opened {
    let mut request = "ws://localhost/graphql".into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    let (mut socket, _) = tokio_tungstenite::client_async(request, io).await.map_err(Stop::broken)?;
    for message in [
        json!({ "type": "connection_init", "payload": { "token": asked.caller.token } }),
        json!({ "id": "1", "type": "subscribe", "payload": operation(asked, from) }),
    ] {
        socket.send(Message::text(message.to_string())).await.map_err(Stop::broken)?;
        if message["type"] == "connection_init" {
            let ack = hear(&mut socket).await?;
            if ack["type"] != "connection_ack" {
                return Err(Stop::Fault(ack.to_string()));
            }
        }
    }
    Ok(Box::new(Socket(socket)))
}

fn operation(asked: &Asked, from: &From) -> Value {
    let (entity, fields) = (asked.entity, asked.fields().iter().map(|field| camel(field)).collect::<Vec<_>>().join(" "));
    let field = format!("{}Changes", entity.to_lowercase());
    let query = format!(
        "subscription($w: {entity}Where, $a: String, $i: Boolean) {{
            {field}(where: $w, after: $a, initial: $i) {{ cursor change key revision item {{ {fields} }} }} }}"
    );
    let mut variables = match from {
        From::Rows => json!({ "i": true }),
        From::After(cursor) => json!({ "a": cursor }),
    };
    variables["w"] = asked.condition();
    json!({ "query": query, "variables": variables })
}

impl Reader for Sse {
    fn next(&mut self) -> Later<'_, Result<Told, Stop>> {
        Box::pin(async {
            let event = self.0.next().await?;
            match event.name.as_str() {
                "next" => read(&serde_json::from_str(&event.data).map_err(|error| Stop::Fault(error.to_string()))?),
                "complete" => Err(Stop::Again("complete".to_owned())),
                _ => Err(Stop::Fault(format!("{event:?}"))),
            }
        })
    }
}

impl Reader for Socket {
    fn next(&mut self) -> Later<'_, Result<Told, Stop>> {
        Box::pin(async {
            let message = hear(&mut self.0).await?;
            match message["type"].as_str() {
                Some("next") => read(&message["payload"]),
                Some("error") => Err(refused(&message["payload"])),
                Some("complete") => Err(Stop::Again("complete".to_owned())),
                _ => Err(Stop::Fault(message.to_string())),
            }
        })
    }
}

async fn hear(socket: &mut WebSocketStream<DuplexStream>) -> Result<Value, Stop> {
    loop {
        match socket.next().await.ok_or_else(|| Stop::broken("the end"))?.map_err(Stop::broken)? {
            Message::Text(text) => return serde_json::from_str(&text).map_err(|error| Stop::Fault(error.to_string())),
            Message::Close(Some(frame)) if [1012, 1013, LATE].contains(&u16::from(frame.code)) => {
                return Err(Stop::Again(format!("closed {}", frame.code)));
            }
            Message::Close(frame) => return Err(Stop::Fault(format!("closed: {frame:?}"))),
            _ => {}
        }
    }
}

/// A result.
fn read(result: &Value) -> Result<Told, Stop> {
    if !result["errors"].is_null() {
        return Err(refused(&result["errors"]));
    }
    let change = result["data"].as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
    let body = renamed(&change, snake);
    match (change["change"].as_str(), change["cursor"].as_str()) {
        (Some("BOOKMARK"), Some(cursor)) => Ok(Told::At(cursor.to_owned())),
        (Some("RESET"), _) => Ok(Told::Reset),
        (Some(name), cursor) if Kind::parse(name).is_some() => told(Kind::parse(name).expect("a change"), &body, cursor),
        _ => Err(Stop::Fault(result.to_string())),
    }
}

fn refused(errors: &Value) -> Stop {
    Stop::coded(errors[0]["extensions"]["code"].as_str().unwrap_or_default(), errors)
}
