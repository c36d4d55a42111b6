//! Each bound is an error that names it, or lets the oldest go.

use fourfold_engine::channel::{HistoryPage, Join, Publishing};
use fourfold_model::{FieldId, Value};
use fourfold_op::{Error, ErrorCode, Limits};
use fourfold_store::conformance::world::id;

use crate::world::*;

#[tokio::test]
async fn subscribers_channels_and_presence_are_bounded_by_name() {
    let limits = Limits { channels_max: 2, channel_subscribers_max: 2, channel_presence_max: 1, ..Limits::default() };
    let world = World::with_rooms_limited(limits).await;
    let on = |name: &str| Value::text(name);
    let refused = |result: Result<_, Error>| result.map(|_| ()).unwrap_err();
    let who = user(1);
    let first = world.subscribe(&who, "board", on("1"), &nick("a", "x")).await.unwrap();
    let full = refused(world.subscribe(&who, "board", on("1"), &nick("b", "y")).await);
    assert_eq!((full.code, full.public.limit.unwrap().name), (ErrorCode::LimitExceeded, "channel_presence_max"));
    let second = world.subscribe(&who, "board", on("1"), &join("b")).await.unwrap();
    let full = refused(world.subscribe(&who, "board", on("1"), &join("c")).await);
    assert_eq!(full.code, ErrorCode::Overloaded);
    assert!(full.public.message.contains("channel_subscribers_max"));
    drop(second);
    world.subscribe(&who, "board", on("1"), &join("c")).await.unwrap();
    let third = world.subscribe(&who, "board", on("2"), &join("a")).await.unwrap();
    let full = refused(world.subscribe(&who, "board", on("3"), &join("a")).await);
    assert_eq!(full.code, ErrorCode::Overloaded);
    assert!(full.public.message.contains("channels_max"));
    assert_eq!(world.write_on("3", "1").await.unwrap_err().code, ErrorCode::Overloaded);
    drop(third);
    world.subscribe(&who, "board", on("3"), &join("a")).await.unwrap();
    drop(first);
}

#[tokio::test]
async fn what_a_subscriber_tells_of_itself_is_bounded() {
    let world = World::limited(Limits { channel_presence_bytes_max: 8, ..Limits::default() }).await;
    let long = Join { presence: Some(vec![(FieldId(0), Value::text("123456789"))]), ..join("a") };
    let error = world.subscribe(&user(1), "board", Value::text("b"), &long).await.map(|_| ()).unwrap_err();
    assert_eq!((error.code, error.public.limit.unwrap().name), (ErrorCode::LimitExceeded, "channel_presence_bytes_max"));
}

#[tokio::test]
async fn each_limit_lets_through_what_just_fits() {
    let name = |text: &str| Join { presence: Some(vec![(FieldId(0), Value::text(text))]), ..join("a") };
    let refused = async |limits: Limits, text: &str| {
        let world = World::limited(limits).await;
        world.subscribe(&user(1), "board", Value::text("b"), &name(text)).await.err().map(|error| error.code)
    };
    let presence = |bytes| Limits { channel_presence_bytes_max: bytes, ..Limits::default() };
    assert_eq!(refused(presence(3), "abc").await, None);
    assert_eq!(refused(presence(2), "abc").await, Some(ErrorCode::LimitExceeded));
    let kept = async |limits: Limits| {
        let world = World::limited(limits).await;
        for data in ["1", "2", "3"] {
            world.write_on("b", data).await.unwrap();
        }
        let page = HistoryPage { limit: 10, ..HistoryPage::default() };
        world.past("board", Value::text("b"), &page).await.len()
    };
    // Three publications of 160 bytes and their one of data.
    let bytes = 3 * 161;
    for (limits, expected) in [
        (Limits { channel_history_bytes_max: bytes, ..Limits::default() }, 3),
        (Limits { channel_history_bytes_max: bytes - 1, ..Limits::default() }, 2),
        (Limits { channels_history_bytes_max: bytes, ..Limits::default() }, 3),
        (Limits { channels_history_bytes_max: bytes - 1, ..Limits::default() }, 2),
        (Limits { channel_history_items_max: 3, ..Limits::default() }, 3),
        (Limits { channel_history_items_max: 2, ..Limits::default() }, 2),
    ] {
        assert_eq!(kept(limits.clone()).await, expected, "{limits:?}");
    }
}

#[tokio::test]
async fn signals_are_as_many_a_second_as_the_limit_says() {
    for most in [0, 1, 2] {
        let world = World::with_rooms_limited(Limits { channel_signals_per_second_max: most, ..Limits::default() }).await;
        let _hers = world.chat(&user(1), &join("a")).await;
        let she = user(1);
        let chat = world.channel(&she, "chat", id(1));
        (0..most).for_each(|_| chat.signal("a", "typing").unwrap());
        let error = chat.signal("a", "typing").unwrap_err();
        assert_eq!((error.code, error.public.message.contains("channel_signals_per_second_max")), (ErrorCode::RateLimited, true));
    }
}

#[tokio::test]
async fn history_is_bounded_in_bytes_and_says_what_it_no_longer_has() {
    // A publication costs 160 bytes beside its data.
    let world = World::limited(Limits { channel_history_bytes_max: 400, channels_history_bytes_max: 800, ..Limits::default() }).await;
    let page = HistoryPage { limit: 10, ..HistoryPage::default() };
    let first = world.write_on("1", "1").await.unwrap();
    for data in ["2", "3"] {
        world.write_on("1", data).await.unwrap();
    }
    assert_eq!(world.past("board", Value::text("1"), &page).await, ["#2 2", "#3 3"]);
    let on_first = |cursor| join_after("a", cursor);
    let hers = world.subscribe(&user(1), "board", Value::text("1"), &on_first(&first)).await.unwrap();
    assert_eq!(hers.recovered(), Some(true), "all after it is there");
    for board in ["2", "3", "4"] {
        for data in ["1", "2"] {
            world.write_on(board, data).await.unwrap();
        }
    }
    assert_eq!(world.past("board", Value::text("2"), &page).await, ["#1 1", "#2 2"]);
    assert_eq!(world.past("board", Value::text("3"), &page).await, [""; 0], "all channels together have no room for it");
    let fourth = world.write_on("4", "3").await.unwrap();
    assert_eq!(fourth.after, 3, "it is told, and has its place");
    let before = fourfold_op::Cursor { after: 2, ..fourth };
    let hers = world.subscribe(&user(1), "board", Value::text("4"), &join_after("a", &before)).await.unwrap();
    assert_eq!(hers.recovered(), Some(false));
}

#[tokio::test]
async fn a_page_of_history_is_bounded() {
    let world = World::limited(Limits { channel_history_items_max: 2, ..Limits::default() }).await;
    for data in ["1", "2", "3"] {
        world.write_on("b", data).await.unwrap();
    }
    let page = HistoryPage { limit: 10, ..HistoryPage::default() };
    assert_eq!(world.past("board", Value::text("b"), &page).await, ["#1 1", "#2 2"]);
}

#[tokio::test]
async fn a_subscription_takes_seats_among_the_watches() {
    let world = World::with_rooms_limited(Limits { watches_max: 2, ..Limits::default() }).await;
    let hers = world.chat(&user(1), &join("a")).await;
    let error = world.subscribe(&user(2), "chat", id(1), &join("b")).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Overloaded);
    drop(hers);
    world.chat(&user(2), &join("b")).await;
    assert_eq!(world.engine.feed_figures().watch_count, 0);
    let free = Publishing::Free("1".into());
    world.channel(&user(1), "hall", id(1)).publish(&"a".into(), free).await.unwrap();
}
