//! The loop around hyper that both HTTP baselines share.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Failure;

const BUFFER_BYTES_MAX: usize = 128 << 10;

/// A whole answer.
pub type Answer = Response<Full<Bytes>>;

/// Serves each connection on a task of its own, HTTP/1.1 with what the product gives the library: its buffer, and no timer for each head.
pub async fn serve<H, F>(listener: TcpListener, handle: H) -> Result<(), Failure>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let handle = handle.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = handle(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _ = http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// 200 with JSON.
pub fn json(body: impl Into<Bytes>) -> Answer {
    status(StatusCode::OK, body)
}

/// Any status with JSON.
pub fn status(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}
