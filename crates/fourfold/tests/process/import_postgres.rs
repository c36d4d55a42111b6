//! Importing a PostgreSQL database: by copy into a store of Fourfold's own, and in place.

use std::process::Command;

use fourfold_store_postgres::testing;
use serde_json::{Value, json};

use crate::binary::{Folder, Ran, Server, command, ended, http};

/// A source database, and a folder to import into.
struct Place {
    folder: Folder,
    server: &'static testing::Server,
    url: String,
    database: String,
}

impl Place {
    /// A database that this SQL makes; none, and a line that says so, where PostgreSQL is not installed.
    fn new(sql: &str) -> Option<Place> {
        let server = testing::server()?;
        let url = server.database();
        let database = url.rsplit('/').next()?.split('?').next()?.to_owned();
        let place = Place { folder: Folder::new(), server, url, database };
        place.sql(sql);
        Some(place)
    }

    fn sql(&self, sql: &str) -> String {
        self.server.execute(&self.database, sql)
    }

    fn command(&self, args: &[&str], store: Option<&str>) -> Command {
        let mut command = command(&self.folder.0, args);
        store.into_iter().for_each(|url| {
            command.env("FOURFOLD_STORE_URL", url);
        });
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ended(&mut self.command(args, None))
    }

    /// With the source as the store.
    fn run_there(&self, args: &[&str]) -> Ran {
        ended(&mut self.command(args, Some(&self.url)))
    }

    fn model(&self) -> String {
        self.folder.read(&format!("shop/{}.fourfold", self.database))
    }
}

#[track_caller]
fn says_exactly(ran: &Ran, notes: &[&str]) {
    let told: Vec<&str> = ran.out.lines().filter_map(|line| line.strip_prefix("note: ")).collect();
    for note in notes {
        assert!(told.contains(note), "no note `{note}`: {told:#?}");
    }
    let more: Vec<_> = told.iter().filter(|line| !notes.contains(line)).collect();
    assert!(more.is_empty(), "notes that were not expected: {more:#?}");
}

#[track_caller]
fn has_members(model: &str, members: &[&str]) {
    let words = model.split_whitespace().collect::<Vec<_>>().join(" ");
    for member in members {
        assert!(words.contains(member), "no `{member}` in {model}");
    }
}

fn admin(place: &Place, server: &Server, path: &str) -> Value {
    let token = place.run(&["token", "dev", "--claims", r#"{"roles": ["admin"]}"#, "--data", "shop/.fourfold"]).ended(0).out;
    let answer = http(server.address, "GET", path, &[("authorization", &format!("Bearer {}", token.trim()))], b"").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

const LEFT_OUT: &[&str] = &[
    "materialized view `counted` has no form in a model and was left out",
    "view `cheap` has no form in a model and was left out",
    "trigger `watchful` of `book` has no form in a model and was left out",
    "table `other.secret` of another schema has no form in a model and was left out",
];

const COPIED: &[&str] = &[
    "`book.weight` is declared `NUMERIC`; a Decimal has 1 to 18 digits, so it became a Float",
    "`book.exact` is declared `NUMERIC(30,10)`; a Decimal has 1 to 18 digits, so it became a Float",
    "`book.feeling` is declared `MOOD`, which is not known; it became a String",
    "`book.span` is declared `INTERVAL`, which is not known; it became a String",
    "`book.at_hour` is declared `TIME WITHOUT TIME ZONE`, which is not known; it became a String",
    "`book.host` is declared `INET`, which is not known; it became a String",
    "`book.faces` is declared `BYTEA[]`, which is not known; it became a String",
    "`book.price` has the default `0`, which was left out",
    "`book.doubled` is computed by the source and was left out; `@computed` says it in a model",
    "`book` has CHECK, which was left out",
    "the index `book_part` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "the index `book_expression` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "the index `book_tags` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "`book_author` has no key of one column that is no relation, so its rows get an `id` of their own",
    "`keyless` has no key of one column that is no relation, so its rows get an `id` of their own",
    "`measured.span` is declared `INTERVAL`, which is not known; it became a String",
    "`profile` has no key of one column that is no relation, so its rows get an `id` of their own",
    "`versioned.revision` became `revision_field`: the store has a column of that name itself",
];

#[test]
fn a_postgres_database_is_copied_whole_and_what_has_no_form_is_named() {
    let Some(place) = Place::new(include_str!("odd_postgres.sql")) else { return };
    let ran = place.run(&["import", &place.url, "--out", "shop"]).ended(0).says("8 tables");
    says_exactly(&ran, &[LEFT_OUT, COPIED].concat());
    assert_eq!(ran.out.lines().filter(|line| line.trim_end().ends_with(" equal")).count(), 8, "{}", ran.out);
    has_members(
        &place.model(),
        &[
            "id String @key @column(\"code\")",
            "name String @length(0..20)",
            "mentor Author? @relation(delete: null)",
            "price Decimal(8,2)",
            "seen DateTime? @default(now())",
            "rating Int? @default(5)",
            "note String? @default(\"it's new\")",
            "extra Json?",
            "@@unique(token)",
            "tags String[]",
            "sizes Int[]",
            "prices Decimal(8,2)[]",
            "writer Author @relation(delete: cascade)",
            "@@index(title, born desc)",
            "@@unique(book_id, author_id)",
        ],
    );
    let server = Server::start(&place.folder, &["dev", "shop"]);
    let book = admin(&place, &server, "/v1/books/A");
    let expect = json!({
        "title": "One", "price": "12.50", "weight": 0.5, "exact": 1.5, "born": "2020-02-29", "seen": "2020-01-01T12:00:00.000000Z",
        "local": "2021-06-01T00:00:00.000001Z", "big": "9007199254740993", "ratio": 0.1, "sold": true, "note": "", "cover": "AP8=",
        "extra": {"a": null, "b": [1, 2]}, "old_extra": {"a": 1}, "token": "00000000-0000-0000-0000-000000000001",
        "tags": ["x", "y,\"z"], "sizes": [1, -2], "prices": ["1.50", "2.00"], "feeling": "sad", "span": "P1D", "at_hour": "12:30:00",
        "host": "10.0.0.1", "fixed": "ab  ", "writer_id": 1, "editor_id": 2});
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(book[name], *value, "`{name}` of {book}");
    }
    let other = admin(&place, &server, "/v1/books/B");
    assert_eq!((&other["note"], &other["seen"], &other["tags"], &other["sizes"]), (&Value::Null, &Value::Null, &json!([]), &json!([])));
}

#[test]
fn a_database_is_not_copied_into_itself_and_a_file_is_not_served_in_place() {
    let Some(place) = Place::new("CREATE TABLE t (id integer PRIMARY KEY)") else { return };
    place.run_there(&["import", &place.url, "--out", "shop"]).ended(2).says("`store.url` is the source itself").says("--in-place");
    place.run(&["import", "sqlite:a.db", "--out", "shop", "--in-place"]).ended(2).says("`--in-place` is for `postgres://…`");
    place.run(&["import", &place.url, "--out", "shop", "--capture"]).ended(2).says("--in-place");
    place.run(&["import", "mysql://h/d", "--out", "shop"]).ended(2).says("`sqlite:FILE` or `postgres://…`, not a `mysql:` URL");
    let gone = place.run(&["import", "postgres://me:hunter2@127.0.0.1:1/d?sslmode=disable", "--out", "shop"]).ended(4);
    assert!(!format!("{gone:?}").contains("hunter2"), "{gone:?}");
    assert!(!place.folder.0.join("shop").exists(), "something was written");
}
