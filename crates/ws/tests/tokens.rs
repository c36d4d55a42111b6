//! Subscriptions that show a token of their own, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use std::sync::Arc;
use std::time::Duration;

use fourfold_model::Lock;
use fourfold_op::Limits;
use serde_json::{Value as Json, json};
use socket::{Client, FORMS, Face, subscribe};

/// One that watches rows, and one that the model declares.
const CHANNELS: [&str; 2] = ["rooms", "board:a"];

async fn face() -> Face {
    let model = Arc::new(fourfold_model::load(include_str!("rooms.fourfold"), &Lock::default()).unwrap().model);
    Face::of(model, Limits::default()).await
}

#[tokio::test]
async fn a_subscription_may_show_a_token_of_the_connections_own_caller_and_no_other() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let face = face().await;
        let mut client = face.connected(form, "ada").await;
        for (token, code) in [("bad", 103), ("old", 109), ("bo", 103)] {
            let reply = client.ask(subscribe(channel, json!({"token": token}))).await;
            assert_eq!(reply["error"]["code"], code, "{form:?} {channel} {token}: {reply}");
        }
        client.subscribe(channel, json!({"token": "ada"})).await;
        let mut nobody = face.open(form).await;
        nobody.ask(json!({"id": 1, "connect": {}})).await;
        let reply = nobody.ask(subscribe(channel, json!({"token": "ada"}))).await;
        assert_eq!(reply["error"]["code"], 103, "{form:?} {channel}: it gives no right: {reply}");
    }
}

fn sub_refresh(channel: &str, token: &str) -> Json {
    json!({"id": 5, "sub_refresh": {"channel": channel, "token": token}})
}

#[tokio::test]
async fn a_subscription_ends_some_time_after_its_own_token_and_the_connection_goes_on() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let mut client = face().await.connected(form, "ada//600").await;
        let begun = client.subscribe(channel, json!({"token": "ada//1"})).await;
        assert_eq!((&begun["expires"], &begun["ttl"]), (&json!(true), &json!(1)), "{form:?} {channel}: {begun}");
        client.subscribe("members", json!({})).await;
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let mut said = client.next().await;
        while said == json!({}) {
            client.send(&[json!({})]).await;
            said = client.next().await;
        }
        let silent = start.elapsed().as_secs();
        tokio::time::resume();
        assert_eq!(said["push"]["unsubscribe"]["code"], 2501, "{form:?} {channel}: {said}");
        assert!((25..=27).contains(&silent), "{form:?} {channel}: after {silent} s");
        client.subscribe(channel, json!({})).await;
        assert_eq!(client.ask(subscribe("members", json!({}))).await["error"]["code"], 105, "{form:?} {channel}: only that one ended");
    }
}

#[tokio::test]
async fn a_subscription_goes_on_under_another_token_of_its_own() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let face = face().await;
        let (mut writer, mut client) = (face.writer().await, face.connected(form, "ada//600").await);
        let reply = client.ask(sub_refresh(channel, "ada//60")).await;
        assert_eq!(reply["error"]["code"], 103, "{form:?} {channel}: it is not subscribed to: {reply}");
        client.subscribe(channel, json!({"token": "ada//1"})).await;
        let two_seconds_pass = async || {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(2)).await;
            tokio::time::resume();
        };
        two_seconds_pass().await;
        say(&mut writer, channel, 1).await;
        for (token, code) in [("bad", 103), ("old", 109), ("bo", 103), ("", 107)] {
            let reply = client.ask(sub_refresh(channel, token)).await;
            assert_eq!(reply["error"]["code"], code, "{form:?} {channel} `{token}`: {reply}");
        }
        let reply = client.ask(sub_refresh(channel, "ada//60")).await;
        assert_eq!((&reply["id"], &reply["sub_refresh"]["expires"]), (&json!(5), &json!(true)), "{form:?} {channel}: {reply}");
        let ttl = reply["sub_refresh"]["ttl"].as_u64().unwrap();
        assert!((58..=60).contains(&ttl), "{form:?} {channel}: {reply}");
        assert_eq!(heard(&mut client).await, json!(1), "{form:?} {channel}: what was said meanwhile");
        two_seconds_pass().await;
        say(&mut writer, channel, 2).await;
        assert_eq!(heard(&mut client).await, json!(2), "{form:?} {channel}");
        let reply = client.ask(sub_refresh(channel, "ada")).await;
        assert_eq!(reply, json!({"id": 5, "sub_refresh": {}}), "{form:?} {channel}: one that does not end");
        say(&mut writer, channel, 3).await;
        assert_eq!(heard(&mut client).await, json!(3), "{form:?} {channel}");
    }
}

/// Writes what both channels are told: a row with this key, or a publication that holds it.
async fn say(writer: &mut Client, channel: &str, number: u32) {
    if channel == "rooms" {
        return drop(writer.rpc("rooms.create", json!({"data": {"id": number, "title": "Ada"}})).await);
    }
    let publish = json!({"id": 6, "publish": {"channel": channel, "data": {"key": number}}});
    assert_eq!(writer.ask(publish).await, json!({"id": 6, "publish": {}}));
}

/// What the next publication is of.
async fn heard(client: &mut Client) -> Json {
    client.next().await["push"]["pub"]["data"]["key"].clone()
}
