//! HTTP over a line, and the events of a stream.

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::DuplexStream;

use super::Stop;

/// HTTP/1.1. The connection ends with the answer's body.
pub(crate) async fn http1(io: DuplexStream, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Stop> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(Stop::broken)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(Stop::broken)
}

/// What a peer may send over HTTP/2 to one that does not read.
const WINDOW_BYTES: u32 = 64 << 10;

/// HTTP/2.
pub(crate) async fn http2(io: DuplexStream, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Stop> {
    let mut http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    http2.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
    let (mut sender, connection) = http2.handshake(TokioIo::new(io)).await.map_err(Stop::broken)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(Stop::broken)
}

/// An event of a stream.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: String,
}

/// A stream of events.
pub(crate) struct Events {
    body: Incoming,
    waiting: Vec<u8>,
}

impl Events {
    /// Of an answer that must be one.
    pub async fn of(response: Response<Incoming>) -> Result<Events, Stop> {
        let (head, body) = response.into_parts();
        if head.status == 200 && head.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            return Ok(Events { body, waiting: Vec::new() });
        }
        let body = body.collect().await.map_err(Stop::broken)?.to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        Err(Stop::coded(problem["code"].as_str().unwrap_or_default(), format!("{}: {problem}", head.status)))
    }

    /// The next event; comments are none.
    pub async fn next(&mut self) -> Result<Event, Stop> {
        loop {
            if let Some(end) = self.waiting.windows(2).position(|window| window == b"\n\n") {
                let block: Vec<u8> = self.waiting.drain(..end + 2).collect();
                let event = event(&String::from_utf8(block).map_err(|error| Stop::Fault(error.to_string()))?);
                if event.id.is_some() || !event.name.is_empty() {
                    return Ok(event);
                }
                continue;
            }
            let frame = self.body.frame().await.ok_or_else(|| Stop::broken("the end"))?.map_err(Stop::broken)?;
            if let Ok(data) = frame.into_data() {
                self.waiting.extend_from_slice(&data);
            }
        }
    }
}

fn event(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => event.id = Some(id.to_owned()),
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("data", data)) => event.data = data.to_owned(),
            _ if line == "data:" || line.starts_with(':') || line.is_empty() || line.starts_with("retry") => {}
            _ => event.name = format!("no line of an event: {line}"),
        }
    }
    event
}
