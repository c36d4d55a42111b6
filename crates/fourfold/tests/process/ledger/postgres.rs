//! The same over three nodes of one PostgreSQL: who writes and who watches is spread over them, and comes back by any of them.

mod across;

use std::process::Command;

use fourfold_store_postgres::testing::{self, Server as Database};
use fourfold_testkit::ledger::Commit;
use fourfold_testkit::random;

use super::run::{Blow, Kept, Run};
use super::{Size, found, happened, listed_and_told, number, told_the_log};
use crate::binary::{Folder, Server, command};

const NODES: usize = 3;

/// A database, by three nodes.
struct Shared {
    server: &'static Database,
    name: String,
}

impl Shared {
    /// None, and a line that says so, where PostgreSQL is not installed.
    fn new() -> Option<Box<Shared>> {
        let server = testing::server()?;
        Some(Box::new(Shared { server, name: testing::name_of(&server.database()) }))
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

    fn commits(&self, _folder: &Folder) -> Vec<Commit> {
        commits(self.server, &self.name)
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
    let size = Size::of(1_000);
    let (log, diaries, _) = told_the_log(&size, Run::begin(kept, size.seed, false).await, &[]).await;
    found(&log, &diaries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_is_over_lines_that_are_cut_and_nodes_that_are_killed() {
    let Some(kept) = Shared::new() else { return };
    let size = Size::of(3_000);
    let kills: Vec<Blow> = (0..number("TEST_LEDGER_KILLS").unwrap_or(3) as usize).map(|kill| Blow::Kill(kill % NODES)).collect();
    let (log, diaries, cuts) = told_the_log(&size, Run::begin(kept, size.seed, true).await, &kills).await;
    happened(&size, &log, &diaries, cuts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_its_watch_rebuild_the_table_whichever_nodes_they_are_of() {
    let Some(kept) = Shared::new() else { return };
    let seed = number("TEST_LEDGER_SEED").unwrap_or_else(random::seed);
    let diaries = listed_and_told(Run::begin(kept, seed, false).await, 60, seed).await;
    assert!(diaries.iter().any(|diary| diary.beyond() > 0), "no list showed more than was numbered");
}
