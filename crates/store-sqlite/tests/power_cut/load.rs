//! The load: clients that write through the real store, and say what it acknowledged.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fourfold_model::{FieldId, Value};
use fourfold_op::Limits;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{self, ITEM, item};
use fourfold_store::conformance::world::{Ask, admin, create, delete, id, update};
use fourfold_store::{CommitError, Expect, Maintain, Put, Retention, Side, Space, Store};
use fourfold_store_sqlite::{Files, SqliteStore};
use rusqlite::Connection;
use tokio::sync::{Barrier, watch};

use crate::ledger::{log, title_of};
use crate::random::Random;

const CLIENTS: u16 = 16;
const KEYS_EACH: u16 = 6;
/// At most so much beside a row: a commit is many pages, and a row more than one.
const NOTE_BYTES: usize = 4_000;
/// The title that a delete is told with.
pub const GONE: &str = "-";
/// Commits of a client, after which all wait for a checkpoint of the whole log: then SQLite begins it anew, over its old frames.
const COMMITS_A_LAP: u32 = 6;
/// Of what was acknowledged, so many events stay where the log is pruned; of the rest so many go at once.
const KEPT_EVENTS: u64 = 100;
const SLICE_EVENTS: u64 = 20;

/// The store in a folder, migrated.
pub async fn open(folder: &Path) -> Result<(Arc<SqliteStore>, World), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let store = SqliteStore::open(Files::in_folder(folder)).map_err(|error| format!("it does not open: {error}"))?;
    let model = fixture::model();
    let migration = store.migration(&model).await.map_err(|error| said(&format!("{error:?}")))?;
    store.migrate(&model, migration).await.map_err(|error| said(&format!("{error:?}")))?;
    Ok((store.clone(), World { store, model, limits: Limits::default() }))
}

/// Writes to `data` until the process is ended, and tells of it in `acks`; where it prunes, the log loses its oldest commits meanwhile.
pub async fn run(data: &Path, acks: &Path, seed: u64, prunes: bool) {
    let (store, world) = open(data).await.unwrap();
    let mut acks = File::create(acks).unwrap();
    acks.write_all(format!("epoch {}\n", store.head(None).await.epoch.0).as_bytes()).unwrap();
    let shared = Arc::new(Shared {
        world,
        store,
        acks: Mutex::new(acks),
        database: Files::in_folder(data).database,
        lap: Barrier::new(CLIENTS.into()),
        acknowledged: watch::channel(0).0,
    });
    if prunes {
        // What was written and not acknowledged before a cut may go from the log too.
        log(&shared.world, shared.store.head(None).await.floor).await.iter().for_each(|event| {
            let (after, key) = (event.commit_last.0.get(), number(&event.key));
            shared.tell(&format!("ack {after} {key} {} {}\n", event.revision, title_of(event)));
        });
        tokio::spawn(shared.clone().prune());
    }
    let clients = (0..CLIENTS).map(|number| {
        let keys = number * KEYS_EACH..(number + 1) * KEYS_EACH;
        let random = Random::new(seed.wrapping_add(u64::from(number)));
        tokio::spawn(Client { shared: shared.clone(), keys, alive: HashSet::new(), random }.write())
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// What the clients share.
struct Shared {
    world: World,
    store: Arc<SqliteStore>,
    acks: Mutex<File>,
    database: PathBuf,
    lap: Barrier,
    /// Up to here every commit was acknowledged.
    acknowledged: watch::Sender<u64>,
}

impl Shared {
    /// Lets go of the log what lies so far back, in slices, while clients write.
    async fn prune(self: Arc<Shared>) {
        let mut acknowledged = self.acknowledged.subscribe();
        while acknowledged.changed().await.is_ok() {
            let through = acknowledged.borrow_and_update().saturating_sub(KEPT_EVENTS);
            self.tell(&format!("prune {through}\n"));
            let keep = Retention { since: Some(i64::MAX), bytes_max: None, aged_through: Some(through), slice_events_max: SLICE_EVENTS };
            loop {
                let pruned = self.store.prune(&keep).await.unwrap();
                self.tell(&format!("floor {}\n", pruned.floor));
                if !pruned.more {
                    break;
                }
            }
        }
    }

    /// One write into the file, so that the journal has its place among the writes and syncs of the store.
    fn tell(&self, line: &str) {
        self.acks.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// One client, who alone writes its keys.
struct Client {
    shared: Arc<Shared>,
    keys: Range<u16>,
    alive: HashSet<u16>,
    random: Random,
}

impl Client {
    async fn write(mut self) {
        for key in self.keys.clone() {
            if self.shared.world.get(&admin(), ITEM, id(key)).await.is_some() {
                self.alive.insert(key);
            }
        }
        loop {
            for _ in 0..COMMITS_A_LAP {
                self.commit().await;
            }
            if self.shared.lap.wait().await.is_leader() {
                self.checkpoint();
                // Nobody writes now, so all that is there was acknowledged.
                let head = self.shared.store.head(None).await.position;
                self.shared.acknowledged.send_replace(head);
            }
            self.shared.lap.wait().await;
        }
    }

    async fn commit(&mut self) {
        let key = self.keys.start + self.random.below(self.keys.len()) as u16;
        match self.random.below(10) {
            0 if self.alive.remove(&key) => self.delete(key).await,
            1 | 2 => self.put(&[self.keys.start, self.keys.start + 1, self.keys.end - 1]).await,
            _ => self.put(&[key]).await,
        }
    }

    /// As the store's own thread does it, which seldom finds a moment without writers.
    fn checkpoint(&self) {
        let connection = Connection::open(&self.shared.database).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    }

    async fn delete(&self, key: u16) {
        let Shared { world, acks, .. } = &*self.shared;
        write(world, acks, vec![delete(ITEM, id(key))], GONE).await.unwrap();
    }

    /// Rows in one commit, under one title.
    async fn put(&mut self, keys: &[u16]) {
        let title = format!("<<{:016x} {}>>", self.random.next(), keys.len());
        let asks = keys.iter().map(|key| self.ask(*key, &title)).collect();
        write(&self.shared.world, &self.shared.acks, asks, &title).await.unwrap();
    }

    fn ask(&mut self, key: u16, title: &str) -> Ask {
        let note = self.random.below(NOTE_BYTES);
        if self.alive.insert(key) { create(ITEM, Some(id(key)), row(title, note)) } else { update(ITEM, id(key), row(title, note)) }
    }
}

/// A row with so many bytes beside its title.
pub fn row(title: &str, bytes: usize) -> Vec<(FieldId, Value)> {
    vec![(item::TITLE, Value::text(title)), (item::NOTE, Value::text("n".repeat(bytes)))]
}

/// Commits with a side record of the title's name, and tells when it is acknowledged.
pub async fn write(world: &World, acks: &Mutex<File>, asks: Vec<Ask>, title: &str) -> Result<(), CommitError> {
    let side = Side {
        space: Space::Idempotency,
        key: title.as_bytes().to_vec(),
        expect: Expect::Absent,
        put: Put::Bytes("x".into()),
        keep_until: None,
    };
    let side = if title == GONE { vec![] } else { vec![side] };
    let committed = world.commit_with(&admin(), asks, false, side).await?;
    let after = committed.cursor.unwrap().after;
    let steps = committed.steps.into_iter().map(Result::unwrap);
    let lines: String = steps.map(|step| format!("ack {after} {} {} {title}\n", number(&step.key), step.revision)).collect();
    // One write into the file, so that the journal has its place among the writes and syncs of the store.
    acks.lock().unwrap().write_all(lines.as_bytes()).unwrap();
    Ok(())
}

/// The number that a key stands for.
pub fn number(key: &Value) -> u16 {
    match key {
        Value::Uuid(bytes) => u16::from_be_bytes([bytes[14], bytes[15]]),
        other => panic!("a key is {other:?}"),
    }
}
