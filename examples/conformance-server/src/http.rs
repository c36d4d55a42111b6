//! What is answered: `GET /`, `POST /echo`, a WebSocket at `/echo`, and where it is asked for the Centrifugo protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::centrifuge::Centrifuge;
use fourfold_op::{Claims, Context, Deadline, Error, ErrorCode, Limits, Principal, RequestId};
use fourfold_server::body::{Body, BodyLimits, full, limited};
use fourfold_server::listen::{Edge, EdgeLimits, Handler, Peer};
use fourfold_server::problem::problem;
use fourfold_server::seats::SeatLimits;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpListener;

/// For a request; a WebSocket takes it for each call.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// For what is in flight when the server ends.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a message at `/echo`: the largest that Autobahn's cases send.
const ECHO_BYTES_MAX: usize = 16 << 20;

/// What answers the requests of suites.
#[derive(Default)]
pub struct Conformance {
    centrifuge: Option<Centrifuge>,
    asked: AtomicU64,
}

impl Conformance {
    /// One that serves the suites of Centrifugo's clients too, at `/connection/websocket`.
    ///
    /// # Errors
    /// The fixture's own model is not good.
    pub async fn with_centrifuge() -> Result<Conformance, String> {
        Ok(Conformance { centrifuge: Some(Centrifuge::start().await?), ..Conformance::default() })
    }

    /// A listener of it. Any number of connections may come from one address, because suites do.
    pub fn edge(self: &Arc<Conformance>) -> Arc<Edge<Conformance>> {
        let seats = SeatLimits { connections_per_address_max: 0, ..SeatLimits::default() };
        Edge::new(Arc::clone(self), EdgeLimits { seats, ..EdgeLimits::default() }, None)
    }

    /// Accepts connections until `stop` is done, then ends them in order: clients of channels are sent away, requests in flight are answered,
    /// and what goes on for longer than 5 s is cut.
    pub async fn serve(self: &Arc<Conformance>, listener: TcpListener, stop: impl Future<Output = ()>) {
        let edge = self.edge();
        Arc::clone(&edge).accept(listener, stop).await;
        if let Some(centrifuge) = &self.centrifuge {
            centrifuge.close();
        }
        let (seats, begun) = (edge.seats(), Instant::now());
        seats.drain();
        while seats.count() > 0 && begun.elapsed() < DRAIN_WITHIN {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seats.expel();
    }

    /// A request of nobody.
    fn context(&self) -> Context {
        Context {
            principal: Arc::new(Principal { issuer: "".into(), subject: "".into(), claims: Claims::default() }),
            deadline: Deadline(Some(std::time::Instant::now() + REQUEST_WITHIN)),
            idempotency: None,
            request: RequestId(self.asked.fetch_add(1, Ordering::Relaxed).to_string().into()),
        }
    }
}

impl Handler for Conformance {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, _peer: Peer) -> Response<Body> {
        let context = self.context();
        let request = request.map(|incoming| limited(incoming, BodyLimits::default()));
        let answer = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/") => Ok(text("fourfold-conformance-server\n")),
            (&Method::POST, "/echo") => echo(request).await,
            (&Method::GET, "/echo") => Ok(fourfold_ws::echo(&context, echo_limits(), request)),
            (_, "/connection/websocket") if let Some(centrifuge) = &self.centrifuge => Ok(centrifuge.serve(context.clone(), request).await),
            (method, path) => Err(Error::new(ErrorCode::NotFound, format!("`{method} {path}` is not here"))),
        };
        answer.unwrap_or_else(|error| problem(&error, Some(&context.request)))
    }
}

/// Those of the product, but for the size of a message: suites send more.
fn echo_limits() -> Limits {
    Limits { websocket_message_bytes_max: ECHO_BYTES_MAX, websocket_out_bytes_max: ECHO_BYTES_MAX, ..Limits::default() }
}

/// The body that was sent, as what it was sent as.
async fn echo(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| match error.downcast::<Error>() {
        Ok(limit) => *limit,
        Err(_) => Error::invalid("the body ended before its end"),
    })?;
    let mut answer = Response::new(full(body.to_bytes()));
    if let Some(kind) = head.headers.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    Ok(answer)
}

fn text(text: &'static str) -> Response<Body> {
    let mut answer = Response::new(full(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
