//! Frames of the WebSocket: each line of the input is one text message after a good `connect`; the socket answers or closes.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fourfold_fuzz::engine;
use fourfold_op::{Authenticate, Authenticated, Error};
use fourfold_store::conformance::world;
use fourfold_ws::{Body, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio_tungstenite::tungstenite::Message;

/// Everybody is the administrator.
struct Anyone;

impl Authenticate for Anyone {
    fn authenticate(&self, _: Option<&str>) -> Result<Authenticated, Error> {
        Ok(Authenticated { principal: world::admin().principal, expires_at: None })
    }
}

static FACE: LazyLock<(tokio::runtime::Runtime, Arc<WebSocket>)> = LazyLock::new(|| {
    let (runtime, engine) = engine();
    (runtime, Arc::new(WebSocket::new(engine, Arc::new(Anyone))))
});

fuzz_target!(|data: &[u8]| {
    let (runtime, face) = &*FACE;
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(1 << 20);
        let face = face.clone();
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let face = face.clone();
            let request = request.map(|body| -> Body { body.map_err(Into::into).boxed_unsync() });
            async move { Ok::<_, std::convert::Infallible>(face.serve(world::anonymous(), request).await) }
        });
        let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        let server = tokio::spawn(server.with_upgrades());
        let url = "ws://127.0.0.1/connection/websocket";
        let (mut socket, _) = tokio_tungstenite::client_async(url, near).await.expect("a handshake");
        let _ = socket.send(Message::text("{\"id\":1,\"connect\":{}}")).await;
        for line in data.split(|byte| *byte == b'\n') {
            let _ = socket.feed(Message::text(String::from_utf8_lossy(line).into_owned())).await;
        }
        let _ = socket.send(Message::Close(None)).await;
        let all = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::time::timeout(Duration::from_secs(5), all).await.expect("the socket closes");
        let _ = server.await;
    });
});
