//! Connections that several readers share: what waits in line on them, and what becomes of those who leave.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_model::{Row, Value};
use fourfold_store::Maintain;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{PERSON, person};
use fourfold_store::conformance::world::{admin, create, id};
use fourfold_store_postgres::testing::{Server, name_of};
use fourfold_store_postgres::{PostgresStore, testing};
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

/// A store of some connections, whose people are locked.
struct Locked {
    world: World,
    server: &'static Server,
    name: String,
    locking: tokio_postgres::Client,
}

impl Locked {
    async fn new(connections: usize) -> Option<Locked> {
        let server = testing::server()?;
        let url = server.database();
        let store: Arc<dyn Maintain> = PostgresStore::open_with(&url, connections).await.unwrap();
        let world = World::new(store).await;
        world.one(&admin(), create(PERSON, Some(id(1)), vec![(person::NAME, Value::text("Ann"))])).await;
        let (locking, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        locking.batch_execute("BEGIN; LOCK TABLE person").await.unwrap();
        Some(Locked { world, server, name: name_of(&url), locking })
    }

    fn reader(&self) -> JoinHandle<Option<Row>> {
        let world = self.world.clone();
        tokio::spawn(async move { world.get(&admin(), PERSON, id(1)).await })
    }

    /// Until so many sessions wait for the lock.
    async fn until_waiting(&self, sessions: usize) {
        let begun = Instant::now();
        while self.server.waiting(&self.name) != sessions {
            assert!(begun.elapsed() < Duration::from_secs(10), "{sessions} sessions do not wait");
            tokio::task::yield_now().await;
        }
    }
}

/// Gets that wait for a lock keep a quarter of the connections from everybody else, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gets_that_wait_leave_connections_for_others() {
    let Some(locked) = Locked::new(12).await else { return };
    let readers: Vec<_> = (0..90).map(|_| locked.reader()).collect();
    locked.until_waiting(3).await;
    locked.world.item(1, "one", vec![]).await;
    assert_eq!(locked.world.titles(&admin(), fourfold_model::Expr::all(Vec::new())).await, ["one"]);
    assert_eq!(locked.server.waiting(&locked.name), 3);
    locked.locking.batch_execute("ROLLBACK").await.unwrap();
    for reader in readers {
        let row = reader.await.unwrap().expect("the row is there");
        assert_eq!(row.value(person::NAME), &Value::text("Ann"));
    }
}

/// Behind what nobody waits for any more nobody new is put, those who were there are answered, and the last of them has it cancelled.
#[tokio::test]
async fn who_leaves_takes_the_connection_along_when_all_have_left() {
    let Some(locked) = Locked::new(4).await else { return };
    let leaves = locked.reader();
    locked.until_waiting(1).await;
    let stays = locked.reader();
    // On this one thread a reader goes on until it waits for its answer.
    tokio::task::yield_now().await;
    leaves.abort();
    assert!(leaves.await.is_err_and(|error| error.is_cancelled()));
    let comes = locked.reader();
    locked.until_waiting(2).await;
    stays.abort();
    assert!(stays.await.is_err_and(|error| error.is_cancelled()));
    locked.until_waiting(1).await;
    locked.locking.batch_execute("ROLLBACK").await.unwrap();
    assert!(comes.await.unwrap().is_some());
}
