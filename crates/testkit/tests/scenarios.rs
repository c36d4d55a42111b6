//! Every scenario over every API, against every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;

use fourfold_store::Maintain;
use fourfold_store::conformance::fixture;
use fourfold_store::memory::MemoryStore;
use fourfold_store_sqlite::{Files, SqliteStore};
use fourfold_testkit::Served;
use fourfold_testkit::scenario::{Report, load, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_the_memory_store() {
    hold(|_| Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_sqlite() {
    let folder = std::env::temp_dir().join(format!("fourfold-scenarios-{}", std::process::id()));
    hold(|number| {
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        SqliteStore::open(Files::in_folder(&folder)).unwrap()
    })
    .await;
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn hold(make: impl Fn(usize) -> Arc<dyn Maintain>) {
    let scenarios = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios"));
    let mut report = Report::default();
    let mut stores = 0;
    for scenario in &scenarios {
        for api in apis(scenario) {
            let store = make(stores);
            stores += 1;
            let served = Served::start(store.clone(), fixture::model()).await;
            run(scenario, &api, &served, &mut report).await;
            store.close().await;
        }
    }
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
