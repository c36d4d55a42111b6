//! Writes of others, by plain SQL, into tables that Fourfold serves in place: each is an event as Fourfold's own writes are.

use serde_json::{Value, json};

use crate::binary::{Server, http};
use crate::import_postgres::Place;

/// Two tables with every kind of column, alike but for their names.
fn kinds() -> String {
    let columns = "flag boolean, small smallint, int integer NOT NULL, big bigint, ratio double precision, price numeric(12,3), text text NOT NULL, \
        short varchar(20), at timestamptz, local timestamp, day date, token uuid, bytes bytea, old_json json, new_json jsonb, \
        flags boolean[], ints integer[], bigs bigint[], ratios double precision[], prices numeric(12,3)[], texts text[], days date[], \
        moments timestamptz[], tokens uuid[]";
    ["own", "other"].map(|name| format!("CREATE TABLE {name} (id integer PRIMARY KEY, {columns});")).concat()
}

const FULL: &str = r#"{"flag": false, "small": -32768, "int": -1, "big": "-9223372036854775808", "ratio": -0.1, "price": "-123456789.120",
    "text": "Zwei – zwölf 🎻", "short": "", "at": "1969-12-31T23:59:59.999999Z", "local": "2024-02-29T12:00:00.000001Z", "day": "0001-01-01",
    "token": "00000000-0000-0000-0000-0000000000ff", "bytes": "AP8=", "old_json": {"b": [1, -2.5, 1e300, "x", true, null, {}, []], "a": {"ü": ""}},
    "new_json": [0], "flags": [true, false], "ints": [0, -1, 2147483647], "bigs": ["1", "-1"], "ratios": [0.5, 1e-300], "prices": ["0.001", "-1.000"],
    "texts": ["", "a,\"b"], "days": ["9999-12-31"], "moments": ["1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:01.500000Z"],
    "tokens": ["00000000-0000-0000-0000-000000000001"]}"#;
const FULL_SQL: &str = r#"false, -32768, -1, -9223372036854775808, -0.1, -123456789.12, 'Zwei – zwölf 🎻', '', '1970-01-01 00:59:59.999999+01',
    '2024-02-29 12:00:00.000001', '0001-01-01', '00000000-0000-0000-0000-0000000000FF', '\x00ff',
    '{"b": [1, -2.5, 1e300, "x", true, null, {}, []], "a": {"ü": ""}}', '[0]', '{true,false}', '{0,-1,2147483647}', '{1,-1}', '{0.5,1e-300}',
    '{0.001,-1}', '{"","a,\"b"}', '{9999-12-31}', '{1970-01-01 00:00:00Z,1970-01-01 00:00:01.5Z}', '{00000000-0000-0000-0000-000000000001}'"#;
const CHANGED: &str = r#"{"flag": null, "int": 300, "price": "0.000", "text": "", "at": "2024-01-01T00:00:00Z", "ints": [],
    "old_json": null, "texts": ["new"]}"#;
const CHANGED_SQL: &str = "flag = NULL, int = 300, price = 0, text = '', at = '2024-01-01Z', ints = '{}', old_json = NULL, texts = '{new}'";

/// Every event of the log as digits, but for the byte that says of which entity it is.
const LOG: &str =
    "SELECT string_agg(encode(set_byte(events, 1, 0), 'hex'), E'\\n' ORDER BY position) FROM fourfold_log WHERE get_byte(events, 1) =";

impl Place {
    fn told(&self) -> Vec<Value> {
        let out = self.run_there(&["events", "tail", "shop", "--after", "0", "--json"]).ended(0).out;
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until all that was committed has its position: a server looks four times a second.
    fn numbered(&self, server: &Server) {
        server.until_true("all numbered", |_| self.sql("SELECT count(*) FROM fourfold_outbox").trim() == "0");
    }

    fn short(&self, server: &Server) -> Vec<String> {
        self.numbered(server);
        let event =
            |event: &Value| format!("{} {} {} {}", event["change"], event["entity"], event["key"], event["revision"]).replace('"', "");
        self.told().iter().map(event).collect()
    }
}

#[test]
fn what_others_write_is_byte_for_byte_what_our_own_writes_are() {
    let Some(place) = Place::new(&kinds()) else { return };
    place.adopted(&["--capture"]);
    place.run_there(&["migrate", "apply", "shop"]).ended(0).says("capture what others write into `other`");
    place.run_there(&["migrate", "plan", "shop"]).ended(0).says("0 steps");
    let server = place.serve();
    let call = |method: &str, path: &str, body: &str| {
        let json = ("content-type", if method == "PATCH" { "application/merge-patch+json" } else { "application/json" });
        let answer = http(server.address, method, path, &[json], body.as_bytes()).unwrap();
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    };
    call("POST", "/v1/owns", &FULL.replacen('{', r#"{"id": 1, "#, 1));
    call("PATCH", "/v1/owns/1", CHANGED);
    call("DELETE", "/v1/owns/1", "");
    call("POST", "/v1/owns", r#"{"id": 1, "int": 0, "text": "again"}"#);
    place.sql(&format!("INSERT INTO other VALUES (1, {FULL_SQL})"));
    place.sql(&format!("UPDATE other SET {CHANGED_SQL} WHERE id = 1"));
    place.sql("DELETE FROM other WHERE id = 1");
    place.sql("INSERT INTO other (id, int, text) VALUES (1, 0, 'again')");
    place.numbered(&server);
    let log = |entity: u8| place.sql(&format!("{LOG} {entity}"));
    assert_eq!(log(1).lines().count(), 4, "{}", log(1));
    assert_eq!(log(1), log(2));
    assert_eq!(server.get("/v1/others/1").json()["text"], "again");
}

const SHOP: &str = "CREATE TABLE author (id serial PRIMARY KEY, name text NOT NULL UNIQUE);
    CREATE TABLE book (id serial PRIMARY KEY, title text, author_id integer NOT NULL REFERENCES author ON DELETE CASCADE);";

/// A shop whose tables are captured, and a server of it.
fn shop() -> Option<(Place, Server)> {
    let place = Place::new(SHOP)?;
    place.adopted(&["--capture"]);
    place.run_there(&["migrate", "apply", "shop"]).ended(0);
    let server = place.serve();
    Some((place, server))
}

#[test]
fn transactions_of_others_are_commits_in_order_and_what_they_roll_back_is_nothing() {
    let Some((place, server)) = shop() else { return };
    place.sql("BEGIN; INSERT INTO author (name) VALUES ('Ann'); INSERT INTO book (title, author_id) VALUES ('One', 1), ('Two', 1); COMMIT");
    place.sql("BEGIN; UPDATE author SET name = 'never'; DELETE FROM book; ROLLBACK");
    place.sql(
        "BEGIN; UPDATE book SET title = 'Uno' WHERE id = 1; SAVEPOINT s; UPDATE book SET title = 'never' WHERE id = 1; INSERT INTO author (name) \
         VALUES ('Nobody'); ROLLBACK TO s; UPDATE author SET name = 'Anna'; COMMIT",
    );
    place.sql("UPDATE book SET title = title, author_id = 1");
    place.sql("DELETE FROM author");
    assert_eq!(
        place.short(&server),
        [
            "created Author 1 1",
            "created Book 1 1",
            "created Book 2 1",
            "updated Book 1 2",
            "updated Author 1 2",
            "deleted Author 1 3",
            "deleted Book 2 2",
            "deleted Book 1 3"
        ]
    );
    let told = place.told();
    let last: Vec<&Value> = told.iter().map(|event| &event["commit_last"]).collect();
    assert_eq!(last, [3, 3, 3, 5, 5, 8, 8, 8], "each transaction is one commit");
    assert_eq!((&told[3]["changed"]["title"], &told[3]["after"]["title"]), (&json!("One"), &json!("Uno")), "{}", told[3]);
    assert_eq!((&told[5]["changed"]["name"], &told[5]["after"]), (&json!("Anna"), &Value::Null), "{}", told[5]);
    assert_eq!(told[0]["by"], "postgres:fourfold");
}

#[test]
fn revisions_are_one_row_of_numbers_whoever_writes() {
    let Some((place, server)) = shop() else { return };
    assert_eq!(server.post("/v1/authors", &[], r#"{"name": "Ann"}"#).json()["revision"], 1);
    place.sql("UPDATE author SET name = 'Anna', revision = 77");
    let read = server.get("/v1/authors/1");
    assert_eq!(read.json()["revision"], 2, "what others put into it does not count");
    let patch = |tag: &str, name: &str| {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", tag)];
        http(server.address, "PATCH", "/v1/authors/1", &headers, format!(r#"{{"name": "{name}"}}"#).as_bytes()).unwrap().status
    };
    assert_eq!((patch("\"1\"", "late"), patch("\"2\"", "Annie")), (412, 200));
    place.sql("DELETE FROM author");
    place.sql("INSERT INTO author (id, name) VALUES (1, 'again')");
    assert_eq!(server.get("/v1/authors/1").json()["revision"], 5, "never one that the key had");
    place.sql("UPDATE author SET id = 9");
    let expect = [
        "created Author 1 1",
        "updated Author 1 2",
        "updated Author 1 3",
        "deleted Author 1 4",
        "created Author 1 5",
        "deleted Author 1 6",
        "created Author 9 1",
    ];
    assert_eq!(place.short(&server), expect, "nothing twice, and another key is another row");
}

#[test]
fn what_cannot_be_an_event_is_refused_by_name_and_many_rows_are_several_commits() {
    let Some((place, server)) = shop() else { return };
    let refused = |sql: &str, why: &str| {
        let script = format!(
            "DO $$ BEGIN {sql}; EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'no'; IF SQLERRM LIKE '%{why}%' THEN RETURN; END IF; RAISE; END $$"
        );
        place.sql(&script);
        assert_eq!(place.sql("SELECT count(*) FROM fourfold_outbox").trim(), "0", "{sql}");
    };
    refused("TRUNCATE author CASCADE", "TRUNCATE of author is refused: its rows would go without events; use DELETE");
    place.sql("ALTER TABLE author ALTER COLUMN name DROP NOT NULL");
    refused("INSERT INTO author (name) VALUES (NULL)", "`author.name` may not be null");
    refused(
        "INSERT INTO author (id, name) VALUES (0, 'x'); INSERT INTO book (title, author_id) VALUES (repeat('x', 5000000), 0)",
        "is larger than an event may be: 4194304 bytes",
    );
    place.sql("INSERT INTO author (name) SELECT 'a' || g FROM generate_series(1, 2500) AS g");
    place.numbered(&server);
    let counts = place.sql("SELECT string_agg(count::text, ',' ORDER BY position) FROM fourfold_log");
    assert_eq!(counts.trim(), "1000,1000,500");
    assert_eq!(place.sql("SELECT count(*) FROM fourfold_captured").trim(), "0", "nothing is left waiting");
    // An application may look at its constraints in between: then a transaction is two commits.
    place.sql("BEGIN; UPDATE author SET name = 'b' WHERE name = 'a1'; SET CONSTRAINTS ALL IMMEDIATE; UPDATE author SET name = 'c' WHERE name = 'a2'; COMMIT");
    place.numbered(&server);
    assert_eq!(place.sql("SELECT sum(count) FROM fourfold_log").trim(), "2502");
}

#[test]
fn a_role_that_may_only_write_the_tables_is_captured() {
    let Some((place, server)) = shop() else { return };
    let role = format!("app_of_{}", place.database);
    place.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON author TO {role}; GRANT USAGE ON author_id_seq TO {role}"
    ));
    place.sql(&format!("SET SESSION AUTHORIZATION {role}; INSERT INTO author (name) VALUES ('Ann'); UPDATE author SET name = 'Anna'"));
    assert_eq!(place.short(&server), ["created Author 1 1", "updated Author 1 2"]);
    assert_eq!(place.told()[0]["by"], format!("postgres:{role}"));
}

#[test]
fn a_new_model_captures_its_new_members_and_none_captures_nothing() {
    let Some((place, server)) = shop() else { return };
    drop(server);
    place.sql("ALTER TABLE book ADD COLUMN pages integer");
    let model = place.model();
    let file = format!("shop/{}.fourfold", place.database);
    place.folder.write(&file, &model.replacen("  title", "  pages Int?\n  title", 1));
    place.run(&["check", "--write", "shop"]).ended(0);
    place
        .run_there(&["migrate", "apply", "shop"])
        .ended(0)
        .says("capture what others write into `book` by the new model")
        .says("1 steps done");
    place.sql("INSERT INTO author (name) VALUES ('Ann'); INSERT INTO book (pages, author_id) VALUES (7, 1)");
    let server = place.serve();
    place.numbered(&server);
    assert_eq!(place.told().last().unwrap()["after"]["pages"], 7);
    drop(server);
    place.folder.write(&file, &place.model().replace("  @@capture\n", ""));
    place.run(&["check", "--write", "shop"]).ended(0);
    place.run_there(&["migrate", "apply", "shop"]).ended(0).says("capture no more what others write into `book`");
    place.sql("UPDATE book SET pages = 8; TRUNCATE book");
    assert_eq!(place.sql("SELECT count(*) FROM fourfold_outbox").trim(), "0");
}

#[test]
fn a_store_that_is_written_by_fourfold_alone_does_not_capture() {
    let folder = crate::binary::Folder::with(&[("a.fourfold", "package a.v1\nentity A {\n id Int @key\n @@capture\n}\n")]);
    crate::binary::run(&folder, &["check", "--write"]).ended(0);
    for command in [&["migrate", "plan"][..], &["migrate", "apply"], &["serve"]] {
        crate::binary::run(&folder, command).ended(4).says("`A` has `@@capture`, and a store in SQLite is written by Fourfold alone");
    }
}

#[test]
fn many_who_write_the_same_rows_leave_every_revision_once_and_in_order() {
    const ROWS: usize = 4;
    const WRITES: usize = 40;
    let Some((place, server)) = shop() else { return };
    place.sql(&format!("INSERT INTO author (name) SELECT 'a' || g FROM generate_series(1, {ROWS}) AS g"));
    let theirs = |who: usize| {
        // Each update is a transaction of its own.
        let text = format!(
            "DO $$ BEGIN FOR i IN 1..{WRITES} LOOP UPDATE author SET name = {who} || '-' || i || '-' || id WHERE id = 1 + (i + {who}) % {ROWS}; COMMIT; \
             END LOOP; END $$"
        );
        place.sql(&text);
    };
    let ours = || {
        for number in 0..WRITES {
            let (path, body) = (format!("/v1/authors/{}", 1 + number % ROWS), format!(r#"{{"name": "ours-{number}"}}"#));
            let headers = [("content-type", "application/merge-patch+json")];
            let answer = http(server.address, "PATCH", &path, &headers, body.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    std::thread::scope(|scope| {
        let theirs = &theirs;
        (0..3).for_each(|who| drop(scope.spawn(move || theirs(who))));
        scope.spawn(ours);
    });
    place.numbered(&server);
    let mut last = [0; ROWS + 1];
    for event in place.told() {
        let key = usize::try_from(event["key"].as_u64().unwrap()).unwrap();
        last[key] += 1;
        assert_eq!(event["revision"], last[key], "of {key}: {event}");
    }
    assert_eq!(last.iter().sum::<u64>() as usize, ROWS + 4 * WRITES);
    for (key, last) in last.iter().enumerate().skip(1) {
        assert_eq!(server.get(&format!("/v1/authors/{key}")).json()["revision"], *last);
    }
}
