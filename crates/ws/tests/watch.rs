//! Subscriptions to rows, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use fourfold_op::Limits;
use serde_json::{Value as Json, json};
use socket::{FORMS, Face, Form, short, subscribe};

#[tokio::test]
async fn changes_are_told_in_the_form_of_the_contract() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        let channel = "notes?title__startswith=A&fields=id,title";
        let result = client.subscribe(channel, json!({})).await;
        assert_eq!(result["positioned"], json!(true));
        assert!(result["was_recovering"].is_null() && result["data"].is_null(), "{result}");
        for (id, title) in [(1, "Ada"), (2, "Bo"), (1, "Ann"), (1, "Zoe")] {
            writer.put("notes", id, title).await;
        }
        let entered = client.next().await;
        let publication = &entered["push"]["pub"];
        assert_eq!((entered["push"]["channel"].as_str(), entered["id"].is_null()), (Some(channel), true));
        assert_eq!(publication["offset"].as_u64(), result["offset"].as_u64().or(Some(0)).map(|offset| offset + 1));
        let at = publication["data"]["at"].as_str().unwrap();
        assert!(at.ends_with('Z'), "{at}");
        let expected = json!({"change": "entered", "key": 1, "revision": 1, "at": at, "item": {"id": 1, "title": "Ada"}});
        assert_eq!(publication["data"], expected);
        assert_eq!(client.told().await, "changed Ann@2");
        let left = client.next().await["push"]["pub"]["data"].clone();
        let members: Vec<&str> = left.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((short(&left).as_str(), members), ("left 1", vec!["at", "change", "key"]));
    }
}

#[tokio::test]
async fn a_channel_is_a_path_and_a_query() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        for (channel, data) in [
            ("notes/2", json!({})),
            ("notes?title__in=Bo,Cy", json!({})),
            ("notes", json!({"filter": "title == \"Bo\"", "fields": "title"})),
            ("notes?filter=id%20%3E%201", json!({})),
        ] {
            client.subscribe(channel, json!({"data": data})).await;
        }
        writer.put("notes", 1, "Ada").await;
        writer.put("notes", 2, "Bo").await;
        let mut told: Vec<Json> = Vec::new();
        for _ in 0..4 {
            told.push(client.next().await["push"].clone());
        }
        assert!(told.iter().all(|push| short(&push["pub"]["data"]) == "entered Bo@1"), "{told:?}");
        let narrow = told.iter().find(|push| push["channel"] == "notes").unwrap();
        assert_eq!(narrow["pub"]["data"]["item"], json!({"title": "Bo"}));
    }
}

#[tokio::test]
async fn who_was_cut_off_recovers_what_it_missed_in_the_reply() {
    for (form, names_epoch) in [(Form::Json, true), (Form::Json, false), (Form::Protobuf, true), (Form::Protobuf, false)] {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        let epoch = client.subscribe("notes", json!({})).await["epoch"].clone();
        let epoch = if names_epoch { epoch } else { json!("") };
        writer.put("notes", 1, "Ada").await;
        let offset = client.next().await["push"]["pub"]["offset"].clone();
        drop(client);
        writer.put("notes", 2, "Bo").await;
        writer.put("plains", 1, "no note").await;
        writer.put("notes", 1, "Ann").await;
        let mut again = face.connected(form, "ada").await;
        let result = again.subscribe("notes", json!({"recover": true, "epoch": epoch, "offset": offset})).await;
        assert_eq!((&result["was_recovering"], &result["recovered"]), (&json!(true), &json!(true)), "{result}");
        assert_eq!(result["offset"], offset, "each publication moves its client on from where it was");
        let missed: Vec<String> = result["publications"].as_array().unwrap().iter().map(|missed| short(&missed["data"])).collect();
        assert_eq!(missed, ["entered Bo@1", "changed Ann@2"]);
        let last = &result["publications"][1]["offset"];
        let mut none = face.connected(form, "ada").await;
        let nothing = none.subscribe("notes", json!({"recover": true, "epoch": epoch, "offset": last})).await;
        assert_eq!((&nothing["recovered"], &nothing["publications"], &nothing["offset"]), (&json!(true), &Json::Null, last));
        writer.put("notes", 3, "Cy").await;
        assert_eq!([again.told().await, none.told().await], ["entered Cy@1", "entered Cy@1"]);
    }
}

#[tokio::test]
async fn a_large_replay_is_pushed_not_put_into_the_reply() {
    for form in FORMS {
        let face = Face::limited(Limits { websocket_out_bytes_max: 1_000, ..Limits::default() }).await;
        let mut writer = face.writer().await;
        for number in 1..=20 {
            writer.put("notes", number, &format!("n{number}")).await;
        }
        let mut client = face.connected(form, "ada").await;
        let result = client.subscribe("notes", json!({"recover": true, "epoch": "", "offset": 2})).await;
        assert_eq!((&result["recovered"], &result["publications"], &result["offset"]), (&json!(true), &Json::Null, &json!(2)));
        for number in 3..=20 {
            assert_eq!(client.told().await, format!("entered n{number}@1"));
        }
        writer.put("notes", 21, "live").await;
        assert_eq!(client.told().await, "entered live@1");
    }
}

#[tokio::test]
async fn what_cannot_be_recovered_says_so_or_is_refused() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        writer.put("notes", 1, "Ada").await;
        for from in [json!({"epoch": "other", "offset": 1}), json!({"epoch": "no epoch", "offset": 0}), json!({"epoch": "", "offset": 99})]
        {
            let mut more = from.clone();
            more["recover"] = json!(true);
            more["data"] = json!({"initial": true});
            let result = client.subscribe("notes", more.clone()).await;
            assert_eq!((&result["was_recovering"], &result["recovered"]), (&json!(true), &Json::Null), "{from}: {result}");
            assert_eq!(result["data"]["items"][0]["title"], "Ada", "{from}: it begins anew");
            let reply = client.ask(json!({"id": 4, "unsubscribe": {"channel": "notes"}})).await;
            assert_eq!(reply, json!({"id": 4, "unsubscribe": {}}));
            more["flag"] = json!(2);
            let reply = client.ask(subscribe("notes", more)).await;
            assert_eq!(reply["error"]["code"], json!(112), "{from}: {reply}");
        }
    }
}

#[tokio::test]
async fn a_channel_may_begin_with_the_rows_as_they_are() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        writer.rpc("notes.create", json!({"data": {"id": 1, "title": "Ada", "phone": "1"}})).await;
        writer.put("notes", 2, "Bo").await;
        let result = client.subscribe("notes?title=Ada&fields=title,phone", json!({"data": {"initial": true}})).await;
        assert_eq!(result["data"], json!({"items": [{"title": "Ada", "phone": null}]}), "masked for her");
        assert_eq!(result["offset"], json!(2), "{result}");
        writer.put("notes", 2, "Ada").await;
        let change = client.next().await["push"]["pub"].clone();
        assert_eq!((short(&change["data"]).as_str(), &change["offset"]), ("entered Ada@2", &json!(3)));
        let none = client.subscribe("notes?title=nobody", json!({"data": {"initial": true}})).await;
        assert_eq!(none["data"], json!({"items": []}));
        let recovered = client.subscribe("notes", json!({"data": {"initial": true}, "recover": true, "offset": 3})).await;
        assert_eq!((&recovered["recovered"], &recovered["data"]), (&json!(true), &Json::Null));
    }
}

#[tokio::test]
async fn rows_that_fill_more_than_the_out_buffer_are_refused_by_name() {
    for form in FORMS {
        let face = Face::limited(Limits { websocket_out_bytes_max: 100, ..Limits::default() }).await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        writer.put("notes", 1, &"x".repeat(100)).await;
        let error = client.ask(subscribe("notes", json!({"data": {"initial": true}}))).await["error"].clone();
        assert_eq!(error["code"], json!(106));
        assert!(error["message"].as_str().unwrap().contains("websocket_out_bytes_max"), "{error}");
    }
}

#[tokio::test]
async fn a_quiet_channel_has_bookmarks_if_it_asks_for_them() {
    for form in FORMS {
        let face = Face::limited(Limits { watch_bookmark_ms: 20, ..Limits::default() }).await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        client.subscribe("notes?title=none", json!({})).await;
        let start = client.subscribe("notes?title=nobody", json!({"data": {"bookmarks": true}})).await;
        writer.put("notes", 1, "Ada").await;
        let push = client.next().await["push"].clone();
        assert_eq!((&push["channel"], &push["pub"]["data"]), (&json!("notes?title=nobody"), &json!({"change": "bookmark"})));
        assert_eq!(push["pub"]["offset"].as_u64(), Some(start["offset"].as_u64().unwrap_or(0) + 1));
        writer.put("notes", 1, "none").await;
        let mut push = client.next().await["push"].clone();
        while push["channel"] == "notes?title=nobody" {
            push = client.next().await["push"].clone();
        }
        assert_eq!(short(&push["pub"]["data"]), "entered none@2", "nothing came before it");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_channel_has_its_code() {
    let long = format!("notes?title={}", "x".repeat(512));
    for form in FORMS {
        let face = Face::limited(Limits { websocket_subscriptions_max: 2, ..Limits::default() }).await;
        let mut client = face.connected(form, "ada").await;
        for (channel, more, code, part) in [
            (
                "note",
                json!({}),
                103,
                "permission_denied: no channel `note` for this caller; expected the plural of an entity; did you mean `notes`?",
            ),
            ("chat:1", json!({}), 103, "no channel `chat:1`"),
            ("", json!({}), 103, "no channel"),
            (&long, json!({}), 106, "channel_chars_max"),
            ("notes?nmae=Ada", json!({}), 107, "nmae"),
            ("notes?order_by=title", json!({}), 107, "`order_by` is for pages"),
            ("messages?room__title=x", json!({}), 107, "only the row's own fields"),
            ("notes/x", json!({}), 107, "is not a"),
            ("notes", json!({"data": {"inital": true}}), 107, "did you mean `initial`?"),
            ("notes", json!({"data": {"initial": 1}}), 107, "expected true or false"),
            ("notes", json!({"data": [1]}), 107, "expected a JSON object, found an array"),
            ("notes", json!({"tf": {"op": "eq"}}), 107, "publications have no tags"),
            ("notes", json!({"type": 1}), 107, "expected 0, a stream"),
            ("oddities", json!({}), 1409, "`Oddity` cannot be watched"),
        ] {
            let reply = client.ask(subscribe(channel, more)).await;
            let error = &reply["error"];
            assert_eq!(error["code"], json!(code), "{channel}: {reply}");
            assert!(error["message"].as_str().unwrap().contains(part), "{channel}: expected `{part}` in {error}");
        }
        client.subscribe("notes", json!({})).await;
        let twice = client.ask(subscribe("notes", json!({}))).await;
        assert_eq!((&twice["error"]["code"], &twice["error"]["temporary"]), (&json!(105), &Json::Null), "{twice}");
        client.subscribe("plains", json!({})).await;
        let error = client.ask(subscribe("rooms", json!({}))).await["error"].clone();
        assert_eq!(error["code"], json!(106));
        assert!(error["message"].as_str().unwrap().contains("more than 2 subscriptions of a connection"), "{error}");
        assert_eq!(face.engine.feed_figures().watch_count, 2, "what is refused leaves nothing behind");
        for later in ["publish", "presence", "presence_stats", "history"] {
            let reply = client.ask(json!({"id": 3, later: {"channel": "notes"}})).await;
            assert_eq!(reply["error"]["code"], json!(104), "{later}: {reply}");
        }
    }
}

#[tokio::test]
async fn after_unsubscribe_nothing_more_is_told() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        client.subscribe("notes", json!({})).await;
        client.subscribe("plains", json!({})).await;
        for channel in ["notes", "notes", "never"] {
            assert_eq!(client.ask(json!({"id": 4, "unsubscribe": {"channel": channel}})).await, json!({"id": 4, "unsubscribe": {}}));
        }
        writer.put("notes", 1, "Ada").await;
        writer.put("plains", 1, "plain").await;
        assert_eq!(client.told().await, "entered plain@1");
        assert_eq!(face.engine.feed_figures().watch_count, 1);
        client.subscribe("notes", json!({})).await;
        writer.put("notes", 1, "Ann").await;
        assert_eq!(client.told().await, "changed Ann@2");
    }
}

#[tokio::test]
async fn channels_of_a_lost_connection_go_on_in_the_reply_to_connect() {
    for form in FORMS {
        let face = Face::talk().await;
        let mut writer = face.writer().await;
        writer.put("notes", 1, "Ada").await;
        let mut client = face.open(form).await;
        let subs = json!({"notes": {"recover": true}, "plains": {"data": {"initial": true}}, "nothing": {}, "notes?nmae=1": {}});
        let reply = client.ask(json!({"id": 1, "connect": {"token": "ada", "subs": subs}})).await;
        let subs = reply["connect"]["subs"].as_object().unwrap();
        assert_eq!(subs.keys().collect::<Vec<_>>(), ["notes", "plains"], "{reply}");
        assert_eq!(short(&subs["notes"]["publications"][0]["data"]), "entered Ada@1");
        assert_eq!(subs["plains"]["data"], json!({"items": []}));
        writer.put("plains", 1, "plain").await;
        assert_eq!(client.told().await, "entered plain@1");
        assert_eq!(client.ask(subscribe("notes", json!({}))).await["error"]["code"], json!(105));
    }
}

#[tokio::test]
async fn a_connect_cannot_begin_more_channels_than_a_connection_may_have() {
    for form in FORMS {
        let face = Face::limited(Limits { websocket_subscriptions_max: 3, ..Limits::default() }).await;
        let subs: serde_json::Map<String, Json> = (0..500).map(|id| (format!("notes/{id}"), json!({"recover": true}))).collect();
        let reply = face.open(form).await.ask(json!({"id": 1, "connect": {"subs": subs}})).await;
        assert_eq!(reply["connect"]["subs"].as_object().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn what_a_caller_may_not_see_is_null_for_it_alone() {
    for form in FORMS {
        let face = Face::talk().await;
        let mut writer = face.writer().await;
        let (mut hers, mut admins) = (face.connected(form, "ada").await, face.connected(form, "root/admin").await);
        for client in [&mut hers, &mut admins] {
            client.subscribe("notes", json!({})).await;
            client.subscribe("secrets", json!({})).await;
        }
        writer.put("secrets", 1, "hush").await;
        writer.rpc("notes.create", json!({"data": {"id": 1, "title": "Ada", "phone": "1", "extra": {"a": [1, "\n"]}}})).await;
        assert_eq!(admins.told().await, "entered hush@1");
        let items = [hers.next().await["push"]["pub"]["data"]["item"].clone(), admins.next().await["push"]["pub"]["data"]["item"].clone()];
        assert_eq!([&items[0]["phone"], &items[1]["phone"]], [&Json::Null, &json!("1")]);
        assert_eq!(items[0]["extra"], json!({"a": [1, "\n"]}));
    }
}
