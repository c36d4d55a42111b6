//! The log as a sink reads it: several entities in one order, at its reader's own pace, by its principal's rules.

use std::time::Duration;

use fourfold_engine::{Closing, Interest, LogEnd, LogReader, LogTold};
use fourfold_model::{EntityId, Value, filter};
use fourfold_op::{Context, Cursor, ErrorCode};
use fourfold_store::Retention;
use fourfold_store::conformance::world::{anonymous, caller, id};

use crate::world::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn interest(world: &World, entity: EntityId, text: &str) -> Interest {
    let filter = (!text.is_empty()).then(|| filter(&world.model, entity, text).unwrap());
    Interest { entity, filter, values: Vec::new() }
}

async fn reader(world: &World, who: &Context, interests: &[(EntityId, &str)]) -> LogReader {
    let interests: Vec<_> = interests.iter().map(|(entity, text)| interest(world, *entity, text)).collect();
    world.engine.read_log(who, &interests, &world.start().await).await.unwrap()
}

/// Everything up to a position, read in stretches of at most so many events.
async fn read(reader: &mut LogReader, through: &Cursor, events_max: usize) -> Vec<LogTold> {
    let (mut told, mut at) = (Vec::new(), 0);
    while at < through.after {
        let stretch = tokio::time::timeout(PATIENCE, reader.next(events_max, 1 << 20)).await.expect("in time").unwrap();
        assert!(stretch.through.after > at);
        at = stretch.through.after;
        told.extend(stretch.told);
    }
    told
}

fn short(told: &[LogTold]) -> Vec<String> {
    let one = |told: &LogTold| {
        let Value::Uuid(key) = told.key else { panic!("{told:?}") };
        assert_eq!(told.after.is_none(), told.change.name() == "left");
        format!("{} {}.{} {}", told.position, told.entity.0, u16::from_be_bytes([key[14], key[15]]), told.change.name())
    };
    told.iter().map(one).collect()
}

#[tokio::test]
async fn several_entities_come_in_one_order_whatever_the_stretch() {
    for world in [World::memory().await, World::sqlite().await] {
        world.commit(vec![note(1, "a"), create(ROOM, 2, vec![(TITLE, Value::text("r"))]), note(3, "b")]).await;
        world.one(create(UNWATCHED, 9, vec![])).await;
        world.one(update(ROOM, 2, vec![(TITLE, Value::text("s"))])).await;
        let head = world.one(delete(NOTE, 1)).await;
        for events_max in [1, 2, 100] {
            let mut reader = reader(&world, &caller(9, &["admin"]), &[(NOTE, ""), (ROOM, "")]).await;
            let told = read(&mut reader, &head, events_max).await;
            assert_eq!(short(&told), ["1 0.1 entered", "2 1.2 entered", "3 0.3 entered", "5 1.2 changed", "6 0.1 left"]);
            assert_eq!(told.iter().map(|one| one.commit_last).collect::<Vec<_>>(), [3, 3, 3, 5, 6]);
            assert_eq!(told[3].old, [(TITLE, Value::text("r"))]);
            assert!(told.iter().all(|one| one.change.name() == "changed" || one.old.is_empty()));
        }
    }
}

#[tokio::test]
async fn the_cursor_moves_where_nothing_is_told_and_a_reader_waits_for_more() {
    let world = World::sqlite().await;
    let head = world.one(create(UNWATCHED, 9, vec![])).await;
    let mut reader = reader(&world, &ann(), &[(NOTE, "size > 10")]).await;
    assert!(read(&mut reader, &head, 10).await.is_empty());
    let writing = tokio::spawn({
        let world = world.clone();
        async move { world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (SIZE, Value::Int(11))])).await }
    });
    let told = read(&mut reader, &Cursor { after: head.after + 1, ..head }, 10).await;
    writing.await.unwrap();
    assert_eq!(short(&told), ["2 0.1 entered"]);
}

#[tokio::test]
async fn old_values_are_those_that_could_be_seen_then_and_now() {
    let world = World::memory().await;
    let phone = |text: &str| (PHONE, Value::text(text));
    world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (OWNER, person(1)), phone("123"), (MOOD, CALM)])).await;
    world.one(update(NOTE, 1, vec![(TITLE, Value::text("b")), phone("456")])).await;
    let head = world.one(update(NOTE, 1, vec![(OWNER, person(2)), phone("789")])).await;
    let mut hers = reader(&world, &ann(), &[(NOTE, "")]).await;
    let told = read(&mut hers, &head, 10).await;
    assert_eq!(told[1].old, [(TITLE, Value::text("a")), phone("123")]);
    let mut nobodys = reader(&world, &anonymous(), &[(NOTE, "")]).await;
    let told = read(&mut nobodys, &head, 10).await;
    assert_eq!(told[1].old, [(TITLE, Value::text("a"))]);
    assert_eq!(told[2].old, [(OWNER, person(1))]);
    assert!(told.iter().all(|one| one.after.as_ref().is_some_and(|row| row.value(PHONE).is_null())));
}

#[tokio::test]
async fn a_commit_that_changes_memberships_is_told_by_those_of_now() {
    let world = World::memory().await;
    world.commit(vec![create(ROOM, 1, vec![(TITLE, Value::text("r"))]), create(ROOM, 2, vec![(TITLE, Value::text("s"))])]).await;
    let mut hers = reader(&world, &ann(), &[(MESSAGE, ""), (MEMBER, "")]).await;
    let text = (TEXT, Value::text("hello"));
    let joins = create(MEMBER, 11, vec![(OF_ROOM, id(1)), (USER, person(1))]);
    let head = world.commit(vec![joins, create(MESSAGE, 21, vec![(OF_ROOM, id(1)), text.clone()])]).await;
    let told = read(&mut hers, &head, 10).await;
    assert!(short(&told).contains(&"4 3.21 entered".to_owned()), "{told:?}");
    let head = world.one(create(MESSAGE, 22, vec![(OF_ROOM, id(2)), text])).await;
    assert!(read(&mut hers, &head, 10).await.is_empty());
}

#[tokio::test]
async fn a_reader_ends_with_its_engine_and_with_its_log() {
    let world = World::memory().await;
    let mut hers = reader(&world, &ann(), &[(NOTE, "")]).await;
    world.one(note(1, "a")).await;
    let head = world.one(note(2, "b")).await;
    let keep = Retention { since: Some(i64::MAX), bytes_max: None, aged_through: None, slice_events_max: 100 };
    assert_eq!(world.store.prune(&keep).await.map(|pruned| pruned.floor).unwrap_or_default(), 1);
    assert!(matches!(hers.next(10, 1 << 20).await, Err(LogEnd::Expired)));
    let began = |cursor: Cursor| {
        let (world, interests) = (world.clone(), [interest(&world, NOTE, "")]);
        async move { world.engine.read_log(&ann(), &interests, &cursor).await }
    };
    assert_eq!(began(world.start().await).await.err().map(|error| error.code), Some(ErrorCode::CursorExpired));
    let mut other = head.clone();
    other.epoch.0 = "another".into();
    assert_eq!(began(other).await.err().map(|error| error.code), Some(ErrorCode::CursorExpired));
    let mut late = began(head).await.unwrap();
    world.engine.close_watches(Closing::Drain);
    assert!(matches!(late.next(10, 1 << 20).await, Err(LogEnd::Closed(Closing::Drain))));
}

#[tokio::test]
async fn a_checkpoint_is_saved_once_by_each_who_knows_the_last_and_is_no_event() {
    for world in [World::memory().await, World::sqlite().await] {
        let cursor = world.one(note(1, "a")).await;
        assert_eq!(world.engine.checkpoint("orders").await.unwrap(), None);
        let first = world.engine.save_checkpoint(&ann(), "orders", cursor.clone(), None).await.unwrap();
        assert_eq!(world.engine.checkpoint("orders").await.unwrap(), Some(first.clone()));
        let later = Cursor { after: cursor.after + 5, ..cursor.clone() };
        let second = world.engine.save_checkpoint(&ann(), "orders", later.clone(), Some(&first)).await.unwrap();
        for last in [None, Some(&first)] {
            let refused = world.engine.save_checkpoint(&ann(), "orders", cursor.clone(), last).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::FailedPrecondition);
        }
        assert_eq!(world.engine.checkpoint("orders").await.unwrap().map(|saved| saved.cursor), Some(later));
        assert_eq!(world.engine.checkpoint("others").await.unwrap(), None);
        assert!(world.engine.save_checkpoint(&ann(), "orders", cursor.clone(), Some(&second)).await.is_ok());
        assert_eq!(world.head().await, cursor, "the log has not moved");
    }
}
