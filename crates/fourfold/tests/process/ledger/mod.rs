//! Every API tells every change: what each of many subscribers was told, joined over its connections, is the log under its filter
//! and its rules.
//!
//! The size of the run comes from `TEST_LEDGER_SUBSCRIBERS`, `TEST_LEDGER_WRITES`, `TEST_LEDGER_WRITES_PER_S`, `TEST_LEDGER_KILLS` and
//! `TEST_LEDGER_LISTS`; `TEST_LEDGER_SEED` repeats one, as far as its moments let it be. `cargo xtask ledger` runs the whole one.

#[cfg(feature = "postgres")]
mod network;
#[cfg(feature = "postgres")]
mod postgres;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fourfold_testkit::ledger::{self, Asked, Caller, Diary, Log, TAMPERINGS, TRANSPORTS, Transport, Writer, judge, overtaken};
use fourfold_testkit::random::{self, Random};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use run::{Blow, File, Run};

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
    seed: u64,
}

impl Size {
    /// With so many writes, unless the environment says how many.
    fn of(writes: u64) -> Size {
        let number = |name: &str, default| number(&format!("TEST_LEDGER_{name}")).unwrap_or(default);
        let size = Size {
            subscribers: number("SUBSCRIBERS", 36),
            writes: number("WRITES", writes),
            writes_per_s: number("WRITES_PER_S", 0),
            seed: number("SEED", random::seed()),
        };
        println!("TEST_LEDGER_SUBSCRIBERS={} TEST_LEDGER_WRITES={} TEST_LEDGER_SEED={}", size.subscribers, size.writes, size.seed);
        size
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subscriber_is_told_the_log_under_its_filter_and_its_rules() {
    let size = Size::of(2_000);
    let (log, diaries, _) = told_the_log(&size, Run::begin(Arc::new(File), size.seed, false).await, &[]).await;
    found(&log, &diaries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_is_over_lines_that_are_cut_and_servers_that_are_killed() {
    let size = Size::of(4_500);
    let kills = vec![Blow::Kill(0); number("TEST_LEDGER_KILLS").unwrap_or(2) as usize];
    assert!(!kills.is_empty());
    let (log, diaries, cuts) = told_the_log(&size, Run::begin(Arc::new(File), size.seed, true).await, &kills).await;
    happened(&size, &log, &diaries, cuts);
    slowed(&size, &diaries);
}

/// Lets all write and watch, while blows fall in equal parts of the writes; everyone must have been told the log.
async fn told_the_log(size: &Size, mut run: Run, blows: &[Blow]) -> (Log, Vec<Diary>, [usize; 3]) {
    let watching = run.subscribers(size.subscribers);
    let begun = Instant::now();
    let writing = run.writers(size.writes, size.writes_per_s);
    for (blow, number) in blows.iter().zip(1..) {
        run.world.until_events(size.writes * number / (blows.len() as u64 + 1)).await;
        run.suffer(blow).await;
    }
    let mut acknowledged = all(writing, WRITING).await.concat();
    println!("{} writes in {:.1} s, {} blows", *run.world.events.borrow(), begun.elapsed().as_secs_f64(), blows.len());
    run.world.rough.send_replace(false);
    acknowledged.extend(run.mark().await);
    let diaries = all(watching, PATIENCE).await.into_iter().map(|diary| diary.unwrap()).collect::<Vec<_>>();
    let cuts = run.world.cuts();
    let log = run.end();
    report(&log, &diaries, cuts);
    judged(&log, &diaries, &acknowledged, size.seed);
    (log, diaries, cuts)
}

/// What was acknowledged is in the log, and everyone was told the log to its end.
fn judged(log: &Log, diaries: &[Diary], acknowledged: &[(String, String, u64)], seed: u64) {
    let lost = log.lost(acknowledged);
    assert!(lost.is_empty(), "{} of {} acknowledged writes are not in the log: {:?}", lost.len(), acknowledged.len(), lost.first());
    right(log, diaries, true, seed);
}

/// Nothing was held that never happened.
fn happened(size: &Size, log: &Log, diaries: &[Diary], cuts: [usize; 3]) {
    assert!(cuts.iter().all(|count| *count > 0), "not each kind of cut was made: {cuts:?}");
    assert!(diaries.iter().any(|diary| diary.resets() > 0), "no change of membership was told");
    let overtaken = diaries.iter().any(|diary| overtaken(log, diary) > 0);
    assert!(size.subscribers < MANY || overtaken, "no reader came back after its memberships had changed");
}

/// Readers were given up, by each API where they are many.
fn slowed(size: &Size, diaries: &[Diary]) {
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
    listed_and_told(Run::begin(Arc::new(File), seed, false).await, 120, seed).await;
}

/// Lists the rows and watches a few changes, so often unless the environment says how often, while all write as fast as it goes.
async fn listed_and_told(mut run: Run, lists: u64, seed: u64) -> Vec<Diary> {
    let lists = number("TEST_LEDGER_LISTS").unwrap_or(lists);
    println!("TEST_LEDGER_LISTS={lists} TEST_LEDGER_SEED={seed}");
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
    diaries
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
    let beyond = diaries.iter().map(Diary::beyond).sum::<usize>();
    println!(
        "{} events, {beyond} lists that showed more than was numbered; lines reset, left half open, not read for a while: {cuts:?}",
        log.events()
    );
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
