//! How watches end, and from where they go on.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::{Closing, End, Engine};
use fourfold_model::{EntityId, Lock, SharedModel, Value};
use fourfold_op::{Answer, Error, ErrorCode, Limits, Operand, Operation, Start, Watch, Write, WriteKind};
use fourfold_store::Store;
use fourfold_store::conformance::world::id;
use fourfold_store::fault::{Fault, FaultyStore};

use crate::world::*;

fn in_us(from_now: i64) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    Some(now + from_now)
}

#[tokio::test]
async fn a_slow_reader_is_ended_and_goes_on_from_its_cursor_and_delays_nobody() {
    let few = Limits { watch_queue_deliveries_max: 10, ..limits() };
    let small = Limits { watch_queue_bytes_max: 12_000, ..limits() };
    for limits in [few, small] {
        let world = World::limited(limits).await;
        let mut slow = world.watch(&ann(), NOTE, "", Start::Now).await;
        let mut quick = world.watch(&ann(), NOTE, "", Start::Now).await;
        let mut other = world.watch(&ann(), NOTE, "title == \"t7\"", Start::Now).await;
        let first = world.one(note(1, "t1")).await;
        assert_eq!(next(&mut slow).await.unwrap().cursor, first, "it reads, and then no more");
        let mut head = first.clone();
        for number in 2..=40 {
            head = world.one(note(number, &format!("t{number}"))).await;
            until(&mut quick, head.after).await;
        }
        assert_eq!(end(&mut slow).await, End::Slow(first.clone()));
        assert_eq!(told(&until(&mut other, head.after).await), ["entered 7@1"]);
        let mut again = world.watch(&ann(), NOTE, "", Start::After(first)).await;
        let rest: Vec<String> = (2..=40).map(|number| format!("entered {number}@1")).collect();
        assert_eq!(told(&until(&mut again, head.after).await), rest);
    }
}

#[tokio::test]
async fn one_whole_commit_always_has_room() {
    let world = World::limited(Limits { watch_queue_deliveries_max: 2, watch_queue_bytes_max: 1, ..limits() }).await;
    let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
    until(&mut watch, 0).await;
    let head = world.commit((1..=50).map(|number| note(number, "a")).collect()).await;
    assert_eq!(told(&until(&mut watch, head.after).await).len(), 50);
}

#[tokio::test]
async fn a_watch_ends_with_its_credential() {
    let world = World::memory().await;
    let asked = Watch { expires_at_us: in_us(60_000_000), ..world.asked(NOTE, "", Start::Now) };
    let mut lasting = world.engine.watch(&ann(), &asked, &[]).await.unwrap();
    let asked = Watch { expires_at_us: in_us(500_000), ..asked };
    let mut short = world.engine.watch(&ann(), &asked, &[]).await.unwrap();
    let head = world.one(note(1, "a")).await;
    assert_eq!(end(&mut short).await, End::CredentialEnded(head.clone()));
    let more = world.one(note(2, "a")).await;
    assert_eq!(end(&mut short).await, End::CredentialEnded(head), "and stays so");
    assert_eq!(told(&until(&mut lasting, more.after).await).len(), 2);
    for past in [in_us(-1), Some(i64::MIN), Some(0)] {
        let asked = Watch { expires_at_us: past, ..asked.clone() };
        let error = world.engine.watch(&ann(), &asked, &[]).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::TokenExpired);
    }
    let never = Watch { expires_at_us: Some(i64::MAX), ..asked };
    world.engine.watch(&ann(), &never, &[]).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_not_told_when_the_credential_has_ended() {
    let world = World::memory().await;
    let asked = Watch { expires_at_us: in_us(500_000), ..world.asked(NOTE, "", Start::Now) };
    let mut watch = world.engine.watch(&ann(), &asked, &[]).await.unwrap();
    let start = watch.cursor().clone();
    world.one(note(1, "a")).await;
    let ended = tokio::time::Instant::now() + Duration::from_millis(500);
    tokio::time::timeout_at(ended, std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(watch.next().await.unwrap_err(), End::CredentialEnded(start));
}

#[tokio::test]
async fn a_server_that_ends_says_bye_with_a_cursor() {
    let world = World::memory().await;
    let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
    let head = world.one(note(1, "a")).await;
    until(&mut watch, head.after).await;
    world.engine.close_watches(Closing::Drain);
    assert_eq!(end(&mut watch).await, End::Bye(head));
    let error = world.try_watch(&ann(), NOTE, "", Start::Now).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn no_event_is_lost_between_bye_and_the_next_watch() {
    for round in 0..200 {
        let world = World::memory().await;
        let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
        let mut heard = 0;
        for number in 1..=5 {
            world.one(note(number, "a")).await;
            let closed = (1..number).any(|earlier| round % 7 == usize::from(earlier));
            if round % 5 == usize::from(number) && !closed {
                heard += until(&mut watch, u64::from(number)).await.len();
            }
            if round % 7 == usize::from(number) {
                world.engine.close_watches(Closing::Drain);
            }
            if round % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
        world.engine.close_watches(Closing::Drain);
        let ended = loop {
            match watch.next().await {
                Ok(delivery) => heard += usize::from(delivery.item.is_some()),
                Err(end) => break end,
            }
        };
        let End::Bye(cursor) = ended else { panic!("{ended:?}") };
        let next = Engine::new(world.store.clone(), world.model.clone(), 1, limits());
        let world = World { engine: next, ..world };
        let mut watch = world.watch(&ann(), NOTE, "", Start::After(cursor)).await;
        heard += until(&mut watch, 5).await.len();
        assert_eq!(heard, 5, "round {round}");
    }
}

#[tokio::test]
async fn another_model_resets() {
    let world = World::memory().await;
    let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
    let start = watch.cursor().clone();
    world.engine.close_watches(Closing::Replaced);
    assert_eq!(end(&mut watch).await, End::Reset(start));
}

#[tokio::test]
async fn an_engine_that_goes_resets_its_watches() {
    let world = World::memory().await;
    let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
    let start = watch.cursor().clone();
    let World { engine, .. } = world;
    assert_eq!(Arc::strong_count(&engine), 1, "a watch does not keep its engine");
    drop(engine);
    assert_eq!(end(&mut watch).await, End::Reset(start));
}

/// The same model with an entity more, before all others: every id means another entity.
fn shifted() -> SharedModel {
    let text = include_str!("talk.fourfold");
    let first = fourfold_model::load(text, &Lock::default()).unwrap();
    let more = "entity First {\n  id Uuid @key @default(uuid7())\n  @@allow(read, true)\n}\n\nentity Note {";
    let text = text.replace("entity Note {", more);
    Arc::new(fourfold_model::load(&text, &first.lock).unwrap().model)
}

#[tokio::test]
async fn a_store_that_is_migrated_resets() {
    for world in [World::memory().await, World::sqlite().await] {
        let start = world.start().await;
        world.one(note(1, "a")).await;
        let mut live = world.watch(&ann(), NOTE, "", Start::Now).await;
        let mut late = world.watch(&ann(), NOTE, "", Start::After(start.clone())).await;
        attach(&mut live).await;
        let here = live.cursor().clone();
        let model = shifted();
        let migration = world.store.migration(&model).await.unwrap();
        world.store.migrate(&model, migration).await.unwrap();
        assert_eq!(end(&mut late).await, End::Reset(start));
        let create = Write {
            entity: EntityId(1),
            kind: WriteKind::Create,
            key: None,
            set: vec![(TITLE, Operand(0))],
            if_revision: None,
            answer: Answer::Key,
        };
        let served: Arc<dyn Store> = world.store.clone();
        let next = Engine::new(served, model, 1, limits());
        next.execute(&ann(), &Operation::Write(vec![create]), &[Value::text("b")]).await.unwrap();
        assert_eq!(end(&mut live).await, End::Reset(here));
    }
}

#[tokio::test]
async fn what_a_later_model_wrote_resets() {
    let world = World::memory().await;
    let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
    let start = watch.cursor().clone();
    let later = Engine::new(world.store.clone(), world.model.clone(), 2, limits());
    World { engine: later, ..world.clone() }.one(note(1, "a")).await;
    assert_eq!(end(&mut watch).await, End::Reset(start.clone()));
    let mut watch = world.watch(&ann(), NOTE, "", Start::After(start.clone())).await;
    assert_eq!(end(&mut watch).await, End::Reset(start));
}

/// The same world, with a log that fails on demand.
fn faulty(world: &World) -> (World, Arc<FaultyStore>) {
    let inner: Arc<dyn Store> = world.store.clone();
    let faulty = FaultyStore::new(inner);
    let engine = Engine::new(faulty.clone(), world.model.clone(), 1, limits());
    (World { engine, ..world.clone() }, faulty)
}

fn too_old() -> Error {
    Error::new(ErrorCode::CursorExpired, "too old")
}

#[tokio::test]
async fn a_log_that_no_longer_goes_back_far_enough_is_told() {
    let (world, store) = faulty(&World::memory().await);
    let head = world.commit(vec![note(1, "a"), note(2, "b")]).await;
    store.plant(Fault::Floor(head.after));
    let error = world.try_watch(&ann(), NOTE, "", Start::After(world.start().await)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::CursorExpired, "cut off before the watch began");
    store.plant(Fault::Floor(head.after));
    let mut here = world.watch(&ann(), NOTE, "", Start::After(head)).await;
    let mut late = world.watch(&ann(), NOTE, "", Start::After(world.start().await)).await;
    store.plant(Fault::Events(too_old()));
    assert_eq!(end(&mut late).await, End::Expired, "cut off while it came nearer");
    until(&mut here, 2).await;
    assert!(tokio::time::timeout(Duration::from_millis(5), here.next()).await.is_err());
    store.plant(Fault::Events(too_old()));
    world.one(note(3, "c")).await;
    assert_eq!(end(&mut here).await, End::Expired, "cut off under the tailer");
    let mut anew = world.watch(&ann(), NOTE, "", Start::Now).await;
    let head = world.one(note(4, "d")).await;
    assert_eq!(told(&until(&mut anew, head.after).await), ["entered 4@1"], "another tailer goes on");
}

#[tokio::test]
async fn what_was_redacted_is_told_to_nobody_who_comes_back() {
    for world in [World::memory().await, World::sqlite().await] {
        let start = world.start().await;
        let mut here = world.watch(&ann(), NOTE, "", Start::Now).await;
        world.commit(vec![note(1, "a"), note(2, "b")]).await;
        let head = world.one(delete(NOTE, 1)).await;
        until(&mut here, head.after).await;
        // It has all before it, in the ring.
        let mut late = world.watch(&ann(), NOTE, "", Start::After(start.clone())).await;
        let done = world.store.redact(&world.model, NOTE, &id(1)).await.unwrap();
        assert_eq!((done.events, done.floor), (2, head.after));
        world.engine.forget_log(done.floor);
        assert_eq!(end(&mut late).await, End::Expired);
        let error = world.try_watch(&ann(), NOTE, "", Start::After(start)).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::CursorExpired);
        let mut after = world.watch(&ann(), NOTE, "", Start::After(head)).await;
        let last = world.one(note(3, "c")).await;
        for watch in [&mut here, &mut after] {
            assert_eq!(told(&until(watch, last.after).await), ["entered 3@1"], "who was further goes on");
        }
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_read_for_a_moment_ends_nothing() {
    let (world, store) = faulty(&World::memory().await);
    let start = world.start().await;
    world.one(note(1, "a")).await;
    let mut live = world.watch(&ann(), NOTE, "", Start::Now).await;
    let mut late = world.watch(&ann(), NOTE, "", Start::After(start)).await;
    store.plant(Fault::Events(Error::new(ErrorCode::Unavailable, "busy")));
    assert_eq!(next(&mut late).await.unwrap().cursor.after, 1);
    store.plant(Fault::Events(Error::new(ErrorCode::Unavailable, "busy")));
    let head = world.one(note(2, "b")).await;
    assert_eq!(told(&until(&mut live, head.after).await), ["entered 2@1"]);
    assert_eq!(told(&until(&mut late, head.after).await), ["entered 2@1"]);
}

#[tokio::test]
async fn watches_are_bounded_by_name() {
    let world = World::limited(Limits { watches_max: 2, ..limits() }).await;
    let _first = world.watch(&ann(), NOTE, "", Start::Now).await;
    let second = world.watch(&ann(), NOTE, "", Start::Now).await;
    let error = world.try_watch(&ann(), NOTE, "", Start::Now).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert!(error.public.message.contains("watches_max"));
    drop(second);
    world.watch(&ann(), NOTE, "", Start::Now).await;
}

#[tokio::test]
async fn the_tailer_begins_with_the_first_watch_and_ends_with_the_last() {
    let world = World::memory().await;
    world.one(note(1, "a")).await;
    assert_eq!(world.engine.feed_figures().tailers_total, 0);
    for round in 1..=3 {
        let mut first = world.watch(&ann(), NOTE, "", Start::Now).await;
        let second = world.watch(&ann(), NOTE, "", Start::Now).await;
        let head = world.one(update(NOTE, 1, vec![(TITLE, Value::text(format!("{round}")))])).await;
        assert_eq!(until(&mut first, head.after).await.len(), 1);
        let figures = world.engine.feed_figures();
        assert_eq!((figures.tailers_total, figures.watch_count, figures.feed_lag_positions), (round, 2, 0));
        drop((first, second));
        let figures = world.engine.feed_figures();
        assert_eq!((figures.watch_count, figures.feed_ring_bytes), (0, 0));
    }
}
