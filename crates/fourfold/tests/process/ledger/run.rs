//! Nodes over one store, those who write and watch, and what happens to the nodes meanwhile.

use std::sync::Arc;
use std::time::Duration;

use fourfold_model::{Lock, Model};
use fourfold_testkit::ledger::{Asked, Commit, DescriptorPool, Diary, Log, MODEL, Subscriber, TRANSPORTS, Transport, World, Writer};
use fourfold_testkit::random::Random;
use rusqlite::{Connection, OpenFlags};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::timeout;

use super::{CONFIG, PATIENCE, SECRET, admin, caller, token};
use crate::binary::{Folder, Server, run};

const WRITERS: u64 = 6;

/// In what the rows are kept, and by whom they are served.
pub trait Kept: Send + Sync {
    /// How many nodes serve it.
    fn nodes(&self) -> usize {
        1
    }

    /// Starts a node.
    fn start(&self, folder: &Folder, _node: usize) -> Server {
        Server::start(folder, &["serve"])
    }

    /// Looks at what a blow is about to fall on.
    fn look(&self) {}

    /// Cuts the line of a node in one direction, or mends it.
    #[cfg(feature = "postgres")]
    fn cut(&self, _node: usize, unheard: Unheard, _cut: bool) {
        panic!("{unheard:?} has no line here");
    }

    /// What was committed, in order, once nothing that was shown has yet to be numbered.
    fn commits(&self, folder: &Folder) -> Vec<Commit>;
}

/// A SQLite file, by one node.
pub struct File;

impl Kept for File {
    fn commits(&self, folder: &Folder) -> Vec<Commit> {
        let connection = Connection::open_with_flags(folder.0.join(".fourfold/data.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut statement = connection.prepare("SELECT position, count, events FROM fourfold_commit ORDER BY position").unwrap();
        let commit = |row: &rusqlite::Row<'_>| {
            let number = |index| row.get::<_, i64>(index).map(|number| number as u64);
            Ok(Commit { last: number(0)?, count: number(1)?, bytes: row.get(2)?, xid: None })
        };
        statement.query_map([], commit).unwrap().map(Result::unwrap).collect()
    }
}

/// What a node suffers.
#[derive(Clone, Debug)]
pub enum Blow {
    /// `kill -9`, and another in its place.
    Kill(usize),
    /// Stopped for so long (SIGSTOP), then it goes on.
    #[cfg(feature = "postgres")]
    Stop(usize, Duration),
    /// Who is not heard on a node's line, and for how long.
    #[cfg(feature = "postgres")]
    Cut(usize, Unheard, Duration),
}

/// Who is not heard on the line between a node and the database.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    Node,
    Database,
}

/// A folder, nodes that serve it, and those who write and watch.
pub struct Run {
    folder: Folder,
    kept: Arc<dyn Kept>,
    pub servers: Vec<Server>,
    pub world: Arc<World>,
    pool: DescriptorPool,
    pub random: Random,
}

impl Run {
    pub async fn begin(kept: Arc<dyn Kept>, seed: u64, rough: bool) -> Run {
        let folder = Folder::with(&[("ledger.fourfold", MODEL), ("fourfold.toml", CONFIG), ("secret", SECRET)]);
        run(&folder, &["check", "--write"]).ended(0);
        let servers: Vec<Server> = block_in_place(|| (0..kept.nodes()).map(|node| kept.start(&folder, node)).collect());
        let pool = DescriptorPool::decode(servers[0].get("/descriptor.binpb").body.as_slice()).unwrap();
        let world = World::new(rough, servers.len());
        servers.iter().enumerate().for_each(|(node, server)| world.place(node, Some(server.address)));
        let mut run = Run { folder, kept, servers, world, pool, random: Random::new(seed) };
        run.writer(0).begin().await;
        run
    }

    fn writer(&mut self, number: u64) -> Writer {
        let random = Random::new(self.random.next());
        Writer::new(&self.world, token("writer", true), number, WRITERS, random)
    }

    pub fn writers(&mut self, writes: u64, per_s: u64) -> Vec<JoinHandle<Vec<(String, String, u64)>>> {
        let each = (per_s > 0).then(|| Duration::from_secs(WRITERS) / per_s as u32);
        (0..WRITERS).map(|number| tokio::spawn(self.writer(number).write(writes, each))).collect()
    }

    /// Over each API in turn, first by those who see everything.
    pub fn subscribers(&mut self, count: u64) -> Vec<JoinHandle<Result<Diary, String>>> {
        let mut subscribers = Vec::new();
        for (number, transport) in TRANSPORTS.into_iter().cycle().take(count as usize).enumerate() {
            let mut random = Random::new(self.random.next());
            let asked = match number < TRANSPORTS.len() {
                true => Asked::everything(admin(), ["Order", "Message"][number % 2]),
                false => Asked::random(caller(&mut random), &mut random),
            };
            subscribers.push(tokio::spawn(self.subscriber(transport, asked, random).watch()));
        }
        subscribers
    }

    pub fn subscriber(&self, transport: Transport, asked: Asked, random: Random) -> Subscriber {
        Subscriber::new(&self.world, &self.pool, transport, asked, random)
    }

    pub async fn suffer(&mut self, blow: &Blow) {
        block_in_place(|| self.kept.look());
        match *blow {
            Blow::Kill(node) => {
                self.world.place(node, None);
                block_in_place(|| {
                    self.servers[node].kill_now();
                    self.servers[node] = self.kept.start(&self.folder, node);
                });
                self.world.place(node, Some(self.servers[node].address));
            }
            // How long is what is tried here.
            #[cfg(feature = "postgres")]
            Blow::Stop(node, long) => {
                self.servers[node].signal("STOP");
                tokio::time::sleep(long).await;
                self.servers[node].signal("CONT");
            }
            #[cfg(feature = "postgres")]
            Blow::Cut(node, unheard, long) => {
                block_in_place(|| self.kept.cut(node, unheard, true));
                tokio::time::sleep(long).await;
                block_in_place(|| self.kept.cut(node, unheard, false));
            }
        }
    }

    /// Writes the marker.
    pub async fn mark(&mut self) -> Vec<(String, String, u64)> {
        let mut writer = self.writer(0);
        timeout(PATIENCE, writer.end()).await.expect("the marker is written");
        writer.acknowledged()
    }

    /// Reads the log, and ends the nodes.
    pub fn end(mut self) -> Log {
        let commits = block_in_place(|| self.kept.commits(&self.folder));
        self.servers.iter_mut().for_each(Server::kill_now);
        Log::read(&self.model(), &self.pool, &commits)
    }

    fn model(&self) -> Model {
        fourfold_model::load(MODEL, &Lock::parse(&self.folder.read("fourfold.lock")).unwrap()).unwrap().model
    }
}
