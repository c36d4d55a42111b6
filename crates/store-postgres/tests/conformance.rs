//! The suite that every store runs, against a real server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use fourfold_store::{Maintain, conformance};
use fourfold_store_postgres::{PostgresStore, testing};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_a_store() {
    let Some(server) = testing::server() else { return };
    conformance::run(move || {
        Box::pin(async move {
            let store: Arc<dyn Maintain> = PostgresStore::open_with(&server.database(), 8).await.unwrap();
            store
        })
    })
    .await;
}
