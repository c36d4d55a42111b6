//! From where a watch begins: at now, after a cursor, with the rows; without a gap or a repeat.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourfold_engine::Delivery;
use fourfold_model::{Value, filter};
use fourfold_op::{
    Answered, Context, Cursor, Epoch, ErrorCode, Event, Limits, List, Operation, Outcome, Select, SelectKind, Start, WatchChange,
};
use fourfold_plan::{Hidden, Images, Verdict};
use fourfold_store::conformance::world::{anonymous, caller};

use crate::world::*;

/// The same numbers for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// Writes notes at random: creates, updates and deletes, some together in one commit.
struct Writer {
    random: Random,
    present: Vec<bool>,
}

impl Writer {
    fn new(seed: u64) -> Writer {
        Writer { random: Random::new(seed), present: vec![false; 8] }
    }

    async fn write(&mut self, world: &World) -> Cursor {
        let mut asks = Vec::new();
        for key in 0..self.present.len() as u16 {
            if asks.is_empty() || self.random.below(4) == 0 {
                asks.push(self.ask(key));
            }
        }
        world.commit(asks).await
    }

    fn ask(&mut self, key: u16) -> Ask {
        let present = self.present[usize::from(key)];
        self.present[usize::from(key)] = !present || self.random.below(4) != 0;
        match (present, self.present[usize::from(key)]) {
            (false, _) => create(NOTE, key, self.set()),
            (true, true) => update(NOTE, key, self.set()),
            (true, false) => delete(NOTE, key),
        }
    }

    fn set(&mut self) -> Vec<(fourfold_model::FieldId, Value)> {
        let title = format!("t{}", self.random.below(1_000));
        vec![
            (TITLE, Value::text(title)),
            (MOOD, self.random.one_of(&[CALM, LOUD])),
            (OWNER, self.random.one_of(&[Value::Null, person(1), person(2)])),
            (SIZE, self.random.one_of(&[Value::Null, Value::Int(1), Value::Int(11)])),
            (PHONE, self.random.one_of(&[Value::Null, Value::text("1"), Value::text("2")])),
        ]
    }
}

const FILTERS: [&str; 8] = [
    "",
    "size > 10",
    "size == 1",
    "mood == \"loud\"",
    "phone == \"1\"",
    "owner == \"01010101-0101-0101-0101-010101010101\" && size != 1",
    "size in [1, 11] || title.contains(\"9\")",
    "id == \"00000000-0000-0000-0000-000000000003\"",
];

fn callers() -> [Context; 4] {
    [anonymous(), ann(), caller(2, &[]), caller(9, &["admin"])]
}

/// What a delivery says.
type Said = (u64, WatchChange, Value, Option<u64>, Option<fourfold_model::Row>);

fn said(delivery: &Delivery) -> Said {
    let item = delivery.item.as_deref().cloned();
    (delivery.cursor.after, delivery.change, delivery.key.clone(), delivery.revision, item)
}

/// What the log says to a caller, judged directly.
fn expected(world: &World, log: &[Event], who: &Context, text: &str) -> Vec<Said> {
    let expr = (!text.is_empty()).then(|| filter(&world.model, NOTE, text).unwrap());
    let prepared = Arc::new(fourfold_plan::watch(&world.model, NOTE, expr.as_ref(), &Limits::default()).unwrap());
    let plan = prepared.bind(who, &[]).unwrap();
    let judge = |event: &Event| {
        let mut images = Images::of(&world.model, event).unwrap();
        let shown = |hidden: Hidden| Images::of(&world.model, event).unwrap().shown(&hidden);
        let (change, revision, item) = match plan.judge(event, &mut images) {
            Verdict::Ignore => return None,
            Verdict::Entered(hidden) => (WatchChange::Entered, Some(event.revision), shown(hidden)),
            Verdict::Changed(hidden) => (WatchChange::Changed, Some(event.revision), shown(hidden)),
            Verdict::Left => (WatchChange::Left, None, None),
            Verdict::Reset => panic!("no rights change here"),
        };
        Some((event.position.0.get(), change, event.key.clone(), revision, item))
    };
    log.iter().filter_map(judge).collect()
}

#[tokio::test]
async fn every_position_resumes_to_the_rest_of_the_uninterrupted_stream() {
    for world in [World::memory().await, World::sqlite().await] {
        let mut writer = Writer::new(7);
        let mut head = world.head().await;
        for _ in 0..12 {
            head = writer.write(&world).await;
        }
        let log = world.log().await;
        for who in callers() {
            for text in FILTERS {
                let whole = expected(&world, &log, &who, text);
                for after in 0..=head.after {
                    let cursor = Cursor { after, ..head.clone() };
                    let mut watch = world.watch(&who, NOTE, text, Start::After(cursor)).await;
                    let told: Vec<Said> = until(&mut watch, head.after).await.iter().map(said).collect();
                    let rest: Vec<Said> = whole.iter().filter(|(position, ..)| *position > after).cloned().collect();
                    assert_eq!(told, rest, "`{text}` after {after}");
                }
            }
        }
    }
}

/// One reader that is cut at random and goes on from the last thing it was told, until it has passed the writer's end.
async fn read_with_cuts(world: World, who: Context, text: &'static str, seed: u64, end: tokio::sync::watch::Receiver<u64>) -> Vec<Said> {
    let mut random = Random::new(seed);
    let mut joined = Vec::new();
    let mut cursor = world.start().await;
    let passed = |cursor: &Cursor| *end.borrow() > 0 && cursor.after >= *end.borrow();
    while !passed(&cursor) {
        let mut watch = world.watch(&who, NOTE, text, Start::After(cursor.clone())).await;
        for _ in 0..random.below(12) {
            if passed(&cursor) {
                break;
            }
            // Cancelled now and then, as a face does that waits for other things too.
            let delivery = tokio::select! {
                biased;
                () = tokio::task::yield_now(), if random.below(3) == 0 => continue,
                told = watch.next() => told.expect("it goes on"),
            };
            cursor = delivery.cursor.clone();
            if delivery.change != WatchChange::Bookmark {
                joined.push(said(&delivery));
            }
        }
    }
    joined
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_joined_over_random_cuts_are_the_log_judged_directly() {
    let tiny = Limits { feed_ring_bytes_max: 20_000, ..limits() };
    for seed in 0..10 {
        let world = match seed % 5 {
            0 => World::sqlite().await,
            1 | 2 => World::limited(tiny.clone()).await,
            _ => World::memory().await,
        };
        let (tell, end) = tokio::sync::watch::channel(0);
        let mut readers = Vec::new();
        for (number, who) in callers().into_iter().enumerate() {
            for (index, text) in FILTERS.into_iter().enumerate() {
                let seed = seed * 1_000 + number as u64 * 10 + index as u64;
                let reading = tokio::spawn(read_with_cuts(world.clone(), who.clone(), text, seed, end.clone()));
                readers.push((who.clone(), text, reading));
            }
        }
        let mut writer = Writer::new(seed);
        let mut head = 0;
        for _ in 0..60 {
            head = writer.write(&world).await.after;
            tokio::task::yield_now().await;
        }
        tell.send_replace(head);
        // Who had come so far before that was told is moved once more.
        let log = world.log().await;
        writer.write(&world).await;
        for (who, text, reading) in readers {
            let mut joined = reading.await.unwrap();
            joined.retain(|(position, ..)| *position <= head);
            assert_eq!(joined, expected(&world, &log, &who, text), "seed {seed}, `{text}`");
        }
        assert_eq!(world.engine.feed_figures().watch_count, 0);
    }
}

/// The notes that a caller may see, and the cursor of their snapshot.
async fn listed(world: &World, who: &Context) -> (BTreeMap<Vec<u8>, fourfold_model::Row>, Cursor) {
    let fields = world.model.entity(NOTE).field_ids().map(|(field, _)| field).collect();
    let select = Select { entity: NOTE, kind: SelectKind::List(List::default()), fields, nested: Vec::new() };
    match world.engine.execute(who, &Operation::Read(vec![select]), &[]).await.unwrap().outcome {
        Outcome::Read(answers, Some(cursor)) => match answers.into_iter().next() {
            Some(Answered::Page(page)) => {
                (page.items.into_iter().map(|record| (key(record.row.value(fourfold_model::KEY)), record.row)).collect(), cursor)
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn key(value: &Value) -> Vec<u8> {
    match value {
        Value::Uuid(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn apply(rows: &mut BTreeMap<Vec<u8>, fourfold_model::Row>, deliveries: &[Delivery]) {
    for delivery in deliveries {
        let before = match &delivery.item {
            Some(item) => rows.insert(key(&delivery.key), (**item).clone()),
            None => rows.remove(&key(&delivery.key)),
        };
        assert_eq!(before.is_some(), delivery.change != WatchChange::Entered, "{delivery:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_a_watch_from_its_cursor_make_the_table() {
    for world in [World::memory().await, World::sqlite().await] {
        let writing = {
            let world = world.clone();
            tokio::spawn(async move {
                let mut writer = Writer::new(3);
                for _ in 0..600 {
                    writer.write(&world).await;
                    tokio::task::yield_now().await;
                }
            })
        };
        for round in 0..200 {
            let who = callers()[round % 4].clone();
            let (mut rows, mut watch) = if round % 2 == 0 {
                let (rows, cursor) = listed(&world, &who).await;
                (rows, world.watch(&who, NOTE, "", Start::After(cursor)).await)
            } else {
                let mut watch = world.watch(&who, NOTE, "", Start::Initial).await;
                let initial = watch.take_initial().unwrap();
                assert_eq!(&initial.cursor, watch.cursor());
                let keyed = initial.records.into_iter().map(|record| (key(record.row.value(fourfold_model::KEY)), record.row));
                (keyed.collect(), watch)
            };
            tokio::task::yield_now().await;
            let (table, now) = listed(&world, &who).await;
            let told = until(&mut watch, now.after).await;
            let upto = told.iter().take_while(|delivery| delivery.cursor.after <= now.after).count();
            apply(&mut rows, &told[..upto]);
            assert_eq!(rows, table, "round {round}");
        }
        writing.await.unwrap();
    }
}

#[tokio::test]
async fn cursors_of_another_log_of_the_future_and_of_before_the_floor_have_expired() {
    for world in [World::memory().await, World::sqlite().await] {
        let head = world.one(note(1, "a")).await;
        let other = Cursor { epoch: Epoch("elsewhere".into()), ..head.clone() };
        let future = Cursor { after: head.after + 1, ..head.clone() };
        for cursor in [other, future] {
            let error = world.try_watch(&ann(), NOTE, "", Start::After(cursor)).await.map(|_| ()).unwrap_err();
            assert_eq!(error.code, ErrorCode::CursorExpired);
        }
        world.try_watch(&ann(), NOTE, "", Start::After(head)).await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_that_begins_now_is_told_the_first_event_of_an_empty_log() {
    for world in [World::memory().await, World::sqlite().await] {
        let mut watch = world.watch(&ann(), NOTE, "", Start::Now).await;
        assert_eq!(watch.cursor(), &world.start().await);
        world.one(note(1, "a")).await;
        assert_eq!(next(&mut watch).await.unwrap().cursor.after, 1);
    }
}

#[tokio::test]
async fn the_rows_to_begin_with_are_bounded_by_name() {
    for (limits, name) in [
        (Limits { watch_initial_rows_max: 2, ..limits() }, "watch_initial_rows_max"),
        (Limits { watch_initial_bytes_max: 100, ..limits() }, "watch_initial_bytes_max"),
    ] {
        let world = World::limited(limits).await;
        world.commit(vec![note(1, "a"), note(2, "b"), note(3, "c")]).await;
        let error = world.try_watch(&ann(), NOTE, "", Start::Initial).await.map(|_| ()).unwrap_err();
        assert_eq!((error.code, error.public.limit.unwrap().name), (ErrorCode::LimitExceeded, name));
        assert_eq!(world.engine.feed_figures().watch_count, 0);
    }
}

#[tokio::test]
async fn a_watch_that_begins_before_the_ring_meets_it_without_a_seam() {
    let world = World::limited(Limits { feed_ring_bytes_max: 10_000, ..limits() }).await;
    let mut live = world.watch(&ann(), NOTE, "", Start::Now).await;
    let start = world.start().await;
    let mut head = start.clone();
    for number in 0..3_000 {
        head = world.one(note(number, "a")).await;
        if number % 200 == 0 {
            until(&mut live, head.after).await;
        }
    }
    until(&mut live, head.after).await;
    assert!(world.engine.feed_figures().feed_ring_bytes <= 10_000);
    let mut late = world.watch(&ann(), NOTE, "", Start::After(start)).await;
    let mut positions = Vec::new();
    // While it comes nearer the log goes on.
    for number in 3_000..3_050 {
        head = world.one(note(number, "b")).await;
        positions.push(next(&mut late).await.unwrap().cursor.after);
    }
    positions.extend(until(&mut late, head.after).await.iter().map(|delivery| delivery.cursor.after));
    assert_eq!(positions, (1..=3_050).collect::<Vec<u64>>());
    assert_eq!(told(&until(&mut live, head.after).await).len(), 50);
}

#[tokio::test]
async fn who_comes_while_a_commit_is_handed_on_is_told_it_once() {
    let world = World::memory().await;
    let mut crowd = Vec::new();
    for number in 0..600 {
        let mut watch = world.watch(&ann(), NOTE, &format!("size > {number}"), Start::Now).await;
        attach(&mut watch).await;
        crowd.push(watch);
    }
    let start = world.head().await;
    world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (SIZE, Value::Int(1_000))])).await;
    // The tailer lets others run while it judges so many: the commit is in the ring, and not everyone has it.
    loop {
        let figures = world.engine.feed_figures();
        if figures.feed_ring_bytes > 0 && figures.feed_lag_positions > 0 {
            break;
        }
        assert_eq!(figures.feed_ring_bytes, 0, "it was handed on at once");
        tokio::task::yield_now().await;
    }
    let mut watch = world.watch(&ann(), NOTE, "size > 599", Start::After(start)).await;
    let mut deliveries = vec![next(&mut watch).await.unwrap()];
    let head = world.one(update(NOTE, 1, vec![(TITLE, Value::text("b"))])).await;
    deliveries.extend(until(&mut watch, head.after).await);
    assert_eq!(told(&deliveries), ["entered 1@1", "changed 1@2"]);
    for watch in &mut crowd {
        assert_eq!(told(&until(watch, head.after).await), ["entered 1@1", "changed 1@2"]);
    }
}
