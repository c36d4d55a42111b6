//! How subscriptions and their connections end, and go on, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use std::sync::Arc;

use fourfold_engine::Closing;
use fourfold_op::Limits;
use fourfold_store::fault::{Fault, FaultyStore};
use serde_json::{Value as Json, json};
use socket::{FORMS, Face, subscribe, talk};
use tokio::sync::Notify;

#[tokio::test]
async fn an_ending_server_and_a_new_model_send_clients_to_another_connection() {
    for form in FORMS {
        for (closing, told) in [(Closing::Drain, &["close 3001"][..]), (Closing::Replaced, &["unsubscribe 2600", "close 3001"][..])] {
            let face = Face::talk().await;
            let (mut client, mut idle) = (face.connected(form, "ada").await, face.connected(form, "ada").await);
            client.subscribe("notes", json!({})).await;
            face.engine.close_watches(closing);
            for expected in told {
                assert_eq!(client.told().await, *expected, "{closing:?}");
            }
            assert_eq!(idle.told().await, "close 3001", "{closing:?}: without a watch too");
            let mut late = face.open(form).await;
            assert_eq!(late.told().await, "close 3001");
        }
    }
}

#[tokio::test]
async fn what_is_watched_is_told_while_a_call_runs_and_the_call_is_answered_before_the_end() {
    for form in FORMS {
        let plain = Face::talk().await;
        let store = FaultyStore::new(plain.engine.store().clone());
        let face = Face::over(store.clone(), talk(), Limits::default());
        let (mut writer, mut client) = (plain.writer().await, face.connected(form, "ada").await);
        client.subscribe("notes", json!({})).await;
        let hold = Arc::new(Notify::new());
        store.plant(Fault::Hold(hold.clone()));
        let slow = json!({"id": 7, "rpc": {"method": "plains.create", "data": {"data": {"id": 1, "title": "held"}}}});
        client.send(&[json!({"id": 5, "ping": {}}), slow]).await;
        for number in 0.. {
            writer.put("notes", 1, &number.to_string()).await;
            // The answer to what came before the call goes out with the first push while it runs.
            if client.next().await == json!({"id": 5, "ping": {}}) {
                break;
            }
        }
        face.engine.close_watches(Closing::Drain);
        hold.notify_one();
        let mut said = client.next().await;
        while said["push"].is_object() {
            said = client.next().await;
        }
        assert_eq!((&said["id"], &said["rpc"]["data"]["title"]), (&json!(7), &json!("held")), "{form:?}: {said}");
        assert_eq!(client.told().await, "close 3001");
    }
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_to_come_back() {
    for form in FORMS {
        let mut face = Face::limited(Limits { watch_queue_deliveries_max: 2, ..Limits::default() }).await;
        let (mut writer, mut quick) = (face.writer().await, face.connected(form, "quick").await);
        face.pipe_bytes = 600;
        let mut slow = face.connected(form, "slow").await;
        slow.subscribe("plains", json!({})).await;
        quick.subscribe("plains", json!({})).await;
        for number in 0..40 {
            writer.put("plains", 1, &number.to_string()).await;
            quick.told().await;
        }
        let mut read = Vec::new();
        while read.last().is_none_or(|told: &String| !told.starts_with("close")) {
            read.push(slow.told().await);
        }
        assert_eq!(read.pop().unwrap(), "close 3008");
        let expected: Vec<String> = (0..read.len()).map(|number| format!("{number}@{}", number + 1)).collect();
        let told: Vec<&str> = read.iter().map(|told| told.split_once(' ').unwrap().1).collect();
        assert_eq!(told, expected, "without a gap as far as it came");
    }
}

#[tokio::test]
async fn channels_are_silent_after_the_tokens_end_and_go_on_with_the_next_one() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada//2").await);
        client.subscribe("notes", json!({})).await;
        let wait = std::time::Instant::now();
        while face.engine.feed_figures().watch_count > 0 {
            assert!(wait.elapsed().as_secs() < 10, "the watch does not end with its token");
            tokio::task::yield_now().await;
        }
        writer.put("notes", 1, "Ada").await;
        let refused = client.ask(subscribe("plains", json!({}))).await;
        assert_eq!((&refused["error"]["code"], &refused["error"]["temporary"]), (&json!(109), &json!(true)), "{refused}");
        let reply = client.ask(json!({"id": 4, "refresh": {"token": "ada//60"}})).await;
        assert_eq!((&reply["id"], &reply["refresh"]["expires"]), (&json!(4), &json!(true)), "{reply}");
        assert_eq!(client.told().await, "entered Ada@1");
        writer.put("notes", 1, "Ann").await;
        assert_eq!(client.told().await, "changed Ann@2");
    }
}

#[tokio::test]
async fn a_connection_whose_token_is_not_refreshed_ends() {
    for form in FORMS {
        let mut client = Face::talk().await.connected(form, "ada//-24").await;
        assert_eq!(client.next().await, json!({"close": [3005, "expired"]}));
    }
}

#[tokio::test]
async fn other_claims_reset_or_revoke_the_channels_that_they_matter_to() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada/admin").await);
        let mut offsets = Vec::new();
        for channel in ["notes", "secrets", "plains"] {
            offsets.push(client.subscribe(channel, json!({})).await);
        }
        writer.rpc("notes.create", json!({"data": {"id": 1, "title": "Ada", "phone": "1"}})).await;
        assert_eq!(client.next().await["push"]["pub"]["data"]["item"]["phone"], json!("1"));
        client.send(&[json!({"id": 4, "refresh": {"token": "ada/other"}})]).await;
        assert_eq!(client.next().await["id"], json!(4));
        let mut ended = Vec::new();
        for _ in 0..2 {
            let push = client.next().await["push"].clone();
            ended.push((push["channel"].as_str().unwrap().to_owned(), push["unsubscribe"].clone()));
        }
        ended.sort_by(|a, b| a.0.cmp(&b.0));
        let (reset, revoked) = (json!({"code": 2600, "reason": "reset"}), json!({"code": 2100, "reason": "access revoked"}));
        assert_eq!(ended, [("notes".to_owned(), reset), ("secrets".to_owned(), revoked)]);
        writer.put("plains", 1, "plain").await;
        assert_eq!(client.told().await, "entered plain@1", "what its claims are nothing to goes on");
        let before = json!({"recover": true, "epoch": offsets[0]["epoch"], "offset": offsets[0]["offset"].as_u64().unwrap_or(0)});
        let result = client.subscribe("notes", before).await;
        assert_eq!((&result["was_recovering"], &result["recovered"]), (&json!(true), &Json::Null), "what was told no longer holds");
        writer.put("notes", 1, "Ann").await;
        let offset = client.next().await["push"]["pub"]["offset"].clone();
        client.ask(json!({"id": 4, "unsubscribe": {"channel": "notes"}})).await;
        let result = client.subscribe("notes", json!({"recover": true, "epoch": result["epoch"], "offset": offset})).await;
        assert_eq!(result["recovered"], json!(true), "{result}");
    }
}

#[tokio::test]
async fn a_membership_that_goes_resets_its_channel() {
    for form in FORMS {
        let face = Face::talk().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada").await);
        writer.put("rooms", 1, "hall").await;
        writer.rpc("members.create", json!({"data": {"id": 1, "room_id": 1, "user": "ada"}})).await;
        let start = client.subscribe("messages", json!({})).await;
        writer.rpc("messages.create", json!({"data": {"id": 1, "room_id": 1, "title": "hello"}})).await;
        assert_eq!(client.told().await, "entered hello@1");
        writer.rpc("members.delete", json!({"id": 1})).await;
        assert_eq!(client.told().await, "unsubscribe 2600");
        let again = |from: &Json| json!({"recover": true, "epoch": from["epoch"], "offset": from["offset"]});
        let result = client.subscribe("messages", again(&start)).await;
        assert_eq!((&result["was_recovering"], &result["recovered"]), (&json!(true), &Json::Null), "{result}");
        let mut other = face.connected(form, "ada").await;
        let result = other.subscribe("messages", again(&start)).await;
        assert_eq!((&result["was_recovering"], &result["recovered"]), (&json!(true), &Json::Null), "on another connection too: {result}");
    }
}
