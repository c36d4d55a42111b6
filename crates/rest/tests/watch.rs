//! Watches over server-sent events, over the reference store.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::{Closing, Engine};
use fourfold_model::{Lock, SharedModel};
use fourfold_op::{Authenticated, Context, Limits};
use fourfold_rest::{Body, Rest};
use fourfold_store::Maintain;
use fourfold_store::conformance::{fixture, world};
use fourfold_store::memory::MemoryStore;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};

const EVENTS: (&str, &str) = ("accept", "text/event-stream");

struct Face {
    rest: Rest,
    engine: Arc<Engine>,
}

/// A stream under way: its blocks one by one.
struct Stream {
    body: Body,
    waiting: String,
}

/// One block: its fields.
#[derive(Debug, Default, PartialEq)]
struct Event {
    id: Option<String>,
    name: String,
    data: Json,
    retry: Option<String>,
}

async fn face_of(model: SharedModel, limits: Limits) -> Face {
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let engine = Engine::new(Arc::new(store), model, 1, limits);
    Face { rest: Rest::new(engine.clone()), engine }
}

async fn face() -> Face {
    face_of(fixture::model(), Limits::default()).await
}

impl Face {
    async fn ask(&self, context: Context, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, HeaderMap, Body) {
        self.ask_until(context, line, headers, body, None).await
    }

    async fn ask_until(
        &self,
        context: Context,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
        expires_at: Option<i64>,
    ) -> (u16, HeaderMap, Body) {
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let caller = Authenticated { principal: context.principal.clone(), expires_at };
        let body: Body = Full::new(body.to_owned().into()).map_err(|never| match never {}).boxed_unsync();
        let response = self.rest.serve(context, request.extension(caller).body(body).unwrap()).await;
        let (head, body) = response.into_parts();
        (head.status.as_u16(), head.headers, body)
    }

    async fn write(&self, line: &str, body: &str) {
        let (status, _, answer) = self.ask(world::admin(), line, &[], body).await;
        assert!(status < 300, "{line}: {:?}", answer.collect().await.unwrap().to_bytes());
    }

    async fn person(&self, key: char, name: &str) {
        self.write(&format!("PUT /v1/people/{}", id(key)), &json!({"name": name, "phone": "1"}).to_string()).await;
    }

    async fn watch_as(&self, context: Context, query: &str, headers: &[(&str, &str)]) -> Stream {
        let headers: Vec<_> = headers.iter().copied().chain([EVENTS]).collect();
        let (status, head, body) = self.ask(context, &format!("GET /v1/{query}"), &headers, "").await;
        let shown = |name: &str| head.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!((status, shown("content-type").as_str()), (200, "text/event-stream"), "{query}");
        assert_eq!((shown("cache-control").as_str(), shown("x-accel-buffering").as_str()), ("no-store", "no"));
        Stream { body, waiting: String::new() }
    }

    async fn watch(&self, query: &str, headers: &[(&str, &str)]) -> Stream {
        self.watch_as(world::admin(), query, headers).await
    }

    async fn refused(&self, query: &str, headers: &[(&str, &str)]) -> (u16, Json) {
        let headers: Vec<_> = headers.iter().copied().chain([EVENTS]).collect();
        let (status, head, body) = self.ask(world::admin(), &format!("GET /v1/{query}"), &headers, "").await;
        assert_eq!(head["content-type"], "application/problem+json", "{query}");
        (status, serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap())
    }
}

impl Stream {
    /// The next block that is no comment; none at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.waiting.split_once("\n\n").map(|(block, rest)| (block.to_owned(), rest.to_owned())) {
                self.waiting = rest;
                match block.starts_with(':') {
                    true => continue,
                    false => return Some(block),
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.expect("nothing is told");
            let bytes = frame?.unwrap().into_data().unwrap();
            self.waiting.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn next(&mut self) -> Event {
        let block = self.block().await.expect("the stream has ended");
        let mut event = Event::default();
        for line in block.lines() {
            match line.split_once(": ").unwrap() {
                ("id", id) => event.id = Some(id.to_owned()),
                ("event", name) => event.name = name.to_owned(),
                ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                ("retry", ms) => event.retry = Some(ms.to_owned()),
                _ => panic!("{block}"),
            }
        }
        event
    }

    /// `entered Ada@1`
    async fn told(&mut self) -> String {
        let event = self.next().await;
        let data = &event.data;
        match event.name.as_str() {
            "left" => format!("left {}", data["key"].as_str().unwrap().chars().last().unwrap()),
            name => format!("{name} {}@{}", data["item"]["name"].as_str().unwrap_or("-"), data["revision"]),
        }
    }

    /// That it ends after this.
    async fn ends(mut self) {
        assert_eq!(self.block().await, None);
    }
}

fn id(key: char) -> String {
    format!("00000000-0000-0000-0000-00000000000{key}")
}

#[tokio::test]
async fn changes_are_told_in_the_form_of_the_contract() {
    let face = face().await;
    let mut stream = face.watch("people?name__startswith=A&fields=id,name", &[]).await;
    let start = stream.next().await;
    assert!(start.id.is_some() && start.name.is_empty(), "{start:?}");
    face.person('a', "Ada").await;
    face.person('b', "Bo").await;
    face.person('a', "Ann").await;
    face.person('a', "Zoe").await;
    let entered = stream.next().await;
    assert_eq!((entered.name.as_str(), &entered.data["item"]), ("entered", &json!({"id": id('a'), "name": "Ada"})));
    assert_eq!((&entered.data["key"], &entered.data["revision"]), (&json!(id('a')), &json!(1)));
    assert!(entered.data["at"].as_str().unwrap().ends_with('Z'), "{entered:?}");
    assert!(entered.id.is_some());
    assert_eq!(stream.told().await, "changed Ann@2");
    let left = stream.next().await;
    let members: Vec<&str> = left.data.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((left.name.as_str(), members), ("left", vec!["at", "key"]));
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let face = face().await;
    let mut stream = face.watch("people", &[]).await;
    let before = stream.next().await.id.unwrap();
    for (key, name) in [('a', "Ada"), ('b', "Bo"), ('c', "Cy")] {
        face.person(key, name).await;
    }
    let first = stream.next().await.id.unwrap();
    drop(stream);
    let mut again = face.watch("people?initial=true", &[("last-event-id", &first)]).await;
    assert_eq!(again.next().await.id, Some(first.clone()), "the header wins");
    assert_eq!([again.told().await, again.told().await], ["entered Bo@1", "entered Cy@1"]);
    let mut from_start = face.watch(&format!("people?after={before}"), &[]).await;
    from_start.next().await;
    assert_eq!(from_start.told().await, "entered Ada@1");
    let mut header = face.watch(&format!("people?after={before}"), &[("last-event-id", &first)]).await;
    header.next().await;
    assert_eq!(header.told().await, "entered Bo@1");
}

#[tokio::test]
async fn a_watch_may_begin_with_the_rows_as_they_are() {
    let face = face().await;
    face.person('a', "Ada").await;
    face.person('b', "Bo").await;
    let mut stream = face.watch("people?initial=true&fields=name&name=Ada", &[]).await;
    let first = stream.next().await;
    assert_eq!((first.id, first.name.as_str()), (None, "entered"));
    assert_eq!(first.data, json!({"key": id('a'), "revision": 1, "item": {"name": "Ada"}}));
    let bookmark = stream.next().await;
    assert_eq!((bookmark.name.as_str(), &bookmark.data, bookmark.id.is_some()), ("bookmark", &json!({}), true));
    face.person('b', "Ada").await;
    assert_eq!(stream.told().await, "entered Ada@2");
    let mut none = face.watch("people?initial=true&name=Zoe", &[]).await;
    assert_eq!(none.next().await.name, "bookmark");
}

#[tokio::test]
async fn what_a_caller_may_not_see_is_null_for_it_alone() {
    let face = face().await;
    let mut hers = face.watch_as(world::caller(1, &[]), "people", &[]).await;
    let mut admins = face.watch("people", &[]).await;
    let mut alike = face.watch("people", &[]).await;
    let mut narrow = face.watch("people?fields=name", &[]).await;
    for stream in [&mut hers, &mut admins, &mut alike, &mut narrow] {
        stream.next().await;
    }
    face.person('a', "Ada").await;
    assert_eq!(hers.next().await.data["item"]["phone"], Json::Null);
    let told = admins.next().await;
    assert_eq!(told.data["item"]["phone"], "1");
    assert_eq!(alike.next().await, told);
    assert_eq!(narrow.next().await.data["item"], json!({"name": "Ada"}));
}

#[tokio::test]
async fn data_are_one_line_whatever_they_hold() {
    let face = face().await;
    let mut stream = face.watch("items?fields=title,extra", &[]).await;
    stream.next().await;
    face.write("POST /v1/items", "{\"title\": \"a\\nb\\r\", \"extra\": {\"x\":\r\n\n [1,\n 2]}}").await;
    assert_eq!(stream.next().await.data["item"], json!({"title": "a\nb\r", "extra": {"x": [1, 2]}}));
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_before_the_stream_begins() {
    let face = face().await;
    let long = format!("people?after={}", "x".repeat(4_000));
    for (query, headers, status, code) in [
        ("people?after=other.1", &[][..], 410, "cursor_expired"),
        ("people", &[("last-event-id", "other.1")][..], 410, "cursor_expired"),
        ("people?after=nonsense", &[], 400, "invalid_argument"),
        (&long, &[], 400, "invalid_argument"),
        ("people", &[("last-event-id", "nonsense")], 400, "invalid_argument"),
        ("people?initial=maybe", &[], 400, "invalid_argument"),
        ("people?initial=true&after=a.1", &[], 400, "invalid_argument"),
        ("people?after=a.1&after=a.1", &[], 400, "invalid_argument"),
        ("people?order_by=name", &[], 400, "invalid_argument"),
        ("people?page_size=1", &[], 400, "invalid_argument"),
        ("people?nmae=Ada", &[], 400, "invalid_argument"),
        ("items?owner__name=Ada", &[], 400, "invalid_argument"),
    ] {
        let (got, problem) = face.refused(query, headers).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{query}: {problem}");
    }
    let (status, ..) = face.ask(world::admin(), &format!("GET /v1/people/{}", id('a')), &[EVENTS], "").await;
    assert_eq!(status, 406);
}

const ODD: &str = r#"
package odd.v1
caller {
  id    Uuid?    @claim("id")
  roles String[] @claim("roles")
}
entity Room {
  id       Int      @key @default(next())
  title    String
  oddities Oddity[]
  @@allow(read, create, true)
}
entity Oddity {
  id   Int  @key @default(next())
  room Room
  @@allow(read, room.title == "odd")
  @@allow(create, true)
}
"#;

#[tokio::test]
async fn rules_that_look_beyond_the_row_cannot_be_watched() {
    let model = Arc::new(fourfold_model::load(ODD, &Lock::default()).unwrap().model);
    let face = face_of(model, Limits::default()).await;
    let (status, problem) = face.refused("oddities", &[]).await;
    assert_eq!((status, &problem["code"]), (409, &json!("failed_precondition")), "{problem}");
}

#[tokio::test]
async fn an_ending_server_says_bye_and_a_new_model_resets() {
    for (closing, name, code) in [(Closing::Drain, "bye", Json::Null), (Closing::Replaced, "error", json!("cursor_expired"))] {
        let face = face().await;
        let mut stream = face.watch("people", &[]).await;
        stream.next().await;
        face.person('a', "Ada").await;
        let last = stream.next().await.id.unwrap();
        face.engine.close_watches(closing);
        let end = stream.next().await;
        assert_eq!((end.name.as_str(), end.id, &end.data["code"]), (name, None, &code));
        if closing == Closing::Drain {
            assert_eq!(end.data, json!({"cursor": last}));
        }
        stream.ends().await;
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_when_to_come_back() {
    let limits = Limits { watch_queue_deliveries_max: 2, ..Limits::default() };
    let face = face_of(fixture::model(), limits).await;
    let mut slow = face.watch("people", &[]).await;
    let mut quick = face.watch("people", &[]).await;
    slow.next().await;
    quick.next().await;
    face.person('a', "0").await;
    assert_eq!(slow.told().await, "entered 0@1");
    quick.next().await;
    for number in 1..6 {
        face.person('a', &number.to_string()).await;
        quick.next().await;
    }
    let end = slow.next().await;
    assert_eq!((end.name.as_str(), end.id, end.retry.as_deref()), ("error", None, Some("5000")));
    assert_eq!((&end.data["code"], &end.data["retry_after_ms"]), (&json!("unavailable"), &json!(5000)));
    slow.ends().await;
}

#[tokio::test]
async fn a_watch_ends_with_its_credential() {
    let face = face().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let (status, _, body) = face.ask_until(world::admin(), "GET /v1/people", &[EVENTS], "", Some(now + 2)).await;
    assert_eq!(status, 200);
    let mut stream = Stream { body, waiting: String::new() };
    stream.next().await;
    let end = stream.next().await;
    assert_eq!((end.name.as_str(), &end.data["code"]), ("error", &json!("token_expired")));
    stream.ends().await;
    let (status, ..) = face.ask_until(world::admin(), "GET /v1/people", &[EVENTS], "", Some(now - 1)).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_quiet_stream_has_bookmarks_and_heartbeats() {
    let limits = Limits { watch_bookmark_ms: 50, ..Limits::default() };
    let face = face_of(fixture::model(), limits).await;
    let mut stream = face.watch("people?name=nobody", &[]).await;
    let start = stream.next().await.id;
    face.person('a', "Ada").await;
    let bookmark = stream.next().await;
    assert_eq!((bookmark.name.as_str(), &bookmark.data), ("bookmark", &json!({})));
    assert_ne!(bookmark.id, start);
    tokio::time::pause();
    let bytes = stream.body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&bytes[..], b":\n\n");
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_nothing_behind() {
    let face = face().await;
    let stream = face.watch("people", &[]).await;
    let (status, ..) = face.ask(world::admin(), "HEAD /v1/people", &[EVENTS], "").await;
    assert_eq!((status, face.engine.feed_figures().watch_count), (200, 1));
    drop(stream);
    assert_eq!(face.engine.feed_figures().watch_count, 0);
}
