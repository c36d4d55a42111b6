//! graphql-transport-ws, frame by frame.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::Closing;
use fourfold_graphql::Opening;
use fourfold_op::{Authenticate, Authenticated, Error, ErrorCode, Limits};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::io::DuplexStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::shop::{Shop, context, shop, shop_of, with_key};

const INIT: &str = r#"{"type":"connection_init"}"#;
const CHANGES: &str = "subscription($a: String) { artistChanges(after: $a) { cursor change key item { name } } }";

/// Who shows `good` is known, and whose token starts with `until:` is so until that moment; nobody else is refused who shows none.
struct Tokens;

impl Authenticate for Tokens {
    fn authenticate(&self, token: Option<&str>) -> Result<Authenticated, Error> {
        let expires_at = match token {
            None | Some("good") => None,
            Some(token) => match token.strip_prefix("until:").and_then(|at| at.parse().ok()) {
                Some(at) => Some(at),
                None => return Err(Error::new(ErrorCode::Unauthenticated, "the token is not a JWT")),
            },
        };
        Ok(Authenticated { principal: context().principal, expires_at })
    }
}

struct Client(WebSocketStream<DuplexStream>);

impl Client {
    async fn open(shop: &Arc<Shop>, bearer: Option<&str>, acceptable: bool) -> Client {
        let (near, far) = tokio::io::duplex(16 << 10);
        let (shop, bearer) = (Arc::clone(shop), bearer.map(str::to_owned));
        tokio::spawn(async move { shop.0.socket(far, Opening { context: context(), bearer, acceptable }, &Tokens).await });
        let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
        Client(WebSocketStream::from_raw_socket(near, Role::Client, Some(config)).await)
    }

    async fn ready(shop: &Arc<Shop>) -> Client {
        let mut client = Client::open(shop, None, true).await;
        client.say(INIT).await;
        assert_eq!(client.hear().await, json!({"type": "connection_ack"}));
        client
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn ask(&mut self, id: &str, query: &str, variables: Json) {
        self.say(&json!({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}}).to_string()).await;
    }

    /// Begins to watch, and gives the cursor from which on it does.
    async fn watch(&mut self) -> Json {
        self.ask("w", CHANGES, json!({})).await;
        let mut told = self.result("w").await["artistChanges"].take();
        assert_eq!(told["change"], "BOOKMARK");
        told["cursor"].take()
    }

    async fn next(&mut self) -> Message {
        loop {
            match timeout(Duration::from_secs(10), self.0.next()).await.expect("nothing is told") {
                Some(Ok(Message::Ping(_))) => {}
                message => return message.expect("no close frame").unwrap(),
            }
        }
    }

    async fn hear(&mut self) -> Json {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The payload of the next message of an operation, whose result it must be.
    async fn result(&mut self, id: &str) -> Json {
        let mut message = self.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message}");
        message["payload"]["data"].take()
    }

    /// The code and reason of the end, whatever comes before.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.next().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }
}

async fn put(shop: &Shop, id: u32, name: &str) {
    let query = "mutation($id: Int!, $i: ArtistUpsertInput!) { upsertArtist(id: $id, input: $i) { artist { id } } }";
    shop.data(query, json!({"id": id, "i": {"name": name}})).await;
}

#[tokio::test]
async fn what_is_wrong_closes_with_its_code() {
    const SUBSCRIBE: &str = r#"{"id":"1","type":"subscribe","payload":{"query":"subscription { artistChanges { change } }"}}"#;
    let long_id = format!(r#"{{"id":"{}","type":"complete"}}"#, "x".repeat(257));
    let cases: &[(&[&str], u16, &str)] = &[
        (&["{"], 4400, "Invalid message: not JSON"),
        (&["[]"], 4400, "not a JSON object"),
        (&["{}"], 4400, "`type` is missing"),
        (&[r#"{"type":1}"#], 4400, "`type` is not a string"),
        (&[r#"{"type":"start"}"#], 4400, "a client does not send the type `start`"),
        (&[r#"{"type":"connection_ack"}"#], 4400, "`connection_ack`"),
        (&[r#"{"type":"ping","payload":7}"#], 4400, "`payload` is not an object"),
        (&[r#"{"type":"complete"}"#], 4400, "`id` is missing"),
        (&[&long_id], 4400, "`id` is longer than 256 bytes"),
        (&[r#"{"type":"connection_init","payload":[]}"#], 4400, "`payload` is not an object"),
        (&[r#"{"type":"connection_init","payload":{"token":7}}"#], 4400, "`token` is not a string"),
        (&[r#"{"type":"connection_init","payload":{"token":"good","authorization":"Bearer good"}}"#], 4400, "more than one credential"),
        (&[INIT, r#"{"id":"","type":"subscribe","payload":{"query":"{a}"}}"#], 4400, "`id` is empty"),
        (&[INIT, r#"{"id":7,"type":"subscribe","payload":{"query":"{a}"}}"#], 4400, "`id` is not a string"),
        (&[INIT, r#"{"id":"1","type":"subscribe"}"#], 4400, "`payload` is missing"),
        (&[INIT, r#"{"id":"1","type":"subscribe","payload":{}}"#], 4400, "`query` is missing"),
        (&[INIT, r#"{"id":"1","type":"subscribe","payload":{"query":"{a}","variables":[]}}"#], 4400, "`variables` is not an object"),
        (
            &[INIT, r#"{"id":"1","type":"subscribe","payload":{"query":"{a}","extensions":{"idempotencyKey":7}}}"#],
            4400,
            "`extensions.idempotencyKey` is not a string",
        ),
        (&[INIT, "\u{0}binary"], 4400, "messages are text"),
        (&[SUBSCRIBE], 4401, "Unauthorized"),
        (&[r#"{"type":"connection_init","payload":{"token":"bad"}}"#], 4403, "Forbidden: the token is not a JWT"),
        (&[r#"{"type":"connection_init","payload":{"Authorization":"Bearer bad"}}"#], 4403, "Forbidden: the token is not a JWT"),
        (&[r#"{"type":"connection_init","payload":{"authorization":"Basic x"}}"#], 4403, "`authorization` is not `Bearer TOKEN`"),
        (&[INIT, SUBSCRIBE, SUBSCRIBE], 4409, "Subscriber for 1 already exists"),
        (&[INIT, INIT], 4429, "Too many initialisation requests"),
        (&[], 4408, "Connection initialisation timeout (limit `graphql_init_ms`)"),
        (&[r#"{"type":"ping"}"#], 4408, "initialisation"),
    ];
    let shop = Arc::new(shop_of(Limits { graphql_init_ms: 200, ..Limits::default() }).await);
    for (said, code, reason) in cases {
        let mut client = Client::open(&shop, None, true).await;
        for text in *said {
            match text.strip_prefix('\u{0}') {
                Some(binary) => client.0.send(Message::binary(binary.as_bytes().to_vec())).await.unwrap(),
                None => client.say(text).await,
            }
        }
        let closed = client.closed().await;
        assert_eq!(closed.0, *code, "{said:?}: {closed:?}");
        assert!(closed.1.contains(reason), "{said:?}: {closed:?}");
    }
    let closed = Client::open(&shop, Some("good"), false).await.closed().await;
    assert_eq!(closed, (4406, "Subprotocol not acceptable; offer `graphql-transport-ws`".to_owned()));
}

#[tokio::test]
async fn a_message_is_limited_also_when_it_comes_in_pieces() {
    let shop = Arc::new(shop_of(Limits { websocket_message_bytes_max: 1_000, ..Limits::default() }).await);
    let mut client = Client::ready(&shop).await;
    let ping = |bytes: usize| json!({"type": "ping", "payload": {"x": "y".repeat(bytes)}}).to_string();
    client.say(&ping(900)).await;
    assert_eq!(client.hear().await["type"], "pong");
    client.say(&ping(1_001)).await;
    assert_eq!(client.closed().await.0, 1009);
    let mut client = Client::ready(&shop).await;
    pieces(&mut client, &ping(1_001)).await;
    assert_eq!(client.closed().await.0, 1009);
}

async fn pieces(client: &mut Client, text: &str) {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let half = text.len() / 2;
    for (part, code, last) in [(&text[..half], Data::Text, false), (&text[half..], Data::Continue, true)] {
        let frame = Frame::message(part.as_bytes().to_vec(), OpCode::Data(code), last);
        client.0.send(Message::Frame(frame)).await.unwrap();
    }
}

#[tokio::test]
async fn tokens_come_in_the_init_or_with_the_upgrade() {
    let shop = Arc::new(shop().await);
    for (bearer, payload) in [
        (None, json!({"token": "good"})),
        (None, json!({"AUTHORIZATION": "bearer  good"})),
        (Some("good"), json!(null)),
        (Some("bad"), json!({"token": "good"})),
        (None, json!({"other": 1, "token": null})),
    ] {
        let mut client = Client::open(&shop, bearer, true).await;
        client.say(&json!({"type": "connection_init", "payload": payload}).to_string()).await;
        assert_eq!(client.hear().await, json!({"type": "connection_ack"}), "{payload}");
    }
    let mut client = Client::open(&shop, Some("bad"), true).await;
    client.say(INIT).await;
    assert_eq!(client.closed().await.0, 4403);
}

#[tokio::test]
async fn many_operations_run_at_once() {
    let shop = Arc::new(shop().await);
    let mut client = Client::ready(&shop).await;
    client.watch().await;
    client.ask("m", "mutation { upsertArtist(id: 1, input: {name: \"Ada\"}) { artist { name } } }", json!({})).await;
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(client.hear().await);
    }
    let of = |id: &str| heard.iter().filter(|message| message["id"] == id).cloned().collect::<Vec<_>>();
    let artist = json!({"upsertArtist": {"artist": {"name": "Ada"}}});
    let whole = [json!({"id": "m", "type": "next", "payload": {"data": artist}}), json!({"id": "m", "type": "complete"})];
    assert_eq!(of("m"), whole);
    assert_eq!(of("w")[0]["payload"]["data"]["artistChanges"]["item"], json!({"name": "Ada"}));
    client.ask("q", "query Q($id: Int!) { artist(id: $id) { name } }", json!({"id": 1})).await;
    assert_eq!(client.result("q").await, json!({"artist": {"name": "Ada"}}));
    assert_eq!(client.hear().await, json!({"id": "q", "type": "complete"}));
}

#[tokio::test]
async fn an_operation_that_is_completed_says_no_more_and_frees_its_id() {
    let shop = Arc::new(shop().await);
    let mut client = Client::ready(&shop).await;
    client.watch().await;
    put(&shop, 1, "Ada").await;
    client.result("w").await;
    client.say(r#"{"id":"w","type":"complete"}"#).await;
    client.say(r#"{"id":"unknown","type":"complete"}"#).await;
    client.say(r#"{"type":"ping","payload":{"at":1}}"#).await;
    assert_eq!(client.hear().await, json!({"type": "pong", "payload": {"at": 1}}));
    timeout(Duration::from_secs(10), async {
        while shop.1.feed_figures().watch_count > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the watch is held on to");
    put(&shop, 1, "Ann").await;
    client.ask("w", "{ artist(id: 1) { name } }", json!({})).await;
    assert_eq!(client.result("w").await, json!({"artist": {"name": "Ann"}}));
}

#[tokio::test]
async fn what_is_not_executed_is_an_error_and_what_is_not_found_a_result() {
    let shop = Arc::new(shop_of(Limits { graphql_socket_operations_max: 1, ..Limits::default() }).await);
    let mut client = Client::ready(&shop).await;
    for (query, variables, code) in [
        ("{ artist(id: ", json!({}), "INVALID_ARGUMENT"),
        ("{ nothing }", json!({}), "INVALID_ARGUMENT"),
        ("query($id: Int!) { artist(id: $id) { name } }", json!({}), "INVALID_ARGUMENT"),
        (CHANGES, json!({"a": "otherlog.7"}), "CURSOR_EXPIRED"),
    ] {
        client.ask("1", query, variables).await;
        let message = client.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("1"), &json!("error")), "{message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{message}");
    }
    client.ask("1", "mutation { deleteArtist(id: 9) { cursor } }", json!({})).await;
    let message = client.hear().await;
    assert_eq!((&message["type"], &message["payload"]["errors"][0]["extensions"]["code"]), (&json!("next"), &json!("NOT_FOUND")));
    assert_eq!(client.hear().await["type"], "complete");
    client.watch().await;
    client.ask("2", "{ artist(id: 1) { name } }", json!({})).await;
    let message = client.hear().await;
    assert_eq!((&message["id"], &message["type"]), (&json!("2"), &json!("error")), "{message}");
    assert_eq!(message["payload"][0]["extensions"]["limit"], "graphql_socket_operations_max", "{message}");
}

#[tokio::test]
async fn a_mutation_under_a_key_is_done_once() {
    const CREATE: &str = "mutation($n: String!) { createArtist(input: {id: 9, name: $n}) { artist { revision name } } }";
    let shop = Arc::new(shop().await);
    let mut client = Client::ready(&shop).await;
    let keyed = |id: &str, name: &str, query: &str| {
        let payload = json!({"query": query, "variables": {"n": name}, "extensions": {"idempotencyKey": "k1"}});
        json!({"id": id, "type": "subscribe", "payload": payload}).to_string()
    };
    let once = json!({"createArtist": {"artist": {"revision": 1, "name": "Ada"}}});
    for id in ["1", "2"] {
        client.say(&keyed(id, "Ada", CREATE)).await;
        assert_eq!(client.result(id).await, once);
        assert_eq!(client.hear().await, json!({"id": id, "type": "complete"}));
    }
    assert_eq!(shop.ask_as(with_key("k1"), CREATE, json!({"n": "Ada"})).await.json["data"], once, "the same over HTTP");
    client.say(&keyed("3", "Ann", CREATE)).await;
    let message = client.hear().await;
    assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "IDEMPOTENCY_MISMATCH", "{message}");
    assert_eq!(client.hear().await["type"], "complete");
    let two = "mutation($n: String!) { a: createArtist(input: {id: 7, name: $n}) { cursor } b: deleteArtist(id: 9) { cursor } }";
    client.say(&keyed("4", "Ann", two)).await;
    let message = client.hear().await;
    assert_eq!(
        (&message["type"], &message["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("INVALID_ARGUMENT")),
        "{message}"
    );
}

#[tokio::test]
async fn a_subscription_goes_on_after_its_last_cursor_on_another_socket() {
    let shop = Arc::new(shop().await);
    let mut client = Client::ready(&shop).await;
    let mut cursor = client.watch().await;
    // The first is cut before anything was told but from where it began.
    for name in ["Ada", "Ann", "Bea"] {
        drop(client);
        put(&shop, 1, name).await;
        client = Client::ready(&shop).await;
        client.ask("w", CHANGES, json!({"a": cursor})).await;
        let mut told = client.result("w").await["artistChanges"].take();
        assert_eq!(told["item"], json!({"name": name}));
        cursor = told["cursor"].take();
    }
}

#[tokio::test]
async fn a_server_that_ends_or_is_replaced_closes_with_1012() {
    for closing in [Closing::Drain, Closing::Replaced] {
        let shop = Arc::new(shop().await);
        let (mut watching, mut idle) = (Client::ready(&shop).await, Client::ready(&shop).await);
        watching.watch().await;
        put(&shop, 1, "Ada").await;
        watching.result("w").await;
        shop.1.close_watches(closing);
        if closing == Closing::Replaced {
            assert_eq!(watching.result("w").await["artistChanges"]["change"], "RESET");
            assert_eq!(watching.hear().await, json!({"id": "w", "type": "complete"}));
        }
        assert!(matches!(watching.next().await, Message::Close(Some(frame)) if u16::from(frame.code) == 1012));
        assert_eq!(idle.closed().await.0, 1012);
    }
}

#[tokio::test]
async fn a_credential_that_ends_closes_with_4403() {
    let shop = Arc::new(shop().await);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for watches in [true, false] {
        let mut client = Client::open(&shop, None, true).await;
        let token = format!("until:{}", now + 2);
        client.say(&json!({"type": "connection_init", "payload": {"token": token}}).to_string()).await;
        assert_eq!(client.hear().await["type"], "connection_ack");
        if watches {
            client.watch().await;
        }
        assert_eq!(client.closed().await, (4403, "Forbidden: the token has expired".to_owned()));
    }
}

#[tokio::test]
async fn a_slow_reader_closes_with_1013() {
    let shop = Arc::new(shop_of(Limits { watch_queue_deliveries_max: 2, ..Limits::default() }).await);
    let mut client = Client::ready(&shop).await;
    client.watch().await;
    put(&shop, 1, "Ada").await;
    client.result("w").await;
    // More than the pipe and one batch hold.
    for number in 0..8 {
        put(&shop, 1, &number.to_string().repeat(60_000)).await;
    }
    let closed = client.closed().await;
    assert_eq!(closed.0, 1013, "{closed:?}");
    assert!(closed.1.contains("too slow"), "{closed:?}");
}
