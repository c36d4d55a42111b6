//! The store through PgBouncer that gives each transaction one of three sessions: the suite of stores, and what is left on those sessions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::Value;
use fourfold_op::ErrorCode;
use fourfold_store::conformance::fixture::{ITEM, item};
use fourfold_store::conformance::world::{admin, create, id, list};
use fourfold_store::conformance::{self, World};
use fourfold_store::{Budget, Entities, Expect, Maintain, Put, Side, Space, Store, StoreError};
use fourfold_store_postgres::testing::name_of;
use fourfold_store_postgres::{PostgresStore, testing};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

mod cluster;

use cluster::retitle;

/// Connections of a store to the pooler: more than it has sessions.
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_behind_a_pooler_is_a_store_and_leaves_nothing_on_its_sessions() {
    let Some(server) = testing::server() else { return };
    let Some(pooler) = testing::pooler(server, "") else { return };
    let pooler = Arc::new(pooler);
    let used = pooler.clone();
    conformance::run(move || {
        let pooler = used.clone();
        Box::pin(async move {
            let url = server.database();
            let store: Arc<dyn Maintain> = PostgresStore::open_through(&pooler.url(&url), &url, CLIENTS).await.unwrap();
            store
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pooler_lent_is_given_back_as_it_was() {
    let Some(server) = testing::server() else { return };
    let Some(pooler) = testing::pooler(server, "") else { return };
    let url = server.database();
    let store = PostgresStore::open_through(&pooler.url(&url), &url, CLIENTS).await.unwrap();
    let world = World::new(store.clone()).await;
    let work = (0..CLIENTS as u16).map(|number| {
        let world = world.clone();
        tokio::spawn(async move {
            world.item(number, "a lamp", vec![]).await;
            world.one(&admin(), retitle(number, "a lantern".into())).await;
            world.page(&admin(), ITEM, list(None), Vec::new(), &[]).await;
            let side = Side {
                space: Space::Idempotency,
                key: format!("{number}").into_bytes(),
                expect: Expect::Absent,
                put: Put::Bytes(Bytes::from_static(b"done")),
                keep_until: None,
            };
            let vase = create(ITEM, Some(id(number + 100)), vec![(item::TITLE, Value::text("a vase"))]);
            world.commit_with(&admin(), vec![vase], false, vec![side]).await.unwrap();
            world.store.side(Space::Idempotency, format!("{number}").as_bytes()).await.unwrap().unwrap();
            world.store.lease(&format!("{number}")).await.unwrap().unwrap();
        })
    });
    for done in futures_util::future::join_all(work).await {
        done.unwrap();
    }
    // A transaction of each session at once, so that each is looked at.
    let mut sessions = Vec::new();
    for _ in 0..testing::SESSIONS {
        let (client, connection) = tokio_postgres::connect(&pooler.url(&url), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("BEGIN").await.unwrap();
        sessions.push(client);
    }
    let mut pids = std::collections::HashSet::new();
    for session in &sessions {
        pids.insert(told(session, "SELECT pg_backend_pid()").await);
        for left in [
            "SELECT string_agg(statement, '; ') FROM pg_prepared_statements",
            "SELECT string_agg(channel, ' ') FROM pg_listening_channels() AS channel",
            "SELECT string_agg(objid::text, ' ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            "SELECT string_agg(name || ' = ' || setting, '; ') FROM pg_settings WHERE source = 'session' AND name <> 'application_name'",
        ] {
            assert_eq!(told(session, left).await, "", "{left}");
        }
    }
    assert_eq!(pids.len(), testing::SESSIONS);
    drop(sessions);
    store.close().await;
}

async fn told(client: &Client, text: &str) -> String {
    let messages = client.simple_query(text).await.unwrap();
    let row = messages.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    row.and_then(|row| row.get(0)).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_without_a_direct_url_is_refused_by_its_name() {
    let Some(server) = testing::server() else { return };
    // One that refuses what it does not know, and one that drops it.
    for settings in ["", "ignore_startup_parameters = options"] {
        let Some(pooler) = testing::pooler(server, settings) else { return };
        let error = PostgresStore::open(&pooler.url(&server.database())).await.err().unwrap();
        assert!(error.public.message.contains("leads to a pooler"), "{settings}: {error:?}");
        assert!(error.public.message.contains("`store.direct_url`"), "{settings}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_urls_of_different_databases_are_refused() {
    let Some(server) = testing::server() else { return };
    let Some(pooler) = testing::pooler(server, "") else { return };
    let (one, other) = (server.database(), server.database());
    let refused = async || {
        let error = PostgresStore::open_through(&pooler.url(&one), &other, 1).await.err().unwrap();
        assert!(error.public.message.contains("lead to different databases"), "{error:?}");
    };
    refused().await;
    drop(PostgresStore::open(&one).await.unwrap());
    refused().await;
}

/// A pooler that is told another place gives the next transaction a session of it.
#[tokio::test(flavor = "multi_thread")]
async fn no_read_through_a_pooler_that_leads_elsewhere_is_told_as_one_of_the_log_before() {
    let Some(server) = testing::server() else { return };
    let Some(pooler) = testing::pooler(server, "") else { return };
    let (before, copy) = (server.database(), server.database());
    let world = World::new(PostgresStore::open(&copy).await.unwrap()).await;
    world.store.close().await;
    pooler.lead("shop", &name_of(&before));
    let through = pooler.url("/shop?sslmode=disable");
    let world = World::new(PostgresStore::open_through(&through, &before, CLIENTS).await.unwrap()).await;
    let read = async || world.page(&admin(), ITEM, list(None), Vec::new(), &[]).await.1.cursor.unwrap();
    let first = read().await;

    // A copy knows itself by the name of what it was copied from.
    let identity = server.execute(&name_of(&before), "SELECT identity FROM fourfold_state");
    let set = format!("UPDATE fourfold_state SET epoch = '{}', identity = '{}'", first.epoch.0, identity.trim());
    server.execute(&name_of(&copy), &set);
    pooler.lead("shop", &name_of(&copy));
    let (beside, connection) = tokio_postgres::connect(&through, NoTls).await.unwrap();
    tokio::spawn(connection);
    while told(&beside, "SELECT current_database()").await != name_of(&copy) {
        tokio::task::yield_now().await;
    }
    assert_ne!(read().await.epoch, first.epoch);
    let error = world.store.events(&first, &Entities::All, Budget { events_max: 1, bytes_max: 1 }).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(error) if error.code == ErrorCode::CursorExpired), "{error:?}");
    world.store.close().await;
}
