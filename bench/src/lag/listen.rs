//! A subscriber to all rows over each API, which only counts and times what it is told.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::Failure;
use crate::events::crowd::{Crowd, Ear};
use crate::events::{NOTES, socket};
use crate::load::grpc::framed;
use crate::server::Server;

/// Over what a subscriber is told.
#[derive(Clone, Copy)]
pub enum Api {
    WebSocket,
    Sse,
    Grpc,
}

impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Api::WebSocket => "WebSocket",
            Api::Sse => "SSE",
            Api::Grpc => "gRPC",
        }
    }
}

/// One more subscriber on a connection of its own; it has subscribed when this returns.
pub async fn subscribe(api: Api, server: &Server, crowd: &mut Crowd) -> Result<(), Failure> {
    let stream = TcpStream::connect(&server.authority).await?;
    stream.set_nodelay(true)?;
    match api {
        Api::WebSocket => crowd.add_socket(true, socket::subscribe(server, stream, &[NOTES.to_owned()]).await?.into_inner()),
        Api::Sse => {
            let request = asked(Request::get("/v1/notes?fields=text").header(header::HOST, "127.0.0.1"), "text/event-stream", server);
            let body = sse(stream, request.body(Full::default())?).await?;
            crowd.add(true, |ear| hear(body, ear));
        }
        Api::Grpc => {
            let request = Request::post(format!("http://{}/fan.v1.NoteService/WatchNotes", server.authority));
            let request = asked(request, "application/grpc", server).header(header::TE, "trailers");
            let body = grpc(stream, request.header(header::CONTENT_TYPE, "application/grpc").body(Full::new(framed(&[])))?).await?;
            crowd.add(true, |ear| hear(body, ear));
        }
    }
    Ok(())
}

fn asked(request: http::request::Builder, accept: &str, server: &Server) -> http::request::Builder {
    request.header(header::ACCEPT, accept).header(header::AUTHORIZATION, format!("Bearer {}", server.token))
}

async fn sse(stream: TcpStream, request: Request<Full<Bytes>>) -> Result<Incoming, Failure> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    begun(sender.send_request(request).await?)
}

async fn grpc(stream: TcpStream, request: Request<Full<Bytes>>) -> Result<Incoming, Failure> {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    begun(sender.send_request(request).await?)
}

/// The watch has begun when its head is here.
fn begun(answer: http::Response<Incoming>) -> Result<Incoming, Failure> {
    match (answer.status(), answer.headers().get("grpc-status")) {
        (StatusCode::OK, None) => Ok(answer.into_body()),
        (status, grpc) => Err(format!("a watch does not begin: {status} {grpc:?}").into()),
    }
}

async fn hear(mut body: Incoming, mut ear: Ear) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            ear.hear(&bytes);
        }
    }
    Err("the stream ended".into())
}
