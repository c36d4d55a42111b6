//! The listener: accepts connections, tells HTTP/1.1 from HTTP/2 by their first bytes, and keeps every limit of the edge.
//!
//! It knows nothing of the APIs: what answers is a [`Handler`]. Protocol detection has its own timer, because the HTTP library's
//! has none; HTTP/1.1 goes through [`Guard`], because the library lets through what RFC 9112 forbids.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::body::{Body, BodyError, Streamed};
use crate::guard::{Guard, REFUSED};
use crate::problem::problem;
use crate::rewind::Rewind;
use crate::seats::{Full, Link, Seat, SeatLimits, Seats};
use crate::wire::HeadLimits;

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Body>> + Send;
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The limits of the edge.
#[derive(Clone, Copy, Debug)]
pub struct EdgeLimits {
    /// Who may be connected, and how long a connection may be silent.
    pub seats: SeatLimits,
    /// How large a head may be.
    pub head: HeadLimits,
    /// How long the first byte, and a TLS handshake, may take.
    pub first_byte_timeout: Duration,
    /// Streams of one HTTP/2 connection at once.
    pub h2_streams_max: u32,
}

impl Default for EdgeLimits {
    fn default() -> EdgeLimits {
        EdgeLimits {
            seats: SeatLimits::default(),
            head: HeadLimits::default(),
            first_byte_timeout: Duration::from_secs(10),
            h2_streams_max: 100,
        }
    }
}

/// One listener: an address, its limits, and who is connected.
pub struct Edge<H> {
    limits: EdgeLimits,
    tls: Option<TlsAcceptor>,
    seats: Arc<Seats>,
    handler: Arc<H>,
    h1: hyper::server::conn::http1::Builder,
    h2: hyper::server::conn::http2::Builder<TokioExecutor>,
}

impl<H: Handler> Edge<H> {
    /// A listener that is not accepting yet.
    pub fn new(handler: Arc<H>, limits: EdgeLimits, tls: Option<TlsAcceptor>) -> Arc<Edge<H>> {
        let seats = Seats::open(limits.seats);
        Arc::new(Edge { limits, tls, seats, handler, h1: h1_builder(), h2: h2_builder(&limits) })
    }

    /// Who is connected.
    pub fn seats(&self) -> &Arc<Seats> {
        &self.seats
    }

    /// Accepts connections until `stop` is done.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address),
                // Out of file descriptors, most likely: those that are open must end first.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        match self.seats.take(address.ip()) {
            Ok(seat) => {
                let edge = Arc::clone(self);
                tokio::spawn(async move { edge.serve(stream, address, seat).await });
            }
            Err(full) => turn_away(stream, full),
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, address: SocketAddr, seat: Seat) {
        // Small answers go out at once.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.detect(stream, Peer { address, tls: false }, seat).await,
            Some(tls) => {
                let handshake = tokio::time::timeout(self.limits.first_byte_timeout, tls.accept(stream)).await;
                if let Ok(Ok(stream)) = handshake {
                    self.detect(stream, Peer { address, tls: true }, seat).await;
                }
            }
        }
    }

    async fn detect<S>(self: Arc<Self>, mut stream: S, peer: Peer, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let first = tokio::time::timeout(self.limits.first_byte_timeout, first_bytes(&mut stream)).await;
        let Ok(Ok(Some(first))) = first else { return };
        if first.starts_with(PREFACE) {
            self.serve_h2(Rewind::new(stream, first), peer, seat).await;
        } else {
            self.serve_h1(stream, first, peer, seat).await;
        }
    }

    async fn serve_h1<S>(self: Arc<Self>, stream: S, first: Vec<u8>, peer: Peer, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let link = Arc::clone(seat.link());
        let guard = Guard::new(stream, seat, self.limits.head, first);
        let service = {
            let (edge, link) = (Arc::clone(&self), Arc::clone(&link));
            service_fn(move |request| answer_h1(Arc::clone(&edge.handler), Arc::clone(&link), request, peer))
        };
        let connection = self.h1.serve_connection(TokioIo::new(guard), service).with_upgrades();
        tend(connection, link).await;
    }

    async fn serve_h2<S>(self: Arc<Self>, stream: Rewind<S>, peer: Peer, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let link = Arc::clone(seat.link());
        // Pings find a dead peer; an idle one costs a seat and no more.
        link.unwatched();
        let edge = Arc::clone(&self);
        let service = service_fn(move |request| {
            let handler = Arc::clone(&edge.handler);
            async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
        });
        let connection = self.h2.serve_connection(TokioIo::new(stream), service);
        tend(connection, link).await;
        drop(seat);
    }
}

/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear which protocol this is; `None` when the other side left.
async fn first_bytes<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Vec<u8>>> {
    let mut first = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Ok(None);
        }
        let common = first.len().min(PREFACE.len());
        if first.get(..common) != PREFACE.get(..common) || common == PREFACE.len() {
            return Ok(Some(first));
        }
    }
}

fn h1_builder() -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Not `pipeline_flush`: with it whatever a body has is taken into the buffer, read or not.
    builder.max_buf_size(128 << 10);
    builder
}

fn h2_builder(limits: &EdgeLimits) -> hyper::server::conn::http2::Builder<TokioExecutor> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // A stream of small messages is one DATA frame each, and h2 ends a connection whose unread small frames take more than half its
    // window beyond their payload. The stream's window is small beside the connection's, so that flow control holds the sender first.
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_header_list_size(u32::try_from(limits.head.header_bytes_max + limits.head.uri_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(128 << 10)
        .initial_connection_window_size(6 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn answer_h1<H: Handler>(
    handler: Arc<H>,
    link: Arc<Link>,
    request: Request<Incoming>,
    peer: Peer,
) -> Result<Response<Body>, Infallible> {
    if let Some(refusal) = link.refusal().filter(|_| request.uri().path() == REFUSED) {
        let mut answer = problem(refusal, None);
        answer.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        return Ok(answer);
    }
    link.answering();
    let answer = handler.handle(request, peer).await;
    if answer.body().size_hint().exact().is_some() {
        link.answered();
        return Ok(answer);
    }
    Ok(answer.map(|body| Streamed { body, link }.boxed_unsync()))
}

/// Says why, as far as the socket takes it at once, and closes.
fn turn_away(stream: TcpStream, full: Full) {
    let name = match full {
        Full::All => "connections_max",
        Full::Address => "connections_per_address_max",
    };
    tokio::spawn(async move {
        let body = format!(
            "{{\"type\":\"/problems/overloaded\",\"title\":\"The server has too much to do\",\"status\":503,\"code\":\"overloaded\",\"detail\":\"too many connections (limit `{name}`)\",\"limit\":\"{name}\"}}"
        );
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.shutdown().await
        })
        .await;
    });
}

/// Drives a connection until it ends or is given up, and tells it when the server drains.
async fn tend<C: Connection>(connection: C, link: Arc<Link>) {
    let mut connection = std::pin::pin!(connection);
    let mut told = false;
    std::future::poll_fn(|cx| {
        if link.poll_given_up(cx) {
            return Poll::Ready(());
        }
        if !told && link.is_draining() {
            told = true;
            connection.as_mut().begin_shutdown();
        }
        // How a connection failed is the other side's business.
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
    link.untended();
}

/// What the library's connections have in common.
trait Connection: Future {
    fn begin_shutdown(self: Pin<&mut Self>);
}

impl<I, S> Connection for hyper::server::conn::http1::UpgradeableConnection<I, S>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<BodyError>,
{
    fn begin_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Connection for hyper::server::conn::http2::Connection<I, S, TokioExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<BodyError>,
    S::Future: Send + 'static,
{
    fn begin_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::task::{Context, Wake};

    use super::*;

    /// A connection that has become another protocol's.
    struct Upgraded;

    impl Future for Upgraded {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl Connection for Upgraded {
        fn begin_shutdown(self: Pin<&mut Self>) {}
    }

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[tokio::test]
    async fn a_seat_does_not_hold_the_task_of_a_connection_that_was_upgraded() {
        let seat = Seats::open(SeatLimits::default()).take([127, 0, 0, 1].into()).unwrap();
        let task = Arc::new(Task);
        let tended = std::pin::pin!(tend(Upgraded, Arc::clone(seat.link())));
        let waker = Arc::clone(&task).into();
        assert!(tended.poll(&mut Context::from_waker(&waker)).is_ready());
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
