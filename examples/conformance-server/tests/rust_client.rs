//! Centrifugo's own Rust client against the fixture, in both forms of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use centrifuge::{Client, HistoryOptions, Protocol, Subscription};
use fourfold_conformance_server::Conformance;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const FORMS: [Protocol; 2] = [Protocol::Json, Protocol::Protobuf];
const WITHIN: Option<Duration> = Some(Duration::from_secs(30));

async fn served() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let conformance = Arc::new(Conformance::with_centrifuge().await.unwrap());
    tokio::spawn(conformance.edge().accept(listener, std::future::pending()));
    format!("ws://{address}/connection/websocket")
}

fn token(claims: &Json) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(b"secret")).unwrap()
}

/// What one client is told, in short.
struct Told(UnboundedReceiver<String>);

impl Told {
    async fn next(&mut self) -> String {
        tokio::time::timeout(WITHIN.unwrap(), self.0.recv()).await.expect("nothing is told").unwrap()
    }

    async fn all(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await, *expected);
        }
    }
}

/// A client that is told of its own channel.
fn client(url: &str, form: Protocol, user: &str) -> (Client, UnboundedSender<String>, Told) {
    let (told, receiver) = unbounded_channel();
    let tell = {
        let told = told.clone();
        move |what: String| drop(told.send(what))
    };
    let client = Client::builder(url)
        .protocol(form)
        .token(token(&json!({"sub": user})))
        .on_publication(move |_, event| tell(format!("{} #{} {}", event.channel, event.offset, text(&event.data))))
        .build()
        .unwrap();
    (client, told, Told(receiver))
}

fn subscription(client: &Client, channel: &str, user: &str, told: &UnboundedSender<String>) -> Subscription {
    let tell = || {
        let told = told.clone();
        move |what: String| drop(told.send(what))
    };
    let (subscribed, publication, join, leave) = (tell(), tell(), tell(), tell());
    client
        .new_subscription(channel)
        .token(token(&json!({"sub": user, "channel": channel})))
        .recoverable(true)
        .on_subscribed(move |_, event| subscribed(format!("subscribed {} {}", event.was_recovering, event.recovered)))
        .on_publication(move |_, event| {
            let by = event.info.as_ref().map_or("nobody", |info| &info.user);
            publication(format!("#{} {} of {by}", event.offset, text(&event.data)));
        })
        .on_join(move |_, event| join(format!("{} joins", event.user)))
        .on_leave(move |_, event| leave(format!("{} leaves", event.user)))
        .build()
        .unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap()
}

#[tokio::test]
async fn a_channel_is_joined_published_in_looked_back_on_and_recovered() {
    for form in FORMS {
        let url = served().await;
        let (ada, ada_told, mut told) = client(&url, form, "42");
        let (bo, bo_told, mut bos) = client(&url, form, "7");
        let (hers, his) = (subscription(&ada, "news", "42", &ada_told), subscription(&bo, "news", "7", &bo_told));
        hers.subscribe();
        ada.connect().unwrap();
        told.all(&["subscribed false false", "42 joins"]).await;
        his.subscribe();
        bo.connect().unwrap();
        his.ready(WITHIN).await.unwrap();
        told.all(&["7 joins"]).await;
        his.publish(r#"{"a":  1}"#).await.unwrap();
        told.all(&[r#"#1 {"a":  1} of 7"#]).await;

        let presence = ada.presence("news").await.unwrap();
        let mut users: Vec<&str> = presence.clients.values().map(|info| info.user.as_str()).collect();
        users.sort_unstable();
        assert_eq!(users, ["42", "7"]);
        let stats = hers.presence_stats().await.unwrap();
        assert_eq!((stats.num_clients, stats.num_users), (2, 2));
        assert_eq!(text(&ada.rpc("echo", r#"{"is":"said"}"#).await.unwrap().data), r#"{"is":"said"}"#);
        assert!(ada.rpc("nothing", "{}").await.is_err());

        ada.disconnect();
        while bos.next().await != "42 leaves" {}
        for data in ["2", "3"] {
            his.publish(data).await.unwrap();
        }
        ada.connect().unwrap();
        let mut again = [told.next().await, told.next().await, told.next().await, told.next().await];
        assert_eq!(again[0], "subscribed true true");
        again[1..].sort();
        assert_eq!(again[1..], ["#2 2 of 7", "#3 3 of 7", "42 joins"]);
        let history = hers.history(HistoryOptions::new().limit(2).reverse(true)).await.unwrap();
        assert_eq!(history.publications.iter().map(|kept| text(&kept.data)).collect::<Vec<_>>(), ["3", "2"]);

        his.unsubscribe();
        told.all(&["7 leaves"]).await;
        ada.publish("#42", "4").await.unwrap();
        told.all(&["#42 #1 4"]).await;
        assert!(bo.publish("#42", "5").await.is_err(), "it is another's");
        ada.close().await;
        bo.close().await;
    }
}

#[tokio::test]
async fn a_token_that_ends_is_refreshed_and_the_connection_goes_on() {
    for form in FORMS {
        let (asked, asks) = unbounded_channel();
        let mut asks = Told(asks);
        let lost = asked.clone();
        let client = Client::builder(served().await)
            .protocol(form)
            .get_token(move |_| {
                let _ = asked.send("asked".to_owned());
                async move { Ok(Some(token(&json!({"sub": "42", "exp": now() + 2})))) }
            })
            .on_disconnected(move |_, event| drop(lost.send(format!("lost {}", event.code))))
            .build()
            .unwrap();
        client.connect().unwrap();
        asks.all(&["asked", "asked", "asked"]).await;
        assert_eq!(text(&client.rpc("echo", "1").await.unwrap().data), "1");
        client.close().await;
    }
}

#[tokio::test]
async fn a_subscription_whose_own_token_ends_goes_on_with_another() {
    for form in FORMS {
        let (client, tell, mut told) = client(&served().await, form, "42");
        let (asks, ended, begun, came) = (tell.clone(), tell.clone(), tell.clone(), tell);
        let news = client
            .new_subscription("news")
            .recoverable(true)
            .get_token(move |asked| {
                let _ = asks.send("asked".to_owned());
                async move { Ok(token(&json!({"sub": "42", "channel": asked.channel, "exp": now() + 2}))) }
            })
            .on_subscribing(move |_, event| drop((event.code > 0).then(|| ended.send(format!("ended {}", event.code)))))
            .on_subscribed(move |_, event| drop(begun.send(format!("subscribed {} {}", event.was_recovering, event.recovered))))
            .on_publication(move |_, event| drop(came.send(format!("#{}", event.offset))))
            .build()
            .unwrap();
        news.subscribe();
        client.connect().unwrap();
        told.all(&["asked", "subscribed false false", "asked", "asked"]).await;
        client.publish("news", "1").await.unwrap();
        let mut next = told.next().await;
        while next == "asked" {
            next = told.next().await;
        }
        assert_eq!(next, "#1", "{form:?}: it never ended");
        client.close().await;
    }
}
