//! Every scenario over every API, against every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;

use fourfold_store::Maintain;
use fourfold_store::conformance::fixture;
use fourfold_store::memory::MemoryStore;
use fourfold_testkit::Served;
use fourfold_testkit::scenario::{Report, load, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_hold_over_every_api_on_the_memory_store() {
    let scenarios = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios"));
    let mut report = Report::default();
    for scenario in &scenarios {
        for api in apis(scenario) {
            let store: Arc<dyn Maintain> = Arc::new(MemoryStore::new());
            let served = Served::start(store, fixture::model()).await;
            run(scenario, &api, &served, &mut report).await;
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
