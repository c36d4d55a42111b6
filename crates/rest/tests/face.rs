//! Requests and their answers, over the reference store with the fixture's model.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_op::{Context, IdempotencyKey, Limits};
use fourfold_rest::{Body, Rest};
use fourfold_store::Maintain;
use fourfold_store::conformance::{fixture, world};
use fourfold_store::memory::MemoryStore;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};

struct Face(Rest);

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

async fn face() -> Face {
    face_of(fixture::model()).await
}

async fn face_of(model: fourfold_model::SharedModel) -> Face {
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    Face(Rest::new(Engine::new(Arc::new(store), model, 1, Limits::default())))
}

impl Face {
    async fn ask_as(&self, context: Context, line: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body: Body = Full::new(body.to_owned().into()).map_err(|never| match never {}).boxed_unsync();
        let response = self.0.serve(context, request.body(body).unwrap()).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Got { status: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Got {
        self.ask_as(world::admin(), line, headers, body).await
    }

    /// What a request is answered: its status, and a part of its body.
    async fn check(&self, line: &str, headers: &[(&str, &str)], body: &str, status: u16, part: &str) -> Got {
        let got = self.ask(line, headers, body).await;
        assert_eq!(got.status, status, "{line} {body}: {}", got.text);
        assert!(got.text.contains(part), "{line} {body}: expected `{part}` in {}", got.text);
        got
    }
}

const A: &str = "/v1/people/00000000-0000-0000-0000-00000000000a";

async fn with_people() -> Face {
    let face = face().await;
    for (key, name, email) in [("a", "Ada", "\"ada@x\""), ("b", "Bo, Jr", "null"), ("c", "ÇELIK", "\"c@x\"")] {
        let body = format!(r#"{{"id":"00000000-0000-0000-0000-00000000000{key}","name":"{name}","email":{email}}}"#);
        face.check("POST /v1/people", &[], &body, 201, name).await;
    }
    face
}

#[tokio::test]
async fn a_row_lives_from_post_to_delete() {
    let face = face().await;
    let body = r#"{"id":"00000000-0000-0000-0000-00000000000A","name":"Ada","email":"ada@x"}"#;
    let made = face.check("POST /v1/people", &[], body, 201, r#""revision":1"#).await;
    assert_eq!(made.header("location"), A);
    let read = face.check(&format!("GET {A}"), &[], "", 200, r#""name":"Ada""#).await;
    assert_eq!((read.header("etag"), &read.text), (made.header("etag"), &made.text));
    assert_eq!(read.header("cache-control"), "private, no-cache");
    assert!(read.header("server-timing").starts_with("parse;dur="), "{}", read.header("server-timing"));

    let known = face.check(&format!("GET {A}"), &[("if-none-match", read.header("etag"))], "", 304, "").await;
    assert_eq!((known.text.as_str(), known.header("etag")), ("", read.header("etag")));
    let head = face.check(&format!("HEAD {A}"), &[], "", 200, "").await;
    assert_eq!((head.text.as_str(), head.header("content-length")), ("", read.text.len().to_string().as_str()));

    let patched = face.check(&format!("PATCH {A}"), &[("if-match", "\"1\"")], r#"{"email":null}"#, 200, r#""email":null"#).await;
    assert!(patched.header("etag").starts_with("\"2-"));
    face.check(&format!("PATCH {A}"), &[("if-match", read.header("etag"))], r#"{"name":"x"}"#, 412, "revision_mismatch").await;
    face.check(&format!("PATCH {A}"), &[("if-match", "W/\"2\"")], r#"{"name":"x"}"#, 412, "revision_mismatch").await;
    face.check(&format!("PATCH {A}"), &[("if-match", "\"9\", \"2\"")], r#"{"name":"Ada L"}"#, 200, "Ada L").await;
    face.check(&format!("PUT {A}"), &[], r#"{"name":"New"}"#, 200, r#""name":"New""#).await;
    face.check(&format!("PUT {A}"), &[("if-none-match", "*")], r#"{"name":"New"}"#, 412, "revision_mismatch").await;
    face.check(&format!("DELETE {A}"), &[("if-match", "\"1\"")], "", 412, "revision_mismatch").await;
    face.check(&format!("DELETE {A}"), &[("if-match", "*")], "", 204, "").await;
    face.check(&format!("GET {A}"), &[], "", 404, "not_found").await;
    face.check(&format!("DELETE {A}"), &[], "", 404, "not_found").await;
    face.check(&format!("PUT {A}"), &[("if-match", "*")], r#"{"name":"x"}"#, 412, "revision_mismatch").await;
    face.check(&format!("PUT {A}"), &[], r#"{"name":"Back"}"#, 201, "Back").await;
}

#[tokio::test]
async fn minimal_answers_have_no_body() {
    let face = face().await;
    let made = face.check("POST /v1/people", &[("prefer", "return=minimal")], r#"{"name":"Ada"}"#, 201, "").await;
    assert_eq!((made.text.as_str(), made.header("etag"), made.header("preference-applied")), ("", "\"1\"", "return=minimal"));
    let path = made.header("location").to_owned();
    face.check(&format!("PATCH {path}"), &[("prefer", "return=minimal")], r#"{"name":"Bo"}"#, 204, "").await;
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    let face = with_people().await;
    for (query, names) in [
        ("order_by=name", "Ada|Bo, Jr|ÇELIK"),
        ("order_by=-name", "ÇELIK|Bo, Jr|Ada"),
        ("order_by=email,name", "Bo, Jr|Ada|ÇELIK"),
        ("name=Ada", "Ada"),
        ("name__eq=Ada", "Ada"),
        ("name__ne=Ada&order_by=name", "Bo, Jr|ÇELIK"),
        ("email__ne=ada@x", "ÇELIK"),
        ("name__gt=B&order_by=name", "Bo, Jr|ÇELIK"),
        ("name__lte=B", "Ada"),
        ("name__in=Ada,ÇELIK&order_by=name", "Ada|ÇELIK"),
        ("name__in=Bo,%20Jr", ""),
        ("name__in=Bo,+Jr&name__in=none", "Bo, Jr"),
        ("name__in=", ""),
        ("name__not_in=Ada,x&order_by=name", "Bo, Jr|ÇELIK"),
        ("name__contains=d", "Ada"),
        ("name__icontains=%C3%A7e", "ÇELIK"),
        ("name__startswith=Bo", "Bo, Jr"),
        ("email__isnull=true", "Bo, Jr"),
        ("email__isnull=false&order_by=name", "Ada|ÇELIK"),
        ("page_size=0&order_by=name", "Ada|Bo, Jr|ÇELIK"),
        ("page_size=99999999999999999999&order_by=name", "Ada|Bo, Jr|ÇELIK"),
    ] {
        let got = face.check(&format!("GET /v1/people?{query}").replace('Ç', "%C3%87"), &[], "", 200, "\"cursor\"").await;
        let page: serde_json::Value = serde_json::from_str(&got.text).unwrap();
        let found: Vec<&str> = page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(found.join("|"), names, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_their_links_to_the_end() {
    let face = with_people().await;
    let (mut next, mut names) = ("/v1/people?order_by=-name&page_size=1&fields=name&with_total=true".to_owned(), Vec::new());
    loop {
        let got = face.check(&format!("GET {next}"), &[], "", 200, "\"total\":3").await;
        let page: serde_json::Value = serde_json::from_str(&got.text).unwrap();
        assert_eq!(page["items"][0].as_object().unwrap().len(), 1);
        names.push(page["items"][0]["name"].as_str().unwrap().to_owned());
        let Some(link) = got.headers.get("link") else { break };
        next = link.to_str().unwrap().trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(names, ["ÇELIK", "Bo, Jr", "Ada"]);
    let token = "GET /v1/people?order_by=name&page_token=nonsense";
    face.check(token, &[], "", 400, "invalid_argument").await;
}

#[tokio::test]
async fn relations_are_expanded_and_asked_over() {
    let face = with_people().await;
    let owner = A.rsplit('/').next().unwrap();
    let body = format!(
        r#"{{"title":"T","owner_id":"{owner}","price":"9.5","big":"9007199254740993","tags":["x"],"lines":[{{"label":"l","quantity":2,"price":"1.25"}}],
            "extra":{{"b":[1, 2]}},"at":"2026-11-22T10:00:00+01:00","state":"live"}}"#
    );
    let made = face.check("POST /v1/items?expand=owner", &[], &body, 201, r#""total":"2.50""#).await;
    for part in [
        r#""price":"9.50""#,
        r#""big":"9007199254740993""#,
        r#""owner":{"id":""#,
        r#""owner_name":"Ada""#,
        r#""extra":{"b":[1,2]}"#,
        r#""at":"2026-11-22T09:00:00.000000Z""#,
        r#""lines":[{"label":"l","quantity":2,"price":"1.25"}]"#,
        r#""state":"live""#,
    ] {
        assert!(made.text.contains(part), "{part} in {}", made.text);
    }
    face.check(
        "GET /v1/items?owner__name__startswith=A&fields=title,owner.name&expand=owner",
        &[],
        "",
        200,
        r#"{"title":"T","owner":{"name":"Ada"}}"#,
    )
    .await;
    face.check(&format!("GET /v1/items?owner__id={owner}&fields=title"), &[], "", 200, r#"[{"title":"T"}]"#).await;
    face.check("GET /v1/items?tags__has=x&order_by=owner.name&fields=title", &[], "", 200, r#"[{"title":"T"}]"#).await;
    face.check(
        "GET /v1/people?expand=items&fields=items.title&name=Ada",
        &[],
        "",
        200,
        r#"[{"items":{"items":[{"title":"T"}],"has_more":false}}]"#,
    )
    .await;
    let line = "GET /v1/items:aggregate?group_by=state,at:day&count=*&sum=price&avg=price";
    let group = r#"{"items":[{"state":"live","at":"2026-11-22T00:00:00.000000Z","count":1,"sum_price":"9.50","avg_price":9.5}]}"#;
    face.check(line, &[], "", 200, group).await;
}

#[tokio::test]
async fn a_batch_is_one_commit_or_none() {
    let face = face().await;
    let made = format!(
        r#"{{"operations":[{{"create":"people","data":{{"id":"{}","name":"Ada"}}}},{{"update":"people","key":"{0}","if_revision":1,"data":{{"name":"B"}}}},{{"delete":"people","key":"{0}"}}]}}"#,
        &A[11..]
    );
    face.check("POST /v1/batch", &[], &made, 200, r#""deleted":true}]}"#).await;
    let broken =
        r#"{"operations":[{"create":"people","data":{"name":"Kept?"}},{"delete":"people","key":"00000000-0000-0000-0000-0000000000ff"}]}"#;
    face.check("POST /v1/batch", &[], broken, 404, r#""operation":1"#).await;
    face.check("GET /v1/people", &[], "", 200, r#""items":[]"#).await;
    for (body, part) in [
        (r#"{"operations":[{"create":"peple","data":{}}]}"#, "did you mean `people`?"),
        (r#"{"operations":[{"create":"people"}]}"#, "`create` needs `data`"),
        (r#"{"operations":[{"update":"people","data":{}}]}"#, "`update` needs a `key`"),
        (r#"{"operations":[{"create":"people","delete":"people"}]}"#, "one operation does one thing"),
        (r#"{"operations":[{"create":"people","data":{"nam":1}}]}"#, r#""pointer":"/operations/0/data/nam""#),
        (r#"{"operations":[]}"#, "there is no operation"),
        (r#"{"ops":[]}"#, "expected `operations`"),
        ("[]", "expected a JSON object, found an array"),
    ] {
        face.check("POST /v1/batch", &[], body, 400, part).await;
    }
}

#[tokio::test]
async fn an_ingest_tells_what_became_of_each_line() {
    let face = face().await;
    let ndjson = [("content-type", "application/x-ndjson")];
    let rows: String = (0..2500).map(|n| format!("{{\"name\":\"n{n}\"}}\n")).collect();
    face.check(
        "POST /v1/people",
        &ndjson,
        &format!("{rows}\n{{\"nam\":1}}\nnot json"),
        200,
        r#"{"created":2500,"failed":2,"errors":[{"line":2502,"problem":"#,
    )
    .await;
    face.check("GET /v1/people:aggregate?count=*", &[], "", 200, r#"[{"count":2500}]"#).await;
    let twice = "{\"id\":1,\"text\":\"a\"}\n{\"id\":1,\"text\":\"b\"}\n{\"text\":\"!\"}\n";
    face.check("POST /v1/entries", &ndjson, twice, 200, r#"{"created":1,"failed":2,"#).await;
    face.check(
        "POST /v1/people?mode=upsert",
        &ndjson,
        &format!("{{\"id\":\"{}\",\"name\":\"x\"}}\n", &A[11..]),
        200,
        r#""created":1,"updated":0"#,
    )
    .await;
    face.check("POST /v1/people?mode=x", &ndjson, "", 400, "expected create or upsert").await;
    let long = format!("{{\"name\":\"{}\"}}\n{{\"name\":\"short\"}}", "x".repeat(300_000));
    face.check("POST /v1/people", &ndjson, &long, 200, r#"{"created":1,"failed":1,"errors":[{"line":1,"#).await;
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_would_be_right() {
    let face = with_people().await;
    let json = ("content-type", "application/json");
    for (line, body, status, part) in [
        ("GET /v1/people?nam=x", "", 400, "did you mean `name`?"),
        ("GET /v1/people?name__containz=x", "", 400, "did you mean `contains`?"),
        ("GET /v1/people?name=a&name=b", "", 400, "for any of several values use `__in`"),
        ("GET /v1/people?page_size=-1", "", 400, "is negative"),
        ("GET /v1/people?page_size=x", "", 400, "not a whole number"),
        ("GET /v1/people?with_total=yes", "", 400, "expected true or false"),
        ("GET /v1/people?order_by=a,b,c,d", "", 400, "order_keys_max"),
        (
            "GET /v1/items?expand=parent.parent.parent.parent",
            "",
            400,
            r#""limit":"expand_depth_max","limit_value":3,"limit_unit":"levels""#,
        ),
        ("GET /v1/items?expand=a,b,c,d,e,f", "", 400, r#""limit":"expand_paths_max","limit_value":5,"limit_unit":"paths""#),
        ("GET /v1/items?parent__parent__parent__parent__title=x", "", 400, r#""code":"limit_exceeded""#),
        ("GET /v1/items?parent__parent__parent__parent__title__ne=x", "", 400, r#""limit":"expand_depth_max""#),
        ("GET /v1/items?order_by=parent.parent.parent.parent.title", "", 400, r#""limit":"expand_depth_max""#),
        ("GET /v1/people?fields=nme", "", 400, "did you mean `name`?"),
        ("GET /v1/people?expand=itms", "", 400, "did you mean `items`?"),
        ("GET /v1/people?fields=items.title", "", 400, "add `expand=items`"),
        ("GET /v1/people?items__title=x", "", 400, "to-many"),
        ("GET /v1/items?owner=x", "", 400, "its key is `owner_id`"),
        ("GET /v1/items?price__gt=abc", "", 400, "is not a Decimal(12,2)"),
        ("GET /v1/items?state=liv", "", 400, "did you mean `live`?"),
        ("GET /v1/items?state__gt=live", "", 400, "for this type there are"),
        ("GET /v1/items?extra=1", "", 400, "__isnull"),
        ("GET /v1/people?name=%ff", "", 400, "not UTF-8"),
        ("GET /v1/people?name=%", "", 400, "%25"),
        ("GET /v1/people?search=x", "", 400, "not served yet"),
        ("GET /v1/people/x", "", 400, "is not a Uuid"),
        ("GET /v1/people:aggregate", "", 400, "count=*"),
        ("GET /v1/items:aggregate?sum=title", "", 400, "expected a number"),
        ("GET /v1/peple", "", 404, "did you mean `/v1/people`?"),
        ("GET /v1/people/", "", 404, "without the last"),
        ("GET /v2/people", "", 404, "nothing is served"),
        ("GET /v1/actions/x", "", 501, "not served yet"),
        ("GET /v1/people/00000000-0000-0000-0000-00000000000a/items", "", 501, "not served yet"),
        ("POST /v1/people", "{", 400, "not valid JSON"),
        ("POST /v1/people", r#"{"name":1,"naem":2,"email":false}"#, 400, r#""pointer":"/email""#),
        ("POST /v1/people", r#"{"name":"a","name":"b"}"#, 400, "given twice"),
        ("POST /v1/people", r#"{"name":"a","email":"ada@x"}"#, 409, "already_exists"),
        (
            "PATCH /v1/people/00000000-0000-0000-0000-00000000000a",
            r#"{"id":"00000000-0000-0000-0000-00000000000b"}"#,
            400,
            "a key never changes",
        ),
        ("PATCH /v1/people/00000000-0000-0000-0000-00000000000a", r#"{"name":null}"#, 400, r#""pointer":"/name""#),
        ("POST /v1/entries", r#"{"text":"a","stars":6}"#, 400, r#""pointer":"/stars""#),
        ("POST /v1/entries", r#"{"text":""}"#, 400, r#""pointer":"/text""#),
        ("POST /v1/entries", r#"{"text":"","stars":6}"#, 400, r#""detail":"2 places are wrong; the first: `/text`: "#),
        ("POST /v1/batch", r#"{"operations":[{"delete":"people","key":"00000000-0000-0000-0000-0000000000ff"}]}"#, 404, r#""operation":0"#),
        ("DELETE /v1/people", "", 405, "is not served here"),
    ] {
        face.check(line, &[json], body, status, part).await;
    }
}

#[tokio::test]
async fn media_types_and_methods_are_refused_by_name() {
    let face = with_people().await;
    let got = face.check("POST /v1/people", &[("content-type", "text/plain")], "x", 415, "text/plain").await;
    assert_eq!(got.header("accept-post"), "application/json, application/x-ndjson");
    assert_eq!(got.header("content-type"), "application/problem+json");
    let got = face.check(&format!("PATCH {A}"), &[("content-type", "application/x-ndjson")], "x", 415, "merge-patch").await;
    assert!(got.header("accept-patch").contains("merge-patch"));
    face.check("GET /v1/people", &[("accept", "text/html")], "", 406, "expected `application/json`").await;
    face.check("GET /v1/people:aggregate?count=*", &[("accept", "text/event-stream")], "", 406, "of a list alone").await;
    assert_eq!(face.check("PUT /v1/people", &[], "", 405, "").await.header("allow"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(face.check(&format!("OPTIONS {A}"), &[], "", 204, "").await.header("allow"), "GET, HEAD, PATCH, PUT, DELETE, OPTIONS");
}

#[tokio::test]
async fn revisions_are_required_where_the_model_says_so() {
    let face = face().await;
    face.check("POST /v1/entries", &[], r#"{"text":"a"}"#, 201, r#""id":1"#).await;
    face.check("PATCH /v1/entries/1", &[], r#"{"text":"b"}"#, 428, "revision_required").await;
    face.check("PATCH /v1/entries/1", &[("if-match", "\"1\"")], r#"{"text":"b"}"#, 200, "\"b\"").await;
}

#[tokio::test]
async fn rules_and_masks_hold() {
    let face = with_people().await;
    face.check(&format!("PATCH {A}"), &[], r#"{"phone":"1"}"#, 200, r#""phone":"1""#).await;
    let got = face.ask_as(world::anonymous(), &format!("GET {A}"), &[], "").await;
    assert!(got.text.contains(r#""phone":null"#), "{}", got.text);
    let own = face.ask(&format!("GET {A}"), &[], "").await;
    assert_ne!(got.header("etag"), own.header("etag"));
    let got = face.ask_as(world::caller(1, &[]), "DELETE /v1/entries/1", &[], "").await;
    assert!(matches!(got.status, 403 | 404), "{}", got.text);
}

#[tokio::test]
async fn one_idempotency_key_writes_once() {
    let face = face().await;
    let keyed = || Context { idempotency: Some(IdempotencyKey("k".into())), ..world::admin() };
    let first = face.ask_as(keyed(), "POST /v1/people", &[], r#"{"name":"Ada"}"#).await;
    let second = face.ask_as(keyed(), "POST /v1/people", &[], r#"{"name":"Ada"}"#).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.header("location"), second.header("location"));
    let other = face.ask_as(keyed(), "POST /v1/people", &[], r#"{"name":"Bo"}"#).await;
    assert_eq!(other.status, 422, "{}", other.text);
}

/// Notes of callers with an id, and what a caller without one, or one who names another, is told.
#[tokio::test]
async fn what_the_rules_withhold_from_a_create_is_named() {
    const NOTES: &str = r#"package notes.v1
caller {
  id Uuid? @claim("id")
  roles String[] @claim("roles")
}
entity Note {
  id     Int    @key @default(next())
  text   String
  pinned Boolean @default(false)
  author Uuid   @default(caller.id)
  @@allow(read, true)
  @@allow(create, "admin" in caller.roles)
  @@allow(create, author == caller.id && !pinned, fields: [text])
}
entity Visit {
  id Int @key @default(next())
  by Uuid @default(caller.id)
  @@allow(create, read, true)
}
entity Log {
  id Int @key @default(next())
  by Uuid @default(caller.id)
  at String
  @@allow(create, true, fields: [at])
}
"#;
    let face = face_of(Arc::new(fourfold_model::load(NOTES, &fourfold_model::Lock::default()).unwrap().model)).await;
    let other = "00000000-0000-0000-0000-00000000000b";
    for (who, line, body, status, parts) in [
        (world::caller(1, &[]), "POST /v1/notes", r#"{"text":"a"}"#.to_owned(), 201, [r#""text":"a""#, ""]),
        (
            world::caller(1, &[]),
            "POST /v1/notes",
            format!(r#"{{"text":"a","pinned":true,"author":"{other}"}}"#),
            403,
            ["this caller may not set `pinned`, `author` of `Note`", r#"[{"pointer":"/pinned",""#],
        ),
        (world::anonymous(), "POST /v1/logs", r#"{"at":"a"}"#.to_owned(), 403, [r#""code":"permission_denied""#, "claim `id`"]),
        (world::anonymous(), "POST /v1/notes", r#"{"text":"a"}"#.to_owned(), 403, ["`author` of `Note` comes from the claim `id`", ""]),
        (world::anonymous(), "POST /v1/visits", "{}".to_owned(), 400, [r#""pointer":"/by""#, "no claim `id`"]),
        (world::anonymous(), "POST /v1/visits", format!(r#"{{"by":"{other}"}}"#), 201, ["", ""]),
        (world::anonymous(), "POST /v1/notes", format!(r#"{{"text":"a","author":"{other}"}}"#), 403, ["no rule of `Note` lets", ""]),
    ] {
        let got = face.ask_as(who, line, &[], &body).await;
        assert_eq!(got.status, status, "{line} {body}: {}", got.text);
        assert!(parts.iter().all(|part| got.text.contains(part)), "{line} {body}: expected {parts:?} in {}", got.text);
    }
}
