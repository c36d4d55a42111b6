//! Subscriptions that show a token of their own, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use std::sync::Arc;

use fourfold_model::Lock;
use fourfold_op::Limits;
use serde_json::{Value as Json, json};
use socket::{Client, FORMS, Face, Form, subscribe};
use tokio::time::{Duration, Instant};

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

/// What is told next; our pings apart.
async fn told(client: &mut Client) -> Json {
    loop {
        match client.next().await {
            ping if ping == json!({}) => {}
            said => return said,
        }
    }
}

async fn put(face: &Face, id: u32) {
    face.connected(Form::Json, "root").await.rpc("rooms.create", json!({"data": {"id": id, "title": "Tea"}})).await;
}

#[tokio::test]
async fn a_subscription_is_shown_when_its_token_ends_and_takes_another() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let face = face().await;
        let mut client = face.connected(form, "ada").await;
        let begun = client.subscribe(channel, json!({"token": "ada//600"})).await;
        assert!((590..=600).contains(&begun["ttl"].as_u64().unwrap()) && begun["expires"] == true, "{form:?} {channel}: {begun}");
        let refresh = |token: &str| json!({"id": 5, "sub_refresh": {"channel": channel, "token": token}});
        for (token, code) in [("bad", 103), ("old", 109), ("bo", 103), ("", 107)] {
            let reply = client.ask(refresh(token)).await;
            assert_eq!(reply["error"]["code"], code, "{form:?} {channel} {token}: {reply}");
        }
        let never = client.ask(json!({"id": 5, "sub_refresh": {"channel": "board:b", "token": "ada"}})).await;
        assert_eq!(never["error"]["code"], 103, "{form:?} {channel}: not subscribed to: {never}");
        let reply = client.ask(refresh("ada//60")).await;
        assert!((50..=60).contains(&reply["sub_refresh"]["ttl"].as_u64().unwrap()), "{form:?} {channel}: {reply}");
        assert_eq!(reply["sub_refresh"]["expires"], true, "{form:?} {channel}");
        assert_eq!(client.ask(refresh("ada")).await, json!({"id": 5, "sub_refresh": {}}), "{form:?} {channel}: one that never ends");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_silent_after_its_token_and_goes_on_with_the_next_one() {
    for form in FORMS {
        let face = face().await;
        put(&face, 1).await;
        let mut client = face.connected(form, "root").await;
        client.subscribe("rooms", json!({"token": "root//2"})).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        put(&face, 2).await;
        assert_eq!(client.ask(json!({"id": 6, "ping": {}})).await["id"], 6, "{form:?}: nothing was told before");
        let reply = client.ask(json!({"id": 5, "sub_refresh": {"channel": "rooms", "token": "root//60"}})).await;
        assert_eq!(reply["id"], 5, "{form:?}: {reply}");
        assert_eq!(told(&mut client).await["push"]["pub"]["data"]["key"], 2, "{form:?}: from where it was");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_the_connection_is_none_of_a_subscription_whose_token_has_ended() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let mut client = face().await.connected(form, "ada//600").await;
        client.subscribe(channel, json!({"token": "ada//2"})).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(client.ask(json!({"id": 4, "refresh": {"token": "ada//900"}})).await["id"], 4);
        let said = told(&mut client).await;
        assert_eq!(said["push"]["unsubscribe"]["code"], 2501, "{form:?} {channel}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_own_token_and_the_connection_goes_on() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let mut client = face().await.connected(form, "ada//600").await;
        client.subscribe(channel, json!({"token": "ada//1"})).await;
        client.subscribe("members", json!({})).await;
        let begun = Instant::now();
        assert_eq!(told(&mut client).await["push"]["unsubscribe"]["code"], 2501, "{form:?} {channel}");
        assert!(begun.elapsed() > Duration::from_secs(25), "{form:?} {channel}: there is time for another token");
        client.subscribe(channel, json!({})).await;
        assert_eq!(client.ask(subscribe("members", json!({}))).await["error"]["code"], 105, "{form:?} {channel}: only that one ended");
    }
}
