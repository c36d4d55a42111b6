//! The binary ends when it is asked to: what is in flight is answered, clients of channels are sent away, and its exit code is 0.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

const WITHIN: Duration = Duration::from_secs(30);

/// The binary on a free port, killed with its test.
struct Server(Child, String);

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fourfold-conformance-server"));
        let mut child = command.args(arguments).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("serving on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
        Server(child, address)
    }

    fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.1).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        stream
    }

    /// As an init system asks a process to end.
    fn terminate(&self) {
        // The shell's own `kill`, so that no signal needs `unsafe`.
        assert!(Command::new("sh").args(["-c", &format!("kill -TERM {}", self.0.id())]).status().unwrap().success());
    }

    fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < WITHIN, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// An answer as far as it is told; an end without one is empty.
fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has told what it had.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_request_in_flight_is_answered_and_idle_connections_end() {
    let mut server = Server::start(&[]);
    let (mut idle, mut busy) = (server.stream(), server.stream());
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut first = [0; 8];
    idle.read_exact(&mut first).unwrap();
    // That it was asked for the rest shows that the request has begun.
    busy.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n").unwrap();
    let mut asked = [0; 25];
    busy.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.terminate();
    assert!(answer(&mut idle).ends_with("fourfold-conformance-server\n"));
    busy.write_all(b"last").unwrap();
    let told = answer(&mut busy);
    assert!(told.starts_with("HTTP/1.1 200 ") && told.ends_with("last"), "{told}");
    assert_eq!(server.end(), Some(0));
}

#[tokio::test]
async fn clients_of_channels_are_sent_to_another_server() {
    let mut server = Server::start(&["--centrifuge-fixture"]);
    let stream = tokio::net::TcpStream::connect(&server.1).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://localhost/connection/websocket", stream).await.unwrap();
    socket.send(Message::text(r#"{"id":1,"connect":{}}"#)).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Text(_)))));
    server.terminate();
    loop {
        match tokio::time::timeout(WITHIN, socket.next()).await.expect("nothing is said") {
            Some(Ok(Message::Close(Some(frame)))) => break assert_eq!(u16::from(frame.code), 3001),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    drop(socket);
    assert_eq!(server.end(), Some(0));
}
