//! What one writer asked for and was told, row by row, and what must therefore be in the database.

use std::collections::BTreeMap;

use super::database::{Database, Event};
use fourfold_testkit::random::Random;

/// A version of a row that was asked for.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: String,
    /// `None` deletes.
    pub text: Option<String>,
}

/// A version that was acknowledged, or was found after the kill.
struct Version {
    text: Option<String>,
    /// A delete's answer tells none.
    revision: Option<u64>,
}

/// All that one writer knows: nobody else writes its rows, and it writes one request at a time.
pub struct Ledger {
    name: String,
    rows: BTreeMap<String, Vec<Version>>,
    /// Asked and not answered.
    open: Vec<Write>,
    counter: u64,
    pub acknowledged: usize,
    /// Writes that stand although the process was killed before it could say so.
    pub done_unanswered: usize,
}

/// What is wrong.
#[derive(Default)]
pub struct Found {
    pub lost: usize,
    pub faults: Vec<String>,
}

impl Ledger {
    pub fn new(name: String) -> Ledger {
        Ledger { name, rows: BTreeMap::new(), open: Vec::new(), counter: 0, acknowledged: 0, done_unanswered: 0 }
    }

    /// The next request: its verb, and the rows that it writes.
    pub fn next(&mut self, random: &mut Random, may_batch: bool) -> (&'static str, Vec<Write>) {
        let known = self.some_row(random);
        let (verb, writes) = match (random.below(10), known) {
            (0..=1, _) if may_batch => ("batch", (0..3).map(|_| self.fresh()).collect()),
            (2..=4, Some((key, true))) => ("update", vec![self.again(key)]),
            (5, Some((key, _))) => ("upsert", vec![self.again(key)]),
            (6, Some((key, true))) => ("delete", vec![Write { key, text: None }]),
            _ => ("create", vec![self.fresh()]),
        };
        self.open.clone_from(&writes);
        (verb, writes)
    }

    /// A row that was written once, and whether it is there.
    fn some_row(&self, random: &mut Random) -> Option<(String, bool)> {
        let at = random.below(self.rows.len().max(1) as u64) as usize;
        let (key, versions) = self.rows.iter().nth(at)?;
        Some((key.clone(), versions.last().is_some_and(|version| version.text.is_some())))
    }

    fn fresh(&mut self) -> Write {
        let key = format!("{}-{}", self.name, self.counter);
        self.again(key)
    }

    /// A text that no other write has.
    fn again(&mut self, key: String) -> Write {
        self.counter += 1;
        Write { key, text: Some(format!("<{}:{}>", self.name, self.counter)) }
    }

    /// What was open was done, with these revisions.
    pub fn acknowledge(&mut self, revisions: Vec<Option<u64>>) {
        assert_eq!(self.open.len(), revisions.len(), "{:?}", self.open);
        for (write, revision) in std::mem::take(&mut self.open).into_iter().zip(revisions) {
            self.rows.entry(write.key).or_default().push(Version { text: write.text, revision });
            self.acknowledged += 1;
        }
    }

    /// Compares, and settles what was open: it was done as a whole or not at all.
    pub fn compare(&mut self, database: &Database) -> Found {
        let mut found = Found::default();
        let open = std::mem::take(&mut self.open);
        let done: Vec<bool> = open.iter().map(|write| self.was_done(write, database)).collect();
        if done.iter().any(|one| *one != done[0]) {
            found.faults.push(format!("{}: half of a batch was done: {open:?}", self.name));
        }
        for (write, done) in open.into_iter().zip(done) {
            if done {
                self.done_unanswered += 1;
                self.rows.entry(write.key).or_default().push(Version { text: write.text, revision: None });
            }
        }
        for (key, versions) in &self.rows {
            compare_row(key, versions, database, &mut found);
        }
        found
    }

    /// Whether a version more than was acknowledged is there.
    fn was_done(&self, write: &Write, database: &Database) -> bool {
        let known = self.rows.get(&write.key).map_or(0, Vec::len);
        database.events_of(&write.key).get(known).is_some_and(|event| is_version(event, write.text.as_deref()))
    }
}

/// The events of a row must be its versions, one for one, and the row the last of them.
fn compare_row(key: &str, versions: &[Version], database: &Database, found: &mut Found) {
    let events = database.events_of(key);
    for (at, version) in versions.iter().enumerate() {
        let same = |event: &Event| version.revision.is_none_or(|revision| revision == event.revision);
        match events.get(at) {
            Some(event) if is_version(event, version.text.as_deref()) && same(event) => {}
            other => {
                found.lost += 1;
                found.faults.push(format!("`{key}` version {at} {:?} revision {:?}: {other:?}", version.text, version.revision));
            }
        }
    }
    if events.len() > versions.len() {
        found.faults.push(format!("`{key}` has {} events and was written {} times", events.len(), versions.len()));
    }
    let expect = versions.last().and_then(|version| version.text.as_deref());
    if database.text_of(key) != expect {
        found.faults.push(format!("`{key}` is {:?} and not {expect:?}", database.text_of(key)));
    }
}

fn is_version(event: &Event, text: Option<&str>) -> bool {
    match (&event.after, text) {
        (Some(after), Some(text)) => after.windows(text.len()).any(|window| window == text.as_bytes()),
        (None, None) => true,
        _ => false,
    }
}
