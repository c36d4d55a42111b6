//! Importing a database with everything that models do not have: each thing is mapped or named, and no row is lost.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::binary::{Folder, Ran, Server, run};

/// Imports what this SQL makes.
fn import(sql: &str) -> (Folder, Ran) {
    let folder = Folder::new();
    let connection = Connection::open(folder.0.join("Mein  Laden-2.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    connection.close().unwrap();
    let ran = run(&folder, &["import", "sqlite:Mein  Laden-2.db", "--out", "shop"]);
    (folder, ran)
}

#[test]
fn every_oddity_is_mapped_or_named() {
    let (folder, ran) = import(include_str!("odd.sql"));
    let ran = ran.ended(0);
    for note in NOTES {
        assert!(ran.out.lines().any(|line| line.strip_prefix("note: ") == Some(note)), "no note `{note}`: {}", ran.out);
    }
    let told = ran.out.lines().filter(|line| line.starts_with("note: ")).count();
    assert_eq!(told, NOTES.len(), "{}", ran.out);
    let model = folder.read("shop/mein_laden_2.fourfold");
    let model_words = model.split_whitespace().collect::<Vec<_>>().join(" ");
    for member in MEMBERS {
        assert!(model_words.contains(member), "no `{member}` in {model}");
    }
    run(&folder, &["check", "shop"]).ended(0);
    run(&folder, &["fmt", "--check", "shop"]).ended(0);
}

/// What is told of the source of this folder.
const NOTES: &[&str] = &[
    "table `fourfold_log`, which is a store's own, has no form in a model and was left out",
    "virtual table `places` has no form in a model and was left out",
    "table `places_node`, which belongs to a virtual table, has no form in a model and was left out",
    "table `places_parent`, which belongs to a virtual table, has no form in a model and was left out",
    "table `places_rowid`, which belongs to a virtual table, has no form in a model and was left out",
    "view `cheap` has no form in a model and was left out",
    "trigger `watchful` has no form in a model and was left out",
    "`author.name` holds texts longer than its declared 20, so it has no `@length`",
    "`book.weight` is declared `NUMERIC`; a Decimal has 1 to 18 digits, so it became a Float",
    "`book.price` has the default `0`, which was left out",
    "`book.shape` is declared `GEOMETRY`, which is not known; it became a String",
    "`book.untyped` is declared ``, which is not known; it became a String",
    "`book.price_net` is computed by the source and was left out; `@computed` says it in a model",
    "`book` has CHECK, which was left out",
    "the index `book_extra` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "the index `book_part` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "the index `book_expression` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "`book_author` has no key of one column that is no relation, so its rows get an `id` of their own",
    "`order.revision` became `revision_field`: the store has a column of that name itself",
    "`Überblick 2024` has no key of one column that is no relation, so its rows get an `id` of their own",
    "`Überblick 2024.id` became `id_field`: the store has a column of that name itself",
    "`loose.day` is declared `DATE` and holds other values; it became a String",
    "`loose.count` is declared `INTEGER` and holds other values; it became a Float",
    "`loose.price` is declared `DECIMAL(5,2)` and holds other values; it became a Float",
    "`loose.flag` is declared `BOOLEAN` and holds other values; it became a Int",
    "the foreign key of `loose.gone` is no relation: 1 rows lead to none of `author`",
    "`tag` has no key of one column that is no relation, so its rows get an `id` of their own",
    "`tag.name` is of the key and holds nulls, so it may be null",
    "`tag` has COLLATE, which was left out",
    "`profile` has no key of one column that is no relation, so its rows get an `id` of their own",
    "the foreign key of `tagging.tag` is no relation: `tag` has no key of one column",
    "the foreign key of `tagging.book, author` is no relation: it has several columns",
    "the foreign key of `tagging.gone` is no relation: there is no table `nowhere`",
    "`strictly.name` is declared NOT NULL and holds nulls, so it may be null",
];

/// What the model must say, in any layout.
const MEMBERS: &[&str] = &[
    "package mein_laden_2.v1",
    "mentor Author? @relation(delete: null)",
    "id String @key @column(\"code\")",
    "price Decimal(8,2)",
    "born Date?",
    "seen DateTime? @default(now())",
    "rating Int? @default(5)",
    "sold Boolean @default(false)",
    "note String? @default(\"it's new\")",
    "cover Bytes?",
    "extra Json?",
    // The plain column keeps its name, and the relation goes another way.
    "writer_2 Author @relation(delete: cascade) @column(\"writer_id\")",
    "editor Author?",
    "books_by_writer_2 Book[] @relation(inverse: writer_2)",
    "books_by_editor Book[] @relation(inverse: editor)",
    "@@index(title, born desc)",
    "@@unique(writer_2_id, title)",
    "@@unique(book_id, author_id)",
    "class String?",
    "from String?",
    "in_field String? @column(\"in\")",
    "old_field String? @column(\"old\")",
    "null_field String? @column(\"null\")",
    "node_id_2 String? @column(\"node_id\")",
    "first_name String? @column(\"first name\")",
    "first_name_2 String? @column(\"first_name\")",
    "first_name_3 String? @column(\"FirstName\")",
    "groesse_in_cm Int? @column(\"Größe in cm\")",
    "f_2nd String? @column(\"2nd\")",
    "say_hi String? @column(\"say \\\"hi\\\"\")",
    "entity OrderChangeRow {",
    "@@name(table: \"order_change\")",
    "entity Ueberblick2024 {",
    "line_no BigInt?",
    "@@name(plural: \"person_rows\", table: \"person\")",
    "entity People {",
    "@@name(plural: \"ticket_rows\", table: \"ticket\")",
    "entity ActionRow {",
    "entity DateRow {",
    "entity NodeRow {",
];

#[test]
fn every_row_of_the_odd_database_is_served() {
    let (folder, ran) = import(include_str!("odd.sql"));
    let equal = ran.ended(0).out.lines().filter(|line| line.trim_end().ends_with(" equal")).count();
    assert_eq!(equal, 19, "tables");
    let server = Server::start(&folder, &["dev", "shop"]);
    let token = run(&folder, &["token", "dev", "--claims", r#"{"roles": ["admin"]}"#, "--data", "shop/.fourfold"]).ended(0).out;
    let bearer = format!("Bearer {}", token.trim());
    let get = |path: &str| {
        let answer = crate::binary::http(server.address, "GET", path, &[("authorization", &bearer)], b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    let book = get("/v1/books/A-1");
    let expect = json!({"title": "One", "price": "12.50", "born": "2020-02-29", "seen": "2020-01-01T12:00:00.000000Z", "cover": "AP8=", "extra": {"a": [1, 2]}, "untyped": "3", "writer_2_id": 1, "editor_id": 2, "writer": "x"});
    holds(&book, &expect);
    // A null stays one where a default would be put for what is not said.
    holds(&book, &json!({"note": null}));
    holds(&get("/v1/books/A-2"), &json!({"rating": null, "seen": null, "note": ""}));
    holds(
        &get("/v1/orders/1"),
        &json!({"class": "c", "from": "f", "in_field": "i", "revision_field": 77, "revision": 1, "groesse_in_cm": 180}),
    );
    holds(&get("/v1/authors/3"), &json!({"name": "Cy", "mentor_id": 3}));
    holds(&get("/v1/looses/1"), &json!({"day": "last week", "count": 1.5, "price": 0.125, "flag": 2, "gone": 99}));
    let ids: Vec<Value> = get("/v1/ueberblick2024s")["items"].as_array().unwrap().iter().map(|row| row["id_field"].clone()).collect();
    assert_eq!(ids, [json!("same"), json!("same"), Value::Null]);
}

/// All of these members.
#[track_caller]
fn holds(row: &Value, expect: &Value) {
    let expect: BTreeMap<&String, &Value> = expect.as_object().unwrap().iter().collect();
    for (name, value) in expect {
        assert_eq!(row[name.as_str()], *value, "`{name}` of {row}");
    }
}

#[test]
fn rows_that_no_type_takes_are_refused_by_name() {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, mixed BLOB);
        INSERT INTO t VALUES (1, 'short', 'a'), (2, hex(zeroblob(60000)), 'b'), (3, 'c', x'ff'), (4, 'd', 4.5);";
    let (folder, ran) = import(sql);
    let ran =
        ran.ended(1).says("2 rows were refused; tables that differ: t").says("t key Int(2): ").says("t.mixed row 4: `4.5` is not a Bytes");
    assert!(ran.out.contains("and not"), "{}", ran.out);
    run(&folder, &["check", "shop"]).ended(0);
}
