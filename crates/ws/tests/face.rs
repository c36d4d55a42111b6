//! Commands and their replies, over the reference store with the fixture's model, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use fourfold_op::Limits;
use fourfold_store::conformance::{fixture, world};
use fourfold_ws::Body;
use serde_json::{Value as Json, json};
use socket::{Client, FORMS, Face, Form};
use tokio_tungstenite::tungstenite::Message;

async fn face() -> Face {
    Face::of(fixture::model(), Limits::default()).await
}

async fn check(client: &mut Client, method: &str, data: Json, part: &str) {
    let reply = client.ask(json!({"id": 7, "rpc": {"method": method, "data": data}})).await;
    assert_eq!(reply["id"], json!(7));
    let said = reply.to_string();
    assert!(said.contains(part), "{method} {data}: expected `{part}` in {said}");
}

const ID: &str = "00000000-0000-0000-0000-00000000000a";

#[tokio::test]
async fn a_row_lives_by_rpc() {
    for form in FORMS {
        let mut client = face().await.connected(form, "root/admin").await;
        for (method, data, part) in [
            ("people.create", json!({"data": {"id": ID, "name": "Ada"}}), r#""name":"Ada","phone":null,"revision":1"#),
            ("people.get", json!({"id": ID, "fields": "name"}), r#"{"data":{"name":"Ada"}}"#),
            ("people.update", json!({"id": ID, "data": {"name": "Bo"}, "if_revision": 1}), r#""name":"Bo""#),
            (
                "people.update",
                json!({"id": ID, "data": {"name": "x"}, "if_revision": 1}),
                r#""error":{"code":1412,"message":"revision_mismatch: "#,
            ),
            ("people.upsert", json!({"id": ID, "data": {"name": "Cy"}}), r#""name":"Cy""#),
            ("people.list", json!({"name__in": ["Cy", "none"], "page_size": 5, "with_total": true}), r#""total":1"#),
            ("people.aggregate", json!({"count": "*"}), r#"{"items":[{"count":1}]}"#),
            ("people.delete", json!({"id": ID}), r#""deleted":true"#),
            ("people.get", json!({"id": ID}), r#""code":1404"#),
        ] {
            check(&mut client, method, data, part).await;
        }
        let writes = json!([{"create": "people", "data": {"name": "A"}}, {"create": "people", "data": {"name": "B"}}]);
        for _ in 0..2 {
            check(&mut client, "batch", json!({"operations": writes, "request_id": "r1"}), r#""results":[{"#).await;
        }
        check(&mut client, "people.aggregate", json!({"count": "*"}), r#"{"items":[{"count":2}]}"#).await;
    }
}

#[tokio::test]
async fn what_is_wrong_has_its_code() {
    for form in FORMS {
        let mut client = face().await.connected(form, "root/admin").await;
        for (method, data, part) in [
            ("people.gt", json!({}), r#""code":104,"message":"unimplemented: unknown rpc `people.gt`; did you mean `people.get`?""#),
            ("nothing", json!({}), r#""code":104"#),
            ("people.get", json!({}), r#""code":107"#),
            ("people.get", Json::Null, "`id` is missing"),
            ("people.get", json!({"id": "x"}), "is not a Uuid"),
            ("people.get", json!({"id": "x", "idd": 1}), "unknown member `idd`"),
            ("people.create", json!({"data": {"nam": 1}}), "did you mean `name`?"),
            ("people.create", json!({}), "`data` is missing"),
            ("people.create", json!(5), "expected a JSON object, found a number"),
            ("people.list", json!({"nam": 1}), "did you mean `name`?"),
            ("people.list", json!({"name": {}}), "expected a string"),
            (
                "items.list",
                json!({"expand": "parent.parent.parent.parent"}),
                r#""code":106,"message":"limit_exceeded: more than 3 levels (limit `expand_depth_max`)""#,
            ),
            ("entries.create", json!({"data": {"text": "", "stars": 6}}), "invalid_argument: 2 places are wrong; the first: `/text`: "),
            (
                "batch",
                json!({"operations": [{"create": "entries", "data": {"text": ""}}]}),
                r#""message":"invalid_argument: operation 0: `/text`: "#,
            ),
            (
                "batch",
                json!({"operations": [{"delete": "people", "key": "00000000-0000-0000-0000-0000000000ff"}]}),
                r#""message":"not_found: operation 0: no `Person` with this key""#,
            ),
            ("people.create", json!({"data": {"name": "a"}, "request_id": ""}), "1 to 255 visible characters"),
        ] {
            check(&mut client, method, data, part).await;
        }
    }
}

#[tokio::test]
async fn data_that_are_no_json_are_refused_and_the_connection_goes_on() {
    let mut client = face().await.connected(Form::Protobuf, "root").await;
    let mut deep = "[".repeat(65);
    deep.push_str(&"]".repeat(65));
    for (data, code) in [(&b"{"[..], 107), (b"\xff", 107), (b"no", 107), (deep.as_bytes(), 106)] {
        client.send_message(Message::binary(socket::call("people.list", data))).await;
        assert_eq!(client.next().await["error"]["code"], json!(code), "{data:?}");
    }
    check(&mut client, "people.aggregate", json!({"count": "*"}), r#"{"items":[{"count":0}]}"#).await;
}

#[tokio::test]
async fn commands_of_one_frame_are_answered_in_one() {
    for form in FORMS {
        let mut client = face().await.open(form).await;
        let list = json!({"id": 2, "rpc": {"method": "people.list", "data": {}}});
        client.send(&[json!({"id": 1, "connect": {}}), json!({}), list, json!({"send": {}}), json!({"id": 3, "ping": {}})]).await;
        assert_eq!(client.next().await["id"], json!(1));
        assert_eq!(client.waiting(), 2);
        assert_eq!(client.next().await["rpc"]["data"]["items"], json!([]));
        assert_eq!(client.next().await, json!({"id": 3, "ping": {}}));
    }
}

#[tokio::test]
async fn connections_end_with_the_protocols_numbers() {
    let face = face().await;
    for form in FORMS {
        for (command, close) in [
            (json!({"id": 1, "connect": {"token": "bad"}}), json!([3500, "invalid token"])),
            (json!({"id": 1, "rpc": {"method": "people.list"}}), json!([3501, "bad request"])),
            (json!({"id": 1}), json!([3501, "bad request"])),
            (json!({"send": {}}), json!([3501, "bad request"])),
        ] {
            assert_eq!(face.open(form).await.ask(command.clone()).await["close"], close, "{command}");
        }
        let old = face.open(form).await.ask(json!({"id": 1, "connect": {"token": "old"}})).await;
        assert_eq!((&old["error"]["code"], &old["error"]["temporary"]), (&json!(109), &json!(true)), "{old}");
        for command in [json!({"id": 2, "connect": {}}), json!({"ping": {}}), json!({"id": 2, "refresh": {}})] {
            let mut client = face.connected(form, "ada").await;
            assert_eq!(client.ask(command.clone()).await["close"], json!([3501, "bad request"]), "{command}");
        }
        let mut large = face.connected(form, "ada").await;
        let close = large.ask(json!({"id": 2, "rpc": {"method": "people.list", "data": {"name": "x".repeat(520 << 10)}}})).await;
        assert_eq!(close["close"], json!([1009, "message too large"]));
    }
    for (form, message) in [
        (Form::Json, Message::text("not json")),
        (Form::Json, Message::text(r#"{"id":1,"nothing":{}}"#)),
        (Form::Json, Message::text(r#"{"id":1,"connect":{},"ping":{}}"#)),
        (Form::Json, Message::binary(vec![0])),
        (Form::Protobuf, Message::text("{}")),
        (Form::Protobuf, Message::binary(vec![9, 8, 1])),
        (Form::Protobuf, Message::binary(vec![0x80; 12])),
        (Form::Protobuf, Message::binary(vec![2, 0x22, 5])),
    ] {
        let mut client = face.open(form).await;
        client.send_message(message.clone()).await;
        assert_eq!(client.next().await["close"], json!([3501, "bad request"]), "{form:?} {message:?}");
    }
}

#[tokio::test]
async fn a_refresh_keeps_the_connection_for_its_own_subject() {
    let face = face().await;
    for form in FORMS {
        let mut client = face.open(form).await;
        let reply = client.ask(json!({"id": 1, "connect": {"token": "ada//60"}})).await;
        let result = &reply["connect"];
        assert!(result["expires"] == true && result["ttl"].as_u64().is_some_and(|ttl| (1..=60).contains(&ttl)), "{reply}");
        let reply = client.ask(json!({"id": 2, "refresh": {"token": "ada"}})).await;
        assert_eq!((&reply["refresh"]["client"], &reply["refresh"]["expires"]), (&result["client"], &Json::Null), "{reply}");
        assert_eq!(client.ask(json!({"id": 3, "refresh": {"token": "old"}})).await["error"]["code"], json!(109));
        assert_eq!(client.ask(json!({"id": 4, "refresh": {"token": "bo"}})).await["close"], json!([3500, "invalid token"]));
    }
}

#[tokio::test]
async fn the_form_is_chosen_by_the_query_or_the_subprotocol() {
    let face = face().await;
    let plain = http::Request::get("/connection/websocket").body(Body::default()).unwrap();
    assert_eq!(face.websocket.serve(world::anonymous(), plain).await.status(), 426);
    for (query, offered, chosen) in [
        ("", None, None),
        ("?cf_protocol=protobuf", None, None),
        ("", Some("centrifuge-protobuf"), Some("centrifuge-protobuf")),
        ("", Some("other, centrifuge-json"), Some("centrifuge-json")),
        ("", Some("other"), None),
    ] {
        let mut request = http::Request::get(format!("/connection/websocket{query}"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        if let Some(offered) = offered {
            request = request.header("sec-websocket-protocol", offered);
        }
        let response = face.websocket.serve(world::anonymous(), request.body(Body::default()).unwrap()).await;
        let answered = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), answered), (101, chosen), "{query} {offered:?}");
    }
    let mut client = face.open_by_subprotocol().await;
    assert_eq!(client.ask(json!({"id": 1, "connect": {}})).await["connect"]["pong"], json!(true));
}

#[tokio::test]
async fn a_ping_that_is_not_answered_ends_the_connection() {
    for form in FORMS {
        let face = face().await;
        let mut client = face.connected(form, "ada").await;
        tokio::time::pause();
        assert_eq!(client.next().await, json!({}), "the ping");
        client.send(&[json!({})]).await;
        assert_eq!(client.next().await, json!({}), "the next one");
        assert_eq!(client.next().await["close"], json!([3012, "no pong"]));
        assert_eq!(face.open(form).await.next().await["close"], json!([3502, "stale"]));
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_server_that_stood_still_gives_its_clients_their_time_again() {
    for form in FORMS {
        let face = face().await;
        let mut late = face.open(form).await;
        let mut client = face.connected(form, "ada").await;
        tokio::time::pause();
        assert_eq!(client.next().await, json!({}), "the ping");
        // Before the first word's end, and before the pong's.
        let mut first = face.open(form).await;
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        assert_eq!(late.next().await["close"], json!([3502, "stale"]), "its time was over before");
        assert_eq!(first.ask(json!({"id": 1, "connect": {"token": "ada"}})).await["connect"]["pong"], json!(true));
        client.send(&[json!({})]).await;
        assert_eq!(client.next().await, json!({}), "the next ping");
        tokio::time::resume();
    }
}
