//! The file of a store, read beside the server that has it: rows, events and tombstones must agree with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::binary::{Folder, Server, http, run};

/// An event of the log.
#[derive(Debug)]
pub struct Event {
    position: u64,
    commit_last: u64,
    key: String,
    pub revision: u64,
    /// `None`: the row was deleted.
    pub after: Option<Vec<u8>>,
}

/// All that is kept of the one entity.
pub struct Database {
    events: Vec<Event>,
    by_key: BTreeMap<String, Vec<usize>>,
    /// Revision and text by key.
    rows: BTreeMap<String, (u64, String)>,
    tombstones: BTreeMap<String, u64>,
}

impl Database {
    pub fn read(file: &Path) -> Database {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        // One snapshot for all three.
        connection.execute_batch("BEGIN").unwrap();
        let commits = all(&connection, "SELECT position, count, events FROM fourfold_commit ORDER BY position", |row| {
            Ok(commit(row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, &row.get::<_, Vec<u8>>(2)?))
        });
        let events: Vec<Event> = commits.into_iter().flatten().collect();
        let rows =
            all(&connection, "SELECT id, revision, text FROM items", |row| Ok((row.get(0)?, (row.get::<_, i64>(1)? as u64, row.get(2)?))));
        let tombstones =
            all(&connection, "SELECT key, revision FROM fourfold_tombstone", |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)));
        let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        events.iter().enumerate().for_each(|(at, event)| by_key.entry(event.key.clone()).or_default().push(at));
        Database { events, by_key, rows: rows.into_iter().collect(), tombstones: tombstones.into_iter().collect() }
    }

    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// The events of a row, in order.
    pub fn events_of(&self, key: &str) -> Vec<&Event> {
        self.by_key.get(key).into_iter().flatten().map(|at| &self.events[*at]).collect()
    }

    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.rows.get(key).map(|(_, text)| text.as_str())
    }

    /// What does not agree.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.order(&mut faults);
        for (key, at) in &self.by_key {
            self.row(key, at, &mut faults);
        }
        let without = self.rows.keys().filter(|key| !self.by_key.contains_key(*key));
        faults.extend(without.map(|key| format!("`{key}` has a row and no event")));
        faults
    }

    /// Positions are dense, and commits whole and behind one another.
    fn order(&self, faults: &mut Vec<String>) {
        let mut last = 0;
        for (at, event) in self.events.iter().enumerate() {
            let dense = event.position == at as u64 + 1;
            let within = event.position <= event.commit_last && (event.position <= last) == (event.commit_last == last);
            if !dense || !within {
                faults.push(format!("event {} is out of order: {event:?}", at + 1));
            }
            last = event.commit_last;
        }
        if last != self.events.len() as u64 {
            faults.push(format!("the last commit ends at {last}, and there are {} events", self.events.len()));
        }
    }

    /// Each revision once and one after the other; the row is the last event's, or there is a tombstone.
    fn row(&self, key: &str, at: &[usize], faults: &mut Vec<String>) {
        let events: Vec<&Event> = at.iter().map(|at| &self.events[*at]).collect();
        let revisions: Vec<u64> = events.iter().map(|event| event.revision).collect();
        let once: BTreeSet<u64> = revisions.iter().copied().collect();
        if once.len() != revisions.len() || !revisions.iter().copied().eq(1..=revisions.len() as u64) {
            faults.push(format!("`{key}` has events of the revisions {revisions:?}"));
        }
        let Some(last) = events.last() else { return };
        let kept = match last.after {
            Some(_) => self.rows.get(key).is_some_and(|(revision, _)| *revision == last.revision),
            None => !self.rows.contains_key(key) && self.tombstones.get(key) == Some(&last.revision),
        };
        if !kept {
            faults.push(format!("`{key}`: its last event {last:?} is not what is kept: {:?}", self.rows.get(key)));
        }
    }
}

/// The events of a commit; one that is not whole has a position too many or too few.
fn commit(last: u64, count: u64, record: &[u8]) -> Vec<Event> {
    let recorded = fourfold_store::record::events(record).map(|event| event.expect("a record of the known form"));
    let numbered = (last + 1 - count..).zip(recorded);
    let event = |(position, event): (u64, fourfold_store::record::RecordedEvent<'_>)| Event {
        position,
        commit_last: last,
        key: match event.key {
            fourfold_model::Value::Text(text) => text.to_string(),
            other => panic!("a key that is no text: {other:?}"),
        },
        revision: event.revision,
        after: event.after.map(<[u8]>::to_vec),
    };
    numbered.map(event).collect()
}

fn all<T>(connection: &Connection, sql: &str, read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| read(row)).unwrap().map(Result::unwrap).collect()
}

/// What this file's checks must find, each in a database that is otherwise good.
const TAMPERINGS: [&str; 7] = [
    "DELETE FROM fourfold_commit WHERE position = 2",
    "INSERT INTO fourfold_commit SELECT 5, count, generation, at, by, events FROM fourfold_commit WHERE position = 2",
    "UPDATE fourfold_commit SET events = (SELECT events FROM fourfold_commit WHERE position = 1) WHERE position = 2",
    "UPDATE fourfold_commit SET count = 2 WHERE position = 2",
    "UPDATE items SET revision = 1",
    "DELETE FROM items",
    "DELETE FROM fourfold_tombstone",
];

#[test]
fn a_lost_or_doubled_event_and_a_row_without_one_are_found() {
    let folder = Folder::with(&[("kill.fourfold", super::MODEL)]);
    run(&folder, &["check", "--write"]).ended(0);
    let mut server = Server::start(&folder, &["serve"]);
    let write = |method: &str, path: &str, body: &str| {
        let json = [("content-type", "application/json")];
        assert!(http(server.address, method, path, &json, body.as_bytes()).unwrap().status < 300);
    };
    write("PUT", "/v1/items/a", r#"{"text": "1"}"#);
    write("PATCH", "/v1/items/a", r#"{"text": "2"}"#);
    write("PUT", "/v1/items/b", r#"{"text": "3"}"#);
    write("DELETE", "/v1/items/b", "");
    server.terminate();
    server.end();
    let good = folder.0.join(".fourfold/data.db");
    assert_eq!(Database::read(&good).faults(), Vec::<String>::new());
    for sql in TAMPERINGS {
        let file = folder.0.join("tampered.db");
        std::fs::copy(&good, &file).unwrap();
        let connection = Connection::open(&file).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
        drop(connection);
        assert!(!Database::read(&file).faults().is_empty(), "not found: {sql}");
        std::fs::remove_file(&file).unwrap();
    }
}
