//! Channels without a stream: what is published is kept in memory, as `@history` says.

use std::time::Duration;

use fourfold_engine::channel::{HistoryPage, Publishing};
use fourfold_engine::{ChannelEnd, End};
use fourfold_model::Value;
use fourfold_op::{ErrorCode, Limits};
use fourfold_store::conformance::world::id;

use crate::world::*;

async fn in_hall(world: &World, who: u8, data: &str) -> Result<(), ErrorCode> {
    let who = user(who);
    let hall = world.channel(&who, "hall", id(1));
    hall.publish(&"w".into(), Publishing::Free(data.into())).await.map(|_| ()).map_err(|error| error.code)
}

#[tokio::test]
async fn publications_reach_who_is_there_and_their_offsets_grow() {
    let world = World::with_rooms().await;
    let mut hers = world.board(&user(1), &join("a")).await;
    let mut nobodys = world.board(&user(0), &join("b")).await;
    let first = world.write_on("b", "{\"a\":1}").await.unwrap();
    let second = world.write_on("b", "\"x\"").await.unwrap();
    world.write_on("other", "0").await.unwrap();
    assert_eq!((first.after, second.after, &first.epoch), (1, 2, &second.epoch));
    for subscription in [&mut hers, &mut nobodys] {
        assert_eq!(told(&world, subscription, 2).await, ["#1 {\"a\":1}", "#2 \"x\""]);
        assert_eq!(subscription.cursor(), &second);
        assert!(is_quiet(subscription).await);
    }
}

#[tokio::test]
async fn publishing_asks_both_rules() {
    let world = World::with_rooms().await;
    assert_eq!(in_hall(&world, 1, "1").await, Ok(()));
    assert_eq!(in_hall(&world, 3, "1").await, Err(ErrorCode::PermissionDenied), "she may join, and not publish");
    world.update("Member", 11, &[("mute", Value::Boolean(true))]).await;
    assert_eq!(in_hall(&world, 1, "1").await, Err(ErrorCode::PermissionDenied), "judged each time");
    world.update("Room", 1, &[("open", Value::Boolean(false))]).await;
    assert_eq!(in_hall(&world, 2, "1").await, Err(ErrorCode::PermissionDenied), "he may publish, and not join");
    let who = user(1);
    let silent = world.channel(&who, "mute", Value::text("m"));
    let error = silent.publish(&"w".into(), Publishing::Free("1".into())).await.unwrap_err();
    assert_eq!(error.public.message, "this caller may not publish in `mute`");
    assert_eq!(silent.publish(&"w".into(), Publishing::Row(Vec::new())).await.unwrap_err().code, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn a_publication_is_bounded_in_bytes_and_levels() {
    let world = World::limited(Limits { json_bytes_max: 16, json_depth_max: 3, ..Limits::default() }).await;
    for (data, limit) in [("\"0123456789012345\"", "json_bytes_max"), ("[[[[]]]]", "json_depth_max")] {
        let error = world.write_on("b", data).await.unwrap_err();
        assert_eq!((error.code, error.public.limit.unwrap().name), (ErrorCode::LimitExceeded, limit));
    }
}

#[tokio::test(start_paused = true)]
async fn history_is_kept_as_many_and_as_long_as_declared() {
    let world = World::with_rooms().await;
    let mut hers = world.subscribe(&user(1), "hall", id(1), &join("a")).await.unwrap();
    let start = hers.cursor().clone();
    for data in ["1", "2", "3", "4"] {
        in_hall(&world, 1, data).await.unwrap();
    }
    let page = HistoryPage { limit: 10, ..HistoryPage::default() };
    assert_eq!(world.past("hall", id(1), &page).await, ["#2 2", "#3 3", "#4 4"], "three are kept");
    assert_eq!(told(&world, &mut hers, 4).await, ["#1 1", "#2 2", "#3 3", "#4 4"]);
    let at = |after: u64| fourfold_op::Cursor { after, ..start.clone() };
    let cases = [(0, None), (1, Some(vec!["#2 2", "#3 3", "#4 4"])), (3, Some(vec!["#4 4"])), (4, Some(vec![])), (5, None)];
    for (after, expected) in cases {
        let mut again = world.subscribe(&user(2), "hall", id(1), &join_after("b", &at(after))).await.unwrap();
        assert_eq!(again.recovered(), Some(expected.is_some()), "after {after}");
        let expected = expected.unwrap_or_default();
        assert_eq!(told(&world, &mut again, expected.len()).await, expected, "after {after}");
        assert_eq!(again.cursor().after, 4, "after {after}");
    }
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(world.past("hall", id(1), &page).await, [""; 0], "ten seconds they are kept");
    let again = world.subscribe(&user(2), "hall", id(1), &join_after("b", &at(3))).await.unwrap();
    assert_eq!((again.recovered(), again.cursor()), (Some(false), &at(4)));
    let again = world.subscribe(&user(2), "hall", id(1), &join_after("b", &at(4))).await.unwrap();
    assert_eq!(again.recovered(), Some(true), "nothing was missed");
}

#[tokio::test]
async fn history_is_paged_both_ways() {
    let world = World::new().await;
    let mut cursors = Vec::new();
    for data in ["1", "2", "3", "4"] {
        cursors.push(world.write_on("b", data).await.unwrap());
    }
    let page =
        |limit: usize, since: Option<usize>, reverse: bool| HistoryPage { limit, since: since.map(|at| cursors[at].clone()), reverse };
    let cases = [
        (page(2, None, false), vec!["#1 1", "#2 2"]),
        (page(2, Some(1), false), vec!["#3 3", "#4 4"]),
        (page(2, None, true), vec!["#4 4", "#3 3"]),
        (page(9, Some(2), true), vec!["#2 2", "#1 1"]),
        (page(0, None, false), vec![]),
    ];
    for (page, expected) in cases {
        assert_eq!(world.past("board", Value::text("b"), &page).await, expected, "{page:?}");
        let past = world.channel(&user(1), "board", Value::text("b")).history(&page).await.unwrap();
        assert_eq!(past.cursor, cursors[3]);
    }
}

#[tokio::test]
async fn a_place_in_another_epoch_is_not_taken_for_one_in_this() {
    let world = World::with_rooms().await;
    world.write_on("b", "1").await.unwrap();
    let page = |epoch: &str| {
        let since = fourfold_op::Cursor { epoch: fourfold_op::Epoch(epoch.into()), after: 0, skip: None };
        HistoryPage { limit: 9, since: Some(since), reverse: false }
    };
    for (name, parameter) in [("board", Value::text("b")), ("board", Value::text("not held")), ("chat", id(1))] {
        let who = user(1);
        let channel = world.channel(&who, name, parameter.clone());
        assert_eq!(channel.history(&page("elsewhere")).await.unwrap_err().code, ErrorCode::CursorExpired, "{parameter:?}");
        channel.history(&page("")).await.unwrap();
    }
    assert_eq!(world.past("board", Value::text("b"), &page("")).await, ["#1 1"]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_to_a_quiet_channel_has_missed_nothing_for_as_long_as_its_history() {
    let world = World::new().await;
    let at = world.board(&user(1), &join("a")).await.cursor().clone();
    tokio::time::advance(Duration::from_secs(59)).await;
    let hers = world.board(&user(1), &join_after("a", &at)).await;
    assert_eq!((hers.recovered(), hers.cursor()), (Some(true), &at));
    drop(hers);
    tokio::time::advance(Duration::from_secs(60)).await;
    let hers = world.board(&user(1), &join_after("a", &at)).await;
    assert_eq!(hers.recovered(), Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_nobody_holds_is_forgotten_and_begins_a_new_epoch() {
    let world = World::new().await;
    let first = world.write_on("b", "1").await.unwrap();
    drop(world.board(&user(1), &join("a")).await);
    assert_eq!(world.write_on("b", "2").await.unwrap().epoch, first.epoch, "its history holds it");
    tokio::time::advance(Duration::from_secs(61)).await;
    drop(world.board(&user(1), &join("a")).await);
    let again = world.write_on("b", "3").await.unwrap();
    assert_ne!(again.epoch, first.epoch);
    let hers = world.board(&user(1), &join_after("a", &first)).await;
    assert_eq!(hers.recovered(), Some(false));
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_ended_with_the_place_to_go_on_from() {
    let world = World::limited(Limits { watch_queue_deliveries_max: 2, ..Limits::default() }).await;
    let mut hers = world.board(&user(1), &join("a")).await;
    for data in ["1", "2"] {
        world.write_on("b", data).await.unwrap();
    }
    assert_eq!(told(&world, &mut hers, 1).await, ["#1 1"]);
    for data in ["3", "4"] {
        world.write_on("b", data).await.unwrap();
    }
    let ChannelEnd::Ended(End::Slow(cursor)) = end(&mut hers).await else { panic!("it was slow") };
    let mut hers = world.board(&user(1), &join_after("a", &cursor)).await;
    assert_eq!(told(&world, &mut hers, 3).await, ["#2 2", "#3 3", "#4 4"]);
}

#[tokio::test]
async fn what_waits_is_told_together_and_then_waits_no_more() {
    let world = World::limited(Limits { watch_queue_bytes_max: 600, ..Limits::default() }).await;
    let mut hers = world.board(&user(1), &join("a")).await;
    for round in 0..10 {
        for data in ["1", "2", "3", "4"] {
            world.write_on("b", data).await.unwrap();
        }
        let mut all = Vec::new();
        for items_max in [3, 3] {
            all.extend(hers.next_together(items_max).await.unwrap().iter().map(|told| short(&world, told)));
        }
        let expected: Vec<String> = (1..5).map(|data| format!("#{} {data}", round * 4 + data)).collect();
        assert_eq!(all, expected);
        assert_eq!(hers.cursor().after, round * 4 + 4);
    }
    assert!(is_quiet(&mut hers).await);
}
