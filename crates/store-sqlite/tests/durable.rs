//! What survives: reopening, a database that was put back, `kill -9` under a write load.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use fourfold_model::expr::Compare;
use fourfold_model::{Base, Value};
use fourfold_op::{ErrorCode, Limits};
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{self, ITEM};
use fourfold_store::conformance::world::{admin, create, id, list};
use fourfold_store::{Entities, Maintain, Store};
use fourfold_store_sqlite::{Files, SqliteStore};

const CHILD: &str = "FOURFOLD_TEST_CHILD_FOLDER";
const ROUNDS: u64 = 20;
/// Openings after each of which the files are looked for.
const CLOSINGS: u16 = 50;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fourfold-{name}-{}", std::process::id()));
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

/// A connection that closes after its store could remove the write-ahead log of who has the files next.
#[tokio::test]
async fn a_store_that_is_closed_has_let_go_of_its_database() {
    let Ok(own) = std::fs::read_dir("/proc/self/fd") else {
        println!("skip: no /proc tells which files are open");
        return;
    };
    drop(own);
    let folder = Folder::new("closed");
    for round in 1..=CLOSINGS {
        let (store, world) = open(&folder.0).await;
        world.item(round, "a", vec![]).await;
        store.close().await;
        let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let database: Vec<PathBuf> =
            open.filter(|path| path.to_string_lossy().starts_with(&*folder.0.join("data.db").to_string_lossy())).collect();
        assert_eq!(database, [""; 0].map(PathBuf::from), "round {round}");
    }
}

#[tokio::test]
async fn rows_events_and_the_epoch_survive_a_restart() {
    let folder = Folder::new("restart");
    let (store, world) = open(&folder.0).await;
    world.item(1, "a", vec![]).await;
    let before = store.head(None).await;
    store.close().await;
    drop((store, world));
    let (store, world) = open(&folder.0).await;
    assert_eq!(store.head(None).await, before);
    assert_eq!(store.generation(), 1, "the same model is no new generation");
    assert!(world.get(&admin(), ITEM, id(1)).await.is_some());
    assert_eq!(world.events(&Entities::All).await.len(), 1);
}

#[tokio::test]
async fn a_database_that_was_put_back_gets_a_new_epoch() {
    let folder = Folder::new("put-back");
    let (store, world) = open(&folder.0).await;
    world.item(1, "a", vec![]).await;
    store.close().await;
    drop((store, world));
    let (database, copy) = (folder.0.join("data.db"), folder.0.join("copy.db"));
    std::fs::copy(&database, &copy).unwrap();
    let (store, world) = open(&folder.0).await;
    world.item(2, "b", vec![]).await;
    let later = store.head(None).await;
    store.close().await;
    drop((store, world));
    std::fs::copy(&copy, &database).unwrap();
    let (store, _) = open(&folder.0).await;
    let restored = store.head(None).await;
    assert_ne!(restored.epoch, later.epoch);
    assert_eq!(restored.position, 1);
}

#[tokio::test]
async fn a_second_opening_is_refused() {
    let folder = Folder::new("second");
    let (_store, _world) = open(&folder.0).await;
    let error = SqliteStore::open(Files::in_folder(&folder.0)).err().unwrap();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.public.message.contains("another process"), "{error}");
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let folder = Folder::new("closed");
    let (store, world) = open(&folder.0).await;
    store.close().await;
    let error = world.read(&admin(), vec![], &[]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
}

/// The process that is killed: not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let (_store, world) = open(Path::new(&folder)).await;
    let first = u16::try_from(world.events(&Entities::All).await.len()).unwrap() + 1;
    let next = Arc::new(AtomicU16::new(first));
    let tasks: Vec<_> = (0..32).map(|_| tokio::spawn(write_and_tell(world.clone(), next.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn write_and_tell(world: World, next: Arc<AtomicU16>) {
    loop {
        // Numbers that were not acknowledged may be taken: they are passed over.
        let number = next.fetch_add(1, Ordering::Relaxed);
        if world.get(&admin(), ITEM, id(number)).await.is_none() {
            world.item(number, "x", vec![]).await;
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nack {number}").unwrap();
            out.flush().unwrap();
        }
    }
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_by_kill_9() {
    let folder = Folder::new("kill");
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        acknowledged.extend(run_and_kill(&folder.0, Duration::from_millis(120 + round * 37 % 200)));
        let (store, world) = open(&folder.0).await;
        let mut events: HashMap<_, usize> = HashMap::new();
        for event in world.events(&Entities::All).await {
            *events.entry(event.key).or_default() += 1;
        }
        for number in &acknowledged {
            assert!(world.get(&admin(), ITEM, id(*number)).await.is_some(), "round {round}: the row {number} was acknowledged and is lost");
        }
        for (key, count) in &events {
            assert_eq!(*count, 1, "round {round}: {key:?} was created once");
            assert!(world.get(&admin(), ITEM, key.clone()).await.is_some(), "round {round}: {key:?} has an event and no row");
        }
        store.close().await;
    }
    assert!(acknowledged.len() > 100, "only {} writes were acknowledged", acknowledged.len());
}

/// The numbers that a child acknowledged before it was killed.
fn run_and_kill(folder: &Path, after: Duration) -> Vec<u16> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writes_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("ack ").and_then(|number| number.parse().ok())).collect()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[tokio::test]
async fn a_read_that_outlasts_its_thread_is_answered_all_the_same() {
    let folder = Folder::new("long");
    let (_store, world) = open(&folder.0).await;
    for batch in 0..10u16 {
        let asks =
            (0..900).map(|n| create(ITEM, Some(id(batch * 900 + n)), vec![(fixture::item::TITLE, Value::text(format!("title {n}")))]));
        world.commit_with(&admin(), asks.collect(), false, vec![]).await.unwrap();
    }
    let title = fixture::column(fixture::item::TITLE, Base::String);
    let filter = fixture::compare(Compare::Equal, title, fixture::literal(Value::text("title 899"), Base::String));
    let (page, _) = world.page(&admin(), ITEM, list(Some(filter)), vec![], &[]).await;
    assert_eq!(page.items.len(), 10);
}

#[tokio::test]
async fn the_log_file_stays_short_while_writes_never_pause() {
    let folder = Folder::new("log");
    let (_store, world) = open(&folder.0).await;
    let text = "x".repeat(60_000);
    let mut longest = 0;
    for round in 0..120u16 {
        let asks = (0..8).map(|n| create(ITEM, Some(id(round * 8 + n)), vec![(fixture::item::TITLE, Value::text(&text))]));
        world.commit_with(&admin(), asks.collect(), false, vec![]).await.unwrap();
        longest = longest.max(std::fs::metadata(folder.0.join("data.db-wal")).unwrap().len());
    }
    assert!(longest < 40 << 20, "{longest} bytes of some 115 MiB that were written");
}
