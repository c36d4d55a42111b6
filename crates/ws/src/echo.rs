//! A WebSocket that says what it hears: for suites that judge the framing beneath the protocol (RFC 6455).

use fourfold_op::{Context, Limits};
use http::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::handshake::{Body, accept};
use crate::socket::{Draft, Ended, Kind, Message, Socket};

/// Answers a request for a WebSocket that sends each message back, under the limits of every other one; it then runs on a task of its own.
///
/// A request for something else is answered as [`WebSocket::serve`](crate::WebSocket::serve) does.
pub fn echo(context: &Context, limits: Limits, mut request: Request<Body>) -> Response<Body> {
    let accepted = match accept(&request) {
        Ok((accepted, _)) => accepted,
        Err(refusal) => return refusal.into_response(context),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let mut socket = Socket::open(TokioIo::new(upgraded), &limits);
            let ended = converse(&mut socket).await;
            socket.close(ended).await;
        }
    });
    accepted
}

async fn converse<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(socket: &mut Socket<S>) -> Ended {
    loop {
        let (kind, message) = match socket.next().await {
            Ok(Message::Text(text)) => (Kind::Text, Draft::from(text.as_bytes())),
            Ok(Message::Binary(bytes)) => (Kind::Binary, Draft::from(&*bytes)),
            Err(ended) => return ended,
        };
        if let Err(ended) = socket.send(kind, message).await {
            return ended;
        }
    }
}
