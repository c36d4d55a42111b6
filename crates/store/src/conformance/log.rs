//! The log and the side records: one event a row version, whole commits, compare-and-set.

use bytes::Bytes;
use fourfold_model::Value;
use fourfold_op::{Cursor, Epoch, ErrorCode, wire};

use super::fixture::*;
use super::world::{World, admin, create, delete, id, update};
use crate::store::{Budget, CommitError, Entities, Expect, Put, Side, Space, StoreError};

cases! {
    each_row_version_is_one_event
    commits_are_handed_out_whole
    a_log_can_be_read_by_entity
    a_cursor_of_another_log_has_expired
    waiting_for_the_log_ends_when_it_moves
    side_records_are_compared_and_set
    a_side_record_ends_when_it_may
    a_conflict_writes_nothing_and_is_seen_first
    an_outcome_is_recorded_in_its_own_commit
    a_refused_commit_leaves_no_side_record
    writers_at_once_make_one_dense_log
    a_closed_store_is_unavailable
}

async fn each_row_version_is_one_event(world: World) {
    world.item(1, "a", vec![(item::NOTE, Value::text("n"))]).await;
    world.one(&admin(), update(ITEM, id(1), vec![(item::TITLE, Value::text("b"))])).await;
    world.one(&admin(), delete(ITEM, id(1))).await;
    let events = world.events(&Entities::All).await;
    let seen: Vec<_> = events.iter().map(|event| (event.position.0.get(), event.commit_last.0.get(), event.revision)).collect();
    assert_eq!(seen, [(1, 1, 1), (2, 2, 2), (3, 3, 3)]);
    assert!(events.iter().all(|event| event.entity == ITEM && event.key == id(1) && event.generation == 1));
    assert!(events.iter().all(|event| &*event.by == "issuer#subject"));
    assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at), "time does not run back");
    let shape: Vec<_> = events.iter().map(|event| (event.changed.is_some(), event.after.is_some())).collect();
    assert_eq!(shape, [(false, true), (true, true), (true, false)]);
    let after = events[1].after.as_ref().expect("after");
    let row = wire::decode_row(&world.model, world.model.entity(ITEM), after).expect("a row");
    assert_eq!((row.value(item::TITLE), row.value(item::NOTE)), (&Value::text("b"), &Value::text("n")));
}

async fn commits_are_handed_out_whole(world: World) {
    for batch in 0..3_u16 {
        let rows = (0..3).map(|n| create(ITEM, Some(id(batch * 10 + n + 1)), vec![(item::TITLE, Value::text("x"))]));
        let committed = world.commit_with(&admin(), rows.collect(), false, Vec::new()).await.expect("committed");
        if let Some(cursor) = committed.cursor {
            assert_eq!(cursor.after, u64::from(batch + 1) * 3, "a commit's cursor is behind its last event");
        }
    }
    let after = world.start().await;
    let one = world.store.events(&after, &Entities::All, Budget { events_max: 4, bytes_max: 1 << 20 }).await.expect("a tail");
    assert_eq!((one.events.len(), one.through.after), (3, 3), "not four: a commit is whole");
    let least = world.store.events(&after, &Entities::All, Budget { events_max: 1, bytes_max: 1 }).await.expect("a tail");
    assert_eq!(least.events.len(), 3, "at least one");
    let all = world.store.events(&after, &Entities::All, Budget { events_max: 100, bytes_max: 1 << 20 }).await.expect("a tail");
    assert_eq!((all.events.len(), all.through.after), (9, 9));
    assert!(all.events.chunks(3).all(|commit| commit.iter().all(|event| event.commit_last == commit[2].position)));
    let end = world.store.events(&all.through, &Entities::All, Budget { events_max: 1, bytes_max: 1 }).await.expect("a tail");
    assert_eq!((end.events.len(), end.through), (0, all.through));
}

async fn a_log_can_be_read_by_entity(world: World) {
    world.item(1, "a", vec![]).await;
    world.one(&admin(), create(PERSON, Some(id(50)), vec![(person::NAME, Value::text("Ann"))])).await;
    world.item(2, "b", vec![]).await;
    let budget = Budget { events_max: 10, bytes_max: 1 << 20 };
    let tail = world.store.events(&world.start().await, &Entities::Some(vec![PERSON]), budget).await.expect("a tail");
    assert_eq!((tail.events.len(), tail.through.after), (1, 3), "it was read to the end, though two were not wanted");
    assert_eq!(tail.events[0].position.0.get(), 2);
}

async fn a_cursor_of_another_log_has_expired(world: World) {
    world.item(1, "a", vec![]).await;
    let start = world.start().await;
    let other = Cursor { epoch: Epoch("elsewhere".into()), ..start.clone() };
    let future = Cursor { after: 2, ..start };
    for cursor in [other, future] {
        let budget = Budget { events_max: 1, bytes_max: 1 };
        let StoreError::Refused(error) = world.store.events(&cursor, &Entities::All, budget).await.expect_err("refused");
        assert_eq!(error.code, ErrorCode::CursorExpired);
    }
}

async fn waiting_for_the_log_ends_when_it_moves(world: World) {
    // An empty log too: the first event is beyond 0.
    for beyond in 0..2 {
        let waiting = {
            let store = world.store.clone();
            tokio::spawn(async move { store.head(Some(beyond)).await })
        };
        world.item(beyond as u16 + 1, "a", vec![]).await;
        let limit = std::time::Duration::from_secs(10);
        let head = tokio::time::timeout(limit, waiting).await.expect("it ends").expect("a head");
        assert_eq!(head.position, beyond + 1);
    }
}

fn side(key: &[u8], expect: Expect, put: Put) -> Side {
    Side { space: Space::Source, key: key.to_vec(), expect, put, keep_until: None }
}

async fn side_records_are_compared_and_set(world: World) {
    let bytes = |text: &'static [u8]| Put::Bytes(Bytes::from_static(text));
    let with =
        async |side| world.commit_with(&admin(), vec![create(ITEM, None, vec![(item::TITLE, Value::text("x"))])], false, vec![side]).await;
    with(side(b"k", Expect::Absent, bytes(b"one"))).await.expect("absent");
    assert!(matches!(with(side(b"k", Expect::Absent, bytes(b"two"))).await, Err(CommitError::Conflict(Space::Source))));
    with(side(b"k", Expect::Version(1), bytes(b"two"))).await.expect("version 1");
    assert!(matches!(with(side(b"k", Expect::Version(1), bytes(b"three"))).await, Err(CommitError::Conflict(Space::Source))));
    with(side(b"k", Expect::Version(2), Put::Nothing)).await.expect("only compared");
    with(side(b"k", Expect::Any, bytes(b"three"))).await.expect("any");
    let record = world.store.side(Space::Source, b"k").await.expect("a read").expect("a record");
    assert_eq!((record.version, &record.bytes[..]), (3, &b"three"[..]));
    assert_eq!(world.store.side(Space::Checkpoint, b"k").await.expect("a read"), None, "spaces are apart");
    assert_eq!(world.store.count(&world.model, ITEM).await.expect("a count"), 4, "a conflict writes nothing");
}

async fn a_side_record_ends_when_it_may(world: World) {
    let past = Side { keep_until: Some(1), ..side(b"k", Expect::Absent, Put::Bytes(Bytes::from_static(b"x"))) };
    for number in 1..=2 {
        let item = create(ITEM, Some(id(number)), vec![(item::TITLE, Value::text("x"))]);
        world.commit_with(&admin(), vec![item], false, vec![past.clone()]).await.expect("what has ended is absent");
    }
    assert_eq!(world.store.side(Space::Source, b"k").await.expect("a read"), None);
}

async fn a_conflict_writes_nothing_and_is_seen_first(world: World) {
    let record = || side(b"k", Expect::Absent, Put::Outcome(Bytes::new()));
    let ask = || vec![create(ITEM, Some(id(1)), vec![(item::TITLE, Value::text("x"))])];
    world.commit_with(&admin(), ask(), false, vec![record()]).await.expect("the first");
    let again = world.commit_with(&admin(), ask(), false, vec![record()]).await;
    assert!(matches!(again, Err(CommitError::Conflict(Space::Source))), "not `already_exists`: {again:?}");
}

async fn an_outcome_is_recorded_in_its_own_commit(world: World) {
    let record = side(b"k", Expect::Absent, Put::Outcome(Bytes::from_static(b"own")));
    let made = create(ITEM, Some(id(1)), vec![(item::TITLE, Value::text("x"))]);
    world.commit_with(&admin(), vec![made], false, vec![record]).await.expect("committed");
    let kept = world.store.side(Space::Source, b"k").await.expect("a read").expect("a record");
    let outcome = kept.bytes.strip_prefix(b"own").expect("the caller's own bytes come first");
    let steps = crate::decode_outcome(&world.model, outcome).expect("an outcome");
    let step = steps[0].as_ref().expect("a step");
    assert_eq!((step.entity, &step.key, step.revision), (ITEM, &id(1), 1));
}

async fn a_refused_commit_leaves_no_side_record(world: World) {
    let record = side(b"k", Expect::Absent, Put::Outcome(Bytes::new()));
    let refused = world.commit_with(&admin(), vec![delete(ITEM, id(9))], false, vec![record]).await;
    assert!(matches!(refused, Err(CommitError::Refused(_))));
    assert_eq!(world.store.side(Space::Source, b"k").await.expect("a read"), None);
}

async fn writers_at_once_make_one_dense_log(world: World) {
    let writers = (0..8_u16).map(|writer| {
        let world = world.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                world.item(writer * 100 + n + 1, "x", vec![]).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer");
    }
    let positions: Vec<u64> = world.events(&Entities::All).await.iter().map(|event| event.position.0.get()).collect();
    assert_eq!(positions, (1..=80).collect::<Vec<_>>());
    let one = world.item(1_000, "last", vec![]).await;
    let numbers = world.page(&admin(), ITEM, fourfold_op::List::default(), Vec::new(), &[]).await.0;
    assert!(one.answer.is_some() && numbers.items.len() == 50, "the default page is 50");
}

async fn a_closed_store_is_unavailable(world: World) {
    world.item(1, "a", vec![]).await;
    world.store.close().await;
    let error = world.try_one(&admin(), create(ITEM, None, vec![(item::TITLE, Value::text("x"))])).await.expect_err("closed");
    assert_eq!(error.code, ErrorCode::Unavailable);
}
