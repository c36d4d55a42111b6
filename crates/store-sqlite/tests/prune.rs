//! What pruning leaves in the file: across openings, and of its size.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fourfold_model::Value;
use fourfold_op::Limits;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{self, ITEM};
use fourfold_store::conformance::world::{admin, create, delete, id};
use fourfold_store::{Maintain, Pruned, Retention, Store};
use fourfold_store_sqlite::{Files, SqliteStore};

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fourfold-prune-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn open(folder: &Path) -> (Arc<SqliteStore>, World) {
    let store = SqliteStore::open(Files::in_folder(folder)).unwrap();
    let model = fixture::model();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    (store.clone(), World { store, model, limits: Limits::default() })
}

async fn reopened(folder: &Path, (store, world): (Arc<SqliteStore>, World)) -> (Arc<SqliteStore>, World) {
    store.close().await;
    drop((store, world));
    open(folder).await
}

const ALL: Retention = Retention { since: Some(i64::MAX), bytes_max: None, aged_through: None, slice_events_max: 5_000 };
const SIZE: Retention = Retention { since: None, bytes_max: Some(u64::MAX), aged_through: None, slice_events_max: 5_000 };

async fn prune(store: &SqliteStore, keep: Retention) -> Pruned {
    loop {
        let pruned = store.prune(&keep).await.unwrap();
        if !pruned.more {
            return pruned;
        }
    }
}

#[tokio::test]
async fn floors_and_positions_survive_a_restart() {
    let folder = Folder::new("restart");
    let (store, world) = open(&folder.0).await;
    world.item(1, "a", vec![]).await;
    let deleted = world.one(&admin(), delete(ITEM, id(1))).await.revision;
    world.item(2, "b", vec![]).await;
    prune(&store, ALL).await;
    let before = store.head(None).await;
    assert_eq!((before.floor, before.position), (2, 3));
    let (store, world) = reopened(&folder.0, (store, world)).await;
    assert_eq!(store.head(None).await, before);
    assert_eq!(world.item(1, "again", vec![]).await.revision, deleted + 1);
    assert_eq!(store.head(None).await.position, 4);
}

#[tokio::test]
async fn the_size_of_the_log_is_the_same_after_a_restart() {
    let folder = Folder::new("size");
    let (store, world) = open(&folder.0).await;
    for number in 1..=50 {
        world.item(number, "a title", vec![]).await;
    }
    let whole = prune(&store, SIZE).await.bytes;
    let half = prune(&store, Retention { bytes_max: Some(whole / 2), ..SIZE }).await;
    assert_eq!((half.floor, half.bytes), (25, whole / 2));
    world.item(51, "a title", vec![]).await;
    let (store, world) = reopened(&folder.0, (store, world)).await;
    assert_eq!(prune(&store, SIZE).await.bytes, whole / 50 * 26, "what was noted, and what came after");
    drop(world);
}

#[tokio::test]
async fn a_file_that_is_mostly_free_gives_its_pages_back() {
    let folder = Folder::new("pages");
    let (store, world) = open(&folder.0).await;
    let text = "x".repeat(60_000);
    for round in 0..70u16 {
        let asks = (0..8).map(|n| create(ITEM, Some(id(round * 8 + n)), vec![(fixture::item::TITLE, Value::text(&text))]));
        world.commit_with(&admin(), asks.collect(), false, vec![]).await.unwrap();
    }
    let (store, world) = reopened(&folder.0, (store, world)).await;
    let size = || std::fs::metadata(folder.0.join("data.db")).unwrap().len();
    let before = size();
    prune(&store, ALL).await;
    let (_store, world) = reopened(&folder.0, (store, world)).await;
    let after = size();
    assert!(before > 64 << 20, "rows and events: {before}");
    assert!(after < before * 4 / 5, "{after} bytes of {before}");
    assert!(world.get(&admin(), ITEM, id(1)).await.is_some());
}
