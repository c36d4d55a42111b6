//! The same over three nodes of one PostgreSQL: who writes and who watches is spread over them, and comes back by any of them.

mod across;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourfold_store_postgres::testing::{self, Server as Database};
use fourfold_testkit::ledger::Commit;
use fourfold_testkit::random;

use super::network::Network;
use super::run::{Blow, Kept, Run, Unheard};
use super::{Size, found, happened, listed_and_told, number, told_the_log};
use crate::binary::{Folder, Server, command};

const NODES: usize = 3;

/// A database, by three nodes.
struct Shared {
    server: &'static Database,
    name: String,
    leaders: Leaders,
}

/// A database of its own, by three nodes, each in a network of its own.
struct Apart {
    network: Network,
    server: Database,
    name: String,
    leaders: Leaders,
}

/// The sessions that were seen to number commits.
#[derive(Default)]
struct Leaders(Mutex<BTreeSet<String>>);

impl Leaders {
    fn look(&self, server: &Database, name: &str) {
        let found = server.execute(name, testing::LEADERS);
        self.0.lock().unwrap().extend(found.lines().map(str::to_owned));
    }

    /// No blow fell that nobody felt.
    fn several(&self) {
        let seen = self.0.lock().unwrap();
        assert!(seen.len() > 1, "whoever numbers was never followed: {seen:?}");
    }
}

impl Shared {
    /// None, and a line that says so, where PostgreSQL is not installed.
    fn new() -> Option<Arc<Shared>> {
        let server = testing::server()?;
        Some(Arc::new(Shared { server, name: testing::name_of(&server.database()), leaders: Leaders::default() }))
    }

    fn command(&self, folder: &Folder) -> Command {
        let mut command = command(&folder.0, &["serve"]);
        command.env("FOURFOLD_STORE_URL", self.server.url(&self.name));
        command
    }
}

impl Kept for Shared {
    fn nodes(&self) -> usize {
        NODES
    }

    fn start(&self, folder: &Folder, _node: usize) -> Server {
        Server::spawn(&mut self.command(folder))
    }

    fn look(&self) {
        self.leaders.look(self.server, &self.name);
    }

    fn commits(&self, _folder: &Folder) -> Vec<Commit> {
        self.look();
        commits(self.server, &self.name)
    }
}

impl Apart {
    /// None, and a line that says so, where there is no PostgreSQL or no network.
    fn new() -> Option<Arc<Apart>> {
        let network = Network::new(NODES)?;
        let addresses: Vec<_> = (0..NODES).map(|node| network.database(node)).collect();
        let server = testing::own_server(&addresses)?;
        let name = testing::name_of(&server.database());
        Some(Arc::new(Apart { network, server, name, leaders: Leaders::default() }))
    }
}

impl Kept for Apart {
    fn nodes(&self) -> usize {
        NODES
    }

    fn start(&self, folder: &Folder, node: usize) -> Server {
        let url = self.server.url_at(self.network.database(node), &self.name);
        let mut serve = self.network.within(node, command(&folder.0, &["serve"]).env("FOURFOLD_STORE_URL", url));
        Server::spawn_at(&mut serve, self.network.asked(node))
    }

    fn look(&self) {
        self.leaders.look(&self.server, &self.name);
    }

    fn cut(&self, node: usize, unheard: Unheard, cut: bool) {
        match (cut, unheard) {
            (true, Unheard::Node) => self.network.silence_node(node),
            (true, Unheard::Database) => self.network.silence_database(node),
            (false, _) => self.network.mend(node),
        }
    }

    fn commits(&self, _folder: &Folder) -> Vec<Commit> {
        self.look();
        commits(&self.server, &self.name)
    }
}

/// The log of a database, once nothing waits to be numbered.
fn commits(server: &Database, name: &str) -> Vec<Commit> {
    while server.execute(name, "SELECT count(*) FROM fourfold_outbox").trim() != "0" {}
    let rows = server.execute(name, "SELECT position, count, xid, encode(events, 'hex') FROM fourfold_log ORDER BY position");
    rows.lines().map(commit).collect()
}

fn commit(line: &str) -> Commit {
    let [last, count, xid, events] = line.split('|').collect::<Vec<_>>()[..] else { panic!("no commit: {line}") };
    let [last, count, xid] = [last, count, xid].map(|number| number.parse::<u64>().unwrap());
    let byte = |at| u8::from_str_radix(&events[at..at + 2], 16).unwrap();
    Commit { last, count, bytes: (0..events.len()).step_by(2).map(byte).collect(), xid: Some(xid) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subscriber_of_three_nodes_is_told_the_log() {
    let Some(kept) = Shared::new() else { return };
    let size = Size::of(800);
    let (log, diaries, _) = told_the_log(&size, Run::begin(kept, size.seed, false).await, &[]).await;
    found(&log, &diaries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_is_over_lines_that_are_cut_and_nodes_that_are_killed_and_stopped() {
    let Some(kept) = Shared::new() else { return };
    let size = Size::of(2_000);
    let (many, long) = (how_many("KILLS"), how_long("STOP_S"));
    let blows: Vec<Blow> = (0..many).flat_map(|node| [Blow::Kill(node % NODES), Blow::Stop((node + 1) % NODES, long)]).collect();
    let (log, diaries, cuts) = told_the_log(&size, Run::begin(kept.clone(), size.seed, true).await, &blows).await;
    happened(&size, &log, &diaries, cuts);
    kept.leaders.several();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_is_over_nodes_and_a_database_that_do_not_hear_each_other() {
    let Some(kept) = Apart::new() else { return };
    let size = Size::of(1_200);
    let (many, long) = (how_many("CUTS"), how_long("CUT_S"));
    let both = |node| [Blow::Cut(node % NODES, Unheard::Node, long), Blow::Cut((node + 1) % NODES, Unheard::Database, long)];
    let blows: Vec<Blow> = (0..many).flat_map(both).collect();
    told_the_log(&size, Run::begin(kept.clone(), size.seed, true).await, &blows).await;
    kept.leaders.several();
}

fn how_many(variable: &str) -> usize {
    number(&format!("TEST_LEDGER_{variable}")).unwrap_or(1) as usize
}

/// Longer than the session that numbers may be silent.
fn how_long(variable: &str) -> Duration {
    Duration::from_secs(number(&format!("TEST_LEDGER_{variable}")).unwrap_or(4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_its_watch_rebuild_the_table_whichever_nodes_they_are_of() {
    let Some(kept) = Shared::new() else { return };
    let seed = number("TEST_LEDGER_SEED").unwrap_or_else(random::seed);
    let diaries = listed_and_told(Run::begin(kept, seed, false).await, 60, seed).await;
    assert!(diaries.iter().any(|diary| diary.beyond() > 0), "no list showed more than was numbered");
}
