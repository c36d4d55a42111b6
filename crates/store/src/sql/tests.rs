//! Statements as PostgreSQL gets them; what they mean is told by the conformance suite and by the agreement of SQL with `eval`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use fourfold_model::expr::{Arithmetic, Compare, Function};
use fourfold_model::{Base, Expr, ExprKind, ExprType, FieldId, KEY, Value};
use fourfold_op::{Aggregate, GroupBy, Limits, List, Measure, Nested, Operand, Operation, OrderBy, Select, SelectKind, Truncate};
use fourfold_plan::{Plan, ReadPlan, prepare};

use super::{Dialect, FetchSql, TableWrites, fetch};
use crate::conformance::fixture::*;
use crate::conformance::world::admin;

fn planned(select: Select, values: &[Value]) -> ReadPlan {
    let prepared = prepare(&model(), 1, &Operation::Read(vec![select]), &Limits::default()).expect("prepared");
    match prepared.bind(&admin(), values) {
        Ok(Plan::Read(mut plans)) => plans.pop().expect("a plan"),
        other => panic!("{other:?}"),
    }
}

fn sql(select: Select, values: &[Value]) -> FetchSql {
    fetch(Dialect::Postgres, &model(), planned(select, values).fetch())
}

fn list(filter: Option<Expr>, order: Vec<OrderBy>) -> Select {
    let list = List { filter, order, ..List::default() };
    Select { entity: PERSON, kind: SelectKind::List(list), fields: vec![KEY, person::NAME], nested: Vec::new() }
}

/// The condition of a list of people.
fn condition(filter: Expr) -> String {
    let text = sql(list(Some(filter), Vec::new()), &[]).rows.text;
    let (_, rest) = text.split_once(" WHERE ").expect("a condition");
    rest.split_once(" ORDER BY ").expect("an order").0.to_owned()
}

fn name() -> Expr {
    column(person::NAME, Base::String)
}

fn text(value: &str) -> Expr {
    literal(Value::text(value), Base::String)
}

fn int(number: i64) -> Expr {
    literal(Value::Int(number), Base::BigInt)
}

fn size() -> Expr {
    Expr { kind: ExprKind::Call(Function::Size, vec![name()]), ty: ExprType::one(Base::Int) }
}

#[test]
fn a_list_is_ordered_by_code_point_with_nulls_first() {
    let by = |field: FieldId, descending| OrderBy { hops: Vec::new(), field, descending };
    let rows = sql(list(None, vec![by(person::NAME, false), by(person::EMAIL, true)]), &[]).rows;
    assert_eq!(
        rows.text,
        r#"SELECT t0."id", t0."revision", t0."name", t0."email" FROM "person" AS t0 ORDER BY t0."name" COLLATE "C" NULLS FIRST, t0."email" COLLATE "C" DESC NULLS LAST, t0."id" DESC NULLS LAST LIMIT $1::int8 + 1"#
    );
}

#[test]
fn every_operand_has_its_type() {
    let filters = [
        (compare(Compare::Less, name(), text("it's")), r#"(t0."name" < ('it''s'::text COLLATE "C"))"#),
        (compare(Compare::Greater, size(), int(-5)), r#"(length(t0."name") > '-5'::int8)"#),
        (
            compare(
                Compare::Equal,
                Expr { kind: ExprKind::Arithmetic(Arithmetic::Add, Box::new(size()), Box::new(int(1))), ty: ExprType::one(Base::BigInt) },
                int(4),
            ),
            r#"(ff_add(length(t0."name"), 1::int8) = 4::int8)"#,
        ),
        (
            compare(
                Compare::Equal,
                Expr { kind: ExprKind::Call(Function::Lower, vec![name()]), ty: ExprType::one(Base::String) },
                text("ann"),
            ),
            r#"((lower(t0."name" COLLATE "und-x-icu") COLLATE "C") = ('ann'::text COLLATE "C"))"#,
        ),
        (Expr::boolean(ExprKind::Call(Function::Contains, vec![name(), text("%")])), r#"(strpos(t0."name", ('%'::text COLLATE "C")) > 0)"#),
    ];
    for (filter, expect) in filters {
        assert_eq!(condition(filter), expect);
    }
}

#[test]
fn a_set_is_an_array_and_unknown_stays_unknown_under_a_not() {
    let within = |values: &[&str]| {
        let values = values.iter().map(|value| text(value)).collect();
        let list = Expr { kind: ExprKind::List(values), ty: ExprType::list(Base::String) };
        Expr::boolean(ExprKind::In(Box::new(name()), Box::new(list)))
    };
    let not = |expr| Expr::boolean(ExprKind::Not(Box::new(expr)));
    assert_eq!(condition(within(&["a"])), r#"(t0."name" IN (('a'::text COLLATE "C")))"#);
    assert_eq!(condition(not(within(&[]))), r#"(NOT CASE WHEN t0."name" IS NULL THEN NULL ELSE FALSE END)"#);
}

#[test]
fn rows_of_relations_come_for_all_parents_at_once() {
    let owner = Nested { relation: item::TO_OWNER, fields: vec![KEY], nested: Vec::new(), list: List::default() };
    let items = List { size: Some(Operand(0)), ..List::default() };
    let items = Nested { relation: PERSON_ITEMS, fields: vec![KEY, item::LINES], nested: vec![owner], list: items };
    let people = sql(Select { nested: vec![items], ..list(None, Vec::new()) }, &[Value::Int(2)]);
    let items = &people.children[0].fetch;
    assert_eq!(
        items.rows.text,
        r#"SELECT k.number, p.* FROM unnest($1::uuid[]) WITH ORDINALITY AS k(value, number) CROSS JOIN LATERAL (SELECT t0."id", t0."revision", t0."owner_id" FROM "item" AS t0 WHERE t0."owner_id" = k.value ORDER BY t0."id" NULLS FIRST LIMIT $2::int8 + 1) AS p"#
    );
    assert!(items.rows_of_all.is_none(), "which PostgreSQL would sort first");
    assert_eq!(
        items.owned[0].rows.text,
        r#"SELECT k.number, o._ordinal, o."label", o."quantity", o."price" FROM unnest($1::uuid[]) WITH ORDINALITY AS k(value, number) CROSS JOIN "lines" AS o WHERE o._owner = 8589934613 AND o._parent = k.value::text"#
    );
    assert_eq!(
        items.children[0].fetch.rows.text,
        r#"SELECT k.number, t0."id", t0."revision" FROM unnest($1::uuid[]) WITH ORDINALITY AS k(value, number) CROSS JOIN "person" AS t0 WHERE t0."id" = k.value"#
    );
}

#[test]
fn rows_of_relations_in_another_order_are_numbered_in_it() {
    let order = vec![OrderBy { hops: Vec::new(), field: item::COUNT, descending: true }];
    let items = List { size: Some(Operand(0)), order, ..List::default() };
    let items = Nested { relation: PERSON_ITEMS, fields: vec![KEY], nested: Vec::new(), list: items };
    let people = sql(Select { nested: vec![items], ..list(None, Vec::new()) }, &[Value::Int(2)]);
    assert_eq!(
        people.children[0].fetch.rows.text,
        r#"SELECT k.number, p.* FROM unnest($1::uuid[]) WITH ORDINALITY AS k(value, number) CROSS JOIN LATERAL (SELECT t0."id", t0."revision", t0."count", row_number() OVER ( ORDER BY t0."count" DESC NULLS LAST, t0."id" DESC NULLS LAST) AS "fourfold order" FROM "item" AS t0 WHERE t0."owner_id" = k.value ORDER BY t0."count" DESC NULLS LAST, t0."id" DESC NULLS LAST LIMIT $2::int8 + 1) AS p ORDER BY k.number, p."fourfold order""#
    );
}

/// A primary key's index has nulls last, an index that ends in the key has them first: each serves only an order of its own.
#[test]
fn a_list_in_the_order_of_its_keys_is_in_that_of_the_index_that_leads_to_it() {
    let ordered = |filter: Option<Expr>, descending| {
        let list = List { filter, order: vec![OrderBy { hops: Vec::new(), field: KEY, descending }], ..List::default() };
        let text = sql(Select { entity: ITEM, kind: SelectKind::List(list), fields: vec![KEY], nested: Vec::new() }, &[]).rows.text;
        let (_, rest) = text.split_once(" ORDER BY ").expect("an order");
        rest.split_once(" LIMIT ").expect("a page").0.to_owned()
    };
    let of = |field| compare(Compare::Equal, column(field, Base::Uuid), literal(Value::Uuid([1; 16]), Base::Uuid));
    let counted = || compare(Compare::Equal, column(item::COUNT, Base::Int), int(1));
    for (filter, descending, expect) in [
        (None, false, r#"t0."id""#),
        (None, true, r#"t0."id" DESC"#),
        (Some(counted()), false, r#"t0."id""#),
        (Some(of(item::OWNER)), false, r#"t0."id" NULLS FIRST"#),
        (Some(Expr::boolean(ExprKind::And(vec![counted(), of(item::OWNER)]))), true, r#"t0."id" DESC NULLS LAST"#),
    ] {
        assert_eq!(ordered(filter, descending), expect);
    }
}

#[test]
fn groups_follow_the_calendar_of_utc() {
    let group_by = vec![GroupBy { field: item::AT, by: Some(Truncate::Week) }, GroupBy { field: item::DAY, by: Some(Truncate::Month) }];
    let measures = vec![Measure::Count, Measure::Average(item::COUNT), Measure::Max(item::PRICE)];
    let kind = SelectKind::Aggregate(Aggregate { filter: None, group_by, measures });
    let groups = sql(Select { entity: ITEM, kind, fields: Vec::new(), nested: Vec::new() }, &[]);
    assert_eq!(
        groups.rows.text,
        r#"SELECT date_trunc('week', t0."at", 'UTC'), date_trunc('month', t0."day"::timestamp)::date, count(*), sum(t0."count"), count(t0."count"), max(t0."price") FROM "item" AS t0 GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST LIMIT 1001"#
    );
}

#[test]
fn new_rows_are_written_out_of_arrays() {
    let writes = TableWrites::of(Dialect::Postgres, &model(), PROFILE);
    assert_eq!(writes.insert, r#"INSERT INTO "profile" ("id", "revision", "text") OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3)"#);
    assert_eq!(
        writes.insert_several,
        r#"INSERT INTO "profile" ("id", "revision", "text") SELECT * FROM unnest($1::uuid[], $2::int8[], $3::text[]) ON CONFLICT DO NOTHING RETURNING "id""#
    );
    let item = TableWrites::of(Dialect::Postgres, &model(), ITEM);
    assert_eq!((item.several, item.insert_several.as_str()), (1, ""), "an array of arrays would be taken apart");
    assert_eq!(item.owned[0].delete, r#"DELETE FROM "lines" WHERE _owner = 8589934613 AND _parent = $1::uuid::text"#);
    let update = TableWrites::update(Dialect::Postgres, &model(), PROFILE, &[FieldId(1), profile::TEXT]);
    assert_eq!(update, r#"UPDATE "profile" SET "revision" = $1, "text" = $2 WHERE "id" = $3"#);
}
