//! Who may take part, and until when.

use std::time::{SystemTime, UNIX_EPOCH};

use fourfold_engine::channel::{HistoryPage, Join};
use fourfold_engine::{ChannelEnd, Closing, End};
use fourfold_model::Value;
use fourfold_op::ErrorCode;
use fourfold_store::conformance::world::id;

use crate::world::*;

#[tokio::test]
async fn the_join_rule_decides_who_may_take_part() {
    for world in [World::with_rooms().await, World::sqlite_with_rooms().await] {
        decides(&world).await;
    }
}

async fn decides(world: &World) {
    world.update("Room", 2, &[("open", Value::Boolean(false))]).await;
    let text = Value::text;
    let cases = [
        ("a member", user(1), "chat", id(1), true),
        ("a member of another room", user(3), "chat", id(1), false),
        ("nobody", user(0), "chat", id(1), false),
        ("whoever has no membership", admin(), "chat", id(1), false),
        ("a room that is not there", user(1), "chat", id(7), false),
        ("a rule about the row", user(3), "hall", id(1), true),
        ("a rule about the row, not held", user(3), "hall", id(2), false),
        ("a rule about the row and the caller", user(0), "hall", id(1), false),
        ("a rule about a scalar", user(0), "board", text("b"), true),
        ("a rule about a scalar, not held", user(1), "board", text("closed"), false),
        ("a rule about a scalar and roles", admin(), "board", text("closed"), true),
        ("no rule", admin(), "locked", text("x"), false),
    ];
    for (what, who, name, parameter, may) in cases {
        let channel = world.channel(&who, name, parameter.clone());
        let joined = channel.subscribe(&join("a")).await.map(|_| ()).map_err(|error| error.code);
        let expected = if may { Ok(()) } else { Err(ErrorCode::PermissionDenied) };
        assert_eq!(joined, expected, "{what}");
        let seen = channel.history(&HistoryPage::default()).await.map(|_| ()).map_err(|error| error.code);
        assert_eq!(seen, expected, "{what}: its history");
    }
    let mut hers = world.chat(&user(1), &join("a")).await;
    world.say(2, 1, "hello").await.unwrap();
    assert_eq!(told(world, &mut hers, 1).await, ["row entered hello"]);
    world.delete("Member", 11).await;
    assert_eq!(end(&mut hers).await, ChannelEnd::Revoked);
}

#[tokio::test]
async fn a_channel_that_is_not_there_and_one_that_is_refused_answer_alike() {
    let world = World::with_rooms().await;
    let refused = world.subscribe(&user(3), "chat", id(1), &join("a")).await.map(|_| ()).unwrap_err();
    let unknown = world.subscribe(&user(3), "chat", id(7), &join("a")).await.map(|_| ()).unwrap_err();
    assert_eq!((refused.code, &refused.public.message), (unknown.code, &unknown.public.message));
    assert_eq!(refused.public.message, "no channel `chat` of this `room` is open to this caller");
}

#[tokio::test]
async fn a_parameter_of_another_type_is_refused_by_name() {
    let world = World::with_rooms().await;
    for (name, parameter) in [("chat", Value::text("x")), ("board", id(1)), ("hall", Value::Int(1))] {
        let error = world.subscribe(&user(1), name, parameter, &join("a")).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_membership_that_is_taken_away_ends_what_it_gave() {
    let world = World::with_rooms().await;
    let mut hers = world.chat(&user(1), &join("a")).await;
    let mut his = world.chat(&user(2), &join("b")).await;
    let before = world.say(2, 1, "before").await.unwrap();
    assert_eq!(told(&world, &mut hers, 1).await, ["row entered before"]);
    world.delete("Member", 11).await;
    world.say(2, 1, "after").await.unwrap();
    assert_eq!(end(&mut hers).await, ChannelEnd::Revoked);
    assert_eq!(end(&mut hers).await, ChannelEnd::Revoked, "and it stays so");
    assert_eq!(hers.cursor(), &before);
    assert_eq!(told(&world, &mut his, 2).await, ["row entered before", "row entered after"]);
    let again = world.subscribe(&user(1), "chat", id(1), &join("a")).await.map(|_| ()).unwrap_err();
    assert_eq!(again.code, ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn a_rule_about_the_row_ends_what_it_gave_when_the_row_changes_or_goes() {
    for gone in [false, true] {
        let world = World::with_rooms().await;
        let mut hers = world.subscribe(&user(1), "hall", id(1), &join("a")).await.unwrap();
        world.update("Room", 1, &[("title", Value::text("other"))]).await;
        world.update("Room", 2, &[("open", Value::Boolean(false))]).await;
        assert!(is_quiet(&mut hers).await, "what decides nothing ends nothing");
        match gone {
            true => world.delete("Room", 1).await,
            false => world.update("Room", 1, &[("open", Value::Boolean(false))]).await,
        };
        assert_eq!(end(&mut hers).await, ChannelEnd::Revoked);
    }
}

#[tokio::test]
async fn one_membership_of_two_may_go() {
    let world = World::with_rooms().await;
    world.create("Member", 21, &[("room_id", id(1)), ("user_id", id(1))]).await;
    let mut hers = world.subscribe(&user(1), "chat", id(1), &join("a")).await.unwrap();
    world.delete("Member", 21).await;
    assert!(is_quiet(&mut hers).await);
    world.delete("Member", 11).await;
    assert_eq!(end(&mut hers).await, ChannelEnd::Revoked);
}

#[tokio::test]
async fn a_credential_that_ends_ends_the_subscription() {
    let world = World::with_rooms().await;
    for (name, parameter) in [("chat", id(1)), ("hall", id(1)), ("board", Value::text("b"))] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
        let ends_soon = Join { expires_at_us: Some(now + 300_000), ..join("a") };
        let mut hers = world.subscribe(&user(1), name, parameter.clone(), &ends_soon).await.unwrap();
        let cursor = hers.cursor().clone();
        assert_eq!(end(&mut hers).await, ChannelEnd::Ended(End::CredentialEnded(cursor)), "{name}");
        let ended = Join { expires_at_us: Some(now), ..join("a") };
        let error = world.subscribe(&user(1), name, parameter, &ended).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::TokenExpired, "{name}");
    }
}

#[tokio::test]
async fn the_end_of_the_server_or_of_its_rules_ends_each_subscription() {
    for closing in [Closing::Drain, Closing::Replaced] {
        let world = World::with_rooms().await;
        let mut ends = Vec::new();
        for (name, parameter) in [("chat", id(1)), ("hall", id(1)), ("board", Value::text("b"))] {
            ends.push(world.subscribe(&user(1), name, parameter, &join("a")).await.unwrap());
        }
        world.engine.close_watches(closing);
        for hers in &mut ends {
            let cursor = hers.cursor().clone();
            let expected = if closing == Closing::Drain { End::Bye(cursor) } else { End::Reset(cursor) };
            assert_eq!(end(hers).await, ChannelEnd::Ended(expected));
        }
        let error = world.subscribe(&user(1), "board", Value::text("b"), &join("a")).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
    }
}

#[tokio::test]
async fn another_start_is_another_epoch() {
    let world = World::with_rooms().await;
    let cursor = world.write_on("b", "1").await.unwrap();
    let other = world.restarted();
    let mut hers = other.board(&user(1), &join_after("a", &cursor)).await;
    assert_eq!(hers.recovered(), Some(false));
    assert_ne!(hers.cursor().epoch, cursor.epoch);
    other.write_on("b", "2").await.unwrap();
    assert_eq!(told(&other, &mut hers, 1).await, ["#1 2"]);
}
