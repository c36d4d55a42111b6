//! The GraphQL WebSocket through the whole server: the upgrade, who may, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod small;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use small::{Asked, started};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const PROTOCOL: &str = "Sec-WebSocket-Protocol: foo, graphql-transport-ws\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Asks for an upgrade with these header lines; the head of the answer, and the connection.
async fn upgrade(asked: &Asked, lines: &[&str]) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(asked.address).await.unwrap();
    let head = format!("GET /graphql HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", asked.address);
    stream.write_all(format!("{head}{}\r\n", lines.concat()).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(timeout(Duration::from_secs(10), stream.read_u8()).await.expect("no answer").unwrap());
    }
    (String::from_utf8(answer).unwrap().to_ascii_lowercase(), stream)
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(asked: &Asked, lines: &[&str]) -> Client {
        let (head, stream) = upgrade(asked, &[&[VERSION, KEY], lines].concat()).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
        let offered = lines.iter().any(|line| line.contains("graphql-transport-ws"));
        assert_eq!(head.contains("\r\nsec-websocket-protocol: graphql-transport-ws\r\n"), offered, "{head}");
        Client(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }

    async fn say(&mut self, message: Json) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Message {
        timeout(Duration::from_secs(10), self.0.next()).await.expect("nothing is told").expect("no close frame").unwrap()
    }

    async fn json(&mut self) -> Json {
        serde_json::from_str(self.hear().await.to_text().unwrap()).unwrap()
    }

    async fn closed(&mut self) -> u16 {
        match self.hear().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_good_upgrade_is_refused_by_a_status() {
    let asked = started(false).await;
    for (lines, status) in [
        (vec![PROTOCOL, KEY], "426"),
        (vec![PROTOCOL, KEY, "Sec-WebSocket-Version: 8\r\n"], "426"),
        (vec![PROTOCOL, VERSION], "400"),
        (vec![PROTOCOL, VERSION, "Sec-WebSocket-Key: dG9vIHNob3J0\r\n"], "400"),
        (vec![PROTOCOL, VERSION, KEY, "Origin: https://evil.example\r\n"], "403"),
        (vec![PROTOCOL, VERSION, KEY, "Authorization: Basic x\r\n"], "401"),
        (vec![PROTOCOL, VERSION, KEY, "Origin: https://app.example\r\n"], "101"),
    ] {
        let (head, _stream) = upgrade(&asked, &lines).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{lines:?}: {head}");
    }
    asked.running.drain().await;
}

#[tokio::test]
async fn who_may_write_is_told_by_the_token_wherever_it_stands() {
    let asked = started(false).await;
    let token = asked.token(json!({"roles": ["admin"]}));
    let header = format!("Authorization: Bearer {token}\r\n");
    for (lines, payload, may) in [
        (vec![PROTOCOL], json!({"authorization": format!("Bearer {token}")}), true),
        (vec![PROTOCOL], json!({ "token": token }), true),
        (vec![PROTOCOL, header.as_str()], Json::Null, true),
        (vec![PROTOCOL], Json::Null, false),
    ] {
        let mut client = Client::open(&asked, &lines).await;
        client.say(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(client.json().await["type"], "connection_ack");
        let query = "mutation { createProduct(input: { title: \"a\" }) { product { title } } }";
        client.say(json!({"id": "1", "type": "subscribe", "payload": {"query": query}})).await;
        let told = client.json().await;
        let code = &told["payload"]["errors"][0]["extensions"]["code"];
        assert_eq!(*code, if may { Json::Null } else { json!("PERMISSION_DENIED") }, "{told}");
        assert_eq!(client.json().await["type"], "complete");
    }
    let mut client = Client::open(&asked, &[PROTOCOL, "Authorization: Bearer bad\r\n"]).await;
    client.say(json!({"type": "connection_init"})).await;
    assert_eq!(client.closed().await, 4403);
    asked.running.drain().await;
}

#[tokio::test]
async fn closes_come_with_their_codes_through_the_listener() {
    let asked = started(false).await;
    for protocol in ["", "Sec-WebSocket-Protocol: graphql-ws\r\n"] {
        assert_eq!(Client::open(&asked, &[protocol]).await.closed().await, 4406);
    }
    let mut client = Client::open(&asked, &[PROTOCOL]).await;
    client.say(json!({"id": "1", "type": "subscribe", "payload": {"query": "{ product(id: 1) { title } }"}})).await;
    assert_eq!(client.closed().await, 4401);
    let mut client = Client::open(&asked, &[PROTOCOL]).await;
    client.say(json!({"type": "ping", "payload": {"x": "y".repeat(512 << 10)}})).await;
    assert_eq!(client.closed().await, 1009);
    asked.running.drain().await;
}

#[tokio::test]
async fn a_server_that_drains_closes_with_1012_and_is_done_then() {
    let asked = started(false).await;
    let (mut watching, mut idle) = (Client::open(&asked, &[PROTOCOL]).await, Client::open(&asked, &[PROTOCOL]).await);
    watching.say(json!({"type": "connection_init"})).await;
    assert_eq!(watching.json().await["type"], "connection_ack");
    watching.say(json!({"id": "1", "type": "subscribe", "payload": {"query": "subscription { productChanges { change } }"}})).await;
    assert_eq!(watching.json().await["payload"]["data"]["productChanges"]["change"], "BOOKMARK");
    let codes = async { (watching.closed().await, idle.closed().await, watching.0.next().await.is_none(), idle.0.next().await.is_none()) };
    let drained = timeout(Duration::from_secs(5), asked.running.drain());
    let (drained, codes) = futures_util::future::join(drained, codes).await;
    assert_eq!(codes, (1012, 1012, true, true));
    drained.expect("a closed socket keeps the server");
}
