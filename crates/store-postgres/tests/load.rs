//! Many writers of few rows over two nodes, while whoever numbers is killed: what was acknowledged is in the log, whole, once and in order.
//!
//! `FOURFOLD_SEQUENCER_EVENTS` is how many events are written (2,000), `FOURFOLD_HELD_SECONDS` how long a transaction is held open (3), and
//! `FOURFOLD_SEED` repeats what the writers choose.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fourfold_model::Value;
use fourfold_op::{ErrorCode, Event, wire};
use fourfold_store::CommitError;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{ITEM, item};
use fourfold_store::conformance::world::admin;
use fourfold_store_postgres::testing::LEADERS;
use fourfold_store_postgres::testing::Server;

mod cluster;

use cluster::{held, nodes, rest, retitle};

const WRITERS: u64 = 16;
const ROWS: u64 = 10;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The numbers of a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A commit's mark: its writer, and which of that writer's commits it is. Each of its events carries it.
type Mark = (u64, u64);

/// What became of the commits of one writer or of all, each with how many events it has.
#[derive(Default)]
struct Written {
    acknowledged: HashMap<Mark, usize>,
    refused: HashSet<Mark>,
    unknown: HashSet<Mark>,
}

/// Commits until so many events are written by all.
async fn write(world: World, writer: u64, mut random: Random, left: Arc<AtomicU64>) -> Written {
    let mut written = Written::default();
    for count in 0.. {
        let (first, second) = (random.below(ROWS) as u16 + 1, random.below(ROWS) as u16 + 1);
        let mut asks = vec![retitle(first, format!("{writer}:{count}"))];
        if second != first {
            asks.push(retitle(second, format!("{writer}:{count}")));
        }
        let events = asks.len() as u64;
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(events)).is_err() {
            return written;
        }
        match world.commit_with(&admin(), asks, false, Vec::new()).await {
            Ok(_) => _ = written.acknowledged.insert((writer, count), events as usize),
            Err(CommitError::Refused(error)) => {
                assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
                left.fetch_add(events, Ordering::Relaxed);
                written.refused.insert((writer, count));
            }
            Err(_) => _ = written.unknown.insert((writer, count)),
        }
        if random.below(4) == 0 {
            tokio::time::sleep(Duration::from_micros(random.below(3_000))).await;
        }
    }
    written
}

/// Ends whoever numbers, at random moments, until it is told to stop; how often.
fn kill_leaders(server: &Server, name: &str, mut random: Random, ended: &AtomicBool) -> u64 {
    let text = format!("SELECT count(pg_terminate_backend(pid)) FROM ({LEADERS}) AS l");
    let mut killed = 0;
    while !ended.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(random.below(300)));
        killed += server.execute(name, &text).trim().parse::<u64>().unwrap();
    }
    killed
}

fn mark(world: &World, event: &Event) -> Mark {
    let row = wire::decode_row(&world.model, world.model.entity(ITEM), event.after.as_ref().unwrap()).unwrap();
    let Value::Text(title) = row.value(item::TITLE) else { panic!("no title") };
    let (writer, count) = title.split_once(':').unwrap();
    (writer.parse().unwrap(), count.parse().unwrap())
}

/// Dense positions, each row's versions in order.
fn check_order(events: &[Event]) {
    let mut revisions: HashMap<&Value, u64> = HashMap::new();
    for (event, position) in events.iter().zip(ROWS + 1..) {
        assert_eq!(event.position.0.get(), position, "dense, each once");
        let known = revisions.entry(&event.key).or_insert(1);
        assert_eq!(event.revision, *known + 1, "a row's versions are in order");
        *known = event.revision;
    }
}

/// The log's commits are those that were acknowledged, and may have some whose outcome nobody knows; each is whole and one writer's.
fn check_commits(world: &World, events: &[Event], written: &Written) {
    let (mut last, mut found) = (HashMap::new(), HashSet::new());
    for commit in events.chunk_by(|a, b| a.commit_last == b.commit_last) {
        let of = mark(world, &commit[0]);
        assert!(commit.iter().all(|event| mark(world, event) == of), "a commit's events are of one writer's commit");
        assert_eq!(commit.last().unwrap().position, commit[0].commit_last, "no commit is torn");
        assert!(found.insert(of), "{of:?} is there twice");
        assert!(last.insert(of.0, of.1).is_none_or(|before| before < of.1), "a writer's commits are in order");
        assert!(!written.refused.contains(&of), "{of:?} was refused");
        match written.acknowledged.get(&of) {
            Some(count) => assert_eq!(commit.len(), *count, "{of:?} is whole"),
            None => assert!(written.unknown.contains(&of), "{of:?} was never written"),
        }
    }
    let lost = written.acknowledged.keys().filter(|of| !found.contains(of)).count();
    assert_eq!(lost, 0, "acknowledged, and not in the log");
}

/// 16 writers, 10 hot rows, two nodes that compete to number, and whoever does is killed at random moments.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_acknowledged_is_in_the_log_whole_once_and_in_order() {
    let Some((worlds, server, name)) = nodes(2).await else { return };
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (seed, all) = (setting("FOURFOLD_SEED", clock), setting("FOURFOLD_SEQUENCER_EVENTS", 2_000));
    println!("FOURFOLD_SEED={seed}");
    for number in 1..=ROWS as u16 {
        worlds[0].item(number, "0", vec![]).await;
    }
    let mut start = worlds[0].start().await;
    start.after = worlds[0].store.head(None).await.position;
    let (begun, left) = (Instant::now(), Arc::new(AtomicU64::new(all)));
    let start_writer = |writer: u64| {
        let random = Random(seed.wrapping_add(writer << 32));
        tokio::spawn(write(worlds[writer as usize % 2].clone(), writer, random, left.clone()))
    };
    let writers: Vec<_> = (0..WRITERS).map(start_writer).collect();
    let ended = Arc::new(AtomicBool::new(false));
    let killer = {
        let ended = ended.clone();
        tokio::task::spawn_blocking(move || kill_leaders(server, &name, Random(seed), &ended))
    };
    let mut written = Written::default();
    for writer in writers {
        let one = writer.await.unwrap();
        written.acknowledged.extend(one.acknowledged);
        written.refused.extend(one.refused);
        written.unknown.extend(one.unknown);
    }
    let took = begun.elapsed();
    ended.store(true, Ordering::Relaxed);
    let killed = killer.await.unwrap();
    let events = rest(worlds[1].store.as_ref(), start).await;
    check_order(&events);
    check_commits(&worlds[0], &events, &written);
    let (acknowledged, refused, unknown) = (written.acknowledged.len(), written.refused.len(), written.unknown.len());
    println!(
        "{} events of {acknowledged} acknowledged commits in {took:?}, {refused} refused, {unknown} unknown; the sequencer killed {killed} times",
        events.len()
    );
    assert!(killed > 0, "the sequencer was killed");
}

/// A transaction that has written its events, earlier than all others, and does not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_transaction_that_is_held_open_stalls_nobody() {
    let Some((worlds, server, name)) = nodes(2).await else { return };
    worlds[0].item(1, "0", vec![]).await;
    let seconds = setting("FOURFOLD_HELD_SECONDS", 3);
    let insert = "INSERT INTO fourfold_outbox (count, generation, at, by, events) VALUES (1, 1, 0, '', '')";
    let holder = held(server, &name, insert, seconds);
    let (mut longest, mut count) = (Duration::ZERO, 0_u64);
    while !holder.is_finished() {
        let beyond = worlds[1].store.head(Some(0)).await.position;
        worlds[0].one(&admin(), retitle(1, format!("0:{count}"))).await;
        let committed = Instant::now();
        let numbered = tokio::time::timeout(Duration::from_secs(2), worlds[1].store.head(Some(beyond))).await;
        numbered.expect("a commit waited for a transaction that is none of its own");
        longest = longest.max(committed.elapsed());
        count += 1;
    }
    holder.await.unwrap();
    println!("held open for {seconds} s; {count} commits meanwhile, each numbered within {longest:?}");
    assert!(count > 5);
}
