//! gRPC over HTTP/2, several callers on a connection.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::Shared;
use super::counted::Counted;
use crate::Failure;

/// A connection that callers share by cloning.
pub type Connection = SendRequest<Full<Bytes>>;

/// Connects.
pub async fn connect(authority: &str, shared: &Shared) -> Result<Connection, Failure> {
    let stream = Counted::connect(authority, shared.bytes.clone()).await?;
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A message with gRPC's five bytes before it.
pub fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 5);
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
    out.freeze()
}

/// The last message of an answer's frames; nothing where there is none.
pub fn last_message(mut frames: &[u8]) -> &[u8] {
    let mut last = &frames[..0];
    while let Some((head, rest)) = frames.split_first_chunk::<5>() {
        let [_, length @ ..] = *head;
        let Some((message, after)) = rest.split_at_checked(u32::from_be_bytes(length) as usize) else { break };
        (last, frames) = (message, after);
    }
    last
}

/// One call; its frames. A status other than OK is a failure.
pub async fn once(connection: &mut Connection, url: &str, token: Option<&str>, body: Bytes) -> Result<Bytes, Failure> {
    connection.ready().await?;
    let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/grpc").header(header::TE, "trailers");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = connection.send_request(request.body(Full::new(body))?).await?;
    let in_headers = answer.headers().get("grpc-status").cloned();
    let body = answer.into_body().collect().await?;
    let status = in_headers.or_else(|| body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()));
    match status {
        Some(status) if status == "0" => Ok(body.to_bytes()),
        other => Err(format!("grpc-status {other:?} {:?}", body.trailers()).into()),
    }
}

/// One caller.
pub async fn call(
    authority: String,
    url: String,
    token: Option<String>,
    make: Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
    shared: Arc<Shared>,
) -> Result<(), Failure> {
    let mut connection = connect(&authority, &shared).await?;
    while let Some(number) = shared.next() {
        once(&mut connection, &url, token.as_deref(), framed(&make(number))).await?;
        shared.answered();
    }
    Ok(())
}
