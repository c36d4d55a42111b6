//! Channels with a stream: rows of an entity, from the log.

use fourfold_engine::channel::{HistoryPage, Publishing};
use fourfold_engine::{ChannelEnd, End, Told};
use fourfold_model::Value;
use fourfold_op::{Cursor, ErrorCode, Limits};
use fourfold_store::conformance::world::id;

use crate::world::*;

#[tokio::test]
async fn what_is_published_is_a_row_and_reaches_who_is_there() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &join("a")).await;
    let mut elsewhere = world.subscribe(&user(3), "chat", id(2), &join("c")).await.unwrap();
    let cursor = world.say(2, 1, "hello").await.unwrap();
    assert_eq!(told(&world, &mut hers, 1).await, ["row entered hello"]);
    assert_eq!(hers.cursor(), &cursor);
    assert!(is_quiet(&mut elsewhere).await);
}

#[tokio::test]
async fn rows_that_are_written_otherwise_stream_too_where_the_condition_holds() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &join("a")).await;
    let row = |kind: i32, text: &str| [("room_id", id(1)), ("kind", Value::Enum(kind)), ("text", Value::text(text))];
    world.create("Member", 31, &[("room_id", id(2)), ("user_id", id(2))]).await;
    world.say(2, 1, "one").await.unwrap();
    let he = user(2);
    let chat = world.channel(&he, "chat", id(1));
    let set = vec![(world.field("Message", "id"), id(51)), (world.field("Message", "text"), Value::text("two"))];
    let published = chat.publish(&"b".into(), Publishing::Row(set)).await.unwrap();
    assert_eq!(published.key, Some(id(51)));
    world.update("Message", 51, &row(1, "changed")).await;
    world.update("Message", 51, &row(2, "a note")).await;
    world.update("Message", 51, &row(1, "talk")).await;
    world.delete("Message", 51).await;
    let expected = ["row entered one", "row entered two", "row changed changed", "row left", "row entered talk", "row left"];
    assert_eq!(told(&world, &mut hers, 6).await, expected);
}

#[tokio::test]
async fn publishing_is_under_the_rules_of_the_rows() {
    let world = World::with_rooms().await;
    world.update("Member", 12, &[("mute", Value::Boolean(true))]).await;
    assert_eq!(world.say(2, 1, "muted").await.unwrap_err().code, ErrorCode::PermissionDenied);
    assert_eq!(world.say(3, 1, "a stranger").await.unwrap_err().code, ErrorCode::PermissionDenied);
    assert_eq!(world.say(1, 1, "").await.unwrap_err().code, ErrorCode::InvalidArgument);
    let who = user(1);
    let chat = world.channel(&who, "chat", id(1));
    let cases = [("room_id", id(2)), ("kind", Value::Enum(2))];
    for (name, value) in cases {
        let row = vec![(world.field("Message", name), value), (world.field("Message", "text"), Value::text("x"))];
        let error = chat.publish(&"a".into(), Publishing::Row(row)).await.unwrap_err();
        assert_eq!((error.code, &*error.public.errors[0].pointer), (ErrorCode::InvalidArgument, &*format!("/{name}")));
    }
    let given = vec![(world.field("Message", "room_id"), id(1)), (world.field("Message", "text"), Value::text("given alike"))];
    chat.publish(&"a".into(), Publishing::Row(given)).await.unwrap();
    assert_eq!(chat.publish(&"a".into(), Publishing::Free("1".into())).await.unwrap_err().code, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn who_comes_back_is_told_what_it_missed() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &join("a")).await;
    assert_eq!(hers.recovered(), None);
    world.say(1, 1, "one").await.unwrap();
    assert_eq!(told(&world, &mut hers, 1).await, ["row entered one"]);
    let cursor = hers.cursor().clone();
    drop(hers);
    world.say(2, 1, "two").await.unwrap();
    world.say(2, 1, "three").await.unwrap();
    let mut hers = world.chat(&user(1), &join_after("a", &cursor)).await;
    assert_eq!(hers.recovered(), Some(true));
    assert_eq!(told(&world, &mut hers, 2).await, ["row entered two", "row entered three"]);
    let other = Cursor { epoch: fourfold_op::Epoch("other".into()), ..cursor };
    let mut hers = world.chat(&user(1), &join_after("a", &other)).await;
    assert_eq!(hers.recovered(), Some(false));
    world.say(2, 1, "four").await.unwrap();
    assert_eq!(told(&world, &mut hers, 1).await, ["row entered four"]);
}

#[tokio::test]
async fn a_membership_elsewhere_interrupts_nothing_and_loses_nothing() {
    let world = World::with_rooms().await;
    let start = world.say(2, 1, "zero").await.unwrap();
    let mut hers = world.chat(&user(1), &join("a")).await;
    world.say(2, 1, "one").await.unwrap();
    world.create("Member", 21, &[("room_id", id(2)), ("user_id", id(1))]).await;
    world.say(2, 1, "two").await.unwrap();
    world.delete("Member", 21).await;
    world.say(2, 1, "three").await.unwrap();
    world.say(3, 2, "elsewhere").await.unwrap();
    let all = ["row entered one", "row entered two", "row entered three"];
    assert_eq!(told(&world, &mut hers, 3).await, all);
    let last = world.say(2, 1, "four").await.unwrap();
    assert_eq!(told(&world, &mut hers, 1).await, ["row entered four"]);
    assert_eq!(hers.cursor(), &last);
    let mut again = world.chat(&user(1), &join_after("a", &start)).await;
    assert_eq!(told(&world, &mut again, 3).await, all, "and who comes back after it");
}

#[tokio::test]
async fn too_much_between_two_memberships_is_a_reset() {
    let world = World::with_rooms_limited(Limits { channel_history_events_max: 3, ..Limits::default() }).await;
    let start = world.say(2, 1, "zero").await.unwrap();
    world.create("Member", 21, &[("room_id", id(2)), ("user_id", id(1))]).await;
    for text in ["1", "2", "3"] {
        world.say(2, 1, text).await.unwrap();
    }
    let mut hers = world.chat(&user(1), &join_after("a", &start)).await;
    assert_eq!(end(&mut hers).await, ChannelEnd::Ended(End::Reset(start)));
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_ended_with_the_place_to_go_on_from() {
    let world = World::with_rooms_limited(Limits { watch_queue_deliveries_max: 2, ..Limits::default() }).await;
    let mut hers = world.chat(&user(1), &join("a")).await;
    assert!(is_quiet(&mut hers).await);
    for text in ["1", "2", "3", "4"] {
        world.say(2, 1, text).await.unwrap();
        tokio::task::yield_now().await;
    }
    let cursor = match end(&mut hers).await {
        ChannelEnd::Ended(End::Slow(cursor)) => cursor,
        other => panic!("{other:?}"),
    };
    drop(hers);
    let mut hers = world.chat(&user(1), &join_after("a", &cursor)).await;
    let mut last = String::new();
    while last != "row entered 4" {
        last = told(&world, &mut hers, 1).await.remove(0);
    }
}

#[tokio::test]
async fn history_is_the_log_as_the_caller_may_see_it() {
    let world = World::with_rooms().await;
    world.say(1, 1, "one").await.unwrap();
    let two = world.say(2, 1, "two").await.unwrap();
    world.say(3, 2, "elsewhere").await.unwrap();
    // That she becomes a member of another room takes nothing away from what she may see of this one.
    world.create("Member", 21, &[("room_id", id(2)), ("user_id", id(1))]).await;
    world.say(2, 1, "three").await.unwrap();
    let page = HistoryPage { limit: 10, ..HistoryPage::default() };
    let cases = [
        (page.clone(), vec!["row entered one", "row entered two", "row entered three"]),
        (HistoryPage { limit: 2, ..page.clone() }, vec!["row entered one", "row entered two"]),
        (HistoryPage { since: Some(two.clone()), ..page.clone() }, vec!["row entered three"]),
        (HistoryPage { reverse: true, limit: 2, ..page.clone() }, vec!["row entered three", "row entered two"]),
        (HistoryPage { reverse: true, since: Some(two), ..page.clone() }, vec!["row entered one"]),
        (HistoryPage { limit: 0, ..page.clone() }, vec![]),
    ];
    for (page, expected) in cases {
        assert_eq!(world.past("chat", id(1), &page).await, expected, "{page:?}");
    }
    let past = world.channel(&user(3), "chat", id(2)).history(&page).await.unwrap();
    assert_eq!(past.told.iter().map(|told| short(&world, told)).collect::<Vec<_>>(), ["row entered elsewhere"]);
    assert!(matches!(past.told[0], Told::Row(_)));
}

#[tokio::test]
async fn one_look_into_the_log_is_bounded() {
    let world = World::with_rooms_limited(Limits { channel_history_events_max: 2, ..Limits::default() }).await;
    let first = world.say(1, 1, "one").await.unwrap();
    for text in ["two", "three", "four"] {
        world.say(1, 1, text).await.unwrap();
    }
    let page = HistoryPage { limit: 10, reverse: true, since: None };
    assert_eq!(world.past("chat", id(1), &page).await, ["row entered four", "row entered three"]);
    let page = HistoryPage { limit: 10, reverse: false, since: Some(first) };
    assert_eq!(world.past("chat", id(1), &page).await, ["row entered two", "row entered three"]);
}
