//! `kill -9` under a write load over all four APIs: what was acknowledged is there, each row's version has one event, and the server is
//! ready again.
//!
//! `TEST_KILL_ROUNDS` (8) and `TEST_KILL_SEED` (the clock) choose how much and what; both are printed.

mod database;
mod ledger;
mod load;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fourfold_testkit::random::{self, Random};

use crate::api::{APIS, client};
use crate::binary::{Folder, Server, run};
use database::Database;
use ledger::Ledger;
use load::Load;

const MODEL: &str = "package kill.v1

entity Item {
  id   String @key
  text String
  @@allow(read, create, update, delete, true)
}
";
/// Writers of each API.
const WRITERS: usize = 2;
/// How long a server that begins again may take until it is ready; a debug build is not held to it.
const READY_MAX: Duration = Duration::from_secs(1);

/// One writer of one API, for the whole run.
struct Writer {
    api: &'static str,
    ledger: Arc<Mutex<Ledger>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_by_kill_9_over_any_api() {
    let rounds = number("TEST_KILL_ROUNDS").unwrap_or(8);
    let seed = number("TEST_KILL_SEED").unwrap_or_else(random::seed);
    println!("TEST_KILL_ROUNDS={rounds} TEST_KILL_SEED={seed}");
    let folder = Folder::with(&[("kill.fourfold", MODEL)]);
    run(&folder, &["check", "--write"]).ended(0);
    let load = Load::new(MODEL, &folder.read("fourfold.lock"));
    let mut random = Random::new(seed);
    let writers = writers();
    let mut ready = Vec::new();
    let mut server = Server::start(&folder, &["serve"]);
    for round in 1..=rounds {
        burden(&load, server, &writers, &mut random).await;
        let begun = Instant::now();
        server = Server::start(&folder, &["serve"]);
        ready.push(begun.elapsed());
        check(&folder, &writers, &format!("round {round} of {rounds}, TEST_KILL_SEED={seed}"));
    }
    report(&folder, &writers, ready);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn writers() -> Vec<Writer> {
    let of = |api| (0..WRITERS).map(move |at| Writer { api, ledger: Arc::new(Mutex::new(Ledger::new(format!("{api}-{at}")))) });
    APIS.into_iter().flat_map(of).collect()
}

/// Lets everyone write until a random number of writes is acknowledged, and a little longer; then the process is killed.
async fn burden(load: &Load, server: Server, writers: &[Writer], random: &mut Random) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let tasks: Vec<_> = writers
        .iter()
        .map(|writer| {
            let client = client(writer.api, &server);
            tokio::spawn(load.clone().write(client, Arc::clone(&writer.ledger), Random::new(random.next()), tell.clone()))
        })
        .collect();
    for _ in 0..40 + random.below(300) {
        told.recv().await.expect("a write that is acknowledged");
    }
    // Not in step with an acknowledgement: the moment is anywhere in a commit.
    tokio::time::sleep(Duration::from_micros(random.below(6_000))).await;
    server.kill();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Everything in the folder against everything that was acknowledged.
fn check(folder: &Folder, writers: &[Writer], when: &str) {
    let database = Database::read(&folder.0.join(".fourfold/data.db"));
    let mut faults = database.faults();
    let mut lost = 0;
    for writer in writers {
        let mut ledger = writer.ledger.lock().unwrap();
        let found = ledger.compare(&database);
        lost += found.lost;
        faults.extend(found.faults);
    }
    faults.truncate(20);
    assert!(faults.is_empty(), "{when}: {lost} acknowledged writes are lost\n{}", faults.join("\n"));
}

fn report(folder: &Folder, writers: &[Writer], mut ready: Vec<Duration>) {
    let database = Database::read(&folder.0.join(".fourfold/data.db"));
    for writer in writers {
        let acknowledged = writer.ledger.lock().unwrap().acknowledged;
        println!("{}: {acknowledged} writes acknowledged", writer.api);
        assert!(acknowledged > 0, "{} wrote nothing", writer.api);
    }
    let all: usize = writers.iter().map(|writer| writer.ledger.lock().unwrap().acknowledged).sum();
    let unanswered: usize = writers.iter().map(|writer| writer.ledger.lock().unwrap().done_unanswered).sum();
    ready.sort();
    let (median, max) = (ready[ready.len() / 2], ready[ready.len() - 1]);
    println!("{} kills: {all} writes acknowledged, 0 lost; {unanswered} were done and never answered", ready.len());
    println!("{} events, each once; ready again in {median:.0?} (median), {max:.0?} (longest)", database.events());
    assert!(cfg!(debug_assertions) || max < READY_MAX, "ready again only after {max:.0?}");
}
