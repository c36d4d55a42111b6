//! Every scenario over every API, against every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use fourfold_store::conformance::fixture;
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Space, Store};
use fourfold_store_postgres::{PostgresStore, testing};
use fourfold_store_sqlite::{Files, SqliteStore};
use fourfold_testkit::Served;
use fourfold_testkit::scenario::{Report, load, run};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

/// Runs at once. Most of a run is waiting, and each has a store of its own.
const AT_ONCE: usize = 4;

/// Connections to the pooler, which has three sessions.
const POOLED: usize = 8;

/// The store of one run, and what becomes of its place after that.
struct Made {
    store: Arc<dyn Maintain>,
    leave: Box<dyn FnOnce() + Send>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_the_memory_store() {
    hold(async |_| Made { store: Arc::new(MemoryStore::new()), leave: Box::new(|| {}) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_sqlite() {
    let folder = std::env::temp_dir().join(format!("fourfold-scenarios-{}", std::process::id()));
    hold(async |number| {
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let store = SqliteStore::open(Files::in_folder(&folder)).unwrap();
        Made { store, leave: Box::new(move || std::fs::remove_dir_all(&folder).unwrap()) }
    })
    .await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_postgres() {
    let Some(server) = testing::server() else { return };
    server.leave_syncs_out();
    let free = Arc::new(Mutex::new(Vec::new()));
    hold(async |_| {
        let url = vacant(server, &free).await;
        let store = PostgresStore::open_with(&url, 4).await.unwrap();
        let free = free.clone();
        Made { store, leave: Box::new(move || free.lock().unwrap().push(url)) }
    })
    .await;
}

/// Each store has more connections than the pooler has sessions for it, and finds at each transaction what others left on the one that it gets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_postgres_behind_a_pooler() {
    let Some(server) = testing::server() else { return };
    let Some(pooler) = testing::pooler(server, "") else { return };
    server.leave_syncs_out();
    let free = Arc::new(Mutex::new(Vec::new()));
    hold(async |_| {
        let url = vacant(server, &free).await;
        let store = PostgresStore::open_through(&pooler.url(&url), &url, POOLED).await.unwrap();
        // Asked at once, it makes all its connections, and uses each in turn from now on.
        let asked = (0..POOLED).map(|_| store.side(Space::Idempotency, b"none"));
        assert!(join_all(asked).await.iter().all(|found| matches!(found, Ok(None))));
        let free = free.clone();
        Made { store, leave: Box::new(move || free.lock().unwrap().push(url)) }
    })
    .await;
}

/// A database that no run has now: one that another had, emptied, else a new one.
async fn vacant(server: &'static testing::Server, free: &Mutex<Vec<String>>) -> String {
    let known = free.lock().unwrap().pop();
    match known {
        Some(url) => {
            server.empty(&url).await;
            url
        }
        None => tokio::task::spawn_blocking(|| server.database()).await.unwrap(),
    }
}

async fn hold(make: impl AsyncFn(usize) -> Made) {
    let scenarios = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios"));
    let runs = scenarios.iter().flat_map(|scenario| apis(scenario).into_iter().map(move |api| (scenario, api)));
    let make = &make;
    let reports = stream::iter(runs.enumerate()).map(async |(number, (scenario, api))| {
        let Made { store, leave } = make(number).await;
        let served = Served::start(store.clone(), fixture::model()).await;
        let mut report = Report::default();
        run(scenario, &api, &served, &mut report).await;
        drop(served);
        store.close().await;
        drop(store);
        tokio::task::spawn_blocking(leave).await.unwrap();
        report
    });
    let report = reports.buffered(AT_ONCE).fold(Report::default(), async |all, one| all.and(one)).await;
    for name in &report.unserved {
        println!("not served yet: {name}");
    }
    println!("{} scenarios: {} runs passed, {} not served yet", scenarios.len(), report.passed, report.unserved.len());
    let strict = std::env::var_os("CI").is_some();
    assert!(!strict || report.unserved.is_empty(), "{} runs are not served", report.unserved.len());
    assert!(report.failed.is_empty(), "{} failed of {}:\n{}", report.failed.len(), report.passed, report.failed.join("\n"));
}

/// The APIs that a scenario runs over: those it names, else all.
fn apis(scenario: &serde_json::Value) -> Vec<String> {
    match scenario["over"].as_array() {
        Some(named) => named.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        None => ["rest", "graphql", "connect", "grpc", "websocket"].map(str::to_owned).to_vec(),
    }
}
