//! The suite that every store runs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fourfold_store::Maintain;
use fourfold_store::conformance;
use fourfold_store_sqlite::{Files, SqliteStore};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_a_store() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let base = std::env::temp_dir().join(format!("fourfold-conformance-{}", std::process::id()));
    let folder = base.clone();
    conformance::run(move || {
        let folder = folder.join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        Box::pin(async move {
            std::fs::create_dir_all(&folder).unwrap();
            let store: Arc<dyn Maintain> = SqliteStore::open(Files::in_folder(&folder)).unwrap();
            store
        })
    })
    .await;
    std::fs::remove_dir_all(base).unwrap();
}
