//! Nodes over one database, and what is asked of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, reason = "each test target uses some of it")]

use std::sync::Arc;

use fourfold_model::Value;
use fourfold_op::{Cursor, Event};
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{ITEM, item};
use fourfold_store::conformance::world::{Ask, id, update};
use fourfold_store::{Budget, Entities, Maintain, Store};
use fourfold_store_postgres::testing::name_of;
use fourfold_store_postgres::{PostgresStore, testing};
use tokio::task::JoinHandle;

const ALL: Budget = Budget { events_max: 1_000, bytes_max: 4 << 20 };

/// Ends the session that first commits events, within its COMMIT.
pub const END_THE_FIRST_COMMIT: &str = "CREATE SEQUENCE commits; CREATE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN IF nextval(''commits'') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF; RETURN NULL; END'; \
    CREATE CONSTRAINT TRIGGER end_me AFTER INSERT ON fourfold_outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_me()";

/// Nodes over one new database, and its name.
pub async fn nodes(count: usize) -> Option<(Vec<World>, &'static testing::Server, String)> {
    let server = testing::server()?;
    let url = server.database();
    let name = name_of(&url);
    let mut worlds: Vec<World> = Vec::new();
    for _ in 0..count {
        let world = node(&url, worlds.first()).await;
        worlds.push(world);
    }
    Some((worlds, server, name))
}

/// One more node; the first makes the tables.
pub async fn node(url: &str, first: Option<&World>) -> World {
    let store: Arc<dyn Maintain> = PostgresStore::open_with(url, 12).await.unwrap();
    let Some(first) = first else { return World::new(store).await };
    let migration = store.migration(&first.model).await.unwrap();
    store.migrate(&first.model, migration).await.unwrap();
    World { store, ..first.clone() }
}

/// A transaction beside the nodes that does something and then sleeps, in seconds, before it is rolled back; it sleeps when this returns.
pub fn held(server: &'static testing::Server, name: &str, does: &str, seconds: u64) -> JoinHandle<String> {
    let text = format!("BEGIN; {does}; SELECT pg_sleep({seconds}); ROLLBACK");
    let holder = {
        let name = name.to_owned();
        tokio::task::spawn_blocking(move || server.execute(&name, &text))
    };
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while server.execute(name, sleeps).trim() == "0" {}
    holder
}

/// A new title for an item.
pub fn retitle(number: u16, title: String) -> Ask {
    update(ITEM, id(number), vec![(item::TITLE, Value::text(title))])
}

/// Every event after a cursor, up to the log's end.
pub async fn rest(store: &dyn Store, mut after: Cursor) -> Vec<Event> {
    let mut events = Vec::new();
    let head = store.head(None).await;
    while after.after < head.position || after.skip.is_some() {
        let tail = store.events(&after, &Entities::All, ALL).await.unwrap();
        events.extend(tail.events);
        after = tail.through;
    }
    events
}
