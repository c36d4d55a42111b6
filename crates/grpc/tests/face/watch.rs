//! Watches, over each of the protocols.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::Closing;
use fourfold_model::{Lock, Model, Value};
use fourfold_op::{Claims, Context, Limits, Principal};
use serde_json::{Value as Json, json};

use crate::shop::{self, Shop};
use crate::stream::{CONNECT, Ended, GRPC, GRPC_WEB, How, PROTOCOLS, Stream};

const WATCH: &str = "NoteService/WatchNotes";

fn model() -> Model {
    fourfold_model::load(include_str!("notes.fourfold"), &Lock::default()).unwrap().model
}

async fn notes_of(limits: Limits) -> Shop {
    shop::shop_of(model(), limits).await
}

async fn notes() -> Shop {
    notes_of(Limits::default()).await
}

fn named(name: &str) -> Context {
    let principal = Principal { issuer: "test".into(), subject: name.into(), claims: Claims([Value::text(name)].into()) };
    Context { principal: Arc::new(principal), ..shop::context() }
}

impl Shop {
    async fn note(&self, id: i32, title: &str) {
        self.upsert(json!({"id": id, "title": title, "price": 7})).await;
    }

    async fn upsert(&self, note: Json) {
        let request = http::Request::post("/shop.v1.NoteService/UpsertNote").header("content-type", "application/json");
        let body = shop::body(json!({"note": note}).to_string());
        assert_eq!(self.grpc.serve(named("ada"), request.body(body).unwrap()).await.status(), 200, "{note}");
    }

    /// Begins to watch, and takes the bookmark that says from where on.
    async fn watch_as(&self, caller: &str, request: Json) -> (Stream, String) {
        let mut stream = self.begin(named(caller), WATCH, request, GRPC, How::default()).await;
        let begins = stream.next().await;
        (stream, cursor_of_bookmark(&begins))
    }

    async fn watch(&self, request: Json) -> Stream {
        self.watch_as("ada", request).await.0
    }
}

fn cursor_of_bookmark(told: &Json) -> String {
    let members: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((members, &told["change"]), (vec!["change", "cursor"], &json!("CHANGE_BOOKMARK")), "{told}");
    told["cursor"].as_str().unwrap().to_owned()
}

/// `ENTERED Ada@1`
async fn told(stream: &mut Stream) -> String {
    let told = stream.next().await;
    let change = told["change"].as_str().unwrap().strip_prefix("CHANGE_").unwrap().to_owned();
    match change.as_str() {
        "LEFT" => format!("LEFT {}", told["id"]),
        _ => format!("{change} {}@{}", told["note"]["title"].as_str().unwrap_or("-"), told["revision"].as_str().unwrap_or("-")),
    }
}

#[tokio::test]
async fn changes_are_told_relative_to_the_filter() {
    let shop = notes().await;
    for kind in PROTOCOLS {
        let request = json!({"filter": "title.startsWith(\"A\")", "read_mask": "title"});
        let mut stream = shop.begin(named("ada"), WATCH, request, kind, How::default()).await;
        cursor_of_bookmark(&stream.next().await);
        shop.note(0, "Ada").await;
        shop.note(1, "Bo").await;
        shop.note(0, "Ann").await;
        shop.note(0, "Zoe").await;
        let entered = stream.next().await;
        let revision = if kind == CONNECT { json!(entered["revision"].as_u64().unwrap()) } else { entered["revision"].clone() };
        assert_eq!((&entered["change"], &entered["id"]), (&json!("CHANGE_ENTERED"), &json!(0)), "{kind}");
        assert_eq!(entered["note"], json!({"id": 0, "revision": revision, "title": "Ada"}), "{kind}");
        assert!(entered["at"].as_str().unwrap().ends_with('Z') && entered["cursor"].is_string(), "{entered}");
        let changed = stream.next().await;
        assert_eq!((&changed["change"], &changed["note"]["title"]), (&json!("CHANGE_CHANGED"), &json!("Ann")), "{kind}");
        let left = stream.next().await;
        let members: Vec<&str> = left.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((members, &left["change"], &left["id"]), (vec!["at", "change", "cursor", "id"], &json!("CHANGE_LEFT"), &json!(0)));
    }
}

#[tokio::test]
async fn changes_are_told_relative_to_what_the_caller_may_see() {
    let shop = notes().await;
    let (mut hers, _) = shop.watch_as("ada", json!({})).await;
    let (mut his, _) = shop.watch_as("bob", json!({})).await;
    for owner in [json!("ada"), Json::Null, json!("ada")] {
        shop.upsert(json!({"id": 1, "title": "Ada", "owner": owner, "price": 7})).await;
    }
    let seen = his.next().await;
    assert_eq!((&seen["change"], &seen["revision"], &seen["note"]["price"]), (&json!("CHANGE_ENTERED"), &json!("2"), &Json::Null));
    assert_eq!(told(&mut his).await, "LEFT 1");
    assert_eq!(hers.next().await["note"]["price"], json!(7));
    assert_eq!([told(&mut hers).await, told(&mut hers).await], ["CHANGED Ada@2", "CHANGED Ada@3"]);
}

#[tokio::test]
async fn a_watch_goes_on_after_a_cursor_without_gap_or_repeat() {
    let shop = notes().await;
    let (mut stream, before) = shop.watch_as("ada", json!({})).await;
    for (id, title) in [(1, "Ada"), (2, "Bo"), (3, "Cy")] {
        shop.note(id, title).await;
    }
    let first = stream.next().await["cursor"].clone();
    drop(stream);
    let (mut again, begins) = shop.watch_as("ada", json!({"after": first})).await;
    assert_eq!((json!(begins), told(&mut again).await, told(&mut again).await), (first, "ENTERED Bo@1".into(), "ENTERED Cy@1".into()));
    let mut from_start = shop.watch(json!({"after": before})).await;
    assert_eq!(told(&mut from_start).await, "ENTERED Ada@1");
    let list = shop.grpc("NoteService/ListNotes", json!({})).await.unwrap();
    let mut from_list = shop.watch(json!({"after": list["cursor"]})).await;
    shop.note(4, "Di").await;
    assert_eq!(told(&mut from_list).await, "ENTERED Di@1");
}

#[tokio::test]
async fn a_watch_may_begin_with_the_rows_as_they_are() {
    let shop = notes().await;
    shop.note(1, "Ada").await;
    shop.note(2, "Bo").await;
    let request = json!({"filter": "title == \"Ada\"", "initial": true, "read_mask": "title"});
    let mut stream = shop.begin(named("ada"), WATCH, request, GRPC, How::default()).await;
    let row = json!({"id": 1, "revision": "1", "title": "Ada"});
    assert_eq!(stream.next().await, json!({"change": "CHANGE_ENTERED", "id": 1, "revision": "1", "note": row}));
    cursor_of_bookmark(&stream.next().await);
    shop.note(2, "Ada").await;
    assert_eq!(told(&mut stream).await, "ENTERED Ada@2");
    shop.watch(json!({"filter": "title == \"Zoe\"", "initial": true})).await;
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_before_the_stream_begins() {
    let shop = notes().await;
    for (path, request, code, reason, field) in [
        (WATCH, json!({"after": "other.1"}), 11, "CURSOR_EXPIRED", ""),
        (WATCH, json!({"after": "nonsense"}), 3, "INVALID_ARGUMENT", "after"),
        (WATCH, json!({"after": "a.1", "initial": true}), 3, "INVALID_ARGUMENT", "initial"),
        (WATCH, json!({"filter": "titel == \"x\""}), 3, "INVALID_ARGUMENT", "filter"),
        (WATCH, json!({"filter": "title =="}), 3, "INVALID_ARGUMENT", "filter"),
        (WATCH, json!({"read_mask": "titel"}), 3, "INVALID_ARGUMENT", "read_mask"),
        ("OddityService/WatchOddities", json!({"read_mask": "room.title"}), 3, "INVALID_ARGUMENT", "read_mask"),
        ("RoomService/WatchRooms", json!({"filter": "oddities.exists(o, o.id == 1)"}), 3, "INVALID_ARGUMENT", ""),
        ("OddityService/WatchOddities", json!({}), 9, "FAILED_PRECONDITION", ""),
    ] {
        let asked = shop.stream(path, vec![request.clone()]);
        let (status, messages) = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it is watched");
        assert_eq!((status, messages), (Err((code, reason.into(), field.into())), vec![]), "{path} {request}");
    }
    let (status, error) = shop.connect(WATCH, json!({})).await;
    assert_ne!(status, 200, "{error}");
}

#[tokio::test]
async fn an_entity_that_is_not_watched_has_no_such_method() {
    let shop = notes().await;
    let contract = fourfold_grpc::proto(&model());
    assert!(contract.contains("rpc WatchNotes") && !contract.contains("WatchSecrets"), "{contract}");
    let status = shop.raw("SecretService/WatchSecrets", shop::envelope(b"")).await.0;
    assert_eq!(status.unwrap_err().1, "UNIMPLEMENTED");
}

#[tokio::test]
async fn an_ending_server_tells_each_protocol_from_where_to_go_on() {
    for kind in PROTOCOLS {
        let shop = notes().await;
        let mut stream = shop.begin(named("ada"), WATCH, json!({}), kind, How::default()).await;
        stream.next().await;
        shop.note(1, "Ada").await;
        let last = stream.next().await["cursor"].as_str().unwrap().to_owned();
        shop.engine.close_watches(Closing::Drain);
        assert_eq!(stream.ended().await, Ended { code: 14, reason: "UNAVAILABLE".into(), cursor: Some(last) }, "{kind}");
    }
}

#[tokio::test]
async fn a_new_model_resets_and_leaves_no_cursor() {
    for kind in PROTOCOLS {
        let shop = notes().await;
        let mut stream = shop.begin(named("ada"), WATCH, json!({}), kind, How::default()).await;
        stream.next().await;
        shop.engine.close_watches(Closing::Replaced);
        assert_eq!(stream.next().await, json!({"change": "CHANGE_RESET"}), "{kind}");
        assert_eq!(stream.ended().await, Ended { code: 11, reason: "CURSOR_EXPIRED".into(), cursor: None }, "{kind}");
    }
}

#[tokio::test]
async fn a_slow_reader_ends_with_a_cursor_and_misses_nothing() {
    let shop = notes_of(Limits { watch_queue_deliveries_max: 2, ..Limits::default() }).await;
    let mut slow = shop.watch(json!({})).await;
    let mut quick = shop.watch(json!({})).await;
    shop.note(1, "0").await;
    assert_eq!((told(&mut slow).await, told(&mut quick).await), ("ENTERED 0@1".into(), "ENTERED 0@1".into()));
    for number in 1..6 {
        shop.note(1, &number.to_string()).await;
        told(&mut quick).await;
    }
    let ended = slow.ended().await;
    assert_eq!((ended.code, ended.reason.as_str()), (14, "UNAVAILABLE"));
    let mut again = shop.watch(json!({"after": ended.cursor})).await;
    for number in 1..6 {
        assert!(told(&mut again).await.ends_with(&format!(" {number}@{}", number + 1)));
    }
}

#[tokio::test]
async fn a_watch_ends_with_its_credential() {
    let shop = notes().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    for kind in PROTOCOLS {
        let how = How { expires_at: Some(now - 1), ..How::default() };
        let refused = shop.begin(named("ada"), WATCH, json!({}), kind, how).await.ended().await;
        assert_eq!((refused.code, refused.reason.as_str()), (16, "TOKEN_EXPIRED"), "{kind}");
    }
    let how = How { expires_at: Some(now + 5), ..How::default() };
    let mut stream = shop.begin(named("ada"), WATCH, json!({}), GRPC_WEB, how).await;
    let begins = cursor_of_bookmark(&stream.next().await);
    tokio::time::pause();
    assert_eq!(stream.ended().await, Ended { code: 16, reason: "TOKEN_EXPIRED".into(), cursor: Some(begins) });
}

#[tokio::test]
async fn a_watch_ends_at_its_deadline() {
    let shop = notes().await;
    for (kind, headers) in [(GRPC, &[("grpc-timeout", "5S")]), (CONNECT, &[("connect-timeout-ms", "5000")])] {
        let mut stream = shop.begin(named("ada"), WATCH, json!({}), kind, How { headers, ..How::default() }).await;
        stream.next().await;
        tokio::time::pause();
        assert_eq!(stream.ended().await.code, 4, "{kind}");
        tokio::time::resume();
    }
    assert_eq!(shop.engine.feed_figures().watch_count, 0);
}

#[tokio::test]
async fn a_quiet_watch_has_bookmarks() {
    let shop = notes_of(Limits { watch_bookmark_ms: 50, ..Limits::default() }).await;
    for kind in PROTOCOLS {
        let mut stream = shop.begin(named("ada"), WATCH, json!({"filter": "title == \"nobody\""}), kind, How::default()).await;
        let begins = cursor_of_bookmark(&stream.next().await);
        assert_eq!(cursor_of_bookmark(&stream.next().await), begins, "a heartbeat: the log has not moved");
        shop.note(1, kind).await;
        while cursor_of_bookmark(&stream.next().await) == begins {}
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_nothing_behind() {
    let shop = notes().await;
    let stream = shop.watch(json!({})).await;
    assert_eq!(shop.engine.feed_figures().watch_count, 1);
    drop(stream);
    assert_eq!(shop.engine.feed_figures().watch_count, 0);
}

#[tokio::test]
async fn a_row_too_large_for_a_message_ends_the_watch() {
    let shop = notes_of(Limits { grpc_message_bytes_max: 240, ..Limits::default() }).await;
    let stream = shop.watch(json!({})).await;
    shop.upsert(json!({"id": 1, "title": "x".repeat(200)})).await;
    let ended = stream.ended().await;
    assert_eq!((ended.code, ended.reason.as_str()), (8, "LIMIT_EXCEEDED"));
}
