//! The loop of a sink, over targets that do what a test says.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::time::Duration;

use fourfold_connect::{Begin, ConnectorState, Pace, SinkError};
use fourfold_engine::Closing;
use fourfold_store::Retention;
use serde_json::{Value as Json, json};
use world::*;

#[tokio::test(start_paused = true)]
async fn every_event_is_delivered_in_order_and_the_watermark_is_saved_at_the_end() {
    let world = World::new().await;
    world.create(NOTE, 1, "a").await;
    let target = Target::default();
    let sinks = world.start(vec![sink("all", &target)]);
    world.create(ROOM, 2, "r").await;
    world.update(NOTE, 1, "b").await;
    world.delete(NOTE, 1).await;
    world.delivered(&sinks, 4).await;
    sinks.stop().await;
    assert_eq!(target.taken(), [1, 2, 3, 4]);
    let figures = &sinks.figures()[0];
    assert_eq!((figures.state, figures.watermark, figures.delivered_total, figures.failures_total), (ConnectorState::Ended, 4, 4, 0));
    assert_eq!(world.saved("all").await, Some(4));
    // The next process goes on from there.
    world.create(NOTE, 3, "c").await;
    let sinks = world.start(vec![sink("all", &target)]);
    world.delivered(&sinks, 5).await;
    sinks.stop().await;
    assert_eq!(target.taken(), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn events_are_cloud_events_of_what_the_principal_may_see() {
    let world = World::new().await;
    world.create(NOTE, 1, "a").await;
    world.update(NOTE, 1, "b").await;
    world.update(NOTE, 1, "hidden").await;
    world.update(NOTE, 1, "c").await;
    world.delete(NOTE, 1).await;
    let target = Target::default();
    let sinks = world.start(vec![sink("all", &target)]);
    world.delivered(&sinks, 5).await;
    sinks.stop().await;
    let epoch = world.epoch().await;
    let key = "00000000-0000-0000-0000-000000000001";
    let bodies: Vec<Option<Json>> =
        target.deliveries().iter().map(|one| one.body.as_ref().map(|body| serde_json::from_slice(body).unwrap())).collect();
    let event = |position: u64, kind: &str, data: Json| {
        json!({
            "specversion": "1.0", "id": format!("{epoch}.{position}"), "source": "/talk.v1", "type": format!("talk.v1.Note.{kind}"), "subject": key,
            "time": target.deliveries()[position as usize - 1].time, "datacontenttype": "application/json", "sequence": position.to_string(), "data": data,
        })
    };
    let after = |revision: u64, title: &str| json!({"id": key, "revision": revision, "title": title, "phone": null});
    assert_eq!(
        bodies,
        [
            Some(event(1, "created", json!({"revision": 1, "commit_last": 1, "changed": {}, "after": after(1, "a")}))),
            Some(event(2, "updated", json!({"revision": 2, "commit_last": 2, "changed": {"title": "a"}, "after": after(2, "b")}))),
            None,
            Some(event(4, "created", json!({"revision": 4, "commit_last": 4, "changed": {}, "after": after(4, "c")}))),
            None,
        ]
    );
    let left = &target.deliveries()[2];
    assert_eq!((&*left.kind, left.key.as_str(), left.entity.topic.as_str()), ("talk.v1.Note.deleted", key, "talk.note"));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_is_asked_again_from_what_it_confirmed() {
    let world = World::new().await;
    world.create_many(NOTE, 1..=10).await;
    let target = Target::default();
    // It takes three, then is away for a while, then takes the rest two by two.
    target.answers(|batch, call| match call {
        0 => Err(SinkError::Temporary { delivered: Some(batch[2].position), why: "away".into() }),
        1..=4 => Err(SinkError::Temporary { delivered: None, why: "away".into() }),
        _ => Ok(batch[1.min(batch.len() - 1)].position),
    });
    let sinks = world.start(vec![sink("all", &target)]);
    world.delivered(&sinks, 10).await;
    assert_eq!(target.taken(), (1..=10).collect::<Vec<_>>());
    let figures = &sinks.figures()[0];
    assert_eq!((figures.state, figures.failures_total, figures.last_error.as_deref()), (ConnectorState::Running, 5, Some("away")));
    assert!(target.calls().windows(2).all(|two| two[0] <= two[1]), "no call begins before one that went before: {:?}", target.calls());
    sinks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_target_delays_nobody_and_its_watermark_stays() {
    let world = World::new().await;
    let (good, bad) = (Target::default(), Target::default());
    bad.answers(|_, _| Err(SinkError::Temporary { delivered: None, why: "away".into() }));
    let sinks = world.start(vec![sink("bad", &bad), sink("good", &good)]);
    world.create_many(NOTE, 1..=5).await;
    world.until(|| sinks.figures()[1].watermark == 5).await;
    world.until(|| sinks.figures()[0].failures_total > 3).await;
    assert_eq!(sinks.figures()[0].state, ConnectorState::BackingOff);
    assert_eq!(sinks.hold(), Some(0), "the log is kept for it");
    sinks.stop().await;
    assert_eq!((world.saved("bad").await, world.saved("good").await), (Some(0), Some(5)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_when_the_server_ends_is_not_saved() {
    let world = World::new().await;
    let target = Target::default();
    target.hangs_after(2);
    world.create_many(NOTE, 1..=5).await;
    let sinks = world.start(vec![sink("all", &target)]);
    world.until(|| target.taken().len() == 2).await;
    sinks.stop().await;
    let figures = &sinks.figures()[0];
    assert_eq!((figures.state, figures.watermark), (ConnectorState::Ended, 0));
    assert_eq!(world.saved("all").await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_buried_and_the_rest_goes_on() {
    let world = World::new().await;
    world.create_many(NOTE, 1..=6).await;
    let target = Target::default();
    target.refuses(&[1, 4, 5]);
    let sinks = world.start(vec![sink("all", &target)]);
    world.delivered(&sinks, 6).await;
    assert_eq!((target.taken(), target.buried()), (vec![2, 3, 6], vec![1, 4, 5]));
    assert_eq!((sinks.figures()[0].dead_letters_total, sinks.figures()[0].failures_total), (3, 0));
    sinks.stop().await;
    assert_eq!(world.saved("all").await, Some(6));
}

#[tokio::test(start_paused = true)]
async fn without_a_place_for_dead_letters_a_sink_waits_and_says_so() {
    let world = World::new().await;
    world.create_many(NOTE, 1..=3).await;
    let target = Target::default();
    target.refuses(&[2]);
    target.cannot_bury();
    let sinks = world.start(vec![sink("all", &target)]);
    world.until(|| sinks.figures()[0].failures_total > 2).await;
    assert_eq!((sinks.figures()[0].state, sinks.figures()[0].watermark), (ConnectorState::Blocked, 1));
    target.refuses(&[]);
    world.delivered(&sinks, 3).await;
    assert_eq!(target.taken(), [1, 2, 3]);
    sinks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_begins_where_it_is_told_and_only_the_first_time() {
    let world = World::new().await;
    world.create_many(NOTE, 1..=3).await;
    let target = Target::default();
    let mut late = sink("late", &target);
    late.settings.begin = Begin::Now;
    let sinks = world.start(vec![late]);
    world.until(|| sinks.figures()[0].state == ConnectorState::Running).await;
    sinks.stop().await;
    world.create(NOTE, 4, "while it was away").await;
    let mut late = sink("late", &target);
    late.settings.begin = Begin::Now;
    let sinks = world.start(vec![late]);
    world.delivered(&sinks, 4).await;
    assert_eq!(target.taken(), [4]);
    sinks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_the_log_has_passed_is_lost_and_says_so() {
    let world = World::new().await;
    let target = Target::default();
    let sinks = world.start(vec![sink("all", &target)]);
    world.create(NOTE, 1, "a").await;
    world.delivered(&sinks, 1).await;
    sinks.stop().await;
    world.create_many(NOTE, 2..=9).await;
    let keep = Retention { since: None, bytes_max: Some(0), aged_through: None, slice_events_max: 100 };
    world.prune(&keep).await;
    let sinks = world.start(vec![sink("all", &target)]);
    world.until(|| sinks.figures()[0].state == ConnectorState::Lost).await;
    assert_eq!(sinks.hold(), None, "nothing is kept for it any more");
    sinks.stop().await;
    assert_eq!((target.taken(), world.saved("all").await), (vec![1], Some(1)));
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_with_one_name_none_moves_the_watermark_back() {
    let world = World::new().await;
    let (one, other) = (Target::default(), Target::default());
    let first = world.start(vec![sink("all", &one)]);
    world.create(NOTE, 1, "a").await;
    world.delivered(&first, 1).await;
    let second = world.start(vec![sink("all", &other)]);
    for key in 2..=20 {
        world.create(NOTE, key, "a").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    world.delivered(&first, 20).await;
    world.delivered(&second, 20).await;
    assert!(first.figures()[0].failures_total + second.figures()[0].failures_total > 0, "they got into each other's way");
    first.stop().await;
    second.stop().await;
    assert_eq!(world.saved("all").await, Some(20));
    let mut all = [one.taken(), other.taken()].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_sink_ends_with_its_engine_and_saves() {
    let world = World::new().await;
    let target = Target::default();
    let sinks = world.start(vec![sink("all", &target)]);
    world.create(NOTE, 1, "a").await;
    world.delivered(&sinks, 1).await;
    world.engine.close_watches(Closing::Replaced);
    world.until(|| sinks.figures()[0].state == ConnectorState::Ended).await;
    assert_eq!(world.saved("all").await, Some(1));
}

#[tokio::test]
async fn the_watermark_is_saved_while_it_runs_over_a_store_on_disk() {
    let world = World::sqlite().await;
    let target = Target::default();
    let mut quick = sink("all", &target);
    quick.settings.pace = Pace { save_every: Duration::from_millis(1), ..Pace::default() };
    let sinks = world.start(vec![quick]);
    world.create_many(NOTE, 1..=50).await;
    world.delivered(&sinks, 50).await;
    world.until(|| sinks.hold() == Some(50)).await;
    assert_eq!(world.saved("all").await, Some(50), "though nobody stopped it");
    assert_eq!(target.taken(), (1..=50).collect::<Vec<_>>());
}
