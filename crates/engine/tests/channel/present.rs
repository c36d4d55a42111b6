//! Who is present, who comes and goes, and signals.

use std::time::Duration;

use fourfold_engine::channel::{Join, PresenceStats};
use fourfold_model::{FieldId, Value};
use fourfold_op::ErrorCode;
use fourfold_store::conformance::world::id;

use crate::world::*;

async fn names(world: &World) -> Vec<String> {
    let present = world.channel(&user(1), "chat", id(1)).presence().await.unwrap();
    present.iter().map(|present| named(present)).collect()
}

#[tokio::test]
async fn who_tells_of_itself_is_present_until_it_leaves() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &present("a", "phone")).await;
    assert_eq!(told(&world, &mut hers, 1).await, ["joined a phone"]);
    let his = world.chat(&user(2), &present("b", "desk")).await;
    let also_his = world.chat(&user(2), &present("c", "phone")).await;
    let silent = world.chat(&user(2), &join("d")).await;
    assert_eq!(names(&world).await, ["a phone", "b desk", "c phone"]);
    let stats = world.channel(&user(1), "chat", id(1)).presence_stats().await.unwrap();
    assert_eq!(stats, PresenceStats { clients: 3, users: 2 });
    drop(his);
    drop((also_his, silent));
    assert_eq!(told(&world, &mut hers, 4).await, ["joined b desk", "joined c phone", "left b", "left c"]);
    assert_eq!(names(&world).await, ["a phone"]);
    assert!(is_quiet(&mut hers).await);
}

#[tokio::test]
async fn another_subscription_of_a_connection_takes_the_place_of_the_first() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &present("a", "phone")).await;
    let first = world.chat(&user(2), &present("b", "desk")).await;
    let second = world.chat(&user(2), &present("b", "desk")).await;
    drop(first);
    assert_eq!(names(&world).await, ["a phone", "b desk"]);
    let third = world.chat(&user(2), &present("b", "sofa")).await;
    drop((second, third));
    assert_eq!(told(&world, &mut hers, 4).await, ["joined a phone", "joined b desk", "joined b sofa", "left b"]);
}

#[tokio::test]
async fn notices_are_for_those_who_want_them() {
    let world = World::with_rooms().await;
    let mut quiet = world.chat(&user(1), &Join { notices: false, ..present("a", "phone") }).await;
    drop(world.chat(&user(2), &present("b", "desk")).await);
    assert!(is_quiet(&mut quiet).await);
}

#[tokio::test]
async fn presence_is_of_the_declared_fields_and_types() {
    let world = World::with_rooms().await;
    let text = Value::text;
    let given = |fields: &[(u16, Value)]| fields.iter().map(|(at, value)| (FieldId(*at), value.clone())).collect::<Vec<_>>();
    let cases = [
        (given(&[(0, text("phone"))]), vec!["/away"]),
        (given(&[(1, Value::Boolean(true)), (0, Value::Null)]), vec!["/device"]),
        (given(&[(0, Value::Int(1)), (1, text("yes"))]), vec!["/device", "/away"]),
        (given(&[(0, text("phone")), (1, Value::Boolean(true)), (2, Value::Null)]), vec![]),
        (given(&[(0, text("phone")), (1, Value::Boolean(true)), (2, text("busy"))]), vec![]),
    ];
    for (info, wrong) in cases {
        let asked = Join { presence: Some(info), ..join("a") };
        let found = match world.subscribe(&user(1), "chat", id(1), &asked).await {
            Ok(_) => Vec::new(),
            Err(error) => error.public.errors.into_iter().map(|error| error.pointer).collect(),
        };
        assert_eq!(found, wrong);
    }
    let error = world.subscribe(&user(1), "hall", id(1), &nick("a", "x")).await.map(|_| ()).unwrap_err();
    assert_eq!((error.code, &*error.public.message), (ErrorCode::FailedPrecondition, "channel `hall` declares no presence"));
    let error = world.channel(&user(3), "chat", id(1)).presence().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn presence_that_is_not_refreshed_ends_after_a_minute() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &present("a", "phone")).await;
    // Its reader is stuck: nobody asks it for what comes next.
    let stuck = world.chat(&user(2), &present("b", "desk")).await;
    assert_eq!(told(&world, &mut hers, 2).await, ["joined a phone", "joined b desk"]);
    let begun = tokio::time::Instant::now();
    assert_eq!(short(&world, &hers.next().await.unwrap()), "left b");
    let after = begun.elapsed();
    assert!((Duration::from_secs(60)..Duration::from_secs(90)).contains(&after), "{after:?}");
    assert_eq!(names(&world).await, ["a phone"], "who refreshes itself stays");
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn presence_that_has_ended_is_not_shown() {
    let world = World::with_rooms().await;
    let stuck = world.chat(&user(2), &present("b", "desk")).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(names(&world).await, ["b desk"]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(names(&world).await, [""; 0]);
    drop(stuck);
}

#[tokio::test]
async fn who_loses_its_right_is_present_no_longer() {
    let world = World::with_rooms().await;
    let mut his = world.chat(&user(2), &present("b", "desk")).await;
    let mut hers = world.chat(&user(1), &present("a", "phone")).await;
    world.delete("Member", 11).await;
    end(&mut hers).await;
    assert_eq!(told(&world, &mut his, 3).await, ["joined b desk", "joined a phone", "left a"]);
}

#[tokio::test(start_paused = true)]
async fn signals_reach_the_others_and_are_bounded_in_a_second() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &join("a")).await;
    let mut his = world.chat(&user(2), &join("b")).await;
    let (he, cursor) = (user(2), his.cursor().clone());
    let chat = world.channel(&he, "chat", id(1));
    for name in ["typing", "waving", "typing", "typing", "typing"] {
        chat.signal("b", name).unwrap();
    }
    let error = chat.signal("b", "typing").unwrap_err();
    assert_eq!((error.code, error.public.retry_after_ms), (ErrorCode::RateLimited, Some(1_000)));
    assert!(error.public.message.contains("channel_signals_per_second_max"));
    world.channel(&user(1), "chat", id(1)).signal("a", "typing").unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    chat.signal("b", "waving").unwrap();
    let expected = ["typing of b", "waving of b", "typing of b", "typing of b", "typing of b", "waving of b"];
    assert_eq!(told(&world, &mut hers, 6).await, expected);
    assert_eq!(told(&world, &mut his, 1).await, ["typing of a"]);
    assert!(is_quiet(&mut his).await);
    assert_eq!(his.cursor(), &cursor, "a signal has no place");
}

#[tokio::test]
async fn signals_are_those_of_the_channel_and_of_its_subscribers() {
    let world = World::with_rooms().await;
    let hers = world.chat(&user(1), &join("a")).await;
    let she = user(1);
    let chat = world.channel(&she, "chat", id(1));
    let error = chat.signal("a", "tiping").unwrap_err();
    assert_eq!(
        (error.code, &*error.public.errors[0].detail),
        (ErrorCode::InvalidArgument, "no such signal of `chat`; it has `typing`, `waving`")
    );
    assert_eq!(chat.signal("z", "typing").unwrap_err().code, ErrorCode::FailedPrecondition);
    assert_eq!(world.channel(&she, "chat", id(2)).signal("a", "typing").unwrap_err().code, ErrorCode::FailedPrecondition);
    drop(hers);
    assert_eq!(chat.signal("a", "typing").unwrap_err().code, ErrorCode::FailedPrecondition);
}

#[tokio::test]
async fn presence_and_signals_leave_no_trace_in_the_log() {
    let world = World::with_rooms().await;
    let head = || async { world.store.head(None).await.position };
    let before = head().await;
    let hers = world.chat(&user(1), &present("a", "phone")).await;
    world.channel(&user(1), "chat", id(1)).signal("a", "typing").unwrap();
    world.write_on("b", "1").await.unwrap();
    drop(hers);
    assert_eq!(head().await, before);
}
