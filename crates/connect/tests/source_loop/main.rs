//! The loop of a source, over topics whose readers do what a test says.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use fourfold_connect::{Begin, ConnectorState, KeyFrom, Mode, SourceError};
use fourfold_op::{Error, ErrorCode};
use fourfold_store::fault::Fault;
use world::*;

#[tokio::test(start_paused = true)]
async fn rows_are_written_with_their_places_and_a_replay_from_the_start_changes_nothing() {
    let world = World::new().await;
    let topic = Topic::default();
    for number in 0..60 {
        topic.row((number % 2) as i32, number % 10, number);
    }
    let sources = world.start(vec![source(Mode::Upsert, topic.reader(&[0, 1]))]);
    world.drained(&topic, &[0, 1]).await;
    sources.stop().await;
    let (rows, changes) = (world.rows().await, world.changes().await);
    assert_eq!((rows.len(), changes), (10, 60));
    assert_eq!(rows[3], (3, 53, "cart".into(), 6));
    let mut reader = topic.reader(&[0, 1]);
    reader.replays = true;
    let sources = world.start(vec![source(Mode::Upsert, reader)]);
    topic.row(0, 100, 1);
    world.drained(&topic, &[0, 1]).await;
    sources.stop().await;
    assert_eq!((world.changes().await, sources.figures()[0].taken_total), (61, 1), "the one that is new");
}

#[tokio::test(start_paused = true)]
async fn of_two_that_read_one_partition_each_message_counts_once() {
    let world = World::new().await;
    let topic = Topic::default();
    let both: Vec<_> = (0..2).map(|_| world.start(vec![source(Mode::Upsert, topic.reader(&[0]))])).collect();
    for number in 0..400 {
        topic.row(0, number % 7, number);
        tokio::task::yield_now().await;
    }
    world.drained(&topic, &[0]).await;
    let mut taken = 0;
    for sources in both {
        sources.stop().await;
        taken += sources.figures()[0].taken_total;
    }
    assert_eq!((world.changes().await, taken), (400, 400));
    assert_eq!(world.rows().await.iter().map(|row| row.1).max(), Some(399));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_is_buried_with_why_and_the_rest_goes_on() {
    let world = World::new().await;
    let topic = Topic::default();
    topic.put(0, None, Some(r#"{"id":1,"number":1,"code":"a"}"#));
    let bad = [
        (Some("no json"), "invalid_argument", "not valid JSON"),
        (Some("[1]"), "invalid_argument", "expected a JSON object, found an array"),
        (Some(r#"{"id":2,"number":"two"}"#), "invalid_argument", "`/number`: expected"),
        (Some(r#"{"id":"x","numbr":2}"#), "invalid_argument", "2 places are wrong"),
        (Some(r#"{"number":2}"#), "invalid_argument", "the row's key is missing; expected `id` in the value"),
        (Some(r#"{"id":2,"number":-1}"#), "invalid_argument", "number"),
        (Some(r#"{"id":2,"number":1000}"#), "permission_denied", ""),
        (Some(r#"{"id":2,"number":2,"code":"a"}"#), "already_exists", "code"),
        (None, "invalid_argument", "the message has no key; expected the row's key as text"),
    ];
    for (index, (value, ..)) in bad.iter().enumerate() {
        topic.put(0, None, *value);
        topic.row(0, 100 + index as i64, 1);
    }
    topic.put(0, None, Some(&format!(r#"{{"id":3,"number":3,"code":"{}"}}"#, "x".repeat(600))));
    topic.put(0, Some("Order/nine"), None);
    topic.put(0, Some("9"), None);
    let sources = world.start(vec![source(Mode::Upsert, topic.reader(&[0]))]);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    let letters = topic.letters();
    for (index, (_, code, said)) in bad.iter().enumerate() {
        let letter = &letters[index];
        assert_eq!((letter.offset, letter.code.as_str()), (1 + 2 * index as u64, *code), "{letter:?}");
        assert!(letter.why.contains(said), "{letter:?}");
    }
    let rest: Vec<_> = letters[bad.len()..].iter().map(|letter| (letter.code.as_str(), letter.why.as_str())).collect();
    assert_eq!(rest[0], ("limit_exceeded", "more than 500 bytes (limit `row_bytes_max`)"));
    assert_eq!((rest[1].0, rest[2]), ("invalid_argument", ("invalid_argument", "the message's key does not begin with `Order/`")));
    let figures = &sources.figures()[0];
    assert_eq!((figures.dead_letters_total, figures.taken_total, figures.failures_total), (12, 10, 0));
    assert_eq!(world.changes().await, 10);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_place_for_dead_letters_it_waits_and_skips_nothing() {
    let world = World::new().await;
    let topic = Topic::default();
    topic.has_place_for_letters(false);
    topic.row(0, 1, 1);
    topic.put(0, None, Some("bad"));
    topic.row(0, 2, 2);
    let sources = world.start(vec![source(Mode::Upsert, topic.reader(&[0]))]);
    world.until(|| sources.figures()[0].state == ConnectorState::Blocked).await;
    assert_eq!((world.place(0).await, world.changes().await), (Some(1), 1));
    topic.has_place_for_letters(true);
    world.drained(&topic, &[0]).await;
    world.until(|| sources.figures()[0].state == ConnectorState::Running).await;
    sources.stop().await;
    assert_eq!((topic.letters().len(), world.changes().await), (1, 2));
    assert!(sources.figures()[0].last_error.as_ref().unwrap().contains("message 1 of partition 0 was refused"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_waited_for_and_no_commit_counts_twice() {
    let world = World::new().await;
    let topic = Topic::default();
    for number in 0..200 {
        topic.row(0, number % 5, number);
    }
    let away = || Error::new(ErrorCode::Unavailable, "away");
    for fault in [
        Fault::Refuse(away()),
        Fault::LoseAfter,
        Fault::Refuse(Error::new(ErrorCode::StorageFull, "full")),
        Fault::LoseBefore,
        Fault::LoseAfter,
    ] {
        world.store.plant(fault);
    }
    let mut reader = topic.reader(&[0]);
    reader.fails = vec![SourceError::Temporary("no broker".into())];
    let mut opened = source(Mode::Upsert, reader);
    // No more than one commit takes, which would be a refusal of its own.
    opened.settings.pace.batch_rows_max = 20;
    let sources = world.start(vec![opened]);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    assert_eq!((world.changes().await, topic.letters()), (200, Vec::new()));
    assert_eq!(sources.figures()[0].failures_total, 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_buried_and_not_saved_is_buried_again_but_its_neighbours_count_once() {
    let world = World::new().await;
    let topic = Topic::default();
    topic.row(0, 1, 1);
    topic.put(0, None, Some("bad"));
    topic.row(0, 1, 2);
    let sources = world.start(vec![source(Mode::Upsert, topic.reader(&[0]))]);
    // The second commit is the one after the letter.
    world.drained(&topic, &[0]).await;
    topic.put(0, None, Some("worse"));
    world.store.plant(Fault::LoseBefore);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    let offsets: Vec<u64> = topic.letters().iter().map(|letter| letter.offset).collect();
    assert_eq!((offsets, world.changes().await), (vec![1, 3, 3], 2));
}

#[tokio::test(start_paused = true)]
async fn each_mode_does_what_it_says() {
    let check = async |mode, messages: &[(Option<&str>, Option<&str>)], rows: &[(i64, i64, &str, u64)], letters: &[(u64, &str)]| {
        let world = World::new().await;
        let topic = Topic::default();
        topic.put(0, None, Some(r#"{"id":1,"number":1}"#));
        topic.put(0, None, Some(r#"{"id":2,"number":2,"state":"paid"}"#));
        let first = world.start(vec![source(Mode::Create, topic.reader(&[0]))]);
        world.drained(&topic, &[0]).await;
        first.stop().await;
        messages.iter().for_each(|(key, value)| topic.put(0, *key, *value));
        let sources = world.start(vec![source(mode, topic.reader(&[0]))]);
        world.drained(&topic, &[0]).await;
        sources.stop().await;
        let expected: Vec<_> = rows.iter().map(|(id, number, state, revision)| (*id, *number, (*state).to_owned(), *revision)).collect();
        assert_eq!(world.rows().await, expected, "{mode:?}");
        let told: Vec<_> = topic.letters().into_iter().map(|letter| (letter.offset - 2, letter.code)).collect();
        assert_eq!(told, letters.iter().map(|(offset, code)| (*offset, (*code).to_owned())).collect::<Vec<_>>(), "{mode:?}");
    };
    let one = Some(r#"{"id":1,"number":11}"#);
    let paid = Some(r#"{"id":1,"state":"paid"}"#);
    let three = Some(r#"{"id":3,"number":3,"state":"sent"}"#);
    let gone = |key| (Some(key), None);
    check(
        Mode::Create,
        &[(None, one), (None, three), gone("Order/1")],
        &[(1, 1, "cart", 1), (2, 2, "paid", 1), (3, 3, "sent", 1)],
        &[(0, "already_exists"), (2, "invalid_argument")],
    )
    .await;
    check(
        Mode::Update,
        &[(None, one), (None, paid), (None, three), gone("Order/1")],
        &[(1, 11, "paid", 3), (2, 2, "paid", 1)],
        &[(2, "not_found"), (3, "invalid_argument")],
    )
    .await;
    check(
        Mode::Upsert,
        &[(None, one), (None, three), gone("Order/2"), gone("Order/7"), (None, Some(r#"{"id":2,"number":22}"#))],
        &[(1, 11, "cart", 2), (2, 22, "cart", 3), (3, 3, "sent", 1)],
        &[],
    )
    .await;
    check(Mode::Merge, &[(None, paid), (None, three), gone("Order/2"), gone("Order/2")], &[(1, 1, "paid", 2), (3, 3, "sent", 1)], &[])
        .await;
    check(Mode::Delete, &[(None, Some(r#"{"id":1}"#)), gone("Order/9"), gone("Order/2"), (None, one)], &[], &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_may_stand_in_the_key_of_the_message() {
    let world = World::new().await;
    let topic = Topic::default();
    topic.put(0, Some("Order/1"), Some(r#"{"number":1}"#));
    topic.put(0, Some("Order/2"), Some(r#"{"id":2,"number":2}"#));
    topic.put(0, Some("Order/3"), Some(r#"{"id":4,"number":2}"#));
    let mut opened = source(Mode::Upsert, topic.reader(&[0]));
    opened.settings.reading.key = KeyFrom::Message;
    let sources = world.start(vec![opened]);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    assert_eq!(world.rows().await.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2]);
    let letters = topic.letters();
    assert_eq!((letters[0].offset, letters[0].why.as_str()), (2, "`id` is another than the message's key"));
}

#[tokio::test(start_paused = true)]
async fn now_is_the_moment_at_which_it_began_the_first_time() {
    let world = World::new().await;
    let topic = Topic::default();
    topic.row(0, 1, 1);
    let now = || {
        let mut opened = source(Mode::Upsert, topic.reader(&[0]));
        opened.settings.begin = Begin::Now;
        opened
    };
    let sources = world.start(vec![now()]);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    topic.row(0, 2, 2);
    let sources = world.start(vec![now()]);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    assert_eq!(world.rows().await, [(2, 2, "cart".into(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_next_message_is_gone_says_so_and_skips_nothing() {
    let world = World::new().await;
    let topic = Topic::default();
    topic.row(0, 1, 1);
    let sources = world.start(vec![source(Mode::Upsert, topic.reader(&[0]))]);
    world.drained(&topic, &[0]).await;
    sources.stop().await;
    topic.row(0, 2, 2);
    topic.row(0, 3, 3);
    topic.forgets(2);
    let sources = world.start(vec![source(Mode::Upsert, topic.reader(&[0]))]);
    world.until(|| sources.figures()[0].state == ConnectorState::Lost).await;
    assert_eq!((sources.figures()[0].lag_messages, world.place(0).await), (2, Some(1)));
    sources.stop().await;
}
