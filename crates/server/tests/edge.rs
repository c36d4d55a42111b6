//! The listener under clients that are malformed, slow, too many or leaving, by raw sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fourfold_server::body::{Body, BodyLimits, full, limited};
use fourfold_server::listen::{Edge, EdgeLimits, Handler, Peer};
use fourfold_server::problem::problem;
use fourfold_server::seats::SeatLimits;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers with what it was sent; `/slow` waits first, `/long` is an answer of frames that are made as they are asked for.
struct Echo(BodyLimits);

const LONG_FRAMES: usize = 1_024;
const FRAME_BYTES: usize = 64 << 10;
/// Frames of `/long` so far.
static MADE: AtomicUsize = AtomicUsize::new(0);

fn long() -> Body {
    let frames = futures_util::stream::iter((0..LONG_FRAMES).map(|_| {
        MADE.fetch_add(1, Ordering::SeqCst);
        Ok(Frame::data(Bytes::from_static(&[b'x'; FRAME_BYTES])))
    }));
    StreamBody::new(frames).boxed_unsync()
}

impl Handler for Echo {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, _peer: Peer) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if path == "/slow" {
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        if path == "/long" {
            return Response::new(long());
        }
        match limited(request.into_body(), self.0).collect().await {
            Ok(body) => Response::new(full(format!("{path} {}", body.to_bytes().len()))),
            Err(error) => match error.downcast_ref::<fourfold_op::Error>() {
                Some(error) => problem(error, None),
                None => Response::builder().status(400).body(full("malformed")).unwrap(),
            },
        }
    }
}

fn quick() -> EdgeLimits {
    let short = Duration::from_millis(300);
    let seats = SeatLimits { head_timeout: short, idle_timeout: short, ..SeatLimits::default() };
    EdgeLimits { seats, first_byte_timeout: short, ..EdgeLimits::default() }
}

struct Server {
    address: SocketAddr,
    edge: Arc<Edge<Echo>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

async fn server(limits: EdgeLimits) -> Server {
    let body = BodyLimits { bytes_max: Some(1000), grace: Some(Duration::from_millis(300)), bytes_per_second_min: 1024 };
    let edge = Edge::new(Arc::new(Echo(body)), limits, None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let accepting = Arc::clone(&edge);
    tokio::spawn(async move { accepting.accept(listener, async { drop(stopped.await) }).await });
    Server { address, edge, stop: Some(stop) }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Everything the server says until it closes, within five seconds.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset ends it as well as a close.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut all)).await.expect("the server did not close");
    String::from_utf8_lossy(&all).into_owned()
}

async fn say(server: &Server, text: &str) -> String {
    let mut stream = connect(server).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect()
}

#[tokio::test]
async fn a_malformed_request_is_a_problem_after_the_answers_before_it() {
    let server = server(EdgeLimits::default()).await;
    let answer = say(&server, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200", "400"]);
    assert!(answer.contains("/a 0") && answer.contains("there is no `Host`") && answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("\"code\":\"invalid_argument\""));
}

#[tokio::test]
async fn what_no_target_holds_is_named() {
    let server = server(EdgeLimits::default()).await;
    for (target, part) in [
        ("/a?b>c", "`>` stands in the target as it is; write `%3E`"),
        ("/a?b=\"c\"", "`\\\"` stands in the target as it is; write `%22`"),
        ("/<a", "write `%3C`"),
        ("/a`b", "write `%60`"),
        ("/a\tb", "write `%09`"),
    ] {
        let answer = say(&server, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(statuses(&answer), ["400"], "{target}");
        assert!(answer.contains("application/problem+json") && answer.contains(part), "{target}: {answer}");
    }
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /a?\xff HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.contains("the target is not UTF-8"));
    let answer = say(&server, "GET /{é}|^?`[]{}|\\^'é HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"], "what is read is not refused: {answer}");
}

#[tokio::test]
async fn limits_of_the_head_name_themselves() {
    let server = server(EdgeLimits::default()).await;
    let uri = say(&server, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(300_000))).await;
    assert_eq!(statuses(&uri), ["414"]);
    let header = say(&server, &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(128_000))).await;
    assert_eq!(statuses(&header), ["431"]);
    assert!(header.contains("\"limit\":\"header_bytes_max\""), "{header}");
    let many = say(&server, &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(80))).await;
    assert!(many.contains("\"limit\":\"header_fields_max\""), "{many}");
}

#[tokio::test]
async fn a_path_that_is_called_like_the_stand_in_is_an_ordinary_one() {
    let server = server(EdgeLimits::default()).await;
    let answer = say(&server, "GET /refused HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"]);
}

#[tokio::test]
async fn chunked_bodies_are_read_and_malformed_ones_end_the_connection() {
    let server = server(quick()).await;
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(say(&server, &format!("{head}3\r\nabc\r\n0\r\n\r\n")).await.contains("/x 3"));
    for body in ["ffffffffffffffff\r\nabc", "3\nabc\r\n0\r\n\r\n"] {
        let answer = say(&server, &format!("{head}{body}")).await;
        assert!(answer.is_empty() || statuses(&answer) == ["400"], "{answer}");
    }
}

#[tokio::test]
async fn silence_is_ended_wherever_it_falls() {
    let server = server(quick()).await;
    let begun = Instant::now();
    for text in ["", "PRI * HT", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        say(&server, text).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(server.edge.seats().count(), 0);
}

#[tokio::test]
async fn a_head_that_dribbles_is_ended_by_its_total_time() {
    let server = server(quick()).await;
    let mut stream = connect(&server).await;
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    while begun.elapsed() < Duration::from_secs(3) {
        if stream.write_all(b"X: y\r\n").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_slow_answer_is_not_taken_for_silence() {
    let server = server(quick()).await;
    let answer = say(&server, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"]);
}

#[tokio::test]
async fn what_a_reader_does_not_take_is_not_made() {
    let server = server(EdgeLimits::default()).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    stream.read_u8().await.unwrap();
    // The system holds some megabytes of the 64.
    let made = MADE.load(Ordering::SeqCst);
    assert!(made < LONG_FRAMES / 2, "{made} frames were made for one that read a byte");
    assert!(rest(&mut stream).await.len() > LONG_FRAMES * FRAME_BYTES);
}

#[tokio::test]
async fn a_body_that_is_too_slow_or_too_large_is_refused() {
    let server = server(quick()).await;
    let slow = say(&server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabc").await;
    assert_eq!(statuses(&slow), ["408"]);
    assert!(slow.contains("body_bytes_per_second_min"), "{slow}");
    let large = say(&server, &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000))).await;
    assert_eq!(statuses(&large), ["413"]);
}

#[tokio::test]
async fn seats_run_out_by_name() {
    let seats = SeatLimits { connections_per_address_max: 1, ..SeatLimits::default() };
    let server = server(EdgeLimits { seats, ..EdgeLimits::default() }).await;
    let mut first = connect(&server).await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = connect(&server).await;
    let answer = rest(&mut second).await;
    assert!(answer.contains("connections_per_address_max"), "{answer}");
}

#[tokio::test]
async fn draining_lets_what_is_in_flight_finish() {
    let mut server = server(EdgeLimits::default()).await;
    let mut idle = connect(&server).await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut busy = connect(&server).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.take().unwrap().send(()).unwrap();
    server.edge.seats().drain();
    assert_eq!(statuses(&rest(&mut idle).await), ["200"]);
    assert_eq!(statuses(&rest(&mut busy).await), ["200"]);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn http2_without_tls_is_served_on_the_same_port() {
    let server = server(EdgeLimits::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method("POST").uri(format!("http://{}/h2", server.address)).body(full("abc")).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "/h2 3");
}
