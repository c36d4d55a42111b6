//! A filter has one meaning: operators, nulls and Unicode.

use fourfold_model::expr::{Arithmetic, Compare, Function, Quantifier};
use fourfold_model::{Base, Expr, ExprKind, ExprType, Value};

use super::fixture::*;
use super::world::{World, admin, id};

cases! {
    comparisons_leave_out_nulls
    null_tests_are_never_unknown
    negation_keeps_unknown
    texts_compare_by_code_point
    text_functions_know_unicode
    in_matches_listed_values
    scalar_lists_can_be_searched
    decimals_compare_across_scales
    enums_order_by_column
    moments_and_days_compare
    paths_follow_to_one_relations
    exists_looks_at_related_rows
    owned_lists_can_be_quantified
    arithmetic_that_does_not_fit_is_null
    conditions_take_the_other_branch_when_unknown
}

const ABC: [(&str, i64); 3] = [("a", 1), ("b", 2), ("c", 3)];

async fn counted(world: &World) {
    for (number, (title, count)) in (1..).zip(ABC) {
        world.item(number, title, vec![(item::COUNT, Value::Int(count))]).await;
    }
    world.item(4, "none", vec![]).await;
}

fn count(by: Compare, value: i64) -> Expr {
    compare(by, column(item::COUNT, Base::Int), literal(Value::Int(value), Base::Int))
}

fn note() -> Expr {
    column(item::NOTE, Base::String)
}

fn text(text: &str) -> Expr {
    literal(Value::text(text), Base::String)
}

fn not(expr: Expr) -> Expr {
    Expr::boolean(ExprKind::Not(Box::new(expr)))
}

async fn comparisons_leave_out_nulls(world: World) {
    counted(&world).await;
    let cases = [
        (Compare::Equal, vec!["b"]),
        (Compare::NotEqual, vec!["a", "c"]),
        (Compare::Less, vec!["a"]),
        (Compare::LessOrEqual, vec!["a", "b"]),
        (Compare::Greater, vec!["c"]),
        (Compare::GreaterOrEqual, vec!["b", "c"]),
    ];
    for (by, expect) in cases {
        assert_eq!(world.titles(&admin(), count(by, 2)).await, expect, "{by:?}");
    }
}

async fn null_tests_are_never_unknown(world: World) {
    counted(&world).await;
    let null = Expr::boolean(ExprKind::IsNull(Box::new(column(item::COUNT, Base::Int))));
    assert_eq!(world.titles(&admin(), null.clone()).await, ["none"]);
    assert_eq!(world.titles(&admin(), not(null)).await, ["a", "b", "c"]);
}

async fn negation_keeps_unknown(world: World) {
    counted(&world).await;
    assert_eq!(world.titles(&admin(), not(count(Compare::Equal, 2))).await, ["a", "c"]);
    let or = any(vec![count(Compare::Equal, 2), compare(Compare::Equal, column(item::TITLE, Base::String), text("none"))]);
    assert_eq!(world.titles(&admin(), or.clone()).await, ["b", "none"], "unknown or true is true");
    assert_eq!(world.titles(&admin(), not(or)).await, ["a", "c"]);
    let and = Expr::all(vec![count(Compare::Equal, 2), compare(Compare::Equal, column(item::TITLE, Base::String), text("b"))]);
    assert_eq!(world.titles(&admin(), not(and)).await, ["a", "c", "none"], "unknown and false is false");
}

async fn noted(world: &World, notes: &[&str]) {
    for (number, note) in (1..).zip(notes) {
        world.item(number, note, vec![(item::NOTE, Value::text(note))]).await;
    }
    world.item(900, "null", vec![]).await;
}

async fn texts_compare_by_code_point(world: World) {
    // U+FFFD is after the surrogates of U+1F600 in UTF-16, and before it by code point.
    noted(&world, &["Z", "a", "ä", "\u{fffd}", "😀"]).await;
    let after = |than: &str| compare(Compare::Greater, note(), text(than));
    assert_eq!(world.titles(&admin(), after("Z")).await, ["a", "ä", "\u{fffd}", "😀"]);
    assert_eq!(world.titles(&admin(), after("\u{fffd}")).await, ["😀"]);
    let composed = compare(Compare::Equal, note(), text("a\u{308}"));
    assert!(world.titles(&admin(), composed).await.is_empty(), "texts are not normalised");
}

async fn text_functions_know_unicode(world: World) {
    noted(&world, &["ÄPFEL", "50% off_", "straße", "", "İx"]).await;
    let call = |function, part: &str| Expr::boolean(ExprKind::Call(function, vec![note(), text(part)]));
    assert_eq!(world.titles(&admin(), call(Function::Contains, "%")).await, ["50% off_"], "a per cent sign is itself");
    assert_eq!(world.titles(&admin(), call(Function::Contains, "_")).await, ["50% off_"], "an underscore is itself");
    assert_eq!(world.titles(&admin(), call(Function::StartsWith, "ÄP")).await, ["ÄPFEL"]);
    assert!(world.titles(&admin(), call(Function::StartsWith, "äp")).await.is_empty(), "case counts");
    assert_eq!(world.titles(&admin(), call(Function::EndsWith, "ße")).await, ["straße"]);
    assert_eq!(world.titles(&admin(), call(Function::Contains, "")).await.len(), 5, "every text has the empty text");
    let lower = Expr { kind: ExprKind::Call(Function::Lower, vec![note()]), ty: ExprType::one(Base::String) };
    let is = |expr: &Expr, value: &str| compare(Compare::Equal, expr.clone(), text(value));
    assert_eq!(world.titles(&admin(), is(&lower, "äpfel")).await, ["ÄPFEL"]);
    assert_eq!(world.titles(&admin(), is(&lower, "i\u{307}x")).await, ["İx"], "one letter can become two");
    let size = Expr { kind: ExprKind::Call(Function::Size, vec![note()]), ty: ExprType::one(Base::Int) };
    let six = compare(Compare::Equal, size, literal(Value::Int(6), Base::Int));
    assert_eq!(world.titles(&admin(), six).await, ["straße"], "sizes are code points");
}

async fn in_matches_listed_values(world: World) {
    counted(&world).await;
    let within = |values: &[i64]| {
        let values = values.iter().map(|value| literal(Value::Int(*value), Base::Int)).collect();
        let list = Expr { kind: ExprKind::List(values), ty: ExprType::list(Base::Int) };
        Expr::boolean(ExprKind::In(Box::new(column(item::COUNT, Base::Int)), Box::new(list)))
    };
    assert_eq!(world.titles(&admin(), within(&[1, 3, 9])).await, ["a", "c"]);
    assert_eq!(world.titles(&admin(), not(within(&[1]))).await, ["b", "c"], "not in leaves out nulls");
    assert!(world.titles(&admin(), within(&[])).await.is_empty(), "an empty list matches nothing");
}

async fn scalar_lists_can_be_searched(world: World) {
    world.item(1, "both", vec![(item::TAGS, texts(&["red", "größe"]))]).await;
    world.item(2, "one", vec![(item::TAGS, texts(&["red \"quoted\""]))]).await;
    world.item(3, "empty", vec![]).await;
    let tags = || Box::new(Expr { kind: ExprKind::Field(own(), item::TAGS), ty: ExprType::list(Base::String) });
    let has = |tag: &str| Expr::boolean(ExprKind::In(Box::new(text(tag)), tags()));
    assert_eq!(world.titles(&admin(), has("red")).await, ["both"]);
    assert_eq!(world.titles(&admin(), has("größe")).await, ["both"]);
    assert_eq!(world.titles(&admin(), has("red \"quoted\"")).await, ["one"]);
    let size = Expr { kind: ExprKind::Call(Function::Size, vec![*tags()]), ty: ExprType::one(Base::Int) };
    let none = compare(Compare::Equal, size, literal(Value::Int(0), Base::Int));
    assert_eq!(world.titles(&admin(), none).await, ["empty"]);
}

fn own() -> fourfold_model::expr::Path {
    fourfold_model::expr::Path { scope: fourfold_model::expr::Scope::Row, hops: Vec::new() }
}

async fn decimals_compare_across_scales(world: World) {
    for (number, cents) in [(1, 999), (2, 1000), (3, 1001)] {
        world.item(number, &cents.to_string(), vec![(item::PRICE, money(cents))]).await;
    }
    let price = || column(item::PRICE, Base::Decimal { precision: 12, scale: 2 });
    let ten = literal(money(1000), Base::Decimal { precision: 12, scale: 2 });
    assert_eq!(world.titles(&admin(), compare(Compare::LessOrEqual, price(), ten)).await, ["999", "1000"]);
    let whole = literal(Value::Int(10), Base::Int);
    assert_eq!(world.titles(&admin(), compare(Compare::Greater, price(), whole)).await, ["1001"], "an Int is a Decimal");
}

async fn enums_order_by_column(world: World) {
    for (number, (title, state)) in (1..).zip([("draft", DRAFT), ("live", LIVE), ("archived", ARCHIVED)]) {
        world.item(number, title, vec![(item::STATE, state)]).await;
    }
    let base = Base::Enum(fourfold_model::EnumId(0));
    let is = compare(Compare::Equal, column(item::STATE, base), literal(ARCHIVED, base));
    assert_eq!(world.titles(&admin(), is).await, ["archived"]);
    let not = compare(Compare::NotEqual, column(item::STATE, base), literal(LIVE, base));
    assert_eq!(world.titles(&admin(), not).await, ["draft", "archived"]);
}

async fn moments_and_days_compare(world: World) {
    for (number, at) in [(1, -1), (2, 0), (3, 1_700_000_000_123_456)] {
        let day = Value::Date((at / 86_400_000_000) as i32);
        world.item(number, &at.to_string(), vec![(item::AT, Value::DateTime(at)), (item::DAY, day)]).await;
    }
    let at = |by, at| compare(by, column(item::AT, Base::DateTime), literal(Value::DateTime(at), Base::DateTime));
    assert_eq!(world.titles(&admin(), at(Compare::Less, 0)).await, ["-1"]);
    assert_eq!(world.titles(&admin(), at(Compare::Equal, 1_700_000_000_123_456)).await, ["1700000000123456"]);
    let day = compare(Compare::Greater, column(item::DAY, Base::Date), literal(Value::Date(0), Base::Date));
    assert_eq!(world.titles(&admin(), day).await, ["1700000000123456"]);
}

async fn owned_by(world: &World) {
    for (number, name) in [(50, "Ann"), (51, "Bob")] {
        let set = vec![(person::NAME, Value::text(name))];
        world.one(&admin(), super::world::create(PERSON, Some(id(number)), set)).await;
    }
    world.item(1, "of ann", vec![(item::OWNER, id(50))]).await;
    world.item(2, "of bob", vec![(item::OWNER, id(51)), (item::PARENT, id(1))]).await;
    world.item(3, "of nobody", vec![(item::PARENT, id(2))]).await;
}

async fn paths_follow_to_one_relations(world: World) {
    owned_by(&world).await;
    let name = |by, hops: &[_], name: &str| compare(by, over(hops, person::NAME, Base::String), text(name));
    assert_eq!(world.titles(&admin(), name(Compare::Equal, &[item::TO_OWNER], "Ann")).await, ["of ann"]);
    let other = name(Compare::NotEqual, &[item::TO_OWNER], "Ann");
    assert_eq!(world.titles(&admin(), other).await, ["of bob"], "a path over null is null");
    let two = name(Compare::Equal, &[item::TO_PARENT, item::TO_OWNER], "Bob");
    assert_eq!(world.titles(&admin(), two).await, ["of nobody"]);
}

async fn exists_looks_at_related_rows(world: World) {
    owned_by(&world).await;
    let child = exists(item::CHILDREN, item::TITLE, Base::String, Compare::Equal, Value::text("of bob"));
    assert_eq!(world.titles(&admin(), child.clone()).await, ["of ann"]);
    assert_eq!(world.titles(&admin(), not(child)).await, ["of bob", "of nobody"], "exists is never unknown");
}

async fn owned_lists_can_be_quantified(world: World) {
    let lines = |lines: Vec<_>| vec![(item::LINES, Value::Owned(lines.into()))];
    world.item(1, "mixed", lines(vec![line("a", 1, 100), line("b", 5, 100)])).await;
    world.item(2, "many", lines(vec![line("a", 7, 100)])).await;
    world.item(3, "none", vec![]).await;
    let over_four = |quantifier| of_lines(quantifier, 1, Base::Int, Compare::Greater, Value::Int(4));
    assert_eq!(world.titles(&admin(), over_four(Quantifier::Exists)).await, ["mixed", "many"]);
    assert_eq!(world.titles(&admin(), over_four(Quantifier::All)).await, ["many", "none"], "all of nothing is true");
}

async fn arithmetic_that_does_not_fit_is_null(world: World) {
    for (number, big) in [(1, 6), (2, i64::MAX), (3, -7)] {
        world.item(number, &number.to_string(), vec![(item::BIG, Value::Int(big))]).await;
    }
    let big = || Box::new(column(item::BIG, Base::BigInt));
    let two = |n| Box::new(literal(Value::Int(n), Base::BigInt));
    let is = |by, n, value| {
        let result = Expr { kind: ExprKind::Arithmetic(by, big(), two(n)), ty: ExprType::one(Base::BigInt) };
        compare(Compare::Equal, result, literal(Value::Int(value), Base::BigInt))
    };
    assert_eq!(world.titles(&admin(), is(Arithmetic::Multiply, 2, 12)).await, ["1"]);
    let fits = Expr { kind: ExprKind::Arithmetic(Arithmetic::Add, big(), two(1)), ty: ExprType::one(Base::BigInt) };
    let overflow = Expr::boolean(ExprKind::IsNull(Box::new(fits)));
    assert_eq!(world.titles(&admin(), overflow).await, ["2"]);
    assert_eq!(world.titles(&admin(), is(Arithmetic::Divide, 2, -3)).await, ["3"], "division goes toward zero");
    assert_eq!(world.titles(&admin(), is(Arithmetic::Remainder, 4, -3)).await, ["3"], "a remainder has the dividend's sign");
    let by_zero = Expr { kind: ExprKind::Arithmetic(Arithmetic::Divide, big(), two(0)), ty: ExprType::one(Base::BigInt) };
    assert_eq!(world.titles(&admin(), Expr::boolean(ExprKind::IsNull(Box::new(by_zero)))).await.len(), 3);
}

async fn conditions_take_the_other_branch_when_unknown(world: World) {
    counted(&world).await;
    let truth = |value| Box::new(literal(Value::Boolean(value), Base::Boolean));
    let chosen = Expr::boolean(ExprKind::Conditional(Box::new(count(Compare::Greater, 1)), truth(false), truth(true)));
    assert_eq!(world.titles(&admin(), chosen).await, ["a", "none"]);
}
