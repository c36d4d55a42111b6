//! Every API tells every change: what each of many subscribers was told, joined over its connections, is the log under its filter
//! and its rules.
//!
//! The size of the run comes from `TEST_LEDGER_SUBSCRIBERS`, `TEST_LEDGER_WRITES`, `TEST_LEDGER_WRITES_PER_S`, `TEST_LEDGER_KILLS` and
//! `TEST_LEDGER_LISTS`; `TEST_LEDGER_SEED` repeats one, as far as its moments let it be. `cargo xtask ledger` runs the whole one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fourfold_model::{Lock, Model};
use fourfold_testkit::ledger::{
    self, Asked, Caller, Commit, DescriptorPool, Diary, Log, MODEL, Subscriber, TAMPERINGS, TRANSPORTS, Transport, World, Writer, judge,
    overtaken,
};
use fourfold_testkit::random::{self, Random};
use rusqlite::{Connection, OpenFlags};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, timeout};

use crate::binary::{Folder, Server, run};

/// Less is kept for a reader than by default, so that one that does not read is soon too slow. All connect from one address.
const CONFIG: &str = r#"
[auth]
issuer = "ledger"
audience = "ledger"
hs256_secret_file = "secret"
[limits]
watch_queue_bytes_max = 262144
connections_per_address_max = 0
"#;
const SECRET: &str = "a secret of thirty-two bytes, or more";
const WRITERS: u64 = 6;
/// How long the last subscriber may be behind the marker; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long all writes may take.
const WRITING: Duration = Duration::from_secs(900);

/// So many subscribers that each kind of cut is met over each API.
const MANY: u64 = 100;

/// How much is done.
struct Size {
    subscribers: u64,
    writes: u64,
    /// 0: as many as the server takes.
    writes_per_s: u64,
    kills: u64,
    seed: u64,
}

impl Size {
    fn of(rough: bool) -> Size {
        let number = |name: &str, default| number(&format!("TEST_LEDGER_{name}")).unwrap_or(default);
        let size = Size {
            subscribers: number("SUBSCRIBERS", 36),
            writes: number("WRITES", if rough { 4_500 } else { 2_000 }),
            writes_per_s: number("WRITES_PER_S", 0),
            kills: if rough { number("KILLS", 2) } else { 0 },
            seed: number("SEED", random::seed()),
        };
        println!("TEST_LEDGER_SUBSCRIBERS={} TEST_LEDGER_WRITES={} TEST_LEDGER_SEED={}", size.subscribers, size.writes, size.seed);
        size
    }
}

/// A folder, a server in it, and those who write and watch.
struct Run {
    folder: Folder,
    server: Server,
    world: Arc<World>,
    pool: DescriptorPool,
    random: Random,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subscriber_is_told_the_log_under_its_filter_and_its_rules() {
    told_the_log(&Size::of(false), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_is_over_lines_that_are_cut_and_servers_that_are_killed() {
    told_the_log(&Size::of(true), true).await;
}

async fn told_the_log(size: &Size, rough: bool) {
    let mut run = Run::begin(size.seed, rough).await;
    let watching = run.subscribers(size.subscribers);
    let begun = Instant::now();
    let writing = run.writers(size.writes, size.writes_per_s);
    for kill in 1..=size.kills {
        run.world.until_events(size.writes * kill / (size.kills + 1)).await;
        run.kill();
    }
    let mut acknowledged = all(writing, WRITING).await.concat();
    println!("{} writes in {:.1} s, {} kills", *run.world.events.borrow(), begun.elapsed().as_secs_f64(), size.kills);
    run.world.rough.send_replace(false);
    acknowledged.extend(run.mark().await);
    let diaries = all(watching, PATIENCE).await.into_iter().map(|diary| diary.unwrap()).collect::<Vec<_>>();
    let cuts = run.world.cuts();
    let log = run.end();
    report(&log, &diaries, cuts);
    let lost = log.lost(&acknowledged);
    assert!(lost.is_empty(), "{} of {} acknowledged writes are not in the log: {:?}", lost.len(), acknowledged.len(), lost.first());
    right(&log, &diaries, true, size.seed);
    match rough {
        true => happened(size, &log, &diaries, cuts),
        false => found(&log, &diaries),
    }
}

/// Nothing was held that never happened.
fn happened(size: &Size, log: &Log, diaries: &[Diary], cuts: [usize; 3]) {
    assert!(size.kills > 0 && cuts.iter().all(|count| *count > 0), "{} kills, and not each kind of cut was made: {cuts:?}", size.kills);
    assert!(diaries.iter().any(|diary| diary.resets() > 0), "no change of membership was told");
    let overtaken = diaries.iter().any(|diary| overtaken(log, diary) > 0);
    assert!(size.subscribers < MANY || overtaken, "no reader came back after its memberships had changed");
    let slow = |transport: &Transport| diaries.iter().filter(|diary| diary.transport == *transport).any(|diary| diary.slow() > 0);
    let never: Vec<&Transport> = TRANSPORTS.iter().filter(|transport| !slow(transport)).collect();
    let enough = if size.subscribers < MANY { never.len() < TRANSPORTS.len() } else { never.is_empty() };
    assert!(enough, "no reader was too slow over {never:?}");
}

/// What these checks must find, each in a diary that is otherwise right.
fn found(log: &Log, diaries: &[Diary]) {
    for (what, tampering) in TAMPERINGS {
        for diary in diaries.iter().filter(|diary| diary.changes() > 20 && diary.resets() == 0) {
            assert!(!judge(log, &diary.tampered(tampering), true).is_empty(), "not found: {what} for {:?}", diary.asked);
        }
    }
}

fn right(log: &Log, diaries: &[Diary], whole: bool, seed: u64) {
    let faults: Vec<String> = diaries.iter().flat_map(|diary| judge(log, diary, whole)).collect();
    let told = faults.iter().take(12).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "TEST_LEDGER_SEED={seed}: {} faults\n{told}", faults.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_its_watch_rebuild_the_table_under_load() {
    let seed = number("TEST_LEDGER_SEED").unwrap_or_else(random::seed);
    let lists = number("TEST_LEDGER_LISTS").unwrap_or(120);
    println!("TEST_LEDGER_LISTS={lists} TEST_LEDGER_SEED={seed}");
    let mut run = Run::begin(seed, false).await;
    let writing = run.writers(u64::MAX, 0);
    let mut diaries = Vec::new();
    while (diaries.len() as u64) < lists {
        let watching = TRANSPORTS.into_iter().chain(TRANSPORTS).map(|transport| {
            let mut random = Random::new(run.random.next());
            let asked = Asked::random(caller(&mut random), &mut random);
            tokio::spawn(run.subscriber(transport, asked, random).until(8).watch())
        });
        let watching = watching.collect();
        diaries.extend(all(watching, PATIENCE).await.into_iter().map(|diary| diary.unwrap()));
    }
    writing.iter().for_each(JoinHandle::abort);
    let log = run.end();
    report(&log, &diaries, [0; 3]);
    right(&log, &diaries, false, seed);
}

/// What all have come to.
async fn all<T>(mut tasks: Vec<JoinHandle<T>>, patience: Duration) -> Vec<T> {
    let mut ended = Vec::new();
    let until = Instant::now() + patience;
    for at in 0..tasks.len() {
        match tokio::time::timeout_at(until, &mut tasks[at]).await {
            Ok(one) => ended.push(one.unwrap()),
            Err(_) => {
                let running = (at..tasks.len()).filter(|at| !tasks[*at].is_finished()).collect::<Vec<_>>();
                panic!("of {}, these go on: {running:?}", tasks.len());
            }
        }
    }
    ended
}

impl Run {
    async fn begin(seed: u64, rough: bool) -> Run {
        let folder = Folder::with(&[("ledger.fourfold", MODEL), ("fourfold.toml", CONFIG), ("secret", SECRET)]);
        run(&folder, &["check", "--write"]).ended(0);
        let server = block_in_place(|| Server::start(&folder, &["serve"]));
        let pool = DescriptorPool::decode(server.get("/descriptor.binpb").body.as_slice()).unwrap();
        let world = World::new(rough);
        world.server.send_replace(Some(server.address));
        let mut run = Run { folder, server, world, pool, random: Random::new(seed) };
        run.writer(0).begin().await;
        run
    }

    fn writer(&mut self, number: u64) -> Writer {
        let random = Random::new(self.random.next());
        Writer::new(&self.world, token("writer", true), number, WRITERS, random)
    }

    fn writers(&mut self, writes: u64, per_s: u64) -> Vec<JoinHandle<Vec<(String, String, u64)>>> {
        let each = (per_s > 0).then(|| Duration::from_secs(WRITERS) / per_s as u32);
        (0..WRITERS).map(|number| tokio::spawn(self.writer(number).write(writes, each))).collect()
    }

    /// Over each API in turn, first by those who see everything.
    fn subscribers(&mut self, count: u64) -> Vec<JoinHandle<Result<Diary, String>>> {
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

    fn subscriber(&self, transport: Transport, asked: Asked, random: Random) -> Subscriber {
        Subscriber::new(&self.world, &self.pool, transport, asked, random)
    }

    /// `kill -9`, and another in its place.
    fn kill(&mut self) {
        self.world.server.send_replace(None);
        block_in_place(|| {
            self.server.kill_now();
            self.server = Server::start(&self.folder, &["serve"]);
        });
        self.world.server.send_replace(Some(self.server.address));
    }

    async fn mark(&mut self) -> Vec<(String, String, u64)> {
        let mut writer = self.writer(0);
        timeout(PATIENCE, writer.end()).await.expect("the marker is written");
        writer.acknowledged()
    }

    /// Ends the server, and reads its log.
    fn end(mut self) -> Log {
        self.server.kill_now();
        let model = model(&self.folder);
        Log::read(&model, &self.pool, &commits(&self.folder))
    }
}

fn model(folder: &Folder) -> Model {
    fourfold_model::load(MODEL, &Lock::parse(&folder.read("fourfold.lock")).unwrap()).unwrap().model
}

fn commits(folder: &Folder) -> Vec<Commit> {
    let connection = Connection::open_with_flags(folder.0.join(".fourfold/data.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare("SELECT position, count, events FROM fourfold_commit ORDER BY position").unwrap();
    let commit = |row: &rusqlite::Row<'_>| {
        Ok(Commit { last: row.get::<_, i64>(0)? as u64, count: row.get::<_, i64>(1)? as u64, bytes: row.get(2)? })
    };
    statement.query_map([], commit).unwrap().map(Result::unwrap).collect()
}

/// One of the users; one in eight may see everything.
fn caller(random: &mut Random) -> Caller {
    let users: Vec<String> = Writer::users().collect();
    match random.below(8) {
        0 => admin(),
        _ => {
            let user = users[random.below(users.len() as u64) as usize].clone();
            Caller { token: token(&user, false), user, admin: false }
        }
    }
}

fn admin() -> Caller {
    Caller { token: token("root", true), user: "root".to_owned(), admin: true }
}

fn token(user: &str, admin: bool) -> String {
    let roles: &[&str] = if admin { &["admin"] } else { &[] };
    ledger::token(SECRET, &serde_json::json!({ "iss": "ledger", "aud": "ledger", "sub": user, "roles": roles, "exp": 4_000_000_000u64 }))
}

/// What the run was.
fn report(log: &Log, diaries: &[Diary], cuts: [usize; 3]) {
    println!("{} events; lines reset, left half open, not read for a while: {cuts:?}", log.events());
    for transport in TRANSPORTS {
        let of: Vec<&Diary> = diaries.iter().filter(|diary| diary.transport == transport).collect();
        let sum = |count: fn(&Diary) -> usize| of.iter().map(|diary| count(diary)).sum::<usize>();
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        of.iter().flat_map(|diary| &diary.ends).for_each(|(why, count)| *ends.entry(why).or_default() += count);
        let (changes, resets, again) = (sum(Diary::changes), sum(Diary::resets), sum(Diary::reconnections));
        let (slow, overtaken) = (sum(Diary::slow), of.iter().map(|diary| overtaken(log, diary)).sum::<usize>());
        println!(
            "{transport:?}: {} subscribers, {changes} changes, {resets} resets, {overtaken} times back after memberships had changed, \
             {slow} times too slow, {again} reconnections",
            of.len()
        );
        ends.iter().for_each(|(why, count)| println!("    {count} {why}"));
        assert!(changes > 0, "{transport:?} was told nothing");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}
