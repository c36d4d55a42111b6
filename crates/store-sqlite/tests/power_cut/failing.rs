//! A disk that fills up or fails: what writers are told, and what a power cut then leaves.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourfold_model::Model;
use fourfold_op::ErrorCode;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::ITEM;
use fourfold_store::conformance::world::{Ask, admin, create, id};
use fourfold_store::{CommitError, Maintain, Migration, StoreError};
use fourfold_store_sqlite::SqliteStore;

use crate::disk::{Disk, Image};
use crate::ledger::Ledger;
use crate::load::{self, row, write};
use crate::random::Random;
use crate::recording::{CHILD, Place, Recording};
use crate::{Tally, can_cut, check};

const CASE: &str = "POWER_CUT_CASE";
/// More than SQLite's cache holds, so that some of it is written before the commit.
const ROWS: u16 = 400;
const ROW_BYTES: usize = 60 << 10;
const ENOSPC: &str = "28";
const EIO: &str = "5";

#[tokio::test]
async fn a_disk_that_is_full_before_the_commit_is_storage_full() {
    disk_fails("before", "POWER_CUT_FAIL_WRITES", ENOSPC, 2).await;
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_commit_leaves_the_outcome_unknown() {
    disk_fails("commit", "POWER_CUT_FAIL_WRITES", ENOSPC, 1).await;
}

#[tokio::test]
async fn a_sync_that_fails_leaves_the_outcome_unknown() {
    disk_fails("commit", "POWER_CUT_FAIL_SYNCS", EIO, 1).await;
    disk_fails("commit", "POWER_CUT_FAIL_SYNCS", ENOSPC, 1).await;
    disk_fails("migrate", "POWER_CUT_FAIL_SYNCS", EIO, 1).await;
}

/// Runs a case as a process; afterwards, power cut or not, what it acknowledged is there and nothing is torn.
async fn disk_fails(case: &str, fault: &str, error: &str, acknowledged: usize) {
    if !can_cut() {
        return;
    }
    let name = format!("{case}-{fault}-{error}");
    let (place, mut random, mut tally) = (Place::new(&name), Random::seeded(&name), Tally::default());
    let mut child = place.child("failing::writes_while_the_disk_fails");
    child.env(CASE, case).env(fault, error).env("POWER_CUT_TRIGGER", place.root().join("failing"));
    child.env("POWER_CUT_LAST_FILE", place.root().join("last"));
    let recording = Recording::by(&place, Image::new(), child);
    let (mut disk, mut ledger) = (Disk::default(), Ledger::default());
    recording.records.iter().for_each(|record| disk.apply(record));
    ledger.add(&String::from_utf8(disk.whole(&place.acks())).unwrap());
    assert_eq!(ledger.acks.len(), acknowledged);
    check(&place, &disk, &ledger, &mut tally, &mut random).await;
    assert!(tally.red.is_empty(), "{name}: {:#?}", tally.red);
}

/// The process whose disk fails while a file is there: not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_while_the_disk_fails() {
    let Ok(case) = std::env::var(CASE) else { return };
    let root = PathBuf::from(std::env::var(CHILD).unwrap());
    let (store, mut world) = load::open(&root.join("data")).await.unwrap();
    world.limits.commit_bytes_max = 256 << 20;
    let acks = Mutex::new(File::create(root.join("acks")).unwrap());
    write(&world, &acks, vec![small(1, "<<first 1>>")], "<<first 1>>").await.unwrap();
    let failing = root.join("failing");
    File::create(&failing).unwrap();
    match case.as_str() {
        "before" => is_full(&world, &acks, &failing).await,
        "commit" => {
            let outcome = write(&world, &acks, vec![small(2, "<<second 1>>")], "<<second 1>>").await;
            assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
            has_failed(&store, &world, &acks, &failing).await;
        }
        _ => {
            assert_eq!(migrate(&store, &world).await, Some(ErrorCode::UnknownOutcome));
            has_failed(&store, &world, &acks, &failing).await;
            assert_eq!(migrate(&store, &world).await, Some(ErrorCode::Unavailable));
        }
    }
    // The shim ends it here.
    let _ = File::create(root.join("last"));
}

/// Nothing was written, and once there is room the store goes on.
async fn is_full(world: &World, acks: &Mutex<File>, failing: &Path) {
    let rows = (100..100 + ROWS).map(|number| create(ITEM, Some(id(number)), row("<<much 400>>", ROW_BYTES)));
    assert_eq!(refused(write(world, acks, rows.collect(), "<<much 400>>").await), ErrorCode::StorageFull);
    std::fs::remove_file(failing).unwrap();
    assert!(world.get(&admin(), ITEM, id(100)).await.is_none());
    write(world, acks, vec![small(2, "<<second 1>>")], "<<second 1>>").await.unwrap();
}

/// The store takes nothing more, even from a disk that is well again: its process must end.
async fn has_failed(store: &SqliteStore, world: &World, acks: &Mutex<File>, failing: &Path) {
    tokio::time::timeout(Duration::from_secs(10), store.failed()).await.unwrap();
    std::fs::remove_file(failing).unwrap();
    assert_eq!(refused(write(world, acks, vec![small(3, "<<third 1>>")], "<<third 1>>").await), ErrorCode::Unavailable);
}

/// To a model of another fingerprint: to the same there is nothing to write.
async fn migrate(store: &SqliteStore, world: &World) -> Option<ErrorCode> {
    let model = Arc::new(Model { fingerprint: 2, ..(*world.model).clone() });
    let StoreError::Refused(error) = store.migrate(&model, Migration { steps: vec![] }).await.err()?;
    Some(error.code)
}

fn small(number: u16, title: &str) -> Ask {
    create(ITEM, Some(id(number)), row(title, 10))
}

fn refused(outcome: Result<(), CommitError>) -> ErrorCode {
    match outcome {
        Err(CommitError::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}
