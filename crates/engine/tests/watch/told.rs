//! Entered, changed, left: by the filter and by the rules; and what is refused.

use fourfold_model::{Value, filter};
use fourfold_op::{Error, ErrorCode, Start, Watch, WatchChange};
use fourfold_store::conformance::world::{anonymous, caller, id};

use crate::world::*;

fn refused<T>(result: Result<T, Error>) -> Error {
    result.map(|_| ()).expect_err("refused")
}

#[tokio::test]
async fn rows_enter_change_and_leave_by_the_filter() {
    for world in [World::memory().await, World::sqlite().await] {
        let mut watch = world.watch(&ann(), NOTE, "size > 10", Start::Now).await;
        world.one(note(1, "unsized")).await;
        world.one(update(NOTE, 1, vec![(SIZE, Value::Int(11))])).await;
        world.one(update(NOTE, 1, vec![(TITLE, Value::text("b"))])).await;
        world.one(update(NOTE, 1, vec![(SIZE, Value::Int(10))])).await;
        world.one(update(NOTE, 1, vec![(TITLE, Value::text("c"))])).await;
        world.one(update(NOTE, 1, vec![(SIZE, Value::Int(12))])).await;
        let head = world.one(delete(NOTE, 1)).await;
        let deliveries = until(&mut watch, head.after).await;
        assert_eq!(told(&deliveries), ["entered 1@2", "changed 1@3", "left 1", "entered 1@6", "left 1"]);
        assert!(deliveries.iter().all(|delivery| delivery.at > 0 && delivery.commit_last));
        assert_eq!(deliveries.iter().map(|delivery| delivery.cursor.after).collect::<Vec<_>>(), [2, 3, 4, 6, 7]);
    }
}

#[tokio::test]
async fn rows_enter_and_leave_by_the_rules() {
    let world = World::memory().await;
    let mut hers = world.watch(&ann(), NOTE, "", Start::Now).await;
    let mut nobodys = world.watch(&anonymous(), NOTE, "", Start::Now).await;
    let mut admins = world.watch(&caller(2, &["admin"]), NOTE, "", Start::Now).await;
    world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (MOOD, LOUD)])).await;
    world.one(update(NOTE, 1, vec![(OWNER, person(1))])).await;
    world.one(update(NOTE, 1, vec![(MOOD, CALM)])).await;
    world.one(update(NOTE, 1, vec![(OWNER, person(2))])).await;
    world.one(update(NOTE, 1, vec![(MOOD, LOUD)])).await;
    let head = world.one(delete(NOTE, 1)).await;
    assert_eq!(told(&until(&mut hers, head.after).await), ["entered 1@2", "changed 1@3", "changed 1@4", "left 1"]);
    assert_eq!(told(&until(&mut nobodys, head.after).await), ["entered 1@3", "changed 1@4", "left 1"]);
    assert_eq!(
        told(&until(&mut admins, head.after).await),
        ["entered 1@1", "changed 1@2", "changed 1@3", "changed 1@4", "changed 1@5", "left 1"]
    );
}

#[tokio::test]
async fn what_is_masked_is_null_and_cannot_be_filtered_by() {
    let world = World::memory().await;
    let mut hers = world.watch(&ann(), NOTE, "", Start::Now).await;
    let mut nobodys = world.watch(&anonymous(), NOTE, "", Start::Now).await;
    let mut guess = world.watch(&anonymous(), NOTE, "phone == \"123\"", Start::Now).await;
    let mut own = world.watch(&ann(), NOTE, "phone == \"123\"", Start::Now).await;
    world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (OWNER, person(1)), (PHONE, Value::text("123"))])).await;
    let head = world.one(update(NOTE, 1, vec![(OWNER, person(2))])).await;
    let phones = |deliveries: Vec<fourfold_engine::Delivery>| {
        deliveries.iter().map(|delivery| delivery.item.as_ref().unwrap().value(PHONE).clone()).collect::<Vec<_>>()
    };
    assert_eq!(phones(until(&mut hers, head.after).await), [Value::text("123"), Value::Null]);
    assert_eq!(phones(until(&mut nobodys, head.after).await), [Value::Null, Value::Null]);
    assert_eq!(told(&until(&mut guess, head.after).await), [""; 0]);
    assert_eq!(told(&until(&mut own, head.after).await), ["entered 1@1", "left 1"], "with the mask the value leaves too");
}

#[tokio::test]
async fn a_commit_is_handed_out_whole() {
    let world = World::memory().await;
    let mut watch = world.watch(&ann(), NOTE, "size > 0", Start::Now).await;
    let sized = |key, size| create(NOTE, key, vec![(TITLE, Value::text("a")), (SIZE, Value::Int(size))]);
    let head = world.commit(vec![sized(1, 1), sized(2, 0), sized(3, 1), sized(4, 0)]).await;
    let deliveries = until(&mut watch, head.after).await;
    assert_eq!(told(&deliveries), ["entered 1@1", "entered 3@1"]);
    assert_eq!(deliveries.iter().map(|delivery| delivery.commit_last).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn the_values_of_a_filter_come_with_the_request() {
    use fourfold_model::expr::Compare;
    use fourfold_model::{Base, Expr, ExprKind, ExprType};
    let world = World::memory().await;
    let value = Expr { kind: ExprKind::Value(0), ty: ExprType::one(Base::Uuid) };
    let field = Expr::field(OWNER, ExprType::one(Base::Uuid));
    let filter = Some(Expr::boolean(ExprKind::Compare(Compare::Equal, Box::new(field), Box::new(value))));
    let asked = Watch { filter, ..world.asked(NOTE, "", Start::Now) };
    let mut watch = world.engine.watch(&ann(), &asked, &[person(3)]).await.unwrap();
    world.one(create(NOTE, 1, vec![(TITLE, Value::text("a")), (OWNER, person(4))])).await;
    let head = world.one(create(NOTE, 2, vec![(TITLE, Value::text("a")), (OWNER, person(3))])).await;
    assert_eq!(told(&until(&mut watch, head.after).await), ["entered 2@1"]);
    let wrong = world.engine.watch(&ann(), &asked, &[Value::Int(3)]).await;
    assert_eq!(refused(wrong).code, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_and_says_why() {
    let world = World::memory().await;
    let odd = refused(world.try_watch(&ann(), ODDITY, "", Start::Now).await);
    assert_eq!(odd.code, ErrorCode::FailedPrecondition);
    assert!(odd.public.message.contains("room.title == \"odd\""), "{odd}");
    let off = refused(world.try_watch(&ann(), UNWATCHED, "", Start::Now).await);
    assert_eq!(off.code, ErrorCode::FailedPrecondition);
    assert!(off.public.message.contains("@@watch(false)"), "{off}");
    for text in ["room.title == \"odd\"", "room.members.exists(m, m.alias == \"x\")"] {
        assert!(filter(&world.model, MESSAGE, text).is_ok(), "a list takes it");
        assert_eq!(refused(world.try_watch(&ann(), MESSAGE, text, Start::Now).await).code, ErrorCode::InvalidArgument, "{text}");
    }
    assert_eq!(world.engine.feed_figures().watch_count, 0);
}

#[tokio::test]
async fn bookmarks_tell_how_far_a_quiet_watch_has_come() {
    let world = World::memory().await;
    let mut watch = world.watch(&ann(), NOTE, "size > 10", Start::Now).await;
    let head = world.one(note(1, "a")).await;
    let told = watch.next().await.unwrap();
    assert_eq!((told.change, &told.cursor, &told.key), (WatchChange::Bookmark, &head, &Value::Null));
    assert!(told.item.is_none() && told.revision.is_none());
    let head = world.one(create(NOTE, 2, vec![(TITLE, Value::text("b")), (SIZE, Value::Int(11))])).await;
    let told = watch.next().await.unwrap();
    assert_eq!((told.change, &told.cursor, &told.key), (WatchChange::Entered, &head, &id(2)), "nothing moved between the two");
}

#[tokio::test]
async fn without_bookmarks_there_are_none() {
    let world = World::memory().await;
    let asked = Watch { bookmarks: false, ..world.asked(NOTE, "size > 10", Start::Now) };
    let mut watch = world.engine.watch(&ann(), &asked, &[]).await.unwrap();
    world.one(note(1, "a")).await;
    world.one(create(NOTE, 2, vec![(TITLE, Value::text("b")), (SIZE, Value::Int(11))])).await;
    assert_eq!(watch.next().await.unwrap().change, WatchChange::Entered);
}
