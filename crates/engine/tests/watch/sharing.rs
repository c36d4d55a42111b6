//! What many watches cost: counted, not timed.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{EncodingKey, Subscription};
use fourfold_model::{Base, Expr, ExprKind, ExprType, FieldId, Value};
use fourfold_op::{Context, Start, Watch};
use fourfold_store::conformance::world::{anonymous, caller, id};

use crate::world::*;

async fn equal(world: &World, who: &Context, field: FieldId, base: Base, value: Value) -> Subscription {
    use fourfold_model::expr::Compare;
    let one = Expr { kind: ExprKind::Value(0), ty: ExprType::one(base) };
    let column = Expr::field(field, ExprType::one(base));
    let filter = Some(Expr::boolean(ExprKind::Compare(Compare::Equal, Box::new(column), Box::new(one))));
    let asked = Watch { filter, ..world.asked(NOTE, "", Start::Now) };
    let mut watch = world.engine.watch(who, &asked, &[value]).await.unwrap();
    // The first look attaches it.
    attach(&mut watch).await;
    watch
}

/// Judgements that some writes cost.
async fn judged(world: &World, asks: Vec<Ask>, watch: &mut Subscription) -> u64 {
    let before = world.engine.feed_figures().judged_total;
    let mut head = world.head().await;
    for ask in asks {
        head = world.one(ask).await;
    }
    until(watch, head.after).await;
    world.engine.feed_figures().judged_total - before
}

#[tokio::test]
async fn a_hundred_times_the_watches_cost_no_more_judgements() {
    let mut costs = Vec::new();
    for count in [100u16, 10_000] {
        let world = World::memory().await;
        let mut watches = Vec::new();
        for number in 0..count {
            // By a claim, by a value of the request, by the key.
            watches.push(match number % 3 {
                0 => equal(&world, &anonymous(), TITLE, Base::String, Value::text(format!("t{number}"))).await,
                1 => equal(&world, &anonymous(), OWNER, Base::Uuid, id(number)).await,
                _ => equal(&world, &anonymous(), fourfold_model::KEY, Base::Uuid, id(number)).await,
            });
        }
        let titled = |key, title: u16| vec![note(key, &format!("t{title}"))];
        let moved = |key, title: u16| update(NOTE, key, vec![(TITLE, Value::text(format!("t{title}")))]);
        let asks = [titled(20_001, 3), titled(20_002, 4), titled(50, 5), vec![moved(20_001, 6), moved(50, 9), delete(NOTE, 50)]];
        costs.push(judged(&world, asks.into_iter().flatten().collect(), &mut watches[3]).await);
        let told = until(&mut watches[3], world.head().await.after).await;
        assert!(told.is_empty(), "`t3` was told before");
    }
    assert_eq!(costs[0], costs[1], "judgements of six events before 100 and before 10,000 watches");
    assert_eq!(costs[0], 8);
}

#[tokio::test]
async fn a_rule_that_pins_the_caller_is_an_index_too() {
    let world = World::memory().await;
    world.commit((1..=50).map(|key| create(ROOM, key, vec![(TITLE, Value::text("room"))])).collect()).await;
    let member = |user: u8| create(MEMBER, 1_000 + u16::from(user), vec![(OF_ROOM, id(u16::from(user))), (USER, person(user))]);
    world.commit((1..=50).map(member).collect()).await;
    let mut watches = Vec::new();
    for user in 1..=50 {
        let mut watch = world.watch(&caller(user, &[]), MESSAGE, "", Start::Now).await;
        attach(&mut watch).await;
        watches.push(watch);
    }
    let message = |key, room| create(MESSAGE, key, vec![(OF_ROOM, id(room)), (TEXT, Value::text("hello"))]);
    let cost = judged(&world, vec![message(2_001, 7), message(2_002, 8)], &mut watches[6]).await;
    assert_eq!(cost, 2, "each message is judged for the one member of its room");
    let cost = judged(&world, vec![update(MEMBER, 1_007, vec![(ALIAS, Value::text("x"))])], &mut watches[6]).await;
    assert_eq!(cost, 1, "and a membership for the one whom it is about");
}

#[tokio::test]
async fn what_is_alike_is_judged_once_and_encoded_once() {
    let world = World::memory().await;
    let mut watches = Vec::new();
    for number in 0..300 {
        // Another caller each, of whom the rules ask nothing that tells them apart.
        let who = if number % 3 == 0 { caller(100, &["admin"]) } else { anonymous() };
        let asked = Watch { bookmarks: false, ..world.asked(NOTE, if number % 2 == 0 { "" } else { "size > 10" }, Start::Now) };
        let mut watch = world.engine.watch(&who, &asked, &[]).await.unwrap();
        attach(&mut watch).await;
        watches.push(watch);
    }
    let before = world.engine.feed_figures().judged_total;
    world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (SIZE, Value::Int(11)), (PHONE, Value::text("1"))])).await;
    let mut made = 0;
    let mut rows = Vec::new();
    for watch in &mut watches {
        let delivery = next(watch).await.unwrap();
        for (format, shape) in [("sse", "id,title"), ("sse", "id"), ("grpc", "id")] {
            let key = EncodingKey { format, shape: Arc::from(shape) };
            let text = format!("{format} {shape} {:?}", delivery.item.as_ref().unwrap().value(PHONE));
            let bytes = delivery.encoded(&key, || {
                made += 1;
                Bytes::from(text.clone())
            });
            assert_eq!(bytes, text, "never the bytes of another form or mask");
        }
        rows.push(delivery.item.unwrap());
    }
    assert_eq!(world.engine.feed_figures().judged_total - before, 4, "two filters, two kinds of caller");
    assert_eq!(made, 6, "three forms, two masks");
    assert!(rows.chunks(6).all(|six| Arc::ptr_eq(&six[0], &rows[0]) && Arc::ptr_eq(&six[1], &rows[1])), "rows are shared");
}

#[tokio::test]
async fn who_leaves_is_no_longer_judged() {
    let world = World::memory().await;
    let mut stays = world.watch(&anonymous(), NOTE, "", Start::Now).await;
    attach(&mut stays).await;
    for text in ["size > 1", "size == 1", "owner == \"01010101-0101-0101-0101-010101010101\"", "size in [1, 2]"] {
        let mut leaves = world.watch(&anonymous(), NOTE, text, Start::Now).await;
        attach(&mut leaves).await;
    }
    let asks = vec![create(NOTE, 1, vec![(TITLE, Value::text("a")), (SIZE, Value::Int(1)), (OWNER, person(1))])];
    assert_eq!(judged(&world, asks, &mut stays).await, 1);
}
