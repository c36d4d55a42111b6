//! A writer: replaces and deletes rows, alone and several in a commit, and moves members; each write that is acknowledged is noted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::asked::STATES;
use super::{EVERYONE, MARKER, World};
use crate::client::{Wire, json as parsed};
use crate::random::Random;

/// Rows of each entity that one writer has.
const KEYS: u64 = 12;
/// Users, and rooms beside the one of everyone.
const USERS: u64 = 8;
const ROOMS: u64 = 6;
/// Characters of a text, at most.
const TEXT_CHARS: u64 = 1_500;
/// One write in so many moves a member.
const MOVE_EACH: u64 = 60;

/// One of several writers: nobody else writes its rows. It writes by the node of its own number.
pub struct Writer {
    world: Arc<World>,
    token: String,
    place: (u64, u64),
    random: Random,
    wire: Wire,
    written: u64,
    acknowledged: Vec<(String, String, u64)>,
}

/// A row to be replaced, or deleted.
struct Write {
    entity: &'static str,
    key: String,
    row: Option<Value>,
}

impl Writer {
    /// The one of this number, among so many.
    pub fn new(world: &Arc<World>, token: String, number: u64, among: u64, random: Random) -> Writer {
        let world = Arc::clone(world);
        Writer { world, token, place: (number, among), random, wire: Wire::default(), written: 0, acknowledged: Vec::new() }
    }

    /// The users and their rooms.
    pub fn users() -> impl Iterator<Item = String> {
        (0..USERS).map(user)
    }

    /// Writes what must be there before the run.
    pub async fn begin(&mut self) {
        let mut writes: Vec<Write> = (0..USERS).map(|number| put("User", user(number), json!({}))).collect();
        writes.extend((0..ROOMS).map(room).chain([EVERYONE.to_owned()]).map(|room| put("Room", room, json!({}))));
        for number in 0..USERS {
            writes.push(member(&user(number), EVERYONE, "always"));
            writes.push(member(&user(number), &room(number % ROOMS), "first"));
        }
        self.send(&writes).await;
    }

    /// Writes the marker, the last rows of a run; again until it is acknowledged.
    pub async fn end(&mut self) {
        let marker = |entity, row| put(entity, MARKER.to_owned(), row);
        let order = json!({ "owner": "", "state": MARKER, "amount": 0, "text": "" });
        let message = json!({ "room_id": EVERYONE, "state": MARKER, "amount": 0, "text": "" });
        let marked = [marker("Order", order), marker("Message", message)];
        let before = self.acknowledged.len();
        while self.acknowledged.len() == before {
            self.send(&marked).await;
        }
    }

    /// Writes until this many events are acknowledged, to all writers; one in each time, as fast as it goes without one.
    pub async fn write(mut self, events: u64, each: Option<Duration>) -> Vec<(String, String, u64)> {
        let mut pace = each.map(|each| {
            let mut pace = interval(each);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            pace
        });
        while *self.world.events.borrow() < events {
            let writes = self.next();
            wait(pace.as_mut(), writes.len()).await;
            self.send(&writes).await;
        }
        self.acknowledged
    }

    /// What was acknowledged.
    pub fn acknowledged(self) -> Vec<(String, String, u64)> {
        self.acknowledged
    }

    fn next(&mut self) -> Vec<Write> {
        if self.random.below(MOVE_EACH) == 0 {
            return self.moved();
        }
        let count = if self.random.below(4) == 0 { 2 + self.random.below(5) } else { 1 };
        let deletes = self.random.below(12) == 0;
        (0..count).map(|_| self.row(deletes && count == 1)).collect()
    }

    /// A member comes, stays with another note, or goes, alone or with messages in the same commit.
    fn moved(&mut self) -> Vec<Write> {
        let (place, among) = self.place;
        let pair = self.random.below(USERS * ROOMS / among) * among + place;
        let (user, of) = (user(pair / ROOMS), room(pair % ROOMS));
        let mut moved = member(&user, &of, &self.text(20));
        if self.random.below(2) == 0 {
            moved.row = None;
        }
        match self.random.below(2) {
            0 => vec![moved],
            _ => vec![self.message(of.clone()), moved, self.message(of)],
        }
    }

    fn row(&mut self, deletes: bool) -> Write {
        let of = room(self.random.below(ROOMS));
        let mut write = if self.random.below(2) == 0 { self.order() } else { self.message(of) };
        if deletes {
            write.row = None;
        }
        write
    }

    fn order(&mut self) -> Write {
        let cost = (self.random.below(3) > 0).then(|| self.random.below(1_000));
        let row = json!({ "owner": user(self.random.below(USERS)), "state": self.state(), "amount": self.random.below(100),
            "text": self.text(TEXT_CHARS), "cost": cost });
        put("Order", self.key(), row)
    }

    fn message(&mut self, room: String) -> Write {
        let row = json!({ "room_id": room, "state": self.state(), "amount": self.random.below(100), "text": self.text(TEXT_CHARS) });
        put("Message", self.key(), row)
    }

    fn key(&mut self) -> String {
        format!("{}-{}", self.place.0, self.random.below(KEYS))
    }

    fn state(&mut self) -> &'static str {
        STATES[self.random.below(4) as usize]
    }

    /// One that no other write has.
    fn text(&mut self, length: u64) -> String {
        self.written += 1;
        format!("{}:{} {}", self.place.0, self.written, "é".repeat(self.random.below(length) as usize))
    }

    /// Sends a commit. One that is not answered may have been done; who deletes what is not there is told so.
    async fn send(&mut self, writes: &[Write]) {
        let (method, path, body) = match writes {
            [Write { entity, key, row: None }] => ("DELETE", format!("{}/{key}", plural(entity)), Vec::new()),
            [Write { entity, key, row: Some(row) }] => ("PUT", format!("{}/{key}", plural(entity)), row.to_string().into_bytes()),
            several => ("POST", "batch".to_owned(), batch(several).to_string().into_bytes()),
        };
        let uri = format!("http://{}/v1/{path}", self.world.address(self.place.0).await);
        let request = http::Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let answer = self.wire.send(request.header("authorization", format!("Bearer {}", self.token)), body).await;
        match answer.status {
            200..=299 => self.acknowledge(writes, &parsed(&answer.body)),
            404 | 503 | 599 => {}
            500 if parsed(&answer.body)["code"] == "unknown_outcome" => {}
            status => panic!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer.body)),
        }
    }

    fn acknowledge(&mut self, writes: &[Write], answer: &Value) {
        let results = answer["results"].as_array().map_or(std::slice::from_ref(answer), Vec::as_slice);
        for (write, result) in writes.iter().zip(results) {
            // The answer to a single delete has no body.
            let revision = result["revision"].as_u64();
            self.acknowledged.extend(revision.map(|revision| (write.entity.to_owned(), write.key.clone(), revision)));
        }
        self.world.events.send_modify(|events| *events += writes.len() as u64);
    }
}

async fn wait(pace: Option<&mut Interval>, count: usize) {
    let Some(pace) = pace else { return };
    for _ in 0..count {
        pace.tick().await;
    }
}

fn batch(writes: &[Write]) -> Value {
    let operation = |write: &Write| match &write.row {
        None => json!({ "delete": plural(write.entity), "key": write.key }),
        Some(row) => json!({ "upsert": plural(write.entity), "key": write.key, "data": row }),
    };
    json!({ "operations": writes.iter().map(operation).collect::<Vec<_>>() })
}

fn put(entity: &'static str, key: String, row: Value) -> Write {
    Write { entity, key, row: Some(row) }
}

fn member(user: &str, room: &str, note: &str) -> Write {
    put("Member", format!("{user}-{room}"), json!({ "room_id": room, "user_id": user, "note": note }))
}

fn user(number: u64) -> String {
    format!("u{number}")
}

fn room(number: u64) -> String {
    format!("r{number}")
}

fn plural(entity: &str) -> String {
    format!("{}s", entity.to_lowercase())
}
