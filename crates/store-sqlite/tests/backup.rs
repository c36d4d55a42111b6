//! A copy that takes several steps, with a writer that never pauses between them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use fourfold_model::Value;
use fourfold_op::Limits;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{self, ITEM};
use fourfold_store::conformance::world::{admin, create, id};
use fourfold_store::{Maintain, Store};
use fourfold_store_sqlite::{Files, SqliteStore, backup, restore};

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fourfold-backup-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("other")).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn filled(folder: &Folder) -> World {
    let store = SqliteStore::open(Files::in_folder(&folder.0)).unwrap();
    let model = fixture::model();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let world = World { store, model, limits: Limits::default() };
    let text = "x".repeat(60_000);
    for round in 0..12u16 {
        let asks = (0..8).map(|n| create(ITEM, Some(id(round * 8 + n)), vec![(fixture::item::TITLE, Value::text(&text))]));
        world.commit_with(&admin(), asks.collect(), false, vec![]).await.unwrap();
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_between_its_steps_is_not_in_a_copy() {
    let folder = Folder::new("steps");
    let world = filled(&folder).await;
    let (copy, mut steps) = (folder.0.join("copy.db"), 0u16);
    let made = tokio::task::block_in_place(|| {
        backup(&folder.0.join("data.db"), &copy, |_, _| {
            steps += 1;
            assert!(steps < 100, "it begins again and again");
            tokio::runtime::Handle::current().block_on(world.item(1_000 + steps, "between two steps", vec![]));
        })
    });
    let made = made.unwrap();
    assert!(steps > 2, "{steps} steps");
    assert_eq!((made.cursor.after, world.store.head(None).await.position), (96, 96 + u64::from(steps)));
    let other = Files::in_folder(&folder.0.join("other"));
    let restored = restore(&other, &copy, |_, _| {}).unwrap();
    assert_eq!((restored.cursor.after, restored.aside), (96, None));
    let store = SqliteStore::open(other).unwrap();
    assert_eq!(store.count(&world.model, ITEM).await.unwrap(), 96);
    let head = store.head(None).await;
    assert_eq!((head.position, head.epoch), (96, restored.cursor.epoch), "the name that was told");
}
