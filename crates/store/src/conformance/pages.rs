//! Pages, orders, rows of relations, groups: bounded statements, nothing missed, nothing doubled.

use fourfold_model::expr::Compare;
use fourfold_model::{Base, FieldId, KEY, Value};
use fourfold_op::{Answered, ErrorCode, GroupBy, Joined, List, Measure, Nested, Operand, OrderBy, Page, SelectKind, Truncate};

use super::fixture::*;
use super::world::{World, admin, create, id, list, title, titles};
use crate::store::{Budget, Entities};

cases! {
    a_get_finds_its_row_or_nothing
    every_type_is_read_as_it_was_written
    nulls_come_first_ascending_and_last_descending
    pages_meet_without_gap_or_double_in_every_order
    texts_and_enums_are_ordered_alike_everywhere
    totals_count_what_matches
    relations_come_with_their_parents_in_bounded_statements
    a_page_of_large_rows_ends_early
    groups_measure_exactly
    groups_follow_the_calendar
    sums_that_do_not_fit_are_refused
    several_reads_are_one_snapshot
    a_get_that_wants_a_cursor_has_its_snapshots
    plans_of_another_model_are_refused
    a_past_deadline_is_refused
}

fn by(field: FieldId, descending: bool) -> OrderBy {
    OrderBy { hops: Vec::new(), field, descending }
}

async fn a_get_finds_its_row_or_nothing(world: World) {
    world.item(1, "one", vec![]).await;
    assert!(world.get(&admin(), ITEM, id(1)).await.is_some());
    assert!(world.get(&admin(), ITEM, id(2)).await.is_none());
}

async fn every_type_is_read_as_it_was_written(world: World) {
    let set = vec![
        (item::NOTE, Value::text("zwölf 😀 \"'\\ \u{1}")),
        (item::PRICE, money(-1)),
        (item::COUNT, Value::Int(i64::from(i32::MIN))),
        (item::BIG, Value::Int(i64::MAX)),
        (item::SCORE, Value::Float(-0.1)),
        (item::FLAG, Value::Boolean(false)),
        (item::AT, Value::DateTime(-62_135_596_800_000_000)),
        (item::DAY, Value::Date(-719_162)),
        (item::TAGS, texts(&["a", "", "\"", "ü"])),
        (item::BLOB, Value::Bytes(bytes::Bytes::from_static(b"\0\xff"))),
        (item::EXTRA, Value::Json("{\"a\":[1,null]}".into())),
        (item::LINES, Value::Owned([line("b", 2, 150), line("a", 1, 5)].into())),
    ];
    let made = world.item(1, "every", set.clone()).await;
    let row = world.get(&admin(), ITEM, id(1)).await.expect("the row");
    for (field, value) in set {
        assert_eq!(row.value(field), &value, "field {field:?}");
    }
    assert_eq!(row.value(item::TOTAL), &Value::Decimal(fourfold_model::Decimal { unscaled: 305, scale: 2 }), "computed");
    assert_eq!(row.value(item::STATE), &DRAFT, "the default");
    assert_eq!(made.answer.as_ref(), Some(&row), "a write answers with the row as it is read");
}

async fn nulls_come_first_ascending_and_last_descending(world: World) {
    world.item(1, "two", vec![(item::COUNT, Value::Int(2))]).await;
    world.item(2, "null", vec![]).await;
    world.item(3, "one", vec![(item::COUNT, Value::Int(1))]).await;
    let ordered = |descending| List { order: vec![by(item::COUNT, descending)], ..list(None) };
    let (page, _) = world.page(&admin(), ITEM, ordered(false), Vec::new(), &[]).await;
    assert_eq!(titles(&page), ["null", "one", "two"]);
    let (page, _) = world.page(&admin(), ITEM, ordered(true), Vec::new(), &[]).await;
    assert_eq!(titles(&page), ["two", "one", "null"]);
}

/// Walks all pages of a list, of a size.
async fn walk(world: &World, order: Vec<OrderBy>, size: i64) -> Vec<String> {
    let first = List { order: order.clone(), size: Some(Operand(0)), ..List::default() };
    let next = List { after: Some(Operand(1)), ..first.clone() };
    let (mut page, _) = world.page(&admin(), ITEM, first, Vec::new(), &[Value::Int(size)]).await;
    let mut seen = titles(&page);
    while page.more {
        let token = Value::Text(page.next.clone().expect("a token where more follow"));
        (page, _) = world.page(&admin(), ITEM, next.clone(), Vec::new(), &[Value::Int(size), token]).await;
        assert!(!page.items.is_empty(), "a token leads to rows");
        seen.extend(titles(&page));
    }
    assert_eq!(page.next, None);
    seen
}

async fn pages_meet_without_gap_or_double_in_every_order(world: World) {
    for number in 0..12_i64 {
        let mut set = vec![(item::FLAG, Value::Boolean(number % 2 == 0)), (item::PRICE, money(number % 4))];
        if number % 3 != 0 {
            set.push((item::COUNT, Value::Int(number / 4)));
        }
        if number % 5 != 0 {
            set.push((item::SCORE, Value::Float(number as f64 / 4.0 - 1.0)));
        }
        let state = [DRAFT, LIVE, ARCHIVED][number as usize % 3].clone();
        set.push((item::STATE, state));
        world.item(number as u16 + 1, &format!("{number:02}"), set).await;
    }
    for field in [item::COUNT, item::SCORE, item::PRICE, item::FLAG, item::STATE, item::TITLE] {
        for descending in [false, true] {
            let order = vec![by(field, descending), by(item::PRICE, !descending)];
            let whole = walk(&world, order.clone(), 100).await;
            let mut sorted = whole.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), 12);
            for size in [1, 5] {
                assert_eq!(walk(&world, order.clone(), size).await, whole, "{field:?} descending {descending} by {size}");
            }
        }
    }
}

async fn texts_and_enums_are_ordered_alike_everywhere(world: World) {
    let rows = [("a", DRAFT), ("Z", LIVE), ("ä", ARCHIVED), ("😀", DRAFT), ("\u{fffd}", LIVE)];
    for (number, (title, state)) in (1..).zip(rows) {
        world.item(number, title, vec![(item::STATE, state)]).await;
    }
    assert_eq!(walk(&world, vec![by(item::TITLE, false)], 2).await, ["Z", "a", "ä", "\u{fffd}", "😀"]);
    let order = vec![by(item::STATE, false), by(item::TITLE, false)];
    assert_eq!(walk(&world, order, 2).await, ["ä", "a", "😀", "Z", "\u{fffd}"], "by the column's text: archived, draft, live");
}

async fn totals_count_what_matches(world: World) {
    for number in 1..=5 {
        world.item(number, "x", vec![(item::COUNT, Value::Int(i64::from(number)))]).await;
    }
    let filter = compare(Compare::Greater, column(item::COUNT, Base::Int), literal(Value::Int(1), Base::Int));
    let asked = List { filter: Some(filter), size: Some(Operand(0)), total: true, ..List::default() };
    let (page, _) = world.page(&admin(), ITEM, asked.clone(), Vec::new(), &[Value::Int(2)]).await;
    assert_eq!((page.items.len(), page.total, page.total_capped, page.more), (2, Some(4), false, true));
    let token = Value::Text(page.next.expect("a token"));
    let next = List { after: Some(Operand(1)), ..asked };
    let (page, _) = world.page(&admin(), ITEM, next, Vec::new(), &[Value::Int(2), token]).await;
    assert_eq!((page.items.len(), page.total, page.more), (2, Some(4), false), "the total is of all pages");
}

async fn family(world: &World) {
    for number in 50..53 {
        let set = vec![(person::NAME, Value::text(format!("p{number}")))];
        world.one(&admin(), create(PERSON, Some(id(number)), set)).await;
    }
    for number in 1..=12_u16 {
        let owner = id(50 + number % 2);
        world.item(number, &format!("{number:02}"), vec![(item::OWNER, owner)]).await;
    }
}

fn fields(world: &World, entity: fourfold_model::EntityId) -> Vec<FieldId> {
    world.model.entity(entity).field_ids().map(|(id, _)| id).collect()
}

fn many(joined: &Joined) -> &Page {
    match joined {
        Joined::Many(page) => page,
        other => panic!("expected many, not {other:?}"),
    }
}

async fn relations_come_with_their_parents_in_bounded_statements(world: World) {
    family(&world).await;
    let owner = Nested { relation: item::TO_OWNER, fields: fields(&world, PERSON), nested: Vec::new(), list: List::default() };
    let of_person = List { order: vec![by(item::TITLE, true)], size: Some(Operand(0)), ..List::default() };
    let items = Nested { relation: PERSON_ITEMS, fields: vec![KEY, item::TITLE], nested: vec![owner], list: of_person };
    let (page, few) = world.page(&admin(), PERSON, list(None), vec![items.clone()], &[Value::Int(2)]).await;
    let shown: Vec<Vec<String>> = page.items.iter().map(|one| many(&one.nested[0]).items.iter().map(title).collect()).collect();
    assert_eq!(shown, [vec!["12", "10"], vec!["11", "09"], vec![]], "each parent has its own page, in its order");
    let more: Vec<bool> = page.items.iter().map(|one| many(&one.nested[0]).more).collect();
    assert_eq!(more, [true, true, false]);
    let Joined::One(Some(owner)) = &many(&page.items[1].nested[0]).items[0].nested[0] else { panic!("no owner") };
    assert_eq!(owner.row.value(person::NAME), &Value::text("p51"));
    for number in 60..80 {
        let set = vec![(person::NAME, Value::text("more"))];
        world.one(&admin(), create(PERSON, Some(id(number)), set)).await;
        world.item(number, "more", vec![(item::OWNER, id(number))]).await;
    }
    let (_, many_rows) = world.page(&admin(), PERSON, list(None), vec![items], &[Value::Int(2)]).await;
    assert_eq!(few.statements, many_rows.statements, "statements do not grow with rows");
    assert!(few.statements <= 3, "one a fetch, not {}", few.statements);
}

async fn a_page_of_large_rows_ends_early(world: World) {
    let large = Value::text("x".repeat(60_000));
    for number in 1..=50 {
        world.item(number, &format!("{number:02}"), vec![(item::NOTE, large.clone())]).await;
    }
    let (page, _) = world.page(&admin(), ITEM, list(None), Vec::new(), &[]).await;
    assert!(page.more && page.next.is_some(), "it says that more follow");
    assert!((10..50).contains(&page.items.len()), "2 MiB are about 34 of these, not {}", page.items.len());
    let seen = walk(&world, Vec::new(), 50).await;
    assert_eq!(seen.len(), 50, "nothing is lost by ending early");
}

async fn measured(world: &World) {
    let rows = [(Some(1), Some(150), Some(0.5), LIVE), (Some(2), Some(250), None, LIVE), (None, None, Some(2.0), DRAFT)];
    for (number, (count, cents, score, state)) in (1..).zip(rows) {
        let mut set = vec![(item::STATE, state)];
        set.extend(count.map(|count| (item::COUNT, Value::Int(count))));
        set.extend(count.map(|count| (item::BIG, Value::Int(count * 4_000_000_000))));
        set.extend(cents.map(|cents| (item::PRICE, money(cents))));
        set.extend(score.map(|score| (item::SCORE, Value::Float(score))));
        world.item(number, "m", set).await;
    }
}

async fn groups_measure_exactly(world: World) {
    measured(&world).await;
    let measures = vec![
        Measure::Count,
        Measure::CountOf(item::COUNT),
        Measure::CountDistinct(item::TITLE),
        Measure::Sum(item::COUNT),
        Measure::Sum(item::BIG),
        Measure::Sum(item::PRICE),
        Measure::Average(item::COUNT),
        Measure::Min(item::PRICE),
        Measure::Max(item::SCORE),
    ];
    let all = world.groups(&admin(), Vec::new(), measures.clone()).await.expect("groups");
    let big = Value::Decimal(fourfold_model::Decimal { unscaled: 12_000_000_000, scale: 0 });
    let expect =
        vec![Value::Int(3), Value::Int(2), Value::Int(1), Value::Int(3), big, money(400), Value::Float(1.5), money(150), Value::Float(2.0)];
    assert_eq!(all, [expect]);
    let state = vec![GroupBy { field: item::STATE, by: None }];
    let groups = world.groups(&admin(), state.clone(), vec![Measure::Count, Measure::Sum(item::COUNT)]).await.expect("groups");
    assert_eq!(groups, [vec![DRAFT, Value::Int(1), Value::Null], vec![LIVE, Value::Int(2), Value::Int(3)]], "in the order of keys");
    let by_count = vec![GroupBy { field: item::COUNT, by: None }];
    let groups = world.groups(&admin(), by_count, vec![Measure::Count]).await.expect("groups");
    assert_eq!(groups[0], [Value::Null, Value::Int(1)], "null is a group, and the first");
}

async fn groups_follow_the_calendar(world: World) {
    let nobody = world.groups(&admin(), vec![GroupBy { field: item::AT, by: None }], vec![Measure::Count]).await.expect("groups");
    assert!(nobody.is_empty(), "no rows, no groups");
    let none = world.groups(&admin(), Vec::new(), vec![Measure::Count, Measure::Sum(item::COUNT)]).await.expect("groups");
    assert_eq!(none, [vec![Value::Int(0), Value::Null]], "all of nothing is one group");
    // 2026-11-22T13:45:00Z, a Sunday.
    let at = 1_795_355_100_000_000;
    world.item(1, "now", vec![(item::AT, Value::DateTime(at)), (item::DAY, Value::Date(20_779))]).await;
    let day = 86_400_000_000;
    let cases = [
        (Truncate::Hour, at - 2_700_000_000),
        (Truncate::Day, 20_779 * day),
        (Truncate::Week, 20_773 * day),
        (Truncate::Month, 20_758 * day),
        (Truncate::Year, 20_454 * day),
    ];
    for (by, expect) in cases {
        let groups = world.groups(&admin(), vec![GroupBy { field: item::AT, by: Some(by) }], vec![Measure::Count]).await.expect("groups");
        assert_eq!(groups, [vec![Value::DateTime(expect), Value::Int(1)]], "{by:?}");
    }
    let week = vec![GroupBy { field: item::DAY, by: Some(Truncate::Week) }];
    assert_eq!(world.groups(&admin(), week, vec![Measure::Count]).await.expect("groups")[0][0], Value::Date(20_773));
}

async fn sums_that_do_not_fit_are_refused(world: World) {
    for number in 1..=2 {
        world.item(number, "big", vec![(item::BIG, Value::Int(i64::MAX))]).await;
    }
    let error = world.groups(&admin(), Vec::new(), vec![Measure::Sum(item::BIG)]).await.expect_err("it does not fit");
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}

async fn several_reads_are_one_snapshot(world: World) {
    world.item(1, "one", vec![]).await;
    let select = world.select(ITEM, SelectKind::List(list(None)), Vec::new());
    let snapshot = world.read(&admin(), vec![select.clone(), select], &[]).await.expect("a read");
    assert_eq!(snapshot.answers.len(), 2);
    // A store whose commits get their positions later says in the cursor what it has shown.
    let head = world.store.head(None).await;
    let cursor = snapshot.place().expect("a place");
    assert_eq!(cursor.epoch, head.epoch);
    let budget = Budget { events_max: 10, bytes_max: 1 << 20 };
    let tail = world.store.events(cursor, &Entities::All, budget).await.expect("a tail");
    assert_eq!((tail.events.len(), tail.through.after), (0, head.position), "a list's cursor is where its snapshot is");
}

async fn a_get_that_wants_a_cursor_has_its_snapshots(world: World) {
    person_and_item(&world).await;
    for entity in [PERSON, ITEM] {
        for key in [1, 9] {
            let get = world.select(entity, SelectKind::Get { key: Operand(0), cursor: true }, Vec::new());
            let snapshot = world.read(&admin(), vec![get], &[id(key)]).await.expect("a read");
            assert_eq!(matches!(snapshot.answers.as_slice(), [Answered::Row(Some(_))]), key == 1);
            let head = world.store.head(None).await;
            let budget = Budget { events_max: 10, bytes_max: 1 << 20 };
            let tail = world.store.events(snapshot.place().expect("a place"), &Entities::All, budget).await.expect("a tail");
            assert_eq!((tail.events.len(), tail.through.after), (0, head.position), "a get's cursor is where its snapshot is");
        }
    }
}

async fn person_and_item(world: &World) {
    world.one(&admin(), create(PERSON, Some(id(1)), vec![(person::NAME, Value::text("Ann"))])).await;
    world.item(1, "one", vec![]).await;
}

async fn plans_of_another_model_are_refused(world: World) {
    person_and_item(&world).await;
    // A person is one row; an item has rows of its own beside it.
    let get = |entity, cursor| world.select(entity, SelectKind::Get { key: Operand(0), cursor }, Vec::new());
    let people = world.select(PERSON, SelectKind::List(list(None)), Vec::new());
    let alone = [get(PERSON, false), get(PERSON, true), get(ITEM, false), get(ITEM, true), people];
    let reads: Vec<_> = alone.into_iter().map(|select| vec![select]).chain([vec![get(PERSON, false), get(PERSON, false)]]).collect();
    for select in &reads {
        world.read(&admin(), select.clone(), &[id(1)]).await.expect("a read");
    }
    let grown = grown();
    let migration = world.store.migration(&grown).await.expect("a migration");
    world.store.migrate(&grown, migration).await.expect("migrated");
    for select in reads {
        let what = format!("{select:?}");
        assert_eq!(world.read(&admin(), select, &[id(1)]).await.expect_err(&what).code, ErrorCode::Unavailable, "{what}");
    }
    world.refused(&admin(), create(ITEM, Some(id(2)), vec![(item::TITLE, Value::text("two"))]), ErrorCode::Unavailable).await;
}

async fn a_past_deadline_is_refused(world: World) {
    world.item(1, "one", vec![]).await;
    let select = world.select(ITEM, SelectKind::List(list(None)), Vec::new());
    let operation = fourfold_op::Operation::Read(vec![select]);
    let prepared = fourfold_plan::prepare(&world.model, 1, &operation, &world.limits).expect("prepared");
    let Ok(fourfold_plan::Plan::Read(plans)) = prepared.bind(&admin(), &[]) else { panic!("not a read") };
    let past = fourfold_op::Deadline(Some(std::time::Instant::now()));
    let crate::StoreError::Refused(error) = world.store.read(&plans, &past).await.expect_err("too late");
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
}
