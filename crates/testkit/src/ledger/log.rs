//! The log of the store, read from what is kept: what happened, in order, by another reader of Protobuf than the product's.

use std::collections::{BTreeMap, BTreeSet};

use fourfold_model::{Model, Value as Key};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;

use super::Place;
use super::grpc::to_json;

/// A record of the log: the last position of a commit, how many events it has, and their bytes.
pub struct Commit {
    /// The position of its last event.
    pub last: u64,
    /// Events.
    pub count: u64,
    /// As `fourfold_store::record` has them.
    pub bytes: Vec<u8>,
    /// The transaction that wrote it, where a cursor may say which transactions a list has shown.
    pub xid: Option<u64>,
}

/// A change of one row.
pub(crate) struct Event {
    pub position: u64,
    pub commit_last: u64,
    pub xid: Option<u64>,
    pub entity: String,
    pub key: String,
    pub revision: u64,
    /// The row before and after; none where there was none.
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What a row was from an event on: its revision and its members, or that there is none.
type Versions = Vec<((u64, Option<u64>), Option<(u64, Value)>)>;

/// Everything that was committed.
pub struct Log {
    pub(crate) events: Vec<Event>,
    rows: BTreeMap<(String, String), Versions>,
}

impl Log {
    /// Reads the log.
    pub fn read(model: &Model, pool: &DescriptorPool, commits: &[Commit]) -> Log {
        let mut log = Log { events: Vec::new(), rows: BTreeMap::new() };
        for commit in commits {
            let first = commit.last + 1 - commit.count;
            for (position, event) in (first..).zip(fourfold_store::record::events(&commit.bytes)) {
                let event = event.expect("a record of the known form");
                let entity = model.entity(model.entity_by_number(event.entity).expect("an entity")).name.to_string();
                let Key::Text(key) = &event.key else { panic!("a key that is no text: {:?}", event.key) };
                let message = pool.get_message_by_name(&format!("ledger.v1.{entity}")).expect("a message");
                let row = |bytes| to_json(&DynamicMessage::decode(message.clone(), bytes).expect("a row"));
                log.push((position, commit), (entity, key.to_string()), event.revision, event.after.map(row));
            }
        }
        log
    }

    fn push(&mut self, (position, commit): (u64, &Commit), of: (String, String), revision: u64, after: Option<Value>) {
        let versions = self.rows.entry(of.clone()).or_default();
        let before = versions.last().and_then(|(_, row)| row.clone()).map(|(_, row)| row);
        versions.push(((position, commit.xid), after.clone().map(|row| (revision, row))));
        let (entity, key) = of;
        self.events.push(Event { position, commit_last: commit.last, xid: commit.xid, entity, key, revision, before, after });
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Acknowledged writes that are not in it: entity, key and revision.
    pub fn lost<'a>(&self, acknowledged: &'a [(String, String, u64)]) -> Vec<&'a (String, String, u64)> {
        let kept: BTreeSet<_> = self.events.iter().map(|event| (&event.entity, &event.key, event.revision)).collect();
        acknowledged.iter().filter(|(entity, key, revision)| !kept.contains(&(entity, key, *revision))).collect()
    }

    /// The rows of an entity at a place, by key.
    pub(crate) fn rows_at(&self, entity: &str, place: &Place) -> impl Iterator<Item = (&str, u64, &Value)> {
        let from = (entity.to_owned(), String::new());
        let of = self.rows.range(from..).take_while(move |((name, _), _)| name == entity);
        of.filter_map(move |((_, key), versions)| {
            let (_, version) = versions.iter().rfind(|((position, xid), _)| place.has(*position, *xid))?;
            let (revision, row) = version.as_ref()?;
            Some((key.as_str(), *revision, row))
        })
    }

    /// The rooms of a user at a place.
    pub(crate) fn rooms_at(&self, user: &str, place: &Place) -> BTreeSet<String> {
        let members = self.rows_at("Member", place).filter_map(|(_, _, row)| room_of(Some(row), user));
        members.collect()
    }

    /// The commits beyond a place that change what a user is a member of: their last events.
    pub(crate) fn moves_after(&self, user: &str, place: &Place) -> impl Iterator<Item = u64> {
        let members = self.events.iter().filter(move |event| event.entity == "Member" && !event.is_in(place));
        let moved = members.filter(move |event| room_of(event.before.as_ref(), user) != room_of(event.after.as_ref(), user));
        moved.map(|event| event.commit_last)
    }

    /// Whether a place has what stands at a position.
    pub(crate) fn has(&self, place: &Place, position: u64) -> bool {
        let at = self.events.partition_point(|event| event.position < position);
        self.events.get(at).is_some_and(|event| event.is_in(place))
    }

    /// Whether a commit ends there.
    pub(crate) fn is_commit(&self, position: u64) -> bool {
        let at = self.events.partition_point(|event| event.position < position);
        position == 0 || self.events.get(at).is_some_and(|event| event.commit_last == position)
    }
}

impl Event {
    /// Whether a place has it.
    pub fn is_in(&self, place: &Place) -> bool {
        place.has(self.position, self.xid)
    }
}

fn room_of(member: Option<&Value>, user: &str) -> Option<String> {
    let member = member.filter(|member| member["user_id"] == user)?;
    member["room_id"].as_str().map(str::to_owned)
}
