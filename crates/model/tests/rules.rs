//! The language, sentence by sentence: what loads, and what is refused with which message.

#![allow(clippy::expect_used)]

use fourfold_model::{Lock, RuleClass, filter, load};

const HEAD: &str = "package shop.v1
caller { id Uuid  roles String[] }
enum State { cart paid }
entity User { id Uuid @key  name String  hidden String @secret  orders Order[]  @@allow(read, true) }
owned Line { product Product  count Int  price Decimal(12,2) }
entity Product { id Uuid @key  price Decimal(12,2)  @@allow(read, true) }
";

/// An `Order` with `members` loads without an error when `expect` is empty, else its only error begins so.
fn check(members: &str, expect: &str) {
    let order = format!(
        "entity Order {{ id Uuid @key  buyer User  state State @readonly @default(cart)  lines Line[]\n @@index(buyer)\n{members} }}"
    );
    told(&format!("{HEAD}{order}"), expect);
}

fn told(text: &str, expect: &str) {
    let errors: Vec<String> = match load(text, &Lock::default()) {
        Ok(_) => Vec::new(),
        Err(found) => found.into_iter().filter(|one| one.severity == fourfold_model::Severity::Error).map(|one| one.message).collect(),
    };
    match errors.as_slice() {
        [] => assert_eq!(expect, "", "{text}"),
        [error] => assert!(!expect.is_empty() && error.starts_with(expect), "{text}\n{error}"),
        more => panic!("{text}\n{more:?}"),
    }
}

#[test]
fn names_are_the_words_that_are_left() {
    for free in
        ["class String", "from String", "message String", "select Int", "old_value Int", "nulls Int", "a1 Int", "type Int", "id_2 Int"]
    {
        check(free, "");
    }
    for taken in ["old", "new", "caller", "channel", "in", "true", "false", "null"] {
        check(&format!("{taken} Int"), "nothing can be called");
    }
    for kept in ["revision", "cursor"] {
        check(&format!("{kept} Int"), "the name");
    }
    for name in ["Query", "Mutation", "Subscription", "Node", "PageInfo", "Decimal", "Uuid"] {
        told(&format!("package a.v1\nentity {name} {{ id Int @key }}"), "type name");
    }
    let long = "a".repeat(48);
    check(&format!("{long} Int"), "");
    check(&format!("{long}a Int"), "`aaaa");
    for plural in ["batch", "actions", "channels", "tickets"] {
        told(&format!("package a.v1\nentity A {{ id Int @key @@name(plural: \"{plural}\") }}"), "the plural");
    }
}

#[test]
fn the_last_part_of_the_package_is_the_version() {
    for (package, expect) in [
        ("shop.v1", ""),
        ("a.b.v12", ""),
        ("shop", "package ends in"),
        ("v1", "package ends in"),
        ("shop.v", "package ends in"),
        ("shop.vx", "package ends in"),
    ] {
        told(&format!("package {package}\nentity A {{ id Int @key }}"), expect);
    }
}

#[test]
fn a_key_is_one_field_called_id() {
    for base in ["Uuid", "String", "Int", "BigInt"] {
        told(&format!("package a.v1\nentity A {{ id {base} @key }}"), "");
    }
    for base in ["Float", "Decimal(4,2)", "Date", "DateTime", "Boolean", "Bytes", "Json", "Int?", "Int[]"] {
        told(&format!("package a.v1\nentity A {{ id {base} @key }}"), "a key is not of this type");
    }
}

#[test]
fn a_path_that_ends_in_the_related_key_is_the_column() {
    check("@@allow(read, buyer.id == caller.id)", "");
    check("@@allow(read, buyer_id == caller.id)", "");
    check("twin Uuid @computed(buyer.id)", "");
    check("name String @computed(buyer.name)", "a computed field sees its own row alone");
}

#[test]
fn old_new_caller_and_now_stand_where_they_mean_something() {
    for verb in ["create", "delete", "read"] {
        for root in ["old", "new"] {
            check(&format!("@@allow({verb}, {root}.state == \"cart\")"), "a ");
        }
    }
    check("@@allow(update, old.state == \"cart\" && new.state == \"paid\")", "");
    check("at DateTime  @@allow(create, update, delete, at < now())", "");
    check("at DateTime  @@allow(read, at < now())", "a read rule cannot use `now()`");
    check("at DateTime  note String @allow(read, at < now())", "a read rule cannot use `now()`");
    check("at DateTime  note String @allow(write, old.at < now())", "");
    check("at DateTime @set(now())  by Uuid @set(caller.id)", "");
    check("at DateTime @computed(now())", "a computed field cannot use `now()`");
    check("by Uuid @computed(caller.id)", "a computed field cannot use `caller`");
}

#[test]
fn types_widen_exactly_and_nothing_else_converts() {
    let fields = "i Int  b BigInt  f Float  d Decimal(12,2)  e Decimal(14,4)  list BigInt[]  s String\n";
    for (condition, expect) in [
        ("i == b", ""),
        ("i < d", ""),
        ("b in list && i in list", ""),
        ("d == e", ""),
        ("i * d == 1.25", ""),
        ("f == 1 && f > 1.5 && 2 < f", ""),
        ("f == i", "Float is compared with Int"),
        ("f == d", "Float is compared with Decimal"),
        ("d / i == 1", "Decimal has no division"),
        ("s == i", "String is compared with Int"),
        ("state == \"cart\" && \"paid\" != state", ""),
        ("state == \"crat\"", "`State` has no value `crat`"),
        ("state in [\"cart\", \"paid\"]", ""),
        ("id == \"018f2e8a-0000-7000-8000-000000000000\"", ""),
        ("id == \"x\"", "`x` is not a Uuid"),
        ("(i > 1 ? [] : list) == null", ""),
        ("1 < 2 ? true : false", ""),
    ] {
        check(&format!("{fields}@@allow(delete, {condition})"), expect);
    }
    // `Int * Decimal(p,s)` has scale s; two Decimals add theirs.
    check(&format!("{fields}p Decimal(18,2) @computed(i * d)"), "");
    check(&format!("{fields}p Decimal(18,4) @computed(d * d)"), "");
    check(&format!("{fields}p Decimal(18,2) @computed(d * d)"), "this is of type Decimal(18,4)");
    check(&format!("{fields}p Int @computed(b)"), "this is of type BigInt");
    check(&format!("{fields}p BigInt @computed(i)"), "");
    check("sum Decimal(14,2) @computed(lines.filter(l, l.count > 0).map(l, l.count * l.price).sum())", "");
}

#[test]
fn null_is_tested_with_its_literal() {
    for (condition, expect) in [
        ("note == null", ""),
        ("null != note", ""),
        ("has(note)", ""),
        ("buyer == null", ""),
        ("!(note == \"x\")", ""),
        ("note < null", "null is unknown in every comparison"),
        ("null == null", "null is compared with null"),
        ("note in [null]", "a list holds values"),
    ] {
        check(&format!("note String?\n@@allow(delete, {condition})"), expect);
    }
}

#[test]
fn expressions_are_bounded() {
    let nested = |depth: usize| format!("@@allow(delete, {}true{})", "(".repeat(depth), ")".repeat(depth));
    check(&nested(15), "");
    check(&nested(16), "expression nests deeper than 16 levels");
    check(&format!("@@allow(delete, {}true)", "!".repeat(15)), "");
    check(&format!("@@allow(delete, {}true)", "!".repeat(16)), "expression nests deeper than 16 levels");
    let long = |count: usize| format!("@@allow(delete, {})", vec!["true"; count].join(" || "));
    check(&long(99), "");
    check(&long(100), "expression has more than 100 nodes");
}

#[test]
fn a_shared_cache_holds_only_what_all_may_see() {
    check("@@cache(public, max_age: 60s)  @@allow(read, true)", "");
    check("@@cache(public, max_age: 60s)  @@allow(read, buyer.id == caller.id)", "`@@cache(public)` where a read rule asks who calls");
    check("@@cache(private, max_age: 60s)  @@allow(read, buyer.id == caller.id)", "");
    check("@@cache(public, max_age: 60s)  @@allow(read, true)  n Int? @allow(read, buyer.id == caller.id)", "`@@cache(public)` where");
}

#[test]
fn read_rules_have_classes() {
    use RuleClass::{General, Local, Membership};
    for (rules, class) in [
        ("", Local),
        ("@@allow(read, true)", Local),
        ("@@allow(read, buyer.id == caller.id || \"admin\" in caller.roles)", Local),
        ("@@allow(read, lines.exists(l, l.count > 1))", Local),
        ("@@allow(read, buyer.name == \"x\")", General),
        ("@@allow(read, parts.exists(p, p.user.id == caller.id))", Membership),
        ("@@allow(read, state == \"paid\" || parts.exists(p, p.user.id == caller.id && p.level > 1))", Membership),
        ("@@allow(read, buyer.orders.exists(o, o.buyer.id == caller.id))", Membership),
        ("@@allow(read, parent.parent.parts.exists(p, p.user.id == caller.id))", General),
        ("@@allow(read, parts.exists(p, p.level > 1))", General),
        ("@@allow(read, parts.exists(p, p.user.id == caller.id && p.level > level))", General),
        ("@@allow(read, parts.all(p, p.user.id == caller.id))", General),
        ("@@allow(read, parts.exists(p, p.user.id == caller.id || p.level > 1))", General),
        ("@@allow(read, parts.exists(p, p.user.id == caller.id)) @@allow(read, buyer.orders.exists(o, o.buyer.id == caller.id))", General),
        ("n Int? @allow(read, buyer.name == \"x\")", General),
        ("@@allow(delete, buyer.name == \"x\")", Local),
    ] {
        let order = format!(
            "entity Order {{ id Uuid @key  buyer User  parent Order?  level Int  state State?  lines Line[]  parts Part[]\n{rules} }}"
        );
        let part = "entity Part { id Int @key  order Order  user User  level Int }";
        let loaded = load(&format!("{HEAD}{order}{part}"), &Lock::default()).unwrap_or_else(|found| panic!("{rules}: {found:?}"));
        let order = loaded.model.entity_by_name("Order").expect("there");
        assert_eq!(loaded.model.entity(order).class, class, "{rules}");
        let warned = loaded.warnings.iter().any(|one| one.message.contains("cannot be watched"));
        assert_eq!(warned, class == General, "{rules}");
    }
}

#[test]
fn filters_are_the_same_language_without_the_caller() {
    let text = format!("{HEAD}entity Order {{ id Uuid @key  buyer User  note String?  blob Bytes?  lines Line[] }}");
    let loaded = load(&text, &Lock::default()).expect("loads");
    let order = loaded.model.entity_by_name("Order").expect("there");
    for (text, expect) in [
        ("note == \"x\" && buyer.name.startsWith(\"a\")", ""),
        ("lines.exists(l, l.count > 1)", ""),
        ("buyer.orders.exists(o, o.note == null)", ""),
        ("caller.id == id", "a filter cannot use `caller`"),
        ("old.note == note", "a filter cannot use `old`"),
        ("now() == null", "a filter cannot use `now()`"),
        ("buyer.hidden == \"x\"", "unknown field `hidden` on `User`"),
        ("blob == null", "`blob` cannot be filtered"),
        ("lines.map(l, l.count).sum() > 1", "a filter cannot use `sum`"),
        ("note", "this is of type String, not a condition"),
        ("note ==", "the text ends too early"),
        ("note == \"x\" note", "unexpected `note`"),
        ("", "the text ends too early"),
    ] {
        let message = filter(&loaded.model, order, text).err().map(|error| error.message).unwrap_or_default();
        assert!(message.starts_with(expect) && message.is_empty() == expect.is_empty(), "{text}: {message}");
    }
}
