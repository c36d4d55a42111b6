//! Whether a diary holds what the log says: each change under the filter and the rules, once, in order, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::diary::{Began, Chapter, Connection};
use super::log::Event;
use super::{Asked, Change, Diary, Kind, Log, MARKER, Place};

/// Faults of one diary that are told; more say nothing new.
const FAULTS_TOLD: usize = 3;
/// Characters of a fault that are told: it may have a whole row in it.
const FAULT_CHARS: usize = 400;

/// What is wrong with a diary; nothing where it is right. `whole`: it must have come to the marker.
pub fn judge(log: &Log, diary: &Diary, whole: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, chapter) in diary.chapters.iter().enumerate() {
        let next = diary.chapters.get(at + 1).map(|next| &next.at);
        let judged = Judged { log, asked: &diary.asked, chapter, next, whole };
        faults.extend(judged.fault().map(|fault| format!("{:?} {}: {fault:.FAULT_CHARS$}", diary.transport, named(&diary.asked))));
    }
    faults.truncate(FAULTS_TOLD);
    faults
}

/// Connections that went on before a change of the caller's memberships which was already made, and were told something.
pub fn overtaken(log: &Log, diary: &Diary) -> usize {
    let of = |chapter: &Chapter| {
        let judged = Judged { log, asked: &diary.asked, chapter, next: None, whole: false };
        let moved = judged.moves().next().unwrap_or(u64::MAX);
        let ends = chapter.connections.iter().skip(1).map(|next| next.told).chain([chapter.changes.len()]);
        chapter.connections.iter().zip(ends).filter(|(connection, end)| connection.began.is_behind(moved) && *end > connection.told).count()
    };
    diary.chapters.iter().map(of).sum()
}

fn named(asked: &Asked) -> String {
    format!("{}s {:?} for {}", asked.entity, asked.filter, asked.caller.user)
}

struct Judged<'a> {
    log: &'a Log,
    asked: &'a Asked,
    chapter: &'a Chapter,
    /// Of which moment the rows of the next chapter are.
    next: Option<&'a Place>,
    whole: bool,
}

impl Judged<'_> {
    fn fault(&self) -> Option<String> {
        let (log, chapter) = (self.log, self.chapter);
        if !log.is_commit(chapter.at.position) {
            return Some(format!("rows of {}, within a commit", chapter.at.position));
        }
        let rooms = log.rooms_at(&self.asked.caller.user, &chapter.at);
        let moved = self.moves().next();
        let listed = self.rows(&rooms);
        listed.or_else(|| self.reset(moved)).or_else(|| self.changes(moved)).or_else(|| self.rebuilt(&rooms))
    }

    /// The commits behind the rows that change the caller's rights.
    fn moves(&self) -> impl Iterator<Item = u64> {
        let member = self.asked.entity == "Message";
        self.log.moves_after(&self.asked.caller.user, &self.chapter.at).filter(move |_| member)
    }

    /// The rows to begin with.
    fn rows(&self, rooms: &BTreeSet<String>) -> Option<String> {
        let told = self.chapter.rows.iter().map(|row| (row.key.as_str(), row.revision, row.item.clone()));
        let told: BTreeMap<_, _> = told.map(|(key, revision, item)| (key, (revision, item))).collect();
        differ(&told, &self.table(rooms, &self.chapter.at), &self.chapter.at)
    }

    /// What the table holds for this caller at a place.
    fn table(&self, rooms: &BTreeSet<String>, place: &Place) -> BTreeMap<&str, (Option<u64>, Option<Value>)> {
        let rows = self.log.rows_at(self.asked.entity, place).filter(|(_, _, row)| sees(self.asked, rooms, row));
        rows.map(|(key, revision, row)| (key, (Some(revision), Some(shown(self.asked, row))))).collect()
    }

    /// A reset where the caller's rights change, and nowhere else.
    fn reset(&self, moved: Option<u64>) -> Option<String> {
        match (self.chapter.reset, moved) {
            (true, None) => Some(format!("a reset behind {:?} without a change of membership", self.chapter.at)),
            (true, Some(moved)) if self.next.is_some_and(|next| !self.log.has(next, moved)) => {
                Some(format!("a reset for {moved}, and then rows of {:?}", self.next))
            }
            (false, Some(moved)) if self.chapter.changes.last().is_some_and(|last| last.position > moved) => {
                Some(format!("{moved} changes the caller's memberships, and no reset was told"))
            }
            _ => None,
        }
    }

    /// What each connection was told, up to where the next one went on.
    fn changes(&self, moved: Option<u64>) -> Option<String> {
        let connections = &self.chapter.connections;
        let fault = connections.iter().enumerate().find_map(|(at, connection)| self.told(connection, connections.get(at + 1), moved));
        fault.or_else(|| self.unfinished())
    }

    /// A connection is judged by the rights of the moment at which it began, and told of no commit that changes them. So who comes back to a place
    /// before its rights changed is told by those of today what lies before, and then reset.
    fn told(&self, connection: &Connection, next: Option<&Connection>, moved: Option<u64>) -> Option<String> {
        let told = &self.chapter.changes[connection.told..next.map_or(self.chapter.changes.len(), |next| next.told)];
        let faults = self.rights(connection).into_iter().map(|rooms| {
            let expect = self.expected(&rooms, connection.after, moved.unwrap_or(u64::MAX));
            follows(told, expect, next.map(|next| next.after))
        });
        faults.reduce(|fault, other| fault.and(other))?
    }

    /// The rooms that a connection may have been judged by.
    fn rights(&self, connection: &Connection) -> Vec<BTreeSet<String>> {
        let (user, at) = (&self.asked.caller.user, &self.chapter.at);
        let Began::Since(since) = connection.began else { return vec![self.log.rooms_at(user, at)] };
        // The next list is of a later moment.
        let before_next = |moved: &u64| self.next.is_none_or(|next| self.log.has(next, *moved));
        let moves = self.moves().filter(|moved| *moved > since).filter(before_next);
        [since].into_iter().chain(moves).map(|position| self.log.rooms_at(user, &at.up_to(position))).collect()
    }

    /// What changes there are for the caller behind a position that the rows to begin with do not show, up to a commit that is told no more.
    fn expected<'b>(&'b self, rooms: &'b BTreeSet<String>, after: u64, before_commit: u64) -> impl Iterator<Item = Change> + 'b {
        let begin = self.log.events.partition_point(|event| event.position <= after);
        let events = self.log.events[begin..].iter().take_while(move |event| event.commit_last < before_commit);
        let events = events.filter(|event| event.entity == self.asked.entity && !event.is_in(&self.chapter.at));
        events.filter_map(|event| change(self.asked, rooms, event))
    }

    fn unfinished(&self) -> Option<String> {
        let marked = |changes: &[Change]| changes.iter().any(|change| change.key == MARKER);
        let ended = !self.whole || marked(&self.chapter.rows) || marked(&self.chapter.changes);
        (self.next.is_none() && !ended).then(|| "it never came to the marker".to_owned())
    }

    /// The rows with the changes applied are the table at the last change.
    fn rebuilt(&self, rooms: &BTreeSet<String>) -> Option<String> {
        let last = self.chapter.changes.last().filter(|_| !self.chapter.reset)?;
        let mut rebuilt = BTreeMap::new();
        for change in self.chapter.rows.iter().chain(&self.chapter.changes) {
            match change.kind {
                Kind::Left => rebuilt.remove(change.key.as_str()),
                Kind::Entered | Kind::Changed => rebuilt.insert(change.key.as_str(), (change.revision, change.item.clone())),
            };
        }
        let place = self.chapter.at.up_to(last.position);
        differ(&rebuilt, &self.table(rooms, &place), &place)
    }
}

impl Began {
    /// Whether it was surely after this commit.
    fn is_behind(self, commit_last: u64) -> bool {
        matches!(self, Began::Since(since) if since >= commit_last)
    }
}

type Rows<'a> = BTreeMap<&'a str, (Option<u64>, Option<Value>)>;

fn differ(told: &Rows<'_>, expect: &Rows<'_>, at: &Place) -> Option<String> {
    let other = expect.iter().find(|(key, row)| told.get(*key) != Some(row));
    if let Some((key, row)) = other {
        return Some(format!("at {at:?} the row `{key}` is {row:?} and not {:?}", told.get(key)));
    }
    let more = told.keys().find(|key| !expect.contains_key(*key));
    more.map(|key| format!("at {at:?} there is no row `{key}` for it, and it has one"))
}

fn change(asked: &Asked, rooms: &BTreeSet<String>, event: &Event) -> Option<Change> {
    let saw = event.before.as_ref().is_some_and(|row| sees(asked, rooms, row));
    let after = event.after.as_ref().filter(|row| sees(asked, rooms, row));
    let kind = match (saw, after) {
        (false, None) => return None,
        (true, None) => Kind::Left,
        (false, Some(_)) => Kind::Entered,
        (true, Some(_)) => Kind::Changed,
    };
    let item = after.map(|row| shown(asked, row));
    Some(Change { position: event.position, kind, key: event.key.clone(), revision: after.map(|_| event.revision), item })
}

/// The rules of the model, and the filter.
fn sees(asked: &Asked, rooms: &BTreeSet<String>, row: &Value) -> bool {
    let rule = match asked.entity {
        "Order" => row["owner"] == asked.caller.user.as_str() || row["state"] == "public" || row["state"] == MARKER,
        _ => row["room_id"].as_str().is_some_and(|room| rooms.contains(room)),
    };
    (rule || asked.caller.admin) && asked.holds(row)
}

/// The members that are shown, what is masked left out.
fn shown(asked: &Asked, row: &Value) -> Value {
    let masked = !asked.caller.admin && row["owner"] != asked.caller.user.as_str();
    let shown = asked.fields().iter().filter(|name| !(matches!(**name, "id" | "revision") || masked && **name == "cost"));
    let members: Map<String, Value> =
        shown.filter(|name| !row[**name].is_null()).map(|name| ((*name).to_owned(), row[*name].clone())).collect();
    Value::Object(members)
}

/// Whether what was told is how the expected begins, with all up to a position; the first difference by what it means.
fn follows(told: &[Change], mut expect: impl Iterator<Item = Change>, through: Option<u64>) -> Option<String> {
    let mut last = 0;
    for one in told {
        let Some(expected) = expect.next() else {
            return Some(match one.position <= last {
                true => format!("a repeat: {one:?} after {last}"),
                false => format!("nothing more was to be told after {last}: {one:?}"),
            });
        };
        if *one != expected {
            return Some(match one.position {
                position if position == expected.position => format!("told otherwise: {one:?}, expected {expected:?}"),
                position if position <= last => format!("a repeat or out of order: {one:?} after {last}"),
                position if position > expected.position => format!("a gap: {expected:?} is missing before {position}"),
                _ => format!("it had no right to it, or did not ask for it: {one:?}"),
            });
        }
        last = one.position;
    }
    let untold = expect.next().filter(|expected| through.is_some_and(|through| expected.position <= through))?;
    Some(format!("a gap: {untold:?} is missing, and the next connection began after it"))
}
