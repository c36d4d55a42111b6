//! `format`: what the layout of model files is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use fourfold_model::format;

/// `input`, behind a package, comes out as `expect`; and `expect` stays as it is.
#[track_caller]
fn check(input: &str, expect: &str) {
    let [input, expect] = [input, expect].map(|text| format!("package a.v1\n\n{text}"));
    assert_eq!(format(&input).unwrap(), expect);
    assert_eq!(format(&expect).unwrap(), expect);
}

/// `expression`, in a rule, comes out as `expect`.
#[track_caller]
fn check_expression(expression: &str, expect: &str) {
    let [input, expect] = [expression, expect].map(|text| format!("package a.v1\n\nentity A {{\n  @@allow(read, {text})\n}}\n"));
    assert_eq!(format(&input).unwrap(), expect);
    assert_eq!(format(&expect).unwrap(), expect);
}

#[test]
fn the_example_is_formatted() {
    let chinook = include_str!("../../../examples/chinook/chinook.fourfold");
    assert_eq!(format(chinook).unwrap(), chinook);
    let tear = |line: &str| {
        if line.starts_with('/') { line.to_owned() } else { line.replace("  ", "\t").replace(", ", " ,").replace(" == ", "==") }
    };
    let torn: Vec<_> = chinook.lines().map(tear).collect();
    assert_eq!(format(&torn.join("\r\n")).unwrap(), chinook);
}

#[test]
fn a_whole_shop() {
    let shop = include_str!("format/shop.fourfold");
    assert_eq!(format(shop).unwrap(), include_str!("format/shop.formatted.fourfold"));
    assert_eq!(format(include_str!("format/shop.formatted.fourfold")).unwrap(), include_str!("format/shop.formatted.fourfold"));
}

#[test]
fn neighbouring_fields_stand_in_columns() {
    check(
        "entity A{id Int @key,name String?\nlong_name Decimal( 12 , 2 )? @min( 0 )   @unique\nlist B []\n}",
        "entity A {\n  id        Int            @key\n  name      String?\n  long_name Decimal(12,2)? @min(0) @unique\n  list      B[]\n}\n",
    );
}

#[test]
fn blank_lines_and_attributes_end_a_block() {
    check(
        "entity A {\n\n\n  a Int @key\n\n\n\n  long_name String @unique\n  @@index(long_name)\n  b Float @min(0)\n\n}\n",
        "entity A {\n  a Int @key\n\n  long_name String @unique\n  @@index(long_name)\n  b Float @min(0)\n}\n",
    );
}

#[test]
fn comments_between_fields_do_not_end_a_block() {
    check(
        "caller {\n/// Who.\nid Uuid @claim(\"sub\")\n//What.\nroles String[] @claim(\"roles\")\n}\n",
        "caller {\n  /// Who.\n  id    Uuid     @claim(\"sub\")\n  //What.\n  roles String[] @claim(\"roles\")\n}\n",
    );
}

#[test]
fn comments_behind_neighbours_stand_in_line() {
    check(
        "owned A { // an owned\na Int // one\nlong_name Decimal(4,1) @min(0) // \"é\"\nb Int\nc Int // alone\n}\n",
        "owned A {  // an owned\n  a         Int                   // one\n  long_name Decimal(4,1) @min(0)  // \"é\"\n  b         Int\n  c         Int  // alone\n}\n",
    );
}

#[test]
fn comments_stay_where_they_are_read() {
    check(
        "// before A\n\n\n/// A.\nentity A { // open\n// first\n a Int, // after a\n\n // last\n} // closed\n\n\n// end\n\n\n",
        "// before A\n\n/// A.\nentity A {  // open\n  // first\n  a Int  // after a\n\n  // last\n}  // closed\n\n// end\n",
    );
    assert_eq!(format("// x\n/// Doc.\npackage a.v1 // y").unwrap(), "// x\n/// Doc.\npackage a.v1  // y\n");
}

#[test]
fn comments_inside_a_member_end_their_line() {
    check(
        "entity A { a Int // type\n @min(0, // low\n // next\n 1)\n @@allow(read\n// who\n, true) }",
        "entity A {\n  a Int  // type\n    @min(0,  // low\n      // next\n      1)\n  @@allow(read,\n    // who\n    true)\n}\n",
    );
}

#[test]
fn documentation_is_not_made_of_what_was_none() {
    check("entity A { a Int\n/// none\n, b Int }", "entity A {\n  a Int\n  // none\n  b Int\n}\n");
    check("enum E { a, /// none\n b }", "enum E {\n  a  /// none\n  b\n}\n");
}

#[test]
fn line_breaks_are_kept_between_attributes_and_inside_brackets() {
    check(
        "entity A {\n a\n  Int @key\n   @min(\n 0)\n b Int\n @@allow(read, x ==\n 1\n|| lines\n.exists(l,\nl.a)\n)\n}",
        "entity A {\n  a Int @key\n    @min(\n      0)\n  b Int\n  @@allow(read, x ==\n    1\n    || lines\n    .exists(l,\n      l.a)\n  )\n}\n",
    );
}

#[test]
fn enums_stay_on_one_line_unless_there_is_more_to_say() {
    check("enum E{a,b c}\nenum F { d }", "enum E { a b c }\nenum F { d }\n");
    check("enum E { a\nb }", "enum E {\n  a\n  b\n}\n");
    check("enum E { a long_one @was(\"b\") c @column(\"d\") }", "enum E {\n  a\n  long_one @was(\"b\")\n  c        @column(\"d\")\n}\n");
    check("enum E { a } // e", "enum E { a }  // e\n");
    check("enum E {}", "enum E {}\n");
}

#[test]
fn items_of_more_than_a_line_stand_apart() {
    check(
        "enum E { a } enum F { b }\n\nenum G { c }\nentity A {}\nentity B { a Int }\n// C\nentity C { a Int }",
        "enum E { a }\nenum F { b }\n\nenum G { c }\nentity A {}\n\nentity B {\n  a Int\n}\n\n// C\nentity C {\n  a Int\n}\n",
    );
    assert_eq!(format("package a.v1 enum E { a }").unwrap(), "package a.v1\n\nenum E { a }\n");
}

#[test]
fn actions_have_an_attribute_a_line() {
    check(
        "action pay( order:Order ,note : String ?, ) :Order ? @allow(true) @handler(\"pay\") action ping()",
        "action pay(order: Order, note: String?): Order?\n  @allow(true)\n  @handler(\"pay\")\n\naction ping()\n",
    );
    check("action a(\nb: Int,\nc: Int\n)", "action a(\n  b: Int,\n  c: Int\n)\n");
}

#[test]
fn channels_have_a_part_a_line() {
    check(
        "channel chat(room:Room){@join(true),stream Message where(a)&&-b<1,presence{device String,away Boolean}signal typing}",
        "channel chat(room: Room) {\n  @join(true)\n  stream Message where (a) && -b < 1\n  presence { device String  away Boolean }\n  signal typing\n}\n",
    );
    check(
        "channel c(r: R) { presence {\na Int\nlong Int? } stream M where a\n|| b }",
        "channel c(r: R) {\n  presence {\n    a    Int\n    long Int?\n  }\n  stream M where a\n    || b\n}\n",
    );
}

#[test]
fn tests_have_a_step_a_line_and_commas_in_objects() {
    check(
        "test \"t\" as{id:\"a\" roles:[\"x\"],}{given A{n:{m:1}},allow read A \"k\" deny update A \"k\" {}}",
        "test \"t\" as { id: \"a\", roles: [\"x\"] } {\n  given A { n: { m: 1 } }\n  allow read A \"k\"\n  deny update A \"k\" {}\n}\n",
    );
    check(
        "test \"t\" as {} { given A {\na: 1 // one\n,b: 2,\n} }",
        "test \"t\" as {} {\n  given A {\n    a: 1,  // one\n    b: 2\n  }\n}\n",
    );
}

#[test]
fn expressions_have_one_spacing() {
    for (input, expect) in [
        ("a&&b||! c", "a && b || !c"),
        ("( a+b )*c", "(a + b) * c"),
        ("((a))", "((a))"),
        ("a-1 - - b< -1", "a - 1 - -b < -1"),
        ("-  a . b( c ,d )", "-a.b(c, d)"),
        ("x?y:z?1:2", "x ? y : z ? 1 : 2"),
        ("a in[1,-2]&&b in(c)", "a in [1, -2] && b in (c)"),
        ("[ ]", "[]"),
        ("f( )", "f()"),
        ("f(x ?[a?b:c]:d)", "f(x ? [a ? b : c] : d)"),
        ("true,fields:[ a,b ]", "true, fields: [a, b]"),
        ("1 .. 200", "1..200"),
        ("low : 1.5 .., high:.. 2", "low: 1.5.., high: ..2"),
        ("..", ".."),
        ("a  desc,b.c   asc", "a desc, b.c asc"),
        ("60s", "60s"),
        (r#""\u00e9\n // \"""#, r#""\u00e9\n // \"""#),
    ] {
        check_expression(input, expect);
    }
}

#[test]
fn what_does_not_parse_is_told_whole() {
    let told = format("package a.v1\nentity A {\n  a Int @min(]\n}\n\nenum e { x }\n").unwrap_err();
    let lines: Vec<_> = told.iter().map(|one| one.line).collect();
    assert_eq!((lines.first(), lines.last()), (Some(&3), Some(&6)), "{told:#?}");
    assert!(format("").is_err());
    assert!(format("package a.v1\nentity A { a String @match(\"x }").is_err());
}
