//! Importing a PostgreSQL database: by copy into a store of Fourfold's own, and in place.

use std::process::Command;

use fourfold_store_postgres::testing;
use serde_json::{Value, json};

use crate::binary::{Folder, Ran, Server, command, ended, http};

/// A source database, and a folder to import into.
pub struct Place {
    pub folder: Folder,
    pub server: &'static testing::Server,
    pub url: String,
    pub database: String,
}

impl Place {
    /// A database that this SQL makes; none, and a line that says so, where PostgreSQL is not installed.
    pub fn new(sql: &str) -> Option<Place> {
        let server = testing::server()?;
        let url = server.database();
        let database = url.rsplit('/').next()?.split('?').next()?.to_owned();
        let place = Place { folder: Folder::new(), server, url, database };
        place.sql(sql);
        Some(place)
    }

    pub fn sql(&self, sql: &str) -> String {
        self.server.execute(&self.database, sql)
    }

    fn command(&self, args: &[&str], store: Option<&str>) -> Command {
        let mut command = command(&self.folder.0, args);
        store.into_iter().for_each(|url| {
            command.env("FOURFOLD_STORE_URL", url);
        });
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ended(&mut self.command(args, None))
    }

    /// With the source as the store.
    pub fn run_there(&self, args: &[&str]) -> Ran {
        ended(&mut self.command(args, Some(&self.url)))
    }

    pub fn model(&self) -> String {
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

const IN_PLACE: &[&str] = &[
    "table `book_author` is not served: its primary key has several columns",
    "table `keyless` is not served: it has no primary key",
    "table `measured` is not served: its column `span` must have a value and has no form in a model: it is declared `INTERVAL`, and no type of a model is that",
    "table `versioned` is not served: it has a column `revision` of its own, and Fourfold needs one of that name",
    "the foreign key of `profile.author` is no relation: its column is the key",
    "`book.weight` is left out, and keeps its values: it is declared `NUMERIC`, and a Decimal has a precision of 1 to 18 digits and a scale",
    "`book.exact` is left out, and keeps its values: it is declared `NUMERIC(30,10)`, and a Decimal has a precision of 1 to 18 digits and a scale",
    "`book.coarse` is left out, and keeps its values: it is declared `TIMESTAMP(3) WITHOUT TIME ZONE`, and a DateTime has microseconds",
    "`book.small_ratio` is left out, and keeps its values: it is declared `REAL`, and no type of a model is that",
    "`book.feeling` is left out, and keeps its values: it is declared `MOOD`, and no type of a model is that",
    "`book.span` is left out, and keeps its values: it is declared `INTERVAL`, and no type of a model is that",
    "`book.at_hour` is left out, and keeps its values: it is declared `TIME WITHOUT TIME ZONE`, and no type of a model is that",
    "`book.host` is left out, and keeps its values: it is declared `INET`, and no type of a model is that",
    "`book.fixed` is left out, and keeps its values: it is declared `CHARACTER(4)`, and no type of a model is that",
    "`book.faces` is left out, and keeps its values: it is declared `BYTEA[]`, and no type of a model is that",
    "`book.price` has the default `0`, which was left out",
    "`book.doubled` is computed by the source and was left out; `@computed` says it in a model",
    "`book` has CHECK, which was left out",
    "the index `book_part` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "the index `book_expression` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
    "the index `book_tags` of `book` was left out: it is of a part of the rows, of an expression, or of Json",
];

/// What a table is made of, and what rows it has.
const SHAPE: &str = "SELECT string_agg(format('%s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod)), ',' ORDER BY attrelid, attnum) \
    FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
    AND relname NOT LIKE 'fourfold%') AND attnum > 0 AND NOT attisdropped \
    UNION ALL SELECT string_agg(conname || pg_get_constraintdef(oid), ',' ORDER BY oid) FROM pg_constraint \
    WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'fourfold%' \
    UNION ALL SELECT string_agg(indexdef, ',' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'fourfold%'";

impl Place {
    /// Imports in place, opens the rules, and migrates.
    pub fn adopted(&self, more: &[&str]) -> Ran {
        let ran = self.run(&[&["import", &self.url, "--out", "shop", "--in-place"], more].concat()).ended(0);
        let open = self.model().replace("\"admin\" in caller.roles", "true");
        self.folder.write(&format!("shop/{}.fourfold", self.database), &open);
        self.run(&["check", "--write", "shop"]).ended(0);
        ran
    }

    pub fn serve(&self) -> Server {
        Server::spawn(&mut self.command(&["serve", "shop"], Some(&self.url)))
    }
}

#[test]
fn tables_are_served_where_they_are_and_only_a_revision_is_added() {
    let Some(place) = Place::new(include_str!("odd_postgres.sql")) else { return };
    place.sql("ALTER TABLE author ALTER COLUMN id SET GENERATED ALWAYS");
    let ran = place.adopted(&[]);
    says_exactly(&ran, &[LEFT_OUT, IN_PLACE].concat());
    has_members(
        &place.model(),
        &["rating Int? @min(-32768) @max(32767) @default(5)", "id Int @key @column(\"author\")", "entity Parted {", "@@unique(token)"],
    );
    let before = place.sql(SHAPE);
    place
        .run_there(&["migrate", "plan", "shop"])
        .ended(0)
        .says("adopt table `book`, which is there: add column `revision`")
        .says("4 steps");
    assert!(place.sql(SHAPE) == before, "a plan changed something");
    place.run_there(&["migrate", "apply", "shop"]).ended(0).says("4 steps done");
    place.run_there(&["migrate", "plan", "shop"]).ended(0).says("0 steps");
    let mut after = place.sql(SHAPE);
    for table in ["author", "book", "profile", "parted", "parted_1"] {
        after = after.replace(&format!(",{table} revision bigint"), "");
    }
    assert!(after == before, "something else changed: {after}");

    let server = place.serve();
    let book = server.get("/v1/books/A").json();
    let expect = json!({"revision": 1, "title": "One", "price": "12.50", "seen": "2020-01-01T12:00:00.000000Z",
        "local": "2021-06-01T00:00:00.000001Z", "rating": 7, "big": "9007199254740993", "cover": "AP8=", "extra": {"a": null, "b": [1, 2]},
        "old_extra": {"a": 1}, "tags": ["x", "y,\"z"], "sizes": [1, -2], "prices": ["1.50", "2.00"], "writer_id": 1, "editor_id": 2});
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(book[name], *value, "`{name}` of {book}");
    }
    assert_eq!(server.get("/v1/books/B").json()["sizes"], json!([]));
    assert_eq!(server.get("/v1/parteds/1").json()["text"], "in a partition");
    writes_reach_the_tables_as_they_are(&place, &server);
    what_the_tables_refuse_is_told(&place, &server);
}

fn writes_reach_the_tables_as_they_are(place: &Place, server: &Server) {
    let made = server.post("/v1/authors", &[], r#"{"name": "Dee"}"#);
    assert_eq!((made.status, &made.json()["id"]), (201, &json!(4)), "the table's own sequence: {}", made.text());
    assert_eq!(place.sql("SELECT nextval(pg_get_serial_sequence('author', 'id'))").trim(), "5", "both are given numbers by one");
    assert_eq!(server.post("/v1/authors", &[], r#"{"id": 40, "name": "Eve"}"#).status, 201);
    assert_eq!(place.sql("SELECT nextval(pg_get_serial_sequence('author', 'id'))").trim(), "41", "a client's own number moves it");
    let body = r#"{"id": "C", "title": "Three", "price": "1.00", "writer_id": 4, "extra": {"deep": [1, {"x": null}]}, "local": "2024-01-01T00:00:00Z",
        "tags": ["new"], "prices": ["9.99"], "rating": -3}"#;
    let made = server.post("/v1/books", &[], body);
    assert_eq!(made.status, 201, "{}", made.text());
    let row = place.sql("SELECT title, price, extra->'deep'->0, local, tags, prices, rating, doubled, sold FROM book WHERE code = 'C'");
    assert_eq!(row.trim(), "Three|1.00|1|2024-01-01 00:00:00|{new}|{9.99}|-3|-6|f");
    // What the database would delete along, unseen, has its own event: the author last.
    assert_eq!(http(server.address, "DELETE", "/v1/authors/4", &[], b"").unwrap().status, 204);
    assert_eq!(place.sql("SELECT count(*) FROM book WHERE code = 'C'").trim(), "0");
    let told = place.run_there(&["events", "tail", "shop", "--json"]).ended(0).out;
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        told.iter().map(|event| format!("{} {} {}", event["change"], event["entity"], event["key"]).replace('"', "")).collect();
    let expect = ["created Author 4", "created Author 40", "created Book C", "deleted Author 4", "deleted Book C"];
    assert_eq!(told, expect);
}

fn what_the_tables_refuse_is_told(place: &Place, server: &Server) {
    place.sql("ALTER TABLE book ADD CONSTRAINT no_secrets CHECK (title <> 'secret')");
    let refused = server.post("/v1/books", &[], r#"{"id": "D", "title": "secret", "price": "1.00", "writer_id": 1}"#);
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("breaks a constraint of its table: `no_secrets`"), "{}", refused.text());
    let taken = server.post("/v1/authors", &[], r#"{"name": "Ann"}"#);
    assert_eq!((taken.status, &taken.json()["errors"][0]["pointer"]), (409, &json!("/name")), "{}", taken.text());
    let referred = http(server.address, "DELETE", "/v1/authors/1", &[], b"").unwrap();
    assert_eq!(referred.status, 409, "book_author refers to it, and is not in the model: {}", referred.text());
}

#[test]
fn a_model_that_does_not_fit_a_table_of_others_is_refused_with_every_reason() {
    let sql = "CREATE TABLE t (id integer PRIMARY KEY, a integer, b text NOT NULL, c timestamptz(0), d text NOT NULL);";
    let Some(place) = Place::new(sql) else { return };
    let model = "package t.v1\nentity T {\n id Int @key\n a Int\n b String? @unique\n c DateTime?\n e Date\n @@name(table: \"t\")\n}\n";
    place.folder.write("t.fourfold", model);
    place.run(&["check", "--write"]).ended(0);
    let ran = place.run_there(&["migrate", "apply"]).ended(4);
    for why in [
        "column `a` may be null; mark `a` with `?`",
        "column `b` is never null; take the `?` from `b`",
        "column `c` is `timestamp(0) with time zone`, and `c` needs `timestamp with time zone`",
        "it has no column `e`; whoever owns the table adds it",
        "column `d` must have a value, has no default, and the model does not know it",
        "no index makes `b` unique",
    ] {
        assert!(ran.err.contains(why), "nothing says `{why}`: {}", ran.err);
    }
    assert_eq!(place.sql("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'revision'").trim(), "0");
}

#[test]
fn a_table_of_others_outlives_its_entity() {
    let Some(place) = Place::new("CREATE TABLE t (id serial PRIMARY KEY, a text); INSERT INTO t (a) VALUES ('x')") else { return };
    place.adopted(&[]);
    place.run_there(&["migrate", "apply", "shop"]).ended(0);
    let model = place.model();
    let other = "package other.v1\nentity Other {\n id Int @key\n}\n";
    place.folder.write(&format!("shop/{}.fourfold", place.database), other);
    place.run(&["check", "--write", "shop"]).ended(0);
    place.run_there(&["migrate", "apply", "shop"]).ended(0).says("let go of table `t`, which stays as it is");
    assert_eq!(place.sql("SELECT a, revision FROM t").trim(), "x|1");
    // And it is taken again with the revisions that it has.
    place.sql("UPDATE t SET revision = 7");
    place.folder.write(&format!("shop/{}.fourfold", place.database), &model);
    place.run(&["check", "--write", "shop"]).ended(0);
    place.run_there(&["migrate", "apply", "shop", "--allow-destructive"]).ended(0);
    assert_eq!(place.serve().get("/v1/ts/1").json(), json!({"id": 1, "revision": 7, "a": "x"}));
}
