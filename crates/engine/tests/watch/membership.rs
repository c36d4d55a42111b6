//! Rules of class M: rows of which the caller is a member.

use fourfold_engine::{End, Engine};
use fourfold_model::Value;
use fourfold_op::{Error, ErrorCode, Limits, Start};
use fourfold_store::conformance::world::{anonymous, caller, id};
use fourfold_store::fault::{Fault, FaultyStore};

use crate::world::*;

fn room(key: u16) -> Ask {
    create(ROOM, key, vec![(TITLE, Value::text("room"))])
}

fn member(key: u16, room: u16, user: u8) -> Ask {
    create(MEMBER, key, vec![(OF_ROOM, id(room)), (USER, person(user))])
}

fn message(key: u16, room: u16) -> Ask {
    create(MESSAGE, key, vec![(OF_ROOM, id(room)), (TEXT, Value::text("hello"))])
}

async fn rooms(world: &World) {
    world.commit(vec![room(1), room(2), member(11, 1, 1), member(12, 2, 2), member(13, 1, 3), member(14, 2, 3)]).await;
}

#[tokio::test]
async fn members_see_what_is_in_their_rooms() {
    for world in [World::memory().await, World::sqlite().await] {
        rooms(&world).await;
        let mut hers = world.watch(&ann(), MESSAGE, "", Start::Now).await;
        let mut both = world.watch(&caller(3, &[]), MESSAGE, "", Start::Now).await;
        let mut filtered = world.watch(&caller(3, &[]), MESSAGE, "text == \"other\"", Start::Now).await;
        let mut nobodys = world.watch(&anonymous(), MESSAGE, "", Start::Now).await;
        world.one(message(21, 1)).await;
        world.one(message(22, 2)).await;
        world.one(update(MESSAGE, 22, vec![(TEXT, Value::text("other"))])).await;
        let head = world.one(update(MESSAGE, 21, vec![(OF_ROOM, id(2))])).await;
        assert_eq!(told(&until(&mut hers, head.after).await), ["entered 21@1", "left 21"]);
        assert_eq!(told(&until(&mut both, head.after).await), ["entered 21@1", "entered 22@1", "changed 22@2", "changed 21@2"]);
        assert_eq!(told(&until(&mut filtered, head.after).await), ["entered 22@2"]);
        assert_eq!(told(&until(&mut nobodys, head.after).await), [""; 0]);
    }
}

#[tokio::test]
async fn a_rule_may_ask_for_the_row_itself_or_else() {
    let world = World::memory().await;
    rooms(&world).await;
    let mut hers = world.watch(&ann(), ROOM, "", Start::Now).await;
    let mut admins = world.watch(&caller(9, &["admin"]), ROOM, "", Start::Now).await;
    world.one(update(ROOM, 1, vec![(TITLE, Value::text("a"))])).await;
    let head = world.one(update(ROOM, 2, vec![(TITLE, Value::text("b"))])).await;
    assert_eq!(told(&until(&mut hers, head.after).await), ["changed 1@2"]);
    assert_eq!(told(&until(&mut admins, head.after).await), ["changed 1@2", "changed 2@2"]);
}

#[tokio::test]
async fn a_membership_that_comes_goes_or_moves_resets_its_watch_and_no_other() {
    type Change = (&'static str, fn() -> Ask);
    let changes: [Change; 5] = [
        ("added", || member(15, 2, 1)),
        ("removed", || delete(MEMBER, 11)),
        ("moved", || update(MEMBER, 11, vec![(OF_ROOM, id(2))])),
        ("given away", || update(MEMBER, 11, vec![(USER, person(7))])),
        ("put to sleep", || update(MEMBER, 11, vec![(ACTIVE, Value::Boolean(false))])),
    ];
    for (what, change) in changes {
        let world = World::memory().await;
        rooms(&world).await;
        let mut hers = world.watch(&ann(), MESSAGE, "", Start::Now).await;
        let mut others = world.watch(&caller(2, &[]), MESSAGE, "", Start::Now).await;
        let before = world.one(message(21, 1)).await;
        // Of one commit with the change nothing is told: by which rights should it be?
        let head = world.commit(vec![message(22, 1), change(), message(23, 1), message(24, 2)]).await;
        assert_eq!(next(&mut hers).await.unwrap().cursor, before, "{what}");
        assert_eq!(end(&mut hers).await, End::Reset(before.clone()), "{what}");
        assert_eq!(end(&mut hers).await, End::Reset(before), "{what}: and it stays so");
        assert_eq!(told(&until(&mut others, head.after).await), ["entered 24@1"], "{what}");
        let mut again = world.watch(&ann(), MESSAGE, "", Start::After(head.clone())).await;
        world.one(message(31, 1)).await;
        let head = world.one(message(32, 2)).await;
        let sees = match what {
            "added" => vec!["entered 31@1", "entered 32@1"],
            "moved" => vec!["entered 32@1"],
            _ => Vec::new(),
        };
        assert_eq!(told(&until(&mut again, head.after).await), sees, "{what}");
    }
}

#[tokio::test]
async fn a_membership_that_stays_what_it_was_resets_nothing() {
    let world = World::memory().await;
    rooms(&world).await;
    let mut hers = world.watch(&ann(), MESSAGE, "", Start::Now).await;
    world.one(update(MEMBER, 11, vec![(ALIAS, Value::text("Ann"))])).await;
    let head = world.one(message(21, 1)).await;
    assert_eq!(told(&until(&mut hers, head.after).await), ["entered 21@1"]);
}

#[tokio::test]
async fn who_comes_back_after_its_membership_changed_is_reset() {
    for world in [World::memory().await, World::sqlite().await] {
        rooms(&world).await;
        let cursor = world.one(message(21, 1)).await;
        world.one(delete(MEMBER, 11)).await;
        world.one(message(22, 1)).await;
        let mut hers = world.watch(&ann(), MESSAGE, "", Start::After(cursor.clone())).await;
        assert_eq!(end(&mut hers).await, End::Reset(cursor));
    }
}

/// Another node was told of the change before: where this one's tailer comes to it later, it is nothing new.
#[tokio::test]
async fn who_comes_from_behind_the_change_to_a_node_that_is_before_it_is_not_reset() {
    let world = World::memory().await;
    rooms(&world).await;
    let store = FaultyStore::new(world.store.clone());
    let late = World { engine: Engine::new(store.clone(), world.model.clone(), 1, limits()), ..world.clone() };
    let mut others = late.watch(&caller(2, &[]), MESSAGE, "", Start::Now).await;
    attach(&mut others).await;
    store.plant(Fault::Events(Error::new(ErrorCode::Unavailable, "a planted fault")));
    let changed = world.one(member(15, 2, 1)).await;
    let mut hers = late.watch(&ann(), MESSAGE, "", Start::After(changed)).await;
    attach(&mut hers).await;
    let head = world.one(message(21, 2)).await;
    assert_eq!(told(&until(&mut hers, head.after).await), ["entered 21@1"]);
    assert_eq!(told(&until(&mut others, head.after).await), ["entered 21@1"]);
}

#[tokio::test]
async fn a_room_that_goes_takes_its_members_along() {
    let world = World::memory().await;
    rooms(&world).await;
    let mut hers = world.watch(&ann(), ROOM, "", Start::Now).await;
    world.one(delete(ROOM, 1)).await;
    assert!(matches!(end(&mut hers).await, End::Reset(_)), "what she is a member of has changed");
}

#[tokio::test]
async fn memberships_are_bounded_by_name() {
    let world = World::limited(Limits { watch_membership_keys_max: 1, ..limits() }).await;
    rooms(&world).await;
    world.try_watch(&ann(), MESSAGE, "", Start::Now).await.unwrap();
    let error = world.try_watch(&caller(3, &[]), MESSAGE, "", Start::Now).await.map(|_| ()).unwrap_err();
    assert_eq!((error.code, error.public.limit.unwrap().name), (ErrorCode::LimitExceeded, "watch_membership_keys_max"));
}

#[tokio::test]
async fn the_rows_to_begin_with_are_of_the_members_own_snapshot() {
    let world = World::memory().await;
    rooms(&world).await;
    world.one(message(21, 1)).await;
    let head = world.one(message(22, 2)).await;
    let mut hers = world.watch(&ann(), MESSAGE, "", Start::Initial).await;
    let initial = hers.take_initial().unwrap();
    assert_eq!((initial.records.len(), initial.cursor), (1, head));
    assert!(hers.take_initial().is_none());
    let head = world.one(message(23, 1)).await;
    assert_eq!(told(&until(&mut hers, head.after).await), ["entered 23@1"]);
}
