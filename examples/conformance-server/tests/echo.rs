//! The echoes, and what else is asked of every server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fourfold_conformance_server::Conformance;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

async fn served() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::new(Conformance::default()).edge().accept(listener, std::future::pending()));
    address
}

/// What is answered to a request, as text.
async fn answer(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.expect("no answer").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn bodies_come_back_and_all_else_is_said_not_to_be_here() {
    let address = served().await;
    let close = "host: a\r\nconnection: close\r\n";
    for (request, status, end) in [
        (format!("GET / HTTP/1.1\r\n{close}\r\n"), "200", "fourfold-conformance-server\n"),
        (format!("POST /echo HTTP/1.1\r\n{close}content-type: a/b\r\ncontent-length: 5\r\n\r\nhello"), "200", "hello"),
        (format!("GET /nothing HTTP/1.1\r\n{close}\r\n"), "404", "}"),
        (format!("GET /echo HTTP/1.1\r\n{close}\r\n"), "426", "}"),
        (format!("POST /echo HTTP/1.1\r\n{close}content-length: 2000000\r\n\r\n{}", "a".repeat(1 << 20) + "b"), "413", "}"),
    ] {
        let answer = answer(address, &request).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(end), "{first}: {answer}");
    }
}

#[tokio::test]
async fn messages_come_back_and_a_close_is_answered() {
    let stream = TcpStream::connect(served().await).await.unwrap();
    let (mut socket, _) = client_async("ws://localhost/echo", stream).await.unwrap();
    for message in [Message::text("ä".repeat(40_000)), Message::binary(vec![0, 255]), Message::text("")] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), socket.next()).await.expect("the close is not answered");
    assert!(matches!(end, Some(Ok(Message::Close(_)))), "{end:?}");
}
