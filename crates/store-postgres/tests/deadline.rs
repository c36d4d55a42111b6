//! A read's deadline is the server's own limit on its statements: it holds where nobody is there any more to cancel them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_op::{Deadline, ErrorCode, Operation, SelectKind};
use fourfold_plan::Plan;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::ITEM;
use fourfold_store::conformance::world::{admin, list};
use fourfold_store::{Maintain, StoreError};
use fourfold_store_postgres::testing::name_of;
use fourfold_store_postgres::{PostgresStore, testing};
use tokio_postgres::NoTls;

/// On one thread, which the test holds while the read waits: the store can do nothing then.
#[tokio::test]
async fn a_statement_is_ended_by_the_server_at_the_deadline_of_its_request() {
    let Some(server) = testing::server() else { return };
    let pooler = testing::pooler(server, "");
    for over in ["a session", "a pooler"] {
        let direct = server.database();
        let store: Arc<dyn Maintain> = match (over, &pooler) {
            ("a session", _) => PostgresStore::open_with(&direct, 2).await.unwrap(),
            (_, Some(pooler)) => PostgresStore::open_through(&pooler.url(&direct), &direct, 2).await.unwrap(),
            _ => continue,
        };
        let world = World::new(store).await;
        let select = world.select(ITEM, SelectKind::List(list(None)), Vec::new());
        let prepared = fourfold_plan::prepare(&world.model, 1, &Operation::Read(vec![select]), &world.limits).unwrap();
        let Ok(Plan::Read(plans)) = prepared.bind(&admin(), &[]) else { panic!("not a read") };

        let (locking, connection) = tokio_postgres::connect(&direct, NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        locking.batch_execute("BEGIN; LOCK TABLE item").await.unwrap();
        let begun = Instant::now();
        let deadline = Deadline(Some(begun + Duration::from_millis(700)));
        let store = world.store.clone();
        let read = tokio::spawn(async move { store.read(&plans, &deadline).await.err() });
        let waiting = || server.waiting(&name_of(&direct)) != 0;
        while !waiting() {
            tokio::task::yield_now().await;
        }
        while waiting() {}
        assert!((Duration::from_millis(600)..Duration::from_secs(10)).contains(&begun.elapsed()), "over {over}: {:?}", begun.elapsed());
        let Some(StoreError::Refused(error)) = read.await.unwrap() else { panic!("it was locked") };
        assert_eq!(error.code, ErrorCode::DeadlineExceeded, "over {over}: {error:?}");
        drop(locking);
        driver.await.unwrap().unwrap();
        world.store.close().await;
    }
}
