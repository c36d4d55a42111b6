//! Several nodes over one database: what no single node shows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_model::Value;
use fourfold_op::{ErrorCode, Start, Watch};
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{ITEM, item};
use fourfold_store::conformance::world::{admin, create, delete, id, list};
use fourfold_store::{CommitError, Entities, Expect, Maintain, Put, Side, Space, Store};

mod cluster;

use cluster::{END_THE_FIRST_COMMIT, nodes, rest, retitle};

/// Runs writers until a number of lists was taken; each list and what comes after it is the whole of what came about.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_and_what_follows_its_cursor_is_everything_once() {
    let Some((worlds, ..)) = nodes(2).await else { return };
    for number in 1..=10 {
        worlds[0].item(number, "0", vec![]).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8_u16)
        .map(|writer| {
            let (world, done) = (worlds[usize::from(writer) % 2].clone(), done.clone());
            tokio::spawn(async move {
                let mut count = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    let number = u16::try_from(count % 10).unwrap() + 1;
                    world.one(&admin(), retitle(number, format!("{writer}:{count}"))).await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let (mut with_skip, mut lists) = (0, Vec::new());
    for round in 0..150 {
        let world = &worlds[round % 2];
        let (page, snapshot) = world.page(&admin(), ITEM, list(None), Vec::new(), &[]).await;
        let cursor = snapshot.place().unwrap().clone();
        with_skip += u32::from(cursor.skip.is_some());
        let shown: HashMap<Value, u64> =
            page.items.iter().map(|one| (one.row.value(fourfold_model::KEY).clone(), one.row.revision())).collect();
        lists.push((shown, cursor));
    }
    done.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let mut last: HashMap<Value, u64> = HashMap::new();
    for number in 1..=10 {
        last.insert(id(number), worlds[0].get(&admin(), ITEM, id(number)).await.unwrap().revision());
    }
    assert_eq!(last.values().sum::<u64>(), 10 + written);
    for (mut shown, cursor) in lists {
        for event in rest(worlds[0].store.as_ref(), cursor).await {
            let known = shown.get_mut(&event.key).unwrap();
            assert_eq!(event.revision, *known + 1, "each version once, in order, from the list on");
            *known = event.revision;
        }
        assert_eq!(shown, last);
    }
    println!("{written} writes, 150 lists, {with_skip} of them with commits that had no position yet");
    assert!(with_skip > 0, "a list met a commit that was not numbered");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_come_at_once_with_one_record_one_is_written() {
    let Some((worlds, ..)) = nodes(2).await else { return };
    for round in 0..20_u16 {
        let record = |round: u16| Side {
            space: Space::Idempotency,
            key: round.to_be_bytes().to_vec(),
            expect: Expect::Absent,
            put: Put::Outcome(Bytes::new()),
            keep_until: None,
        };
        let tasks: Vec<_> = (0..4)
            .map(|task: usize| {
                let world = worlds[task % 2].clone();
                tokio::spawn(async move {
                    // With a key of its own each, only the record is in the way of the others.
                    let key = (round % 2 == 0).then(|| id(round + 1));
                    let made = create(ITEM, key, vec![(item::TITLE, Value::text("x"))]);
                    world.commit_with(&admin(), vec![made], false, vec![record(round)]).await
                })
            })
            .collect();
        let mut written = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => written += 1,
                Err(error) => {
                    assert!(matches!(error, CommitError::Conflict(Space::Idempotency)), "it meets its record, not its row: {error:?}")
                }
            }
        }
        assert_eq!(written, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_one_nodes_until_its_end_and_each_holder_is_told_a_later_term() {
    let Some((worlds, server, name)) = nodes(2).await else { return };
    let [one, two] = [&worlds[0].store, &worlds[1].store];
    let term = async |store: &Arc<dyn Maintain>| store.lease("sink").await.unwrap().map(|held| held.term);
    assert_eq!((term(one).await, term(one).await, term(two).await), (Some(1), Some(1), None));
    server.execute(&name, "UPDATE fourfold_lease SET until = clock_timestamp() - interval '1 second'");
    assert_eq!((term(two).await, term(one).await, term(two).await), (Some(2), None, Some(2)));
}

/// A key that is made, deleted and made again by many at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_key_repeats_a_revision_among_nodes() {
    let Some((worlds, ..)) = nodes(2).await else { return };
    let tasks: Vec<_> = (0..8)
        .map(|task: usize| {
            let world = worlds[task % 2].clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    let made = world.try_one(&admin(), create(ITEM, Some(id(1)), vec![(item::TITLE, Value::text("x"))])).await;
                    let gone = world.try_one(&admin(), delete(ITEM, id(1))).await;
                    for error in [made.err(), gone.err()].into_iter().flatten() {
                        let expected = [ErrorCode::AlreadyExists, ErrorCode::NotFound, ErrorCode::Unavailable];
                        assert!(expected.contains(&error.code), "{error:?}");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let events = worlds[0].events(&Entities::All).await;
    // A deletion's event has the deleted row's revision; its number for the key is one above.
    let mut last = 0;
    for event in &events {
        match event.after {
            Some(_) => assert!(event.revision > last, "{} after {last}", event.revision),
            None => assert_eq!(event.revision, last.max(event.revision)),
        }
        last = event.revision;
    }
    println!("{} events of one key", events.len());
    assert!(events.len() > 20);
}

/// Watches that begin with the rows as they are, and are broken off and taken up again at every few changes, while both nodes write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_tells_each_version_once_wherever_it_is_taken_up() {
    let Some((worlds, ..)) = nodes(2).await else { return };
    for number in 1..=10 {
        worlds[0].item(number, "0", vec![]).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u16)
        .map(|writer| {
            let (world, done) = (worlds[usize::from(writer) % 2].clone(), done.clone());
            tokio::spawn(async move {
                let mut count = 0_u16;
                while !done.load(Ordering::Relaxed) {
                    world.one(&admin(), retitle(count % 10 + 1, format!("{writer}:{count}"))).await;
                    count = count.wrapping_add(1);
                }
            })
        })
        .collect();
    let engines = [0, 1].map(|node| {
        let world: &World = &worlds[node];
        Engine::new(world.store.clone() as Arc<dyn Store>, world.model.clone(), 1, world.limits.clone())
    });
    let watch = |start| Watch {
        entity: ITEM,
        filter: None,
        fields: vec![fourfold_model::KEY, fourfold_model::REVISION],
        start,
        bookmarks: false,
        expires_at_us: None,
    };
    let (mut with_skip, mut taken_up_with_skip) = (0, 0);
    for round in 0..40 {
        let mut begun = engines[round % 2].watch(&admin(), &watch(Start::Initial), &[]).await.unwrap();
        let initial = begun.take_initial().unwrap();
        with_skip += u32::from(initial.cursor.skip.is_some());
        let row = |record: &fourfold_op::Record| (record.row.value(fourfold_model::KEY).clone(), record.row.revision());
        let mut shown: HashMap<Value, u64> = initial.records.iter().map(row).collect();
        for part in 0..5 {
            for _ in 0..=part {
                let told = begun.next().await.unwrap();
                let known = shown.get_mut(&told.key).unwrap();
                assert_eq!(told.revision, Some(*known + 1), "round {round}: {:?}", told.cursor);
                *known += 1;
            }
            let cursor = begun.cursor().clone();
            taken_up_with_skip += u32::from(cursor.skip.is_some());
            begun = engines[(round + part) % 2].watch(&admin(), &watch(Start::After(cursor)), &[]).await.unwrap();
        }
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    println!("40 watches, {with_skip} begun and {taken_up_with_skip} taken up with commits to leave out");
    assert!(taken_up_with_skip > 0);
}

/// The server ends a session within its COMMIT: nobody knows then, and nothing is told as failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_at_the_commit_leaves_the_outcome_unknown() {
    let Some((worlds, server, name)) = nodes(1).await else { return };
    let make = |number| vec![create(ITEM, Some(id(number)), vec![(item::TITLE, Value::text("x"))])];
    server.execute(&name, END_THE_FIRST_COMMIT);
    let lost = worlds[0].commit_with(&admin(), make(1), false, Vec::new()).await;
    assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
    server.execute(&name, "DROP TRIGGER end_me ON fourfold_outbox");
    worlds[0].commit_with(&admin(), make(2), false, Vec::new()).await.expect("the store goes on");
    assert_eq!(worlds[0].events(&Entities::All).await.len(), 1);
}

/// Readers go away in the middle again and again; writers, who share their connections, notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_goes_away_ends_nobody_elses_statement() {
    let Some((worlds, ..)) = nodes(1).await else { return };
    for number in 1..=4 {
        worlds[0].item(number, "0", vec![]).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=4_u16)
        .map(|number| {
            let (world, done) = (worlds[0].clone(), done.clone());
            tokio::spawn(async move {
                let mut count = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    world.one(&admin(), retitle(number, count.to_string())).await;
                    count += 1;
                }
            })
        })
        .collect();
    let (mut gone, reader) = (0, admin());
    for round in 0..500_u64 {
        let read = worlds[0].titles(&reader, fourfold_model::Expr::all(Vec::new()));
        gone += u32::from(tokio::time::timeout(Duration::from_micros(300 + round % 20 * 100), read).await.is_err());
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a commit was refused");
    }
    assert!(gone > 50, "{gone} of 500 readers went away");
}

/// A read that cannot be answered in time ends in time, and its connection serves the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_ends_at_its_deadline_and_its_connection_goes_on() {
    let Some((worlds, server, name)) = nodes(1).await else { return };
    worlds[0].item(1, "a", vec![]).await;
    let locked = {
        let name = name.clone();
        tokio::task::spawn_blocking(move || server.execute(&name, "BEGIN; LOCK TABLE item; SELECT pg_sleep(2); COMMIT"))
    };
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'item'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    while server.execute(&name, held).trim() == "0" {}
    let select = worlds[0].select(ITEM, fourfold_op::SelectKind::List(list(None)), Vec::new());
    let prepared = fourfold_plan::prepare(&worlds[0].model, 1, &fourfold_op::Operation::Read(vec![select]), &worlds[0].limits).unwrap();
    let Ok(fourfold_plan::Plan::Read(plans)) = prepared.bind(&admin(), &[]) else { panic!("not a read") };
    let begun = std::time::Instant::now();
    for _ in 0..12 {
        let deadline = fourfold_op::Deadline(Some(std::time::Instant::now() + Duration::from_millis(50)));
        let fourfold_store::StoreError::Refused(error) = worlds[0].store.read(&plans, &deadline).await.expect_err("locked");
        assert_eq!(error.code, ErrorCode::DeadlineExceeded, "{error:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "the lock was still held");
    locked.await.unwrap();
    assert_eq!(worlds[0].titles(&admin(), fourfold_model::Expr::all(Vec::new())).await, ["a"]);
}
