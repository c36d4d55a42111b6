//! Rules and masks: what a caller may not see does not exist for it, and one shape serves every caller.

use fourfold_model::expr::Compare;
use fourfold_model::{Base, FieldId, KEY, Value};
use fourfold_op::{ErrorCode, Joined, List, Nested, OrderBy, WriteKind};

use super::fixture::*;
use super::world::{Ask, World, admin, anonymous, caller, create, delete, id, list, titles, update};

cases! {
    hidden_rows_do_not_exist
    an_anonymous_caller_owns_nothing
    masked_fields_are_null_before_filter_and_order
    a_create_is_judged_by_the_new_row
    an_update_is_judged_by_both_rows
    fields_limit_what_a_rule_lets_set
    a_hidden_row_is_absent_to_writes
    a_hidden_target_is_null
    no_rule_means_nobody
}

fn person_id(number: u8) -> Value {
    Value::Uuid([number; 16])
}

/// Callers 1 and 2 are persons with a phone; each has a draft and there is a live item of nobody.
async fn two(world: &World) {
    for number in [1, 2] {
        let set = vec![(person::NAME, Value::text(format!("p{number}"))), (person::PHONE, Value::text(format!("+{number}")))];
        world.one(&admin(), create(PERSON, Some(person_id(number)), set)).await;
        world.item(number.into(), &format!("draft {number}"), vec![(item::OWNER, person_id(number))]).await;
    }
    world.item(3, "live", vec![(item::STATE, LIVE)]).await;
}

async fn hidden_rows_do_not_exist(world: World) {
    two(&world).await;
    for _ in 0..2 {
        for (who, expect) in [(caller(1, &[]), "draft 1"), (caller(2, &[]), "draft 2")] {
            let (page, _) = world.page(&who, ITEM, List { total: true, ..list(None) }, Vec::new(), &[]).await;
            assert_eq!((titles(&page), page.total), (vec![expect.to_owned(), "live".to_owned()], Some(2)), "interleaved callers");
        }
    }
    assert!(world.get(&caller(1, &[]), ITEM, id(2)).await.is_none());
    assert!(world.get(&caller(2, &[]), ITEM, id(2)).await.is_some());
    assert_eq!(world.groups(&caller(1, &[]), Vec::new(), vec![fourfold_op::Measure::Count]).await.expect("groups"), [vec![Value::Int(2)]]);
}

async fn an_anonymous_caller_owns_nothing(world: World) {
    two(&world).await;
    world.item(4, "of nobody", vec![]).await;
    let (page, _) = world.page(&anonymous(), ITEM, list(None), Vec::new(), &[]).await;
    assert_eq!(titles(&page), ["live"], "null is not null's");
}

async fn masked_fields_are_null_before_filter_and_order(world: World) {
    two(&world).await;
    let phone = |number| compare(Compare::Equal, column(person::PHONE, Base::String), literal(Value::text(number), Base::String));
    for (who, number, seen) in [(caller(1, &[]), "+1", 1), (caller(1, &[]), "+2", 0), (caller(2, &[]), "+2", 1), (admin(), "+1", 1)] {
        let (page, _) = world.page(&who, PERSON, list(Some(phone(number))), Vec::new(), &[]).await;
        assert_eq!(page.items.len(), seen, "{number}");
    }
    let order = vec![OrderBy { hops: Vec::new(), field: person::PHONE, descending: true }];
    let (page, _) = world.page(&caller(1, &[]), PERSON, List { order, ..list(None) }, Vec::new(), &[]).await;
    let phones: Vec<&Value> = page.items.iter().map(|one| one.row.value(person::PHONE)).collect();
    assert_eq!(phones, [&Value::text("+1"), &Value::Null], "a masked field orders as null");
    let answer = world.one(&caller(1, &[]), update(PERSON, person_id(2), vec![(person::NAME, Value::text("n"))])).await.answer;
    assert_eq!(answer.expect("a row").value(person::PHONE), &Value::Null, "a write's answer is masked too");
    assert_eq!(world.get(&admin(), PERSON, person_id(2)).await.expect("a row").value(person::PHONE), &Value::text("+2"));
}

async fn a_create_is_judged_by_the_new_row(world: World) {
    two(&world).await;
    let of = |owner| create(ITEM, None, vec![(item::TITLE, Value::text("mine")), (item::OWNER, person_id(owner))]);
    world.one(&caller(1, &[]), of(1)).await;
    world.refused(&caller(1, &[]), of(2), ErrorCode::PermissionDenied).await;
    world.refused(&anonymous(), of(1), ErrorCode::PermissionDenied).await;
    assert_eq!(world.store.count(&world.model, ITEM).await.expect("a count"), 4);
}

async fn an_update_is_judged_by_both_rows(world: World) {
    two(&world).await;
    let take = |number, owner| update(ITEM, id(number), vec![(item::OWNER, person_id(owner))]);
    world.refused(&caller(1, &[]), take(1, 2), ErrorCode::PermissionDenied).await;
    world.refused(&caller(1, &[]), take(3, 1), ErrorCode::PermissionDenied).await;
    let row = world.get(&admin(), ITEM, id(1)).await.expect("a row");
    assert_eq!((row.value(item::OWNER), row.revision()), (&person_id(1), 1), "nothing was written");
}

async fn fields_limit_what_a_rule_lets_set(world: World) {
    two(&world).await;
    world.one(&caller(1, &[]), update(ITEM, id(1), vec![(item::TITLE, Value::text("t"))])).await;
    let error = world.refused(&caller(1, &[]), update(ITEM, id(1), vec![(item::STATE, LIVE)]), ErrorCode::PermissionDenied).await;
    assert_eq!(error.public.errors.first().map(|one| one.pointer.as_str()), Some("/state"));
    world.one(&admin(), update(ITEM, id(1), vec![(item::STATE, LIVE)])).await;
}

async fn a_hidden_row_is_absent_to_writes(world: World) {
    two(&world).await;
    let who = caller(1, &[]);
    world.refused(&who, update(ITEM, id(2), vec![(item::TITLE, Value::text("t"))]), ErrorCode::NotFound).await;
    world.refused(&who, delete(ITEM, id(2)), ErrorCode::NotFound).await;
    let kind = WriteKind::Upsert { create_only: false, update_only: false };
    let set = vec![(item::TITLE, Value::text("t")), (item::OWNER, person_id(1))];
    world.refused(&who, Ask { entity: ITEM, kind, key: Some(id(2)), set, if_revision: None }, ErrorCode::AlreadyExists).await;
    world.refused(&who, delete(ITEM, id(3)), ErrorCode::PermissionDenied).await;
}

async fn a_hidden_target_is_null(world: World) {
    two(&world).await;
    world.item(4, "child", vec![(item::STATE, LIVE), (item::PARENT, id(1))]).await;
    let parent = Nested { relation: item::TO_PARENT, fields: vec![KEY, item::TITLE], nested: Vec::new(), list: List::default() };
    for (who, visible) in [(caller(1, &[]), true), (caller(2, &[]), false)] {
        let filter = compare(Compare::Equal, column(item::TITLE, Base::String), literal(Value::text("child"), Base::String));
        let (page, _) = world.page(&who, ITEM, list(Some(filter)), vec![parent.clone()], &[]).await;
        assert_eq!(matches!(page.items[0].nested[0], Joined::One(Some(_))), visible);
        let through =
            compare(Compare::Equal, over(&[item::TO_PARENT], item::TITLE, Base::String), literal(Value::text("draft 1"), Base::String));
        assert_eq!(world.titles(&who, through).await.len(), usize::from(visible), "a filter sees no more");
    }
    let set = vec![(item::TITLE, Value::text("x")), (item::OWNER, person_id(2)), (item::PARENT, id(1))];
    world.refused(&caller(2, &[]), create(ITEM, None, set), ErrorCode::InvalidArgument).await;
}

async fn no_rule_means_nobody(world: World) {
    let made = world.one(&admin(), create(ENTRY, None, vec![(FieldId(2), Value::text("hi"))])).await;
    let ask = Ask { if_revision: Some(1), ..delete(ENTRY, made.key) };
    world.refused(&admin(), ask, ErrorCode::PermissionDenied).await;
}
