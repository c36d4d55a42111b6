//! Retention: the oldest commits leave the log in slices, and nothing that was numbered is numbered again.

use fourfold_model::Value;
use fourfold_op::{Cursor, ErrorCode, Event};

use super::fixture::*;
use super::world::{World, admin, caller, create, delete, id, update};
use crate::store::{Budget, Entities, Pruned, Redacted, Retention, StoreError};

cases! {
    commits_before_a_moment_leave_the_log
    the_newest_commit_stays_and_positions_go_on
    a_slice_is_of_whole_commits
    a_log_beyond_its_size_loses_its_oldest
    a_kept_log_loses_nothing
    what_somebody_has_yet_to_read_goes_for_its_size_alone
    no_key_repeats_a_revision_though_its_deletion_is_forgotten
    a_deletion_that_is_kept_keeps_its_number
    a_key_that_the_caller_is_never_repeats_a_revision
    a_redacted_row_leaves_positions_and_no_payloads
}

const ALL: Retention = Retention { since: Some(i64::MAX), bytes_max: None, aged_through: None, slice_events_max: 5_000 };
const NONE: Retention = Retention { since: None, bytes_max: None, aged_through: None, slice_events_max: 5_000 };

/// Prunes until nothing more goes: the last answer, with the events of all.
async fn prune(world: &World, keep: Retention) -> Pruned {
    let mut events = 0;
    for _ in 0..1_000 {
        let pruned = world.store.prune(&keep).await.expect("a slice");
        events += pruned.events;
        if !pruned.more {
            return Pruned { events, ..pruned };
        }
    }
    panic!("pruning does not end");
}

async fn items(world: &World, numbers: std::ops::RangeInclusive<u16>) {
    for number in numbers {
        world.item(number, "a title", vec![]).await;
    }
}

async fn read(world: &World, after: u64) -> Result<Vec<Event>, ErrorCode> {
    let cursor = Cursor { after, ..world.start().await };
    let tail = world.store.events(&cursor, &Entities::All, Budget { events_max: 1_000, bytes_max: 1 << 20 }).await;
    tail.map(|tail| tail.events).map_err(|StoreError::Refused(error)| error.code)
}

async fn commits_before_a_moment_leave_the_log(world: World) {
    items(&world, 1..=6).await;
    let events = world.events(&Entities::All).await;
    let since = events[3].at;
    let gone = events.iter().filter(|event| event.at < since).count() as u64;
    let pruned = prune(&world, Retention { since: Some(since), ..NONE }).await;
    assert_eq!((pruned.events, pruned.floor), (gone, gone));
    let head = world.store.head(None).await;
    assert_eq!((head.floor, head.position), (gone, 6));
    let left = read(&world, gone).await.expect("a cursor at the floor is good");
    assert_eq!(left.iter().map(|event| event.position.0.get()).collect::<Vec<_>>(), (gone + 1..=6).collect::<Vec<_>>());
    prune(&world, ALL).await;
    for after in 0..5 {
        assert_eq!(read(&world, after).await.expect_err("below the floor"), ErrorCode::CursorExpired, "after {after}");
    }
    assert!(world.get(&admin(), ITEM, id(1)).await.is_some(), "rows stay");
}

async fn the_newest_commit_stays_and_positions_go_on(world: World) {
    assert_eq!(prune(&world, ALL).await.events, 0, "an empty log");
    items(&world, 1..=3).await;
    assert_eq!(prune(&world, ALL).await.floor, 2);
    assert_eq!(prune(&world, ALL).await.events, 0, "there is no more");
    assert_eq!(read(&world, 2).await.expect("the newest").len(), 1);
    assert!(read(&world, 3).await.expect("the end").is_empty());
    items(&world, 4..=4).await;
    let positions: Vec<u64> = read(&world, 2).await.expect("a tail").iter().map(|event| event.position.0.get()).collect();
    assert_eq!(positions, [3, 4]);
    assert_eq!(prune(&world, ALL).await.floor, 3);
}

async fn a_slice_is_of_whole_commits(world: World) {
    for batch in 0..4_u16 {
        let rows = (1..=3).map(|n| create(ITEM, Some(id(batch * 10 + n)), vec![(item::TITLE, Value::text("x"))]));
        world.commit_with(&admin(), rows.collect(), false, Vec::new()).await.expect("committed");
    }
    for (slice_events_max, floor) in [(1, 3), (5, 6)] {
        let slice = world.store.prune(&Retention { slice_events_max, ..ALL }).await.expect("a slice");
        assert_eq!((slice.events, slice.floor, slice.more), (3, floor, true), "{slice_events_max}");
    }
    assert_eq!(read(&world, 5).await.expect_err("within a commit that went"), ErrorCode::CursorExpired);
    assert_eq!(read(&world, 7).await.expect("within a commit that is there").len(), 5);
    let rest = prune(&world, Retention { slice_events_max: 6, ..ALL }).await;
    assert_eq!((rest.events, rest.floor), (3, 9));
}

async fn a_log_beyond_its_size_loses_its_oldest(world: World) {
    items(&world, 1..=10).await;
    let whole = prune(&world, Retention { bytes_max: Some(u64::MAX), ..NONE }).await;
    assert_eq!(whole.events, 0);
    let half = prune(&world, Retention { bytes_max: Some(whole.bytes / 2), ..NONE }).await;
    assert_eq!((half.events, half.floor), (5, 5), "{whole:?} {half:?}");
    assert!(half.bytes <= whole.bytes / 2);
    items(&world, 11..=12).await;
    let again = prune(&world, Retention { bytes_max: Some(whole.bytes / 2), ..NONE }).await;
    assert_eq!((again.events, again.floor), (2, 7), "what came is counted, what went is not: {again:?}");
    assert_eq!(prune(&world, Retention { bytes_max: Some(0), ..NONE }).await.floor, 11, "the newest stays");
}

async fn what_somebody_has_yet_to_read_goes_for_its_size_alone(world: World) {
    items(&world, 1..=6).await;
    let held = Retention { aged_through: Some(3), ..ALL };
    assert_eq!(prune(&world, held).await.floor, 3, "age stops where it was read to");
    assert_eq!(prune(&world, Retention { aged_through: Some(0), ..ALL }).await.events, 0);
    let all = prune(&world, Retention { bytes_max: Some(0), ..held }).await;
    assert_eq!(all.floor, 5, "size does not");
}

async fn a_kept_log_loses_nothing(world: World) {
    items(&world, 1..=3).await;
    let since = world.events(&Entities::All).await[0].at;
    for keep in [NONE, Retention { since: Some(since), bytes_max: Some(1 << 30), ..NONE }] {
        let pruned = prune(&world, keep).await;
        assert_eq!((pruned.events, pruned.floor), (0, 0));
    }
    assert_eq!(read(&world, 0).await.expect("all").len(), 3);
}

async fn no_key_repeats_a_revision_though_its_deletion_is_forgotten(world: World) {
    items(&world, 1..=1).await;
    world.one(&admin(), update(ITEM, id(1), vec![(item::TITLE, Value::text("b"))])).await;
    let deleted = world.one(&admin(), delete(ITEM, id(1))).await.revision;
    items(&world, 2..=2).await;
    prune(&world, ALL).await;
    let again = world.item(1, "again", vec![]).await.revision;
    assert!(again > deleted, "{again} after {deleted}");
    assert_eq!(world.item(3, "new", vec![]).await.revision, deleted + 1, "new rows of the entity begin above it");
    let person = world.one(&admin(), create(PERSON, Some(id(1)), vec![(person::NAME, Value::text("Ann"))])).await;
    assert_eq!(person.revision, 1, "another entity has lost nothing");
    // The floor rises, and does not fall.
    let second = world.one(&admin(), delete(ITEM, id(2))).await.revision;
    assert!(second < deleted);
    items(&world, 4..=4).await;
    prune(&world, ALL).await;
    assert_eq!(world.item(2, "again", vec![]).await.revision, deleted + 1);
}

async fn a_deletion_that_is_kept_keeps_its_number(world: World) {
    items(&world, 1..=1).await;
    world.one(&admin(), delete(ITEM, id(1))).await;
    world.item(1, "again", vec![]).await;
    let last = world.one(&admin(), delete(ITEM, id(1))).await.revision;
    // The first deletion goes; the second is the newest commit.
    assert_eq!(prune(&world, ALL).await.floor, 3);
    assert_eq!(world.item(1, "again", vec![]).await.revision, last + 1);
}

async fn a_key_that_the_caller_is_never_repeats_a_revision(world: World) {
    let profile = || create(PROFILE, None, vec![(profile::TEXT, Value::text("me"))]);
    let who = caller(7, &[]);
    let made = world.one(&who, profile()).await;
    world.refused(&who, profile(), ErrorCode::AlreadyExists).await;
    let deleted = world.one(&who, delete(PROFILE, made.key.clone())).await.revision;
    assert_eq!(world.one(&who, profile()).await.revision, deleted + 1);
    assert_eq!(world.one(&caller(8, &[]), profile()).await.revision, 1, "another caller's is another row");
}

async fn a_redacted_row_leaves_positions_and_no_payloads(world: World) {
    world.item(1, "secret", vec![]).await;
    world.item(2, "kept", vec![]).await;
    world.one(&admin(), update(ITEM, id(1), vec![(item::TITLE, Value::text("another secret"))])).await;
    items(&world, 3..=3).await;
    let redact = async |number| world.store.redact(&world.model, ITEM, &id(number)).await.expect("redacted");
    assert_eq!(redact(9).await, Redacted { events: 0, floor: 0 }, "no such row");
    assert_eq!(redact(1).await, Redacted { events: 2, floor: 3 });
    assert_eq!(redact(1).await, Redacted { events: 0, floor: 3 }, "once is enough");
    let head = world.store.head(None).await;
    assert_eq!((head.floor, head.position), (3, 4));
    assert_eq!(read(&world, 2).await.expect_err("no reader sees a blank payload"), ErrorCode::CursorExpired);
    let rest = read(&world, 3).await.expect("a tail");
    assert_eq!((rest.len(), &rest[0].key), (1, &id(3)));
    assert!(world.get(&admin(), ITEM, id(1)).await.is_some(), "the row stays");
    let deleted = world.one(&admin(), delete(ITEM, id(1))).await.revision;
    items(&world, 4..=4).await;
    assert_eq!(redact(1).await, Redacted { events: 1, floor: 5 });
    prune(&world, ALL).await;
    assert_eq!(world.item(1, "again", vec![]).await.revision, deleted + 1, "a blank deletion is a deletion");
}
