//! `fourfold.lock`: what a change of the model, a merge or a hand does to it.

#![allow(clippy::expect_used)]

use fourfold_model::{Lock, load};

/// Lines of a lock without its head, as they stand in the tests.
fn lock(lines: &str) -> Lock {
    Lock::parse(lines).unwrap_or_else(|error| panic!("{error}: {lines}"))
}

/// The lock of `items` beside the lock `old`: the lines of `old` that are gone, and the new ones.
fn check(old: &str, items: &str, expect: &[&str]) -> Lock {
    let loaded = load(&format!("package shop.v1\n{items}"), &lock(old)).unwrap_or_else(|found| panic!("{items}: {found:?}"));
    let text = loaded.lock.to_text();
    let before = lock(old).to_text();
    let gone = before.lines().filter(|line| !text.lines().any(|other| other == *line)).map(|line| format!("-{line}"));
    let come = text.lines().filter(|line| !before.lines().any(|other| other == *line)).map(|line| format!("+{line}"));
    let changes: Vec<String> = gone.chain(come).collect();
    assert_eq!(changes, expect, "{items}");
    assert_eq!(Lock::parse(&text).as_ref(), Ok(&loaded.lock), "a lock round-trips");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert!(lines.is_sorted(), "{text}");
    loaded.lock
}

const OLD: &str = "entity Order 1 plural=orders table=orders
field Order.id 1
field Order.revision 2
field Order.title 3 column=title
field Order.buyer_id 4 column=buyer_id
relation Order.buyer 5
entity User 2 plural=users table=users
field User.id 1
field User.revision 2
enum State
value State.open 1
value State.closed 2";
const USER: &str = "entity User { id Int @key }\n";
const STATE: &str = "enum State { open closed }\n";

#[test]
fn an_unchanged_model_changes_nothing() {
    check(OLD, &format!("{USER}{STATE}entity Order {{ id Int @key  title String  buyer User }}"), &[]);
    // Nor does the order in the file.
    check(OLD, &format!("entity Order {{ buyer User  title String  id Int @key }} enum State {{ closed open }}{USER}"), &[]);
}

#[test]
fn a_rename_keeps_number_and_column() {
    let items = format!("{USER}{STATE}entity Order {{ id Int @key  name String @was(\"title\")  owner User @was(\"buyer\") }}");
    check(
        OLD,
        &items,
        &[
            "-field Order.buyer_id 4 column=buyer_id",
            "-field Order.title 3 column=title",
            "-relation Order.buyer 5",
            "+field Order.name 3 column=title",
            "+field Order.owner_id 4 column=buyer_id",
            "+relation Order.owner 5",
        ],
    );
}

#[test]
fn a_renamed_entity_keeps_its_number_table_and_members_and_gets_a_plural_of_its_own() {
    let items = format!("{USER}{STATE}entity Bill {{ id Int @key  title String  buyer User  @@was(\"Order\") }}");
    let lock = check(
        OLD,
        &items,
        &[
            "-entity Order 1 plural=orders table=orders",
            "-field Order.buyer_id 4 column=buyer_id",
            "-field Order.id 1 column=id",
            "-field Order.revision 2 column=revision",
            "-field Order.title 3 column=title",
            "-relation Order.buyer 5",
            "+entity Bill 1 plural=bills table=orders",
            "+field Bill.buyer_id 4 column=buyer_id",
            "+field Bill.id 1 column=id",
            "+field Bill.revision 2 column=revision",
            "+field Bill.title 3 column=title",
            "+relation Bill.buyer 5",
        ],
    );
    // `@@was` may stay in the file.
    check(&lock.to_text(), &items, &[]);
}

#[test]
fn removal_reserves_and_a_name_that_comes_back_is_new() {
    let removed = format!("{USER}{STATE}entity Order {{ id Int @key  buyer User }}");
    let lock = check(OLD, &removed, &["-field Order.title 3 column=title", "+reserved Order.title 3"]);
    let back = format!("{USER}{STATE}entity Order {{ id Int @key  buyer User  title String }}");
    check(&lock.to_text(), &back, &["+field Order.title 6 column=title"]);
    let none = check(
        OLD,
        &format!("{USER}{STATE}"),
        &[
            "-entity Order 1 plural=orders table=orders",
            "-field Order.buyer_id 4 column=buyer_id",
            "-field Order.id 1 column=id",
            "-field Order.revision 2 column=revision",
            "-field Order.title 3 column=title",
            "-relation Order.buyer 5",
            "+reserved Order 1",
        ],
    );
    let again = check(
        &none.to_text(),
        &format!("{USER}{STATE}entity Order {{ id Int @key }}"),
        &["+entity Order 3 plural=orders table=orders", "+field Order.id 1 column=id", "+field Order.revision 2 column=revision"],
    );
    assert_eq!(again.reserved.len(), 1);
}

#[test]
fn values_of_enums_are_kept_renamed_and_reserved_too() {
    let items = format!("{USER}enum State {{ shut @was(\"closed\") }}entity Order {{ id Int @key  title String  buyer User }}");
    check(
        OLD,
        &items,
        &[
            "-value State.closed 2 column=closed",
            "-value State.open 1 column=open",
            "+reserved State.open 1",
            "+value State.shut 2 column=closed",
        ],
    );
    // A removed enum keeps its lines, and an enum under another name is another enum.
    let items = format!("{USER}enum Phase {{ closed open }}entity Order {{ id Int @key  title String  buyer User }}");
    check(OLD, &items, &["+enum Phase", "+value Phase.closed 1 column=closed", "+value Phase.open 2 column=open"]);
    // Renamed in the lock by hand, it is the same.
    let renamed = OLD.replace("State", "Phase");
    check(&renamed, &items, &[]);
}

#[test]
fn a_name_that_was_an_enum_can_become_a_type() {
    let items = "entity State { id Int @key }";
    let old = "enum State\nvalue State.open 1\nreserved State.closed 2";
    check(
        old,
        items,
        &[
            "-enum State",
            "-reserved State.closed 2",
            "-value State.open 1 column=open",
            "+entity State 1 plural=states table=states",
            "+field State.id 1 column=id",
            "+field State.revision 2 column=revision",
        ],
    );
}

#[test]
fn plurals_and_tables_are_never_made_again() {
    let old = "entity Person 1 plural=persons table=people_old\nfield Person.id 1\nfield Person.revision 2";
    check(old, "entity Person { id Int @key }", &[]);
    check(
        old,
        "entity Person { id Int @key @@name(plural: \"folk\") }",
        &["-entity Person 1 plural=persons table=people_old", "+entity Person 1 plural=folk table=people_old"],
    );
}

#[test]
fn numbers_of_protobuf_are_skipped() {
    let old = "entity A 1 plural=as table=as\nfield A.id 1\nfield A.revision 2\nfield A.x 18999";
    check(old, "entity A { id Int @key  x Int  y Int }", &["+field A.y 20000 column=y"]);
    let full = "entity A 1 plural=as table=as\nfield A.id 1\nfield A.revision 2\nfield A.x 536870911";
    check(full, "entity A { id Int @key  x Int  y Int }", &["+field A.y 3 column=y"]);
}

#[test]
fn lines_of_two_branches_merge() {
    // Each branch added a field; the members stand before their owner, and a removal stands in both.
    let merged = "field A.id 1\nfield A.left 3\nfield A.revision 2\nfield A.right 4\nreserved A.gone 5\nreserved A.gone 5\nentity A 1 plural=as table=as\r\n\n# a comment";
    check(merged, "entity A { id Int @key  left Int  right Int }", &[]);
}

#[test]
fn one_former_name_goes_to_one_name() {
    let items = "entity Order { id Int @key  a String @was(\"x\")  b String @was(\"x\") }";
    let found = load(&format!("package shop.v1\n{items}"), &Lock::default()).expect_err("refused");
    assert_eq!(found.first().map(|one| one.message.as_str()), Some("`a` and `b` were both `x`"));
}

#[test]
fn what_people_must_settle_is_refused_clearly() {
    let cases = [
        ("entity A 1\n<<<<<<< ours\nentity A 2\n=======", "line 2: a merge conflict is not resolved here; keep the lines of both sides"),
        (">>>>>>> theirs", "line 1: a merge conflict"),
        (
            "entity A 1\nfield A.x 3\nfield A.y 3",
            "number 3 of A is given to both `x` and `y`: remove the line of the one that was never released",
        ),
        ("entity A 1\nentity B 1", "number 1 of the model is given to both `A` and `B`"),
        ("entity A 1\nfield A.x 3\nreserved A.y 3", "number 3 of A is given to both"),
        ("entity A 1\nreserved A.x 3\nreserved A.y 3", "line 3: number 3 is reserved for both `x` and `y`"),
        ("enum E\nvalue E.a 1\nvalue E.b 1", "number 1 of E is given to both `a` and `b`"),
        ("entity A 1\nentity A 2", "line 2: `A` stands here twice"),
        ("entity A 1\nfield A.x 3\nfield A.x 4", "line 3: `A.x` stands here twice"),
        ("entity A 1\nenum A", "line 2: `A` is both a type and an enum"),
        ("field A.x 3", "line 1: `A` has no line of its own"),
        ("reserved A.x 3", "line 1: `A.x` has an owner without a line of its own"),
        ("entity A one", "line 1: `one` is no number from 1 to 536870911"),
        ("entity A 0", "line 1: `0` is no number"),
        ("entity A 1 plurals=x", "line 1: `plurals=x` after the number; expected `plural=…` or `table=…`"),
        ("entity A 1\nfield A.x 3 colum=x", "line 2: `colum=x` after the number; expected `column=…`"),
        ("entity A 1\nfield A.x 3 column=\"", "line 2: a quoted name does not end"),
        ("entity A 1\nfield A.x 1", "`A.x` cannot have the number 1: 1 is `id`, 2 is `revision`"),
        ("entity A 1\nfield A.x 19000", "`A.x` cannot have the number 19000"),
        ("entity A 1\nfield A.\"b c\" 3", "line 2: `b c` is no name"),
        ("nonsense", "line 1: `nonsense` is no line of a lock"),
    ];
    for (text, expect) in cases {
        let error = Lock::parse(text).expect_err(text);
        assert!(error.starts_with(expect), "{text:?}: {error}");
    }
}

#[test]
fn odd_columns_and_tables_are_quoted() {
    let items = "entity A { id Int @key @column(\"the id\")  x Int @column(\"a=\\\"b\\\"\") @@name(table: \"All A\") }";
    let lock = check(
        "",
        items,
        &[
            "+entity A 1 plural=as table=\"All A\"",
            "+field A.id 1 column=\"the id\"",
            "+field A.revision 2 column=revision",
            "+field A.x 3 column=\"a=\\\"b\\\"\"",
        ],
    );
    assert_eq!(lock.types.len(), 1);
}
