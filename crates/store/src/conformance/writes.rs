//! Writes: constraints, uniqueness, references, revisions, owned lists, batches, rows that stand alone.

use fourfold_model::{FieldId, Value};
use fourfold_op::{Change, ErrorCode, WriteKind};

use super::fixture::*;
use super::world::{Ask, World, admin, create, delete, id, update};
use crate::store::{CommitError, Entities};

cases! {
    revisions_rise_by_one_and_stay_when_nothing_changes
    a_stale_revision_is_refused
    a_revision_is_required_where_the_model_says_so
    a_key_never_repeats_a_revision
    unique_values_are_refused_and_nulls_are_not
    references_must_lead_to_rows
    restrict_keeps_what_is_referenced
    cascades_go_all_the_way_down
    null_clears_the_column
    owned_lists_are_replaced_whole
    what_the_server_sets_is_set
    counters_stay_above_what_is_there
    constraints_name_the_field
    upsert_replaces_or_creates
    merge_keeps_what_is_not_set
    a_batch_is_all_or_nothing
    rows_that_stand_alone_fail_alone
    many_rows_that_stand_alone_see_each_other
    a_commit_has_limits
}

const TEXT: FieldId = FieldId(2);
const STARS: FieldId = FieldId(3);
const SOURCE: FieldId = FieldId(4);

fn title(text: &str) -> Vec<(FieldId, Value)> {
    vec![(item::TITLE, Value::text(text))]
}

async fn person(world: &World, number: u16, name: &str) {
    world.one(&admin(), create(PERSON, Some(id(number)), vec![(person::NAME, Value::text(name))])).await;
}

async fn revisions_rise_by_one_and_stay_when_nothing_changes(world: World) {
    let made = world.item(1, "a", vec![]).await;
    assert_eq!((made.revision, made.change), (1, Some(Change::Created)));
    let changed = world.one(&admin(), update(ITEM, id(1), title("b"))).await;
    assert_eq!((changed.revision, changed.change), (2, Some(Change::Updated)));
    let same = world.one(&admin(), update(ITEM, id(1), title("b"))).await;
    assert_eq!((same.revision, same.change), (2, None));
    assert_eq!(world.events(&Entities::All).await.len(), 2, "what changes nothing is no event");
}

async fn a_stale_revision_is_refused(world: World) {
    world.item(1, "a", vec![]).await;
    let based_on = |revision, ask| Ask { if_revision: Some(revision), ..ask };
    world.one(&admin(), based_on(1, update(ITEM, id(1), title("b")))).await;
    world.refused(&admin(), based_on(1, update(ITEM, id(1), title("c"))), ErrorCode::RevisionMismatch).await;
    world.refused(&admin(), based_on(1, delete(ITEM, id(1))), ErrorCode::RevisionMismatch).await;
    world.refused(&admin(), based_on(1, update(ITEM, id(9), title("c"))), ErrorCode::NotFound).await;
    world.one(&admin(), based_on(2, delete(ITEM, id(1)))).await;
}

async fn a_revision_is_required_where_the_model_says_so(world: World) {
    let made = world.one(&admin(), create(ENTRY, None, vec![(TEXT, Value::text("hi"))])).await;
    let ask = || update(ENTRY, made.key.clone(), vec![(TEXT, Value::text("ho"))]);
    world.refused(&admin(), ask(), ErrorCode::RevisionRequired).await;
    world.one(&admin(), Ask { if_revision: Some(1), ..ask() }).await;
}

async fn a_key_never_repeats_a_revision(world: World) {
    world.item(1, "a", vec![]).await;
    world.one(&admin(), update(ITEM, id(1), title("b"))).await;
    let gone = world.one(&admin(), delete(ITEM, id(1))).await;
    assert_eq!((gone.revision, gone.change), (3, Some(Change::Deleted)));
    world.refused(&admin(), delete(ITEM, id(1)), ErrorCode::NotFound).await;
    let again = world.item(1, "c", vec![]).await;
    assert!(again.revision > 3, "a new row goes on above the old one's, not at {}", again.revision);
    world.refused(&admin(), create(ITEM, Some(id(1)), title("d")), ErrorCode::AlreadyExists).await;
}

async fn unique_values_are_refused_and_nulls_are_not(world: World) {
    let sku = |text: &str| vec![(item::SKU, Value::text(text))];
    world.item(1, "a", sku("A")).await;
    world.item(2, "b", sku("B")).await;
    world.item(3, "null", vec![]).await;
    world.item(4, "null", vec![]).await;
    let mut taken = sku("A");
    taken.extend(title("c"));
    let error = world.refused(&admin(), create(ITEM, None, taken), ErrorCode::AlreadyExists).await;
    assert_eq!(error.public.errors.first().map(|one| one.pointer.as_str()), Some("/sku"));
    world.refused(&admin(), update(ITEM, id(2), sku("A")), ErrorCode::AlreadyExists).await;
    world.one(&admin(), update(ITEM, id(1), sku("a"))).await;
    world.one(&admin(), update(ITEM, id(2), sku("A"))).await;
}

async fn references_must_lead_to_rows(world: World) {
    let mut set = title("a");
    set.push((item::OWNER, id(50)));
    let error = world.refused(&admin(), create(ITEM, Some(id(1)), set.clone()), ErrorCode::InvalidArgument).await;
    assert_eq!(error.public.errors.first().map(|one| one.pointer.as_str()), Some("/owner_id"));
    person(&world, 50, "Ann").await;
    world.one(&admin(), create(ITEM, Some(id(1)), set)).await;
}

async fn restrict_keeps_what_is_referenced(world: World) {
    person(&world, 50, "Ann").await;
    world.item(1, "a", vec![(item::OWNER, id(50))]).await;
    world.refused(&admin(), delete(PERSON, id(50)), ErrorCode::FailedPrecondition).await;
    assert!(world.get(&admin(), PERSON, id(50)).await.is_some());
    world.one(&admin(), delete(ITEM, id(1))).await;
    world.one(&admin(), delete(PERSON, id(50))).await;
}

async fn cascades_go_all_the_way_down(world: World) {
    world.item(1, "root", vec![]).await;
    world.item(2, "child", vec![(item::PARENT, id(1))]).await;
    world.item(3, "grandchild", vec![(item::PARENT, id(2))]).await;
    world.item(4, "itself", vec![(item::PARENT, id(4))]).await;
    world.one(&admin(), delete(ITEM, id(4))).await;
    world.one(&admin(), delete(ITEM, id(1))).await;
    assert_eq!(world.store.count(&world.model, ITEM).await.expect("a count"), 0);
    let events = world.events(&Entities::All).await;
    let gone: Vec<_> = events.iter().rev().take(3).collect();
    assert!(gone.iter().all(|event| event.after.is_none() && event.commit_last == gone[0].position), "one commit, an event for each");
}

async fn null_clears_the_column(world: World) {
    person(&world, 50, "Ann").await;
    world.item(1, "a", vec![(item::HELPER, id(50))]).await;
    world.one(&admin(), delete(PERSON, id(50))).await;
    let row = world.get(&admin(), ITEM, id(1)).await.expect("it stays");
    assert_eq!((row.value(item::HELPER), row.revision()), (&Value::Null, 2));
}

async fn owned_lists_are_replaced_whole(world: World) {
    let lines = |lines: Vec<_>| vec![(item::LINES, Value::Owned(lines.into()))];
    world.item(1, "a", lines(vec![line("b", 1, 100), line("a", 2, 100)])).await;
    let made = world.get(&admin(), ITEM, id(1)).await.expect("a row");
    assert_eq!(made.value(item::LINES), &Value::Owned([line("b", 1, 100), line("a", 2, 100)].into()), "in the order given");
    world.one(&admin(), update(ITEM, id(1), lines(vec![line("c", 3, 50)]))).await;
    let row = world.get(&admin(), ITEM, id(1)).await.expect("a row");
    assert_eq!(row.value(item::LINES), &Value::Owned([line("c", 3, 50)].into()));
    assert_eq!(row.value(item::TOTAL), &Value::Decimal(fourfold_model::Decimal { unscaled: 150, scale: 2 }));
    assert_eq!(row.revision(), 2, "one revision, whatever changed in the list");
    world.one(&admin(), update(ITEM, id(1), lines(vec![]))).await;
    assert_eq!(world.get(&admin(), ITEM, id(1)).await.expect("a row").value(item::LINES), &Value::Owned([].into()));
    world.one(&admin(), delete(ITEM, id(1))).await;
    world.item(1, "again", vec![]).await;
    let again = world.get(&admin(), ITEM, id(1)).await.expect("a row");
    assert_eq!(again.value(item::LINES), &Value::Owned([].into()), "nothing is left of the old row's list");
}

async fn what_the_server_sets_is_set(world: World) {
    person(&world, 50, "Ann").await;
    world.item(1, "a", vec![(item::OWNER, id(50))]).await;
    assert_eq!(world.get(&admin(), ITEM, id(1)).await.expect("a row").value(item::OWNER_NAME), &Value::text("Ann"));
    let refused = update(ITEM, id(1), vec![(item::OWNER_NAME, Value::text("Bob"))]);
    world.refused(&admin(), refused, ErrorCode::InvalidArgument).await;
    let made = world.one(&admin(), create(ITEM, None, title("keyed"))).await;
    let Value::Uuid(key) = made.key else { panic!("a key is made") };
    assert_eq!((key[6] >> 4, key[8] >> 6), (7, 2), "a UUID of version 7");
}

async fn counters_stay_above_what_is_there(world: World) {
    let text = |text: &str| vec![(TEXT, Value::text(text))];
    let first = world.one(&admin(), create(ENTRY, None, text("a"))).await.key;
    let second = world.one(&admin(), create(ENTRY, None, text("b"))).await.key;
    assert_eq!((first, second), (Value::Int(1), Value::Int(2)));
    world.one(&admin(), create(ENTRY, Some(Value::Int(10)), text("c"))).await;
    assert_eq!(world.one(&admin(), create(ENTRY, None, text("d"))).await.key, Value::Int(11));
    let two = vec![create(ENTRY, None, text("e")), create(ENTRY, None, text("f"))];
    let steps = world.commit_with(&admin(), two, false, Vec::new()).await.expect("committed").steps;
    let keys: Vec<Value> = steps.into_iter().map(|step| step.expect("a step").key).collect();
    assert_eq!(keys, [Value::Int(12), Value::Int(13)], "two of one commit differ");
}

async fn constraints_name_the_field(world: World) {
    let bad = |field, value| vec![(TEXT, Value::text("fine")), (field, value)];
    let cases = [
        (vec![(TEXT, Value::text(""))], "/text"),
        (vec![(TEXT, Value::text("ä".repeat(41)))], "/text"),
        (vec![(TEXT, Value::text("no!"))], "/text"),
        (vec![], "/text"),
        (bad(STARS, Value::Int(0)), "/stars"),
        (bad(STARS, Value::Int(6)), "/stars"),
        (bad(STARS, Value::text("x")), "/stars"),
    ];
    for (set, pointer) in cases {
        let error = world.refused(&admin(), create(ENTRY, None, set), ErrorCode::InvalidArgument).await;
        assert_eq!(error.public.errors.first().map(|one| one.pointer.as_str()), Some(pointer), "{error}");
    }
    world.one(&admin(), create(ENTRY, None, vec![(TEXT, Value::text("ä".repeat(40))), (SOURCE, Value::text("s"))])).await;
    let ask = Ask { if_revision: Some(1), ..update(ENTRY, Value::Int(1), vec![(SOURCE, Value::text("t"))]) };
    world.refused(&admin(), ask, ErrorCode::InvalidArgument).await;
}

fn upsert(create_only: bool, update_only: bool, set: Vec<(FieldId, Value)>) -> Ask {
    Ask { entity: ITEM, kind: WriteKind::Upsert { create_only, update_only }, key: Some(id(1)), set, if_revision: None }
}

async fn upsert_replaces_or_creates(world: World) {
    world.refused(&admin(), upsert(false, true, title("a")), ErrorCode::NotFound).await;
    let mut set = title("a");
    set.extend([(item::NOTE, Value::text("n")), (item::STATE, LIVE)]);
    let made = world.one(&admin(), upsert(false, false, set)).await;
    assert_eq!(made.change, Some(Change::Created));
    world.refused(&admin(), upsert(true, false, title("b")), ErrorCode::AlreadyExists).await;
    let replaced = world.one(&admin(), upsert(false, false, title("b"))).await;
    assert_eq!((replaced.change, replaced.revision), (Some(Change::Updated), 2));
    let row = world.get(&admin(), ITEM, id(1)).await.expect("a row");
    assert_eq!((row.value(item::NOTE), row.value(item::STATE)), (&Value::Null, &DRAFT), "what is absent gets its default, else null");
}

async fn merge_keeps_what_is_not_set(world: World) {
    let merge = |set| Ask { entity: ITEM, kind: WriteKind::Merge, key: Some(id(1)), set, if_revision: None };
    let mut set = title("a");
    set.push((item::NOTE, Value::text("n")));
    assert_eq!(world.one(&admin(), merge(set)).await.change, Some(Change::Created));
    world.one(&admin(), merge(title("b"))).await;
    assert_eq!(world.get(&admin(), ITEM, id(1)).await.expect("a row").value(item::NOTE), &Value::text("n"));
}

async fn a_batch_is_all_or_nothing(world: World) {
    world.item(1, "a", vec![]).await;
    let batch = vec![update(ITEM, id(1), title("b")), create(ITEM, Some(id(2)), title("c")), delete(ITEM, id(99))];
    match world.commit_with(&admin(), batch, false, Vec::new()).await {
        Err(CommitError::Refused(error)) => {
            assert_eq!((error.code, error.public.operation), (ErrorCode::NotFound, Some(2)), "it says which one");
        }
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(world.get(&admin(), ITEM, id(1)).await.expect("a row").revision(), 1);
    assert!(world.get(&admin(), ITEM, id(2)).await.is_none());
    let mut child = title("child");
    child.push((item::PARENT, id(3)));
    let batch = vec![create(ITEM, Some(id(3)), title("parent")), create(ITEM, Some(id(4)), child), update(ITEM, id(3), title("p"))];
    let committed = world.commit_with(&admin(), batch, false, Vec::new()).await.expect("committed");
    assert_eq!(committed.steps.len(), 3, "a step sees those before it");
}

async fn rows_that_stand_alone_fail_alone(world: World) {
    let text = |text: &str| create(ENTRY, None, vec![(TEXT, Value::text(text))]);
    let with_key = |key| create(ENTRY, Some(Value::Int(key)), vec![(TEXT, Value::text("k"))]);
    let rows = vec![text("a"), with_key(7), with_key(7), text("b")];
    let committed = world.commit_with(&admin(), rows, true, Vec::new()).await.expect("committed");
    let codes: Vec<Option<ErrorCode>> = committed.steps.iter().map(|step| step.as_ref().err().map(|error| error.code)).collect();
    assert_eq!(codes, [None, None, Some(ErrorCode::AlreadyExists), None]);
    assert_eq!(world.store.count(&world.model, ENTRY).await.expect("a count"), 3);
    let events = world.events(&Entities::All).await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.commit_last == events[2].position), "one commit");
}

/// As many rows as a store may write several at a time, with some among them that meet others before or behind them.
async fn many_rows_that_stand_alone_see_each_other(world: World) {
    const ROWS: i64 = 150;
    let refused = [5, 31, 32, 33, 100];
    let named = |number: i64| {
        let number = if refused.contains(&number) { number - 4 } else { number };
        create(PERSON, None, vec![(person::NAME, Value::text("P")), (person::EMAIL, Value::text(format!("{number}@example.org")))])
    };
    let committed = world.commit_with(&admin(), (0..ROWS).map(named).collect(), true, Vec::new()).await.expect("committed");
    let failed: Vec<i64> = (0..ROWS).zip(&committed.steps).filter(|(_, step)| step.is_err()).map(|(number, _)| number).collect();
    assert_eq!(failed, refused);
    let keys: Vec<&Value> = committed.steps.iter().flatten().map(|step| &step.key).collect();
    let events = world.events(&Entities::All).await;
    assert_eq!(events.iter().map(|event| &event.key).collect::<Vec<_>>(), keys, "an event for each row, in the order of the rows");
    assert_eq!(world.store.count(&world.model, PERSON).await.expect("a count"), keys.len() as u64);

    let upsert = WriteKind::Upsert { create_only: false, update_only: false };
    let entry =
        |number: i64| Ask { kind: upsert, ..create(ENTRY, Some(Value::Int(number)), vec![(TEXT, Value::text(number.to_string()))]) };
    let again = |number: i64| Ask { if_revision: Some(1), ..entry(number) };
    let rows = (1..=ROWS).flat_map(|number| if number % 40 == 0 { vec![entry(number), again(number)] } else { vec![entry(number)] });
    let committed = world.commit_with(&admin(), rows.collect(), true, Vec::new()).await.expect("committed");
    let kept = committed.steps.iter().map(|step| step.as_ref().expect("no refusal")).filter(|step| step.change.is_none()).count();
    assert_eq!(kept, 3, "a row that waits is there for the rows behind it");
    assert_eq!(world.store.count(&world.model, ENTRY).await.expect("a count"), ROWS as u64);
}

async fn a_commit_has_limits(world: World) {
    let many = (0..1_001).map(|_| create(ITEM, None, title("x"))).collect();
    match world.commit_with(&admin(), many, false, Vec::new()).await {
        Err(CommitError::Refused(error)) => assert_eq!(error.code, ErrorCode::LimitExceeded, "{error}"),
        other => panic!("not refused: {:?}", other.map(|committed| committed.steps.len())),
    }
    assert_eq!(world.store.count(&world.model, ITEM).await.expect("a count"), 0);
    world.item(1, "root", vec![]).await;
    for chunk in 0..3_u16 {
        let children = (0..400).map(|n| {
            let mut set = title("child");
            set.push((item::PARENT, id(1)));
            create(ITEM, Some(id(1_000 + chunk * 400 + n)), set)
        });
        world.commit_with(&admin(), children.collect(), false, Vec::new()).await.expect("committed");
    }
    world.refused(&admin(), delete(ITEM, id(1)), ErrorCode::LimitExceeded).await;
    assert_eq!(world.store.count(&world.model, ITEM).await.expect("a count"), 1_201, "a cascade that is too large changes nothing");
}
