//! Cursors of nodes that are gone, and a database that crashes under all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_store_postgres::testing::{self, Server as Database};
use fourfold_testkit::ledger::{Commit, Diary};

use super::{NODES, Shared, commits};
use crate::binary::{Folder, Server, command};
use crate::ledger::run::{Kept, Run};
use crate::ledger::{PATIENCE, Size, WRITING, all, judged, report};
use tokio::task::block_in_place;

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(1);
/// Within which all must be told everything once the database takes connections again.
const CAUGHT_UP_MAX: Duration = Duration::from_secs(2);

/// Everyone watches by one node alone; that is killed, and everyone comes back by the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_a_node_that_is_gone_goes_on_at_another() {
    let Some(kept) = Shared::new() else { return };
    let size = Size::of(600);
    let mut run = Run::begin(kept, size.seed, false).await;
    (1..NODES).for_each(|node| run.world.place(node, None));
    let watching = run.subscribers(size.subscribers);
    let writing = run.writers(size.writes, size.writes_per_s);
    for node in 0..NODES - 1 {
        run.world.until_events(size.writes * (node as u64 + 1) / NODES as u64).await;
        run.world.place(node + 1, Some(run.servers[node + 1].address));
        run.world.place(node, None);
        block_in_place(|| run.servers[node].kill_now());
    }
    // Who wrote by those that are gone sees that there is enough.
    (0..NODES).for_each(|node| run.world.place(node, Some(run.servers[NODES - 1].address)));
    let mut acknowledged = all(writing, WRITING).await.concat();
    acknowledged.extend(run.mark().await);
    let diaries: Vec<Diary> = all(watching, PATIENCE).await.into_iter().map(Result::unwrap).collect();
    let log = run.end();
    report(&log, &diaries, [0; 3]);
    judged(&log, &diaries, &acknowledged, size.seed);
    let stayed = diaries.iter().filter(|diary| diary.reconnections() < NODES - 1).count();
    assert_eq!(stayed, 0, "of {} not all came back at each node", diaries.len());
}

/// A database of its own, by three nodes.
struct Own {
    server: Database,
    name: String,
}

impl Kept for &'static Own {
    fn nodes(&self) -> usize {
        NODES
    }

    fn start(&self, folder: &Folder, _node: usize) -> Server {
        Server::spawn(command(&folder.0, &["serve"]).env("FOURFOLD_STORE_URL", self.server.url(&self.name)))
    }

    fn commits(&self, _folder: &Folder) -> Vec<Commit> {
        commits(&self.server, &self.name)
    }
}

impl Own {
    fn new() -> Option<&'static Own> {
        let server = testing::own_server(&[])?;
        let name = testing::name_of(&server.database());
        Some(Box::leak(Box::new(Own { server, name })))
    }

    /// Crashes (`pg_ctl stop -m immediate`), and is there again a while later; when it first answered, which is
    /// looked for each 50 ms.
    fn crash(&self, away: Duration) -> Instant {
        self.server.stop();
        // How long is what is tried here.
        std::thread::sleep(away);
        self.server.resume().unwrap();
        Instant::now()
    }
}

/// Once amid the writes, and once behind the last of them, when some have no position yet and most were told to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_catch_up_when_the_database_is_back_from_a_crash() {
    let Some(own) = Own::new() else { return };
    let size = Size::of(600);
    let mut run = Run::begin(Arc::new(own), size.seed, false).await;
    let watching = run.subscribers(size.subscribers);
    let writing = run.writers(size.writes, size.writes_per_s);
    run.world.until_events(size.writes / 2).await;
    let back = block_in_place(|| own.crash(AWAY));
    let before = *run.world.events.borrow();
    run.world.until_events(before + 1).await;
    println!("the first write is acknowledged {:.0?} after the database is back", back.elapsed());
    let mut acknowledged = all(writing, WRITING).await.concat();
    let back = block_in_place(|| own.crash(AWAY));
    acknowledged.extend(run.mark().await);
    println!("a write behind the last is acknowledged {:.0?} after the database is back", back.elapsed());
    let diaries: Vec<Diary> = all(watching, PATIENCE).await.into_iter().map(Result::unwrap).collect();
    let caught_up = back.elapsed();
    println!("{} streams were told all of it {caught_up:.0?} after the database is back", diaries.len());
    let log = run.end();
    own.server.stop();
    report(&log, &diaries, [0; 3]);
    judged(&log, &diaries, &acknowledged, size.seed);
    assert!(caught_up <= CAUGHT_UP_MAX, "streams caught up only after {caught_up:.0?}");
}
