//! Subscriptions that show a token of their own, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod socket;

use std::sync::Arc;

use fourfold_model::Lock;
use fourfold_op::Limits;
use serde_json::json;
use socket::{FORMS, Face, subscribe};

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

#[tokio::test]
async fn a_subscription_ends_with_its_own_token_and_the_connection_goes_on() {
    for (form, channel) in FORMS.into_iter().flat_map(|form| CHANNELS.map(|channel| (form, channel))) {
        let mut client = face().await.connected(form, "ada//600").await;
        client.subscribe(channel, json!({"token": "ada//1"})).await;
        client.subscribe("members", json!({})).await;
        assert_eq!(client.told().await, "unsubscribe 2501", "{form:?} {channel}");
        client.subscribe(channel, json!({})).await;
        assert_eq!(client.ask(subscribe("members", json!({}))).await["error"]["code"], 105, "{form:?} {channel}: only that one ended");
    }
}
