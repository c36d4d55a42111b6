//! Channels that the model declares, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use std::sync::Arc;

use fourfold_engine::Closing;
use fourfold_model::Lock;
use fourfold_op::Limits;
use serde_json::{Value as Json, json};
use socket::{Client, FORMS, Face, Form, subscribe};

/// Rooms 1 and 2; ada and bo are members of room 1 by 11 and 12, cy of room 2.
async fn rooms(limits: Limits) -> (Face, Client) {
    let model = Arc::new(fourfold_model::load(include_str!("rooms.fourfold"), &Lock::default()).unwrap().model);
    let face = Face::of(model, limits).await;
    let mut writer = face.writer().await;
    for room in [1, 2] {
        writer.put("rooms", room, "room").await;
    }
    for (id, room, user) in [(11, 1, "ada"), (12, 1, "bo"), (13, 2, "cy")] {
        writer.rpc("members.create", json!({"data": {"id": id, "room_id": room, "user": user}})).await;
    }
    (face, writer)
}

async fn publish(client: &mut Client, channel: &str, data: Json) -> Json {
    client.ask(json!({"id": 4, "publish": {"channel": channel, "data": data}})).await
}

/// Publishes, and the reply says so; what is pushed meanwhile is told.
async fn published(client: &mut Client, channel: &str, data: Json) -> Vec<String> {
    client.send(&[json!({"id": 4, "publish": {"channel": channel, "data": data}})]).await;
    let mut told = Vec::new();
    loop {
        let said = client.next().await;
        if said["id"] == 4 {
            assert!(said["error"].is_null(), "{said}");
            return told;
        }
        told.push(short(&said));
    }
}

/// The next push, in short: `entered hi`, `#3 {"a":1} of ada`, `typing of bo`, `join bo phone`, `unsubscribe 2100`.
async fn told(client: &mut Client) -> String {
    short(&client.next().await)
}

fn short(said: &Json) -> String {
    if let Some(close) = said["close"].as_array() {
        return format!("close {}", close[0]);
    }
    let push = &said["push"];
    if let Some(code) = push["unsubscribe"]["code"].as_u64() {
        return format!("unsubscribe {code}");
    }
    for what in ["join", "leave"] {
        let info = &push[what]["info"];
        if info.is_object() {
            return format!("{what} {} {}", info["user"].as_str().unwrap(), info["chan_info"]["device"].as_str().unwrap());
        }
    }
    let publication = &push["pub"];
    let by = publication["info"]["user"].as_str().unwrap_or("-");
    match (&publication["data"], &publication["offset"]) {
        (data, _) if data["change"].is_string() => {
            format!("{} {}", data["change"].as_str().unwrap(), data["item"]["title"].as_str().unwrap_or("-"))
        }
        (data, Json::Null) => format!("{} of {by}", data["signal"].as_str().unwrap_or("?")),
        (data, offset) => format!("#{offset} {data} of {by}"),
    }
}

#[tokio::test]
async fn what_is_published_in_a_stream_is_a_row_and_is_pushed_to_who_is_there() {
    for form in FORMS {
        let (face, mut writer) = rooms(Limits::default()).await;
        let (mut ada, mut bo) = (face.connected(form, "ada").await, face.connected(form, "bo").await);
        let result = ada.subscribe("chat:1", json!({})).await;
        assert_eq!(result["positioned"], json!(true));
        assert_eq!(published(&mut bo, "chat:1", json!({"title": "hi"})).await, [""; 0]);
        let said = ada.next().await;
        assert_eq!(said["push"]["channel"], json!("chat:1"));
        let data = &said["push"]["pub"]["data"];
        assert_eq!(data["item"], json!({"id": 1, "revision": 1, "room_id": 1, "title": "hi"}), "{said}");
        assert!(said["push"]["pub"]["offset"].as_u64() > result["offset"].as_u64(), "{said} {result}");
        let listed = bo.rpc("messages.list", json!({})).await;
        assert_eq!(listed["items"][0]["title"], json!("hi"));
        for (data, code) in [
            (json!({"title": ""}), 107),
            (json!({"titel": "x"}), 107),
            (json!({"title": "x", "room_id": 2}), 107),
            (json!(5), 107),
            (json!({"signal": "waving"}), 107),
        ] {
            assert_eq!(publish(&mut bo, "chat:1", data.clone()).await["error"]["code"], json!(code), "{data}");
        }
        assert_eq!(publish(&mut bo, "chat:2", json!({"title": "x"})).await["error"]["code"], json!(103));
        writer.rpc("members.delete", json!({"id": 11})).await;
        assert_eq!(told(&mut ada).await, "unsubscribe 2100");
        assert_eq!(ada.ask(subscribe("chat:1", json!({}))).await["error"]["code"], json!(103));
        bo.rpc("messages.list", json!({})).await;
    }
}

#[tokio::test]
async fn a_channel_that_is_unknown_and_one_that_is_refused_answer_alike() {
    for form in FORMS {
        let (face, _writer) = rooms(Limits::default()).await;
        let mut ada = face.connected(form, "ada").await;
        for (channel, code) in [("chat:2", 103), ("chat:7", 103), ("chat", 103), ("chats:1", 103), ("board:closed", 103), ("chat:x", 107)] {
            let mut asks = vec![subscribe(channel, json!({}))];
            for command in ["presence", "presence_stats", "history"] {
                asks.push(json!({"id": 5, command: {"channel": channel}}));
            }
            for ask in asks {
                let reply = ada.ask(ask.clone()).await;
                assert_eq!(reply["error"]["code"], json!(code), "{ask}: {reply}");
            }
        }
        let long = format!("board:{}", "x".repeat(512));
        assert_eq!(ada.ask(subscribe(&long, json!({}))).await["error"]["code"], json!(106));
        for command in ["publish", "presence", "presence_stats", "history"] {
            let reply = ada.ask(json!({"id": 6, command: {"channel": "rooms"}})).await;
            assert_eq!(reply["error"]["code"], json!(104), "{command}: {reply}");
        }
        ada.subscribe("chat:1", json!({})).await;
        assert_eq!(ada.ask(subscribe("chat:1", json!({}))).await["error"]["code"], json!(105));
    }
}

#[tokio::test]
async fn who_was_cut_off_recovers_what_it_missed() {
    for (form, channel, names_epoch) in FORMS
        .into_iter()
        .flat_map(|form| [(form, "chat:1", true), (form, "chat:1", false), (form, "board:b", true), (form, "board:b", false)])
    {
        let (face, _writer) = rooms(Limits::default()).await;
        let (mut ada, mut bo) = (face.connected(form, "ada").await, face.connected(form, "bo").await);
        let epoch = ada.subscribe(channel, json!({})).await["epoch"].clone();
        published(&mut bo, channel, json!({"title": "one"})).await;
        let offset = ada.next().await["push"]["pub"]["offset"].clone();
        drop(ada);
        for title in ["two", "three"] {
            published(&mut bo, channel, json!({"title": title})).await;
        }
        let mut ada = face.connected(form, "ada").await;
        let named = if names_epoch { epoch } else { json!("") };
        let result = ada.subscribe(channel, json!({"recover": true, "epoch": named, "offset": offset})).await;
        assert_eq!((&result["recovered"], &result["offset"]), (&json!(true), &offset), "{channel}: {result}");
        for title in ["two", "three"] {
            let said = told(&mut ada).await;
            assert!(said.contains(title), "{channel}: {said}");
        }
        let mut lost = face.connected(form, "ada").await;
        let elsewhere = json!({"recover": true, "epoch": "elsewhere", "offset": 1});
        let result = lost.subscribe(channel, elsewhere.clone()).await;
        assert_eq!(result["was_recovering"], json!(true));
        assert_ne!(result["recovered"], json!(true), "{channel}: {result}");
        lost.ask(json!({"id": 5, "unsubscribe": {"channel": channel}})).await;
        let rejects = json!({"recover": true, "epoch": "elsewhere", "offset": 1, "flag": 2});
        assert_eq!(lost.ask(subscribe(channel, rejects)).await["error"]["code"], json!(112), "{channel}");
        published(&mut bo, channel, json!({"title": "four"})).await;
        assert!(told(&mut ada).await.contains("four"));
    }
}

#[tokio::test]
async fn free_publications_are_any_json_and_are_kept() {
    for form in FORMS {
        let (face, _writer) = rooms(Limits::default()).await;
        let (mut ada, mut nobody) = (face.connected(form, "ada").await, face.open(form).await);
        nobody.ask(json!({"id": 1, "connect": {}})).await;
        nobody.subscribe("board:b", json!({})).await;
        for data in [json!({"a": [1, null]}), json!("x"), json!(7), json!({"signal": "typing"})] {
            published(&mut ada, "board:b", data).await;
        }
        assert_eq!(told(&mut nobody).await, r#"#1 {"a":[1,null]} of ada"#);
        assert_eq!([told(&mut nobody).await, told(&mut nobody).await], [r##"#2 "x" of ada"##, "#3 7 of ada"]);
        assert_eq!(told(&mut nobody).await, r#"#4 {"signal":"typing"} of ada"#, "a channel without signals has none");
        assert_eq!(publish(&mut nobody, "board:b", json!(1)).await["error"]["code"], json!(103));
        let history = nobody.ask(json!({"id": 5, "history": {"channel": "board:b", "limit": 2, "reverse": true}})).await;
        let history = &history["history"];
        let offsets: Vec<&Json> = history["publications"].as_array().unwrap().iter().map(|publication| &publication["offset"]).collect();
        assert_eq!((offsets, &history["offset"]), (vec![&json!(4), &json!(3)], &json!(4)), "{history}");
        let since = json!({"offset": 3, "epoch": history["epoch"]});
        let history = nobody.ask(json!({"id": 5, "history": {"channel": "board:b", "limit": -1, "since": since}})).await;
        assert_eq!(history["history"]["publications"][0]["data"], json!({"signal": "typing"}), "{history}");
        let position = nobody.ask(json!({"id": 5, "history": {"channel": "board:b"}})).await;
        assert_eq!(position["history"]["offset"], json!(4));
        assert!(position["history"]["publications"].as_array().is_none_or(Vec::is_empty), "{position}");
    }
}

#[tokio::test]
async fn the_history_of_a_stream_is_the_log() {
    for form in FORMS {
        let (face, _writer) = rooms(Limits::default()).await;
        let mut ada = face.connected(form, "ada").await;
        for title in ["one", "two", "three"] {
            published(&mut ada, "chat:1", json!({"title": title})).await;
        }
        let history = ada.ask(json!({"id": 5, "history": {"channel": "chat:1", "limit": 2, "reverse": true}})).await;
        let publications = history["history"]["publications"].as_array().unwrap();
        let titles: Vec<&Json> = publications.iter().map(|publication| &publication["data"]["item"]["title"]).collect();
        assert_eq!(titles, [&json!("three"), &json!("two")]);
        assert_eq!(publications[0]["offset"], history["history"]["offset"]);
    }
}

#[tokio::test]
async fn presence_is_told_and_shown() {
    for form in FORMS {
        let (face, _writer) = rooms(Limits::default()).await;
        let (mut ada, mut bo) = (face.connected(form, "ada").await, face.connected(form, "bo").await);
        let phone = json!({"presence": {"device": "phone"}});
        ada.subscribe("chat:1", json!({"data": phone, "join_leave": true})).await;
        assert_eq!(told(&mut ada).await, "join ada phone");
        bo.subscribe("chat:1", json!({"data": {"presence": {"device": "desk", "away": true}}})).await;
        assert_eq!(told(&mut ada).await, "join bo desk");
        let present = bo.ask(json!({"id": 5, "presence": {"channel": "chat:1"}})).await;
        let mut infos: Vec<(String, Json)> = present["presence"]["presence"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(client, info)| {
                assert_eq!(info["client"].as_str(), Some(client.as_str()));
                (info["user"].as_str().unwrap().to_owned(), info["chan_info"].clone())
            })
            .collect();
        infos.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [("ada", json!({"device": "phone", "away": null})), ("bo", json!({"device": "desk", "away": true}))];
        assert_eq!(infos, expected.map(|(name, info)| (name.to_owned(), info)));
        let stats = bo.ask(json!({"id": 5, "presence_stats": {"channel": "chat:1"}})).await;
        assert_eq!(stats["presence_stats"], json!({"num_clients": 2, "num_users": 2}));
        bo.ask(json!({"id": 5, "unsubscribe": {"channel": "chat:1"}})).await;
        assert_eq!(told(&mut ada).await, "leave bo desk");
        bo.subscribe("chat:1", json!({"data": {"presence": {"device": "sofa"}}})).await;
        assert_eq!(told(&mut ada).await, "join bo sofa");
        drop(bo);
        assert_eq!(told(&mut ada).await, "leave bo sofa", "who is cut off leaves too");
        let mut other = face.connected(form, "bo").await;
        for (data, code) in [
            (json!({"presence": {"away": true}}), 107),
            (json!({"presence": {"device": 5}}), 107),
            (json!({"presence": {"devise": "x"}}), 107),
            (json!({"initial": true}), 107),
        ] {
            let reply = other.ask(subscribe("chat:1", json!({"data": data}))).await;
            assert_eq!(reply["error"]["code"], json!(code), "{data}: {reply}");
        }
    }
}

#[tokio::test]
async fn signals_are_told_to_the_others_without_an_offset() {
    for form in FORMS {
        let (face, _writer) = rooms(Limits::default()).await;
        let (mut ada, mut bo) = (face.connected(form, "ada").await, face.connected(form, "bo").await);
        let signal = json!({"signal": "typing"});
        assert_eq!(publish(&mut bo, "chat:1", signal.clone()).await["error"]["code"], json!(1409), "only a subscriber");
        ada.subscribe("chat:1", json!({})).await;
        bo.subscribe("chat:1", json!({})).await;
        for _ in 0..5 {
            assert_eq!(published(&mut bo, "chat:1", signal.clone()).await, [""; 0]);
            assert_eq!(told(&mut ada).await, "typing of bo");
        }
        assert_eq!(publish(&mut bo, "chat:1", signal).await["error"]["code"], json!(111));
    }
}

#[tokio::test]
async fn a_refresh_goes_on_without_a_gap_or_ends_what_its_claims_no_longer_let_in() {
    for form in FORMS {
        let (face, _writer) = rooms(Limits::default()).await;
        let (mut ada, mut bo) = (face.connected(form, "ada/admin/100").await, face.connected(form, "bo").await);
        for channel in ["chat:1", "board:b", "admins:a"] {
            ada.subscribe(channel, json!({})).await;
        }
        let reply = ada.ask(json!({"id": 5, "refresh": {"token": "ada//200"}})).await;
        assert_eq!(reply["refresh"]["expires"], json!(true), "{reply}");
        assert_eq!(told(&mut ada).await, "unsubscribe 2100");
        for channel in ["chat:1", "board:b"] {
            published(&mut bo, channel, json!({"title": channel})).await;
            assert!(told(&mut ada).await.contains(channel));
        }
    }
}

#[tokio::test]
async fn subscriptions_of_a_connection_are_bounded_together() {
    let (face, _writer) = rooms(Limits { websocket_subscriptions_max: 2, ..Limits::default() }).await;
    let mut ada = face.connected(Form::Json, "ada").await;
    ada.subscribe("rooms", json!({})).await;
    ada.subscribe("board:a", json!({})).await;
    assert_eq!(ada.ask(subscribe("board:b", json!({}))).await["error"]["code"], json!(106));
    ada.ask(json!({"id": 5, "unsubscribe": {"channel": "rooms"}})).await;
    ada.subscribe("board:b", json!({})).await;
}

#[tokio::test]
async fn the_end_of_the_server_ends_the_connection_and_another_model_resets_first() {
    for (closing, ends) in [(Closing::Drain, vec!["close 3001"]), (Closing::Replaced, vec!["unsubscribe 2600", "close 3001"])] {
        let (face, _writer) = rooms(Limits::default()).await;
        let mut ada = face.connected(Form::Json, "ada").await;
        ada.subscribe("chat:1", json!({})).await;
        face.engine.close_watches(closing);
        for end in ends {
            assert_eq!(told(&mut ada).await, end);
        }
    }
}
