//! What was acknowledged, and whether a store still has it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use fourfold_model::{KEY, Value};
use fourfold_op::{Cursor, ErrorCode, Event, List, Operand};
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{ITEM, item};
use fourfold_store::conformance::world::{admin, id, list, titles};
use fourfold_store::{Budget, Entities, Store, StoreError};
use rusqlite::{Connection, OpenFlags};

use crate::load::{self, GONE, number};

/// How a finding ends that misses an acknowledged version.
pub const LOST: &str = "an acknowledged write is lost";
/// A key that the load never writes.
const SPARE: u16 = 60_000;

/// What clients were told.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The log's epoch, once it was told.
    pub epoch: Option<String>,
    /// By key and revision: the position by which it is there, and the row's title (`-`: deleted).
    pub acks: BTreeMap<(u16, u64), (u64, String)>,
    /// Up to here the log was pruned, as was acknowledged.
    pub floor: u64,
    /// Up to here it might be.
    pub prunable: u64,
}

impl Ledger {
    /// Adds what a file of acknowledgements says.
    pub fn add(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(epoch) = line.strip_prefix("epoch ") {
                self.epoch = Some(epoch.to_owned());
            } else if let Some(floor) = line.strip_prefix("floor ") {
                self.floor = floor.parse().unwrap();
            } else if let Some(through) = line.strip_prefix("prune ") {
                self.prunable = through.parse().unwrap();
            } else {
                let (key, acked) = ack(line).unwrap_or_else(|| panic!("no acknowledgement: `{line}`"));
                self.acks.insert(key, acked);
            }
        }
    }
}

fn ack(line: &str) -> Option<((u16, u64), (u64, String))> {
    let mut words = line.strip_prefix("ack ")?.splitn(4, ' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (after, key, revision) = (number()?, number()?, number()?);
    Some(((u16::try_from(key).ok()?, revision), (after, words.next()?.to_owned())))
}

/// What is wrong with the store in a folder, in words; nothing when it is whole and has all that was acknowledged.
pub async fn findings(folder: PathBuf, ledger: Ledger) -> Vec<String> {
    // A task, so that a database too broken to be checked is a finding and no end of the test.
    tokio::spawn(async move { look(&folder, &ledger).await })
        .await
        .unwrap_or_else(|error| vec![format!("the check itself failed: {error}")])
}

async fn look(folder: &Path, ledger: &Ledger) -> Vec<String> {
    let mut found = Findings(Vec::new());
    match load::open(folder).await {
        Err(error) => found.0.push(error),
        Ok((store, world)) => {
            found.check(folder, ledger, &world).await;
            store.close().await;
        }
    }
    found.0
}

struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }

    async fn check(&mut self, folder: &Path, ledger: &Ledger, world: &World) {
        self.pages(folder);
        self.epoch(ledger, world).await;
        let floor = self.floor(ledger, world).await;
        let events = self.log(world, floor).await;
        self.acknowledged(ledger, floor, &events);
        self.rows(world, ledger, &events).await;
        self.commits(folder, ledger, floor, &events);
        self.revisions(world, ledger).await;
        let made = world.try_one(&admin(), fourfold_store::conformance::world::create(ITEM, Some(id(SPARE)), spare())).await;
        self.expect(made.is_ok(), || format!("it takes no write: {made:?}"));
    }

    /// SQLite's own check.
    fn pages(&mut self, folder: &Path) {
        let said = text_rows(folder, "PRAGMA integrity_check");
        self.expect(said == ["ok"], || format!("the integrity check says {said:?}"));
    }

    async fn epoch(&mut self, ledger: &Ledger, world: &World) {
        let epoch = world.store.head(None).await.epoch;
        if let Some(told) = &ledger.epoch {
            self.expect(*told == *epoch.0, || format!("the epoch was {told} and is {epoch:?}"));
        }
    }

    /// How far the log is pruned: as far as was acknowledged, and no further than was asked. Places before that have expired.
    async fn floor(&mut self, ledger: &Ledger, world: &World) -> u64 {
        let head = world.store.head(None).await;
        let allowed = ledger.floor..=ledger.prunable;
        self.expect(allowed.contains(&head.floor), || format!("the log is pruned up to {}, and not within {allowed:?}", head.floor));
        for before in [0, head.floor / 2, head.floor.saturating_sub(1)].into_iter().filter(|before| *before < head.floor) {
            let cursor = Cursor { epoch: head.epoch.clone(), after: before, skip: None };
            let read = world.store.events(&cursor, &Entities::All, Budget { events_max: 1, bytes_max: 1 }).await;
            let expired = matches!(&read, Err(StoreError::Refused(error)) if error.code == ErrorCode::CursorExpired);
            self.expect(expired, || format!("a reader at {before}, before {}, is told {read:?}", head.floor));
        }
        head.floor
    }

    /// The log: from its floor without a gap, by whole commits, to the head.
    async fn log(&mut self, world: &World, floor: u64) -> Vec<Event> {
        let events = log(world, floor).await;
        let (head, last) = (world.store.head(None).await.position, events.last().map_or(floor, |event| event.commit_last.0.get()));
        self.expect(last == head, || format!("the commit after {last} is torn: the log goes to {head}"));
        for (event, position) in events.iter().zip(floor + 1..) {
            self.expect(event.position.0.get() == position, || format!("the event at {position} has the position {:?}", event.position));
        }
        events
    }

    /// Each acknowledged version has its one event, not above the position that was told with it.
    fn acknowledged(&mut self, ledger: &Ledger, floor: u64, events: &[Event]) {
        let mut of: HashMap<(u16, u64), Vec<&Event>> = HashMap::new();
        for event in events {
            of.entry((number(&event.key), event.revision)).or_default().push(event);
        }
        for (version, same) in &of {
            self.expect(same.len() == 1, || format!("{version:?} has {} events", same.len()));
        }
        for (version, (after, title)) in ledger.acks.iter().filter(|(_, (after, _))| *after > floor) {
            let event = of.get(version).and_then(|same| same.first());
            let as_told = event.is_some_and(|event| event.position.0.get() <= *after && title_of(event) == *title);
            self.expect(as_told, || format!("of {version:?}, told with position {after}, there is {event:?}: {LOST}"));
        }
    }

    /// Each key's row is what its last event says, or was acknowledged where that one is pruned, and nothing else is there.
    async fn rows(&mut self, world: &World, ledger: &Ledger, events: &[Event]) {
        let mut last: BTreeMap<u16, (u64, String)> = BTreeMap::new();
        for ((key, revision), (_, title)) in &ledger.acks {
            last.insert(*key, (*revision, title.clone()));
        }
        for event in events {
            last.insert(number(&event.key), (event.revision, title_of(event)));
        }
        last.retain(|_, (_, title)| title != GONE);
        let every = List { size: Some(Operand(0)), ..list(None) };
        let (page, _) = world.page(&admin(), ITEM, every, vec![], &[Value::Int(1_000)]).await;
        let rows = page.items.iter().zip(titles(&page));
        let rows: BTreeSet<_> = rows.map(|(record, title)| (number(record.row.value(KEY)), record.row.revision(), title)).collect();
        let told: BTreeSet<_> = last.into_iter().map(|(key, (revision, title))| (key, revision, title)).collect();
        self.expect(rows == told, || format!("rows and events differ in {:?}", rows.symmetric_difference(&told)));
    }

    /// A commit's rows came together, and so did its side record.
    fn commits(&mut self, folder: &Path, ledger: &Ledger, floor: u64, events: &[Event]) {
        let mut commits: HashMap<String, Vec<u64>> = HashMap::new();
        for event in events.iter().filter(|event| event.after.is_some() && number(&event.key) != SPARE) {
            commits.entry(title_of(event)).or_default().push(event.commit_last.0.get());
        }
        for (title, lasts) in &commits {
            let size = title.trim_end_matches('>').rsplit(' ').next().and_then(|size| size.parse().ok());
            let whole = size == Some(lasts.len()) && lasts.iter().collect::<HashSet<_>>().len() == 1;
            self.expect(whole, || format!("of the commit {title} there are {lasts:?}"));
        }
        let sides: BTreeSet<String> = text_rows(folder, "SELECT CAST(key AS TEXT) FROM fourfold_side").into_iter().collect();
        // A side record outlasts the events of its commit.
        let pruned = ledger.acks.values().filter(|(after, title)| *after <= floor && title != GONE).map(|(_, title)| title.clone());
        let commits: BTreeSet<String> = commits.into_keys().chain(pruned).collect();
        self.expect(sides == commits, || {
            format!("side records without commits, or the reverse: {:?}", sides.symmetric_difference(&commits))
        });
    }

    /// A key that was deleted goes on above the revisions that were told of it, though the event is pruned.
    async fn revisions(&mut self, world: &World, ledger: &Ledger) {
        let mut last: BTreeMap<u16, (u64, &str)> = BTreeMap::new();
        for ((key, revision), (_, title)) in &ledger.acks {
            last.insert(*key, (*revision, title));
        }
        for (key, (told, _)) in last.into_iter().filter(|(_, (_, title))| *title == GONE) {
            if world.get(&admin(), ITEM, id(key)).await.is_some() {
                continue;
            }
            let made = world.try_one(&admin(), fourfold_store::conformance::world::create(ITEM, Some(id(key)), spare())).await;
            let revision = made.as_ref().map(|made| made.revision);
            self.expect(revision.as_ref().is_ok_and(|revision| *revision > told), || format!("{key} had {told}, and now is {made:?}"));
        }
    }
}

/// The events after a position, as far as they can be read.
pub async fn log(world: &World, floor: u64) -> Vec<Event> {
    let head = world.store.head(None).await;
    let mut after = Cursor { epoch: head.epoch, after: floor, skip: None };
    let mut events: Vec<Event> = Vec::new();
    while after.after < head.position {
        let tail = world.store.events(&after, &Entities::All, Budget { events_max: 10_000, bytes_max: 64 << 20 }).await.unwrap();
        if tail.through.after == after.after {
            break;
        }
        events.extend(tail.events);
        after = tail.through;
    }
    events
}

fn spare() -> Vec<(fourfold_model::FieldId, Value)> {
    vec![(item::TITLE, Value::text("after the cut"))]
}

/// The title in an event's row, which has marks around it; `-` for a delete.
pub fn title_of(event: &Event) -> String {
    let Some(after) = &event.after else { return GONE.to_owned() };
    // Only text can hold the marks, whatever the bytes around it are.
    let text = String::from_utf8_lossy(after);
    let marked = text.find("<<").and_then(|from| Some(&text[from..from + text[from..].find(">>")? + 2]));
    marked.unwrap_or("a row without its title").to_owned()
}

/// The first column of a statement's rows, read beside the store; an error is a row.
fn text_rows(folder: &Path, statement: &str) -> Vec<String> {
    let read = || {
        let connection = Connection::open_with_flags(folder.join("data.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare(statement)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()
    };
    read().unwrap_or_else(|error| vec![error.to_string()])
}
