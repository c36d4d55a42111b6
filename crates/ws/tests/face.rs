//! Frames and their replies, over a socket of the loopback and the reference store with the fixture's model.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fourfold_engine::Engine;
use fourfold_op::{Authenticate, Authenticated, Error, ErrorCode, Limits};
use fourfold_store::Maintain;
use fourfold_store::conformance::{fixture, world};
use fourfold_store::memory::MemoryStore;
use fourfold_ws::{Body, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Tokens: `admin` and `other` for ever, `short` for a minute, `old` expired; anything else is wrong.
struct Tokens;

impl Authenticate for Tokens {
    fn authenticate(&self, token: Option<&str>) -> Result<Authenticated, Error> {
        let (context, expires_at) = match token {
            None => (world::anonymous(), None),
            Some("admin") => (world::admin(), None),
            Some("short") => (world::admin(), Some(now() + 60)),
            Some("other") => (fourfold_op::Context { principal: someone_else(), ..world::admin() }, None),
            Some("old") => return Err(Error::new(ErrorCode::TokenExpired, "the token has expired")),
            Some(_) => return Err(Error::new(ErrorCode::Unauthenticated, "the token is not valid")),
        };
        Ok(Authenticated { principal: context.principal, expires_at })
    }
}

fn someone_else() -> Arc<fourfold_op::Principal> {
    let admin = world::admin().principal;
    Arc::new(fourfold_op::Principal { subject: "else".into(), ..(*admin).clone() })
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A face on a port of its own.
async fn serve() -> u16 {
    let (store, model) = (MemoryStore::new(), fixture::model());
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let engine = Engine::new(Arc::new(store), model, 1, Limits::default());
    let face = Arc::new(WebSocket::new(engine, Arc::new(Tokens)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let face = face.clone();
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let face = face.clone();
                let request = request.map(|body| -> Body { body.map_err(Into::into).boxed_unsync() });
                async move { Ok::<_, std::convert::Infallible>(face.serve(world::anonymous(), request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    port
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Client(client_async(format!("ws://127.0.0.1:{port}/connection/websocket"), stream).await.unwrap().0)
    }

    async fn connected(port: u16, token: &str) -> Client {
        let mut client = Client::open(port).await;
        let reply = client.ask(&format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#)).await;
        assert!(reply.contains(r#""ping":25,"pong":true"#), "{reply}");
        client
    }

    /// The next frame after this one; a close is `close CODE REASON`.
    async fn ask(&mut self, frame: &str) -> String {
        self.0.send(Message::text(frame)).await.unwrap();
        self.next().await
    }

    async fn next(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Close(Some(frame)))) => format!("close {} {}", u16::from(frame.code), frame.reason),
            other => format!("{other:?}"),
        }
    }

    async fn rpc(&mut self, method: &str, data: &str) -> String {
        self.ask(&format!(r#"{{"id":7,"rpc":{{"method":"{method}","data":{data}}}}}"#)).await
    }

    async fn check(&mut self, method: &str, data: &str, part: &str) {
        let reply = self.rpc(method, data).await;
        assert!(reply.starts_with(r#"{"id":7,"#) && reply.contains(part), "{method} {data}: expected `{part}` in {reply}");
    }
}

const ID: &str = "00000000-0000-0000-0000-00000000000a";

#[tokio::test]
async fn a_row_lives_by_rpc() {
    let mut client = Client::connected(serve().await, "admin").await;
    let data = |rest: &str| format!(r#"{{"id":"{ID}"{rest}}}"#);
    client.check("people.create", &format!(r#"{{"data":{{"id":"{ID}","name":"Ada"}}}}"#), r#""rpc":{"data":{"id":""#).await;
    client.check("people.get", &data(r#","fields":"name""#), r#""data":{"name":"Ada"}"#).await;
    client.check("people.update", &data(r#","data":{"name":"Bo"},"if_revision":1"#), r#""name":"Bo""#).await;
    client
        .check("people.update", &data(r#","data":{"name":"x"},"if_revision":1"#), r#""error":{"code":1412,"message":"revision_mismatch: "#)
        .await;
    client.check("people.upsert", &data(r#","data":{"name":"Cy"}"#), r#""name":"Cy""#).await;
    client.check("people.list", r#"{"name__in":["Cy","none"],"page_size":5,"with_total":true}"#, r#""total":1,"cursor":""#).await;
    client.check("people.aggregate", r#"{"count":"*"}"#, r#"{"items":[{"count":1}]}"#).await;
    client.check("people.delete", &data(""), r#""deleted":true"#).await;
    client.check("people.get", &data(""), r#""code":1404"#).await;
    let batch = r#"{"operations":[{"create":"people","data":{"name":"A"}},{"create":"people","data":{"name":"B"}}],"request_id":"r1"}"#;
    client.check("batch", batch, r#""results":[{"id":""#).await;
    client.check("batch", batch, r#""results":[{"id":""#).await;
    client.check("people.aggregate", r#"{"count":"*"}"#, r#"{"items":[{"count":2}]}"#).await;
}

#[tokio::test]
async fn what_is_wrong_has_its_code() {
    let mut client = Client::connected(serve().await, "admin").await;
    for (method, data, part) in [
        (
            "people.gt",
            "{}",
            r#""code":104,"message":"unimplemented: unknown rpc `people.gt`; did you mean `people.get`?","temporary":false"#,
        ),
        ("nothing", "{}", r#""code":104"#),
        ("people.get", "{}", r#""code":107"#),
        ("people.get", r#"{"id":"x"}"#, "is not a Uuid"),
        ("people.get", r#"{"id":"x","idd":1}"#, "unknown member `idd`"),
        ("people.create", r#"{"data":{"nam":1}}"#, "did you mean `name`?"),
        ("people.create", "{}", "`data` is missing"),
        ("people.create", "5", "expected a JSON object, found a number"),
        ("people.list", r#"{"nam":1}"#, "did you mean `name`?"),
        ("people.list", r#"{"name":{}}"#, "expected a string"),
        (
            "items.list",
            r#"{"expand":"parent.parent.parent.parent"}"#,
            r#""code":106,"message":"limit_exceeded: more than 3 levels (limit `expand_depth_max`)""#,
        ),
        ("entries.create", r#"{"data":{"text":"","stars":6}}"#, "invalid_argument: 2 places are wrong; the first: `/text`: "),
        ("batch", r#"{"operations":[{"create":"entries","data":{"text":""}}]}"#, r#""message":"invalid_argument: operation 0: `/text`: "#),
        (
            "batch",
            r#"{"operations":[{"delete":"people","key":"00000000-0000-0000-0000-0000000000ff"}]}"#,
            r#""message":"not_found: operation 0: no `Person` with this key""#,
        ),
        ("people.create", r#"{"data":{"name":"a"},"request_id":""}"#, "1 to 255 visible characters"),
    ] {
        client.check(method, data, part).await;
    }
    let reply = client.ask(r#"{"id":3,"subscribe":{"channel":"people"}}"#).await;
    assert_eq!(reply, r#"{"id":3,"error":{"code":104,"message":"unimplemented: `subscribe` is not served yet","temporary":false}}"#);
}

#[tokio::test]
async fn commands_of_one_frame_are_answered_in_one() {
    let mut client = Client::open(serve().await).await;
    let reply = client
        .ask("{\"id\":1,\"connect\":{}}\n{}\n{\"id\":2,\"rpc\":{\"method\":\"people.list\",\"data\":{}}}\n{\"id\":3,\"ping\":{}}")
        .await;
    let lines: Vec<&str> = reply.split('\n').collect();
    assert_eq!(lines.len(), 3, "{reply}");
    assert!(lines[1].starts_with(r#"{"id":2,"rpc":{"data":{"items":[]"#));
}

#[tokio::test]
async fn connections_end_with_the_protocols_numbers() {
    let port = serve().await;
    for (frame, expected) in [
        (r#"{"id":1,"connect":{"token":"bad"}}"#, "close 3500 invalid token"),
        (r#"{"id":1,"rpc":{"method":"people.list"}}"#, "close 3501 bad request"),
        ("not json", "close 3501 bad request"),
        (r#"{"id":1,"nothing":{}}"#, "close 3501 bad request"),
    ] {
        assert_eq!(Client::open(port).await.ask(frame).await, expected, "{frame}");
    }
    let old = Client::open(port).await.ask(r#"{"id":1,"connect":{"token":"old"}}"#).await;
    assert!(old.contains(r#""code":109"#) && old.contains(r#""temporary":true"#), "{old}");
    let mut twice = Client::connected(port, "admin").await;
    assert_eq!(twice.ask(r#"{"id":2,"connect":{}}"#).await, "close 3501 bad request");
    let mut large = Client::connected(port, "admin").await;
    let text = format!(r#"{{"id":2,"rpc":{{"method":"people.list","data":{{"name":"{}"}}}}}}"#, "x".repeat(520 << 10));
    assert!(large.0.send(Message::text(text)).await.is_ok());
    assert_eq!(large.next().await, "close 1009 message too large");
}

#[tokio::test]
async fn a_refresh_keeps_the_connection_for_its_own_subject() {
    let port = serve().await;
    let mut client = Client::open(port).await;
    let reply = client.ask(r#"{"id":1,"connect":{"token":"short"}}"#).await;
    assert!(reply.contains(r#""expires":true,"ttl":"#), "{reply}");
    let reply = client.ask(r#"{"id":2,"refresh":{"token":"admin"}}"#).await;
    assert!(reply.starts_with(r#"{"id":2,"refresh":{"client":"#) && !reply.contains("expires"), "{reply}");
    assert_eq!(client.ask(r#"{"id":3,"refresh":{"token":"other"}}"#).await, "close 3500 invalid token");
}

#[tokio::test]
async fn what_is_no_websocket_is_426_and_protobuf_is_refused_by_name() {
    let face = WebSocket::new(
        {
            let (store, model) = (MemoryStore::new(), fixture::model());
            let migration = store.migration(&model).await.unwrap();
            store.migrate(&model, migration).await.unwrap();
            Engine::new(Arc::new(store), model, 1, Limits::default())
        },
        Arc::new(Tokens),
    );
    let plain = http::Request::get("/connection/websocket").body(Body::default()).unwrap();
    assert_eq!(face.serve(world::anonymous(), plain).await.status(), 426);
    let protobuf = http::Request::get("/connection/websocket?cf_protocol=protobuf")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::default())
        .unwrap();
    assert_eq!(face.serve(world::anonymous(), protobuf).await.status(), 501);
}
