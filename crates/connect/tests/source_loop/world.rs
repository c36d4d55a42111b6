//! An engine with orders, and a topic in memory whose readers do what a test says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fourfold_connect::{
    Arrival, Begin, BuryError, DeadMessage, Ends, From, KeyFrom, Later, Message, Mode, OpenedSource, Reading, Source, SourceBudget,
    SourceError, SourcePace, SourceSettings, Sources,
};
use fourfold_engine::Engine;
use fourfold_model::{EntityId, Lock, Value};
use fourfold_op::{Answered, Claims, Context, Deadline, Limits, List, Operation, Outcome, Principal, RequestId, Select, SelectKind};
use fourfold_store::fault::FaultyStore;
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Store};
use parking_lot::Mutex;
use tokio::sync::Notify;

const ORDER: EntityId = EntityId(0);

const MODEL: &str = r#"
package shop.v1

entity Order {
  id     Int    @key
  number Int    @min(0)
  state  String @default("cart") @readonly
  code   String? @unique
  @@allow(read, true)
  @@allow(create, update, number < 1000)
  @@allow(delete, true)
}
"#;

/// What nobody waits for longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub engine: Arc<Engine>,
    pub store: Arc<FaultyStore>,
}

impl World {
    pub async fn new() -> World {
        let memory: Arc<MemoryStore> = Arc::new(MemoryStore::new());
        let loaded = fourfold_model::load(MODEL, &Lock::default());
        let model = Arc::new(loaded.map_err(|errors| format!("{errors:?}")).unwrap().model);
        let migration = memory.migration(&model).await.unwrap();
        memory.migrate(&model, migration).await.unwrap();
        let store = FaultyStore::new(memory);
        let served: Arc<dyn Store> = store.clone();
        let limits = Limits { commit_events_max: 20, row_bytes_max: 500, ..Limits::default() };
        World { engine: Engine::new(served, model, 1, limits), store }
    }

    pub fn start(&self, sources: Vec<OpenedSource>) -> Arc<Sources> {
        Arc::new(Sources::start(&self.engine, sources))
    }

    /// Every row: number, state and revision by key.
    pub async fn rows(&self) -> Vec<(i64, i64, String, u64)> {
        let fields = self.engine.model().entity(ORDER).field_ids().map(|(id, _)| id).collect();
        let list = SelectKind::List(List::default());
        let select = Select { entity: ORDER, kind: list, fields, nested: Vec::new() };
        let executed = self.engine.execute(&context(), &Operation::Read(vec![select]), &[]).await.unwrap();
        let Outcome::Read(answers, _) = executed.outcome else { panic!("a read") };
        let Some(Answered::Page(page)) = answers.into_iter().next() else { panic!("a page") };
        let number = |value: &Value| if let Value::Int(number) = value { *number } else { panic!("{value:?}") };
        let text = |value: &Value| if let Value::Text(text) = value { text.to_string() } else { panic!("{value:?}") };
        let fields = |row: &fourfold_model::Row| {
            let names = self.engine.model().entity(ORDER);
            let of = |name: &str| row.value(names.field_ids().find(|(_, field)| field.name == name).unwrap().0).clone();
            (number(&of("id")), number(&of("number")), text(&of("state")), row.revision())
        };
        page.items.iter().map(|record| fields(&record.row)).collect()
    }

    /// How many changes there were in all.
    pub async fn changes(&self) -> u64 {
        self.engine.log_ends().await.last.after
    }

    /// The number of the next message of a partition, as it is saved.
    pub async fn place(&self, partition: i32) -> Option<u64> {
        self.engine.place(&format!("in/orders/{partition}")).await.unwrap().map(|place| place.next)
    }

    /// Until the first source has taken everything of a topic, or buried it.
    pub async fn drained(&self, topic: &Topic, partitions: &[i32]) {
        let begun = Instant::now();
        loop {
            let mut done = true;
            for partition in partitions {
                done &= self.place(*partition).await.unwrap_or(0) == topic.count(*partition);
            }
            if done {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn until(&self, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain");
            // Where time is paused, this is how it goes on.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn context() -> Context {
    let principal = Arc::new(Principal { issuer: "source".into(), subject: "in".into(), claims: Claims::default() });
    Context { principal, deadline: Deadline(None), idempotency: None, request: RequestId("test".into()) }
}

/// A source of this mode that reads a topic.
pub fn source(mode: Mode, reader: Reader) -> OpenedSource {
    OpenedSource { settings: settings(mode), source: Box::new(reader) }
}

pub fn settings(mode: Mode) -> SourceSettings {
    SourceSettings {
        name: "in".into(),
        kind: "test".into(),
        topic: "orders".into(),
        reading: Reading { entity: ORDER, mode, key: KeyFrom::Value, key_prefix: "Order/".into() },
        principal: context().principal,
        begin: Begin::First,
        pace: SourcePace { batch_rows_max: 50, ..SourcePace::default() },
    }
}

/// A topic in memory.
#[derive(Clone, Default)]
pub struct Topic(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    partitions: HashMap<i32, Vec<Message>>,
    /// Messages below this are gone.
    floor: u64,
    letters: Vec<Letter>,
    has_no_place_for_letters: bool,
    arrived: Arc<Notify>,
}

/// A message that was buried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub partition: i32,
    pub offset: u64,
    pub code: String,
    pub why: String,
}

impl Topic {
    pub fn put(&self, partition: i32, key: Option<&str>, value: Option<&str>) {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let mut inner = self.0.lock();
        let messages = inner.partitions.entry(partition).or_default();
        let offset = messages.len() as u64;
        messages.push(Message { partition, offset, key: key.map(bytes), value: value.map(bytes), headers: Vec::new() });
        inner.arrived.notify_waiters();
    }

    pub fn row(&self, partition: i32, id: i64, number: i64) {
        self.put(partition, None, Some(&format!("{{\"id\":{id},\"number\":{number}}}")));
    }

    pub fn count(&self, partition: i32) -> u64 {
        self.0.lock().partitions.get(&partition).map_or(0, |messages| messages.len() as u64)
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.0.lock().letters.clone()
    }

    pub fn has_place_for_letters(&self, has: bool) {
        self.0.lock().has_no_place_for_letters = !has;
    }

    /// What is below is no longer there.
    pub fn forgets(&self, floor: u64) {
        self.0.lock().floor = floor;
    }

    pub fn reader(&self, partitions: &[i32]) -> Reader {
        let assigned = Some(partitions.to_vec());
        Reader { topic: self.clone(), assigned, at: HashMap::new(), replays: false, fails: Vec::new() }
    }
}

/// Reads a topic.
pub struct Reader {
    topic: Topic,
    assigned: Option<Vec<i32>>,
    at: HashMap<i32, u64>,
    /// It begins with the first message wherever it is told to.
    pub replays: bool,
    /// What goes wrong first.
    pub fails: Vec<SourceError>,
}

impl Reader {
    fn take(&mut self, budget: SourceBudget) -> Result<Vec<Message>, SourceError> {
        let inner = self.topic.0.lock();
        let mut taken = Vec::new();
        for (partition, at) in &mut self.at {
            if *at < inner.floor {
                return Err(SourceError::Lost(format!("message {at} of partition {partition} is gone")));
            }
            let messages = inner.partitions.get(partition).map_or(&[][..], Vec::as_slice);
            let rest = messages.get(*at as usize..).unwrap_or_default();
            let count = rest.len().min(budget.messages_max - taken.len());
            taken.extend_from_slice(&rest[..count]);
            *at += count as u64;
        }
        Ok(taken)
    }
}

impl Source for Reader {
    fn next(&mut self, budget: SourceBudget) -> Later<'_, Result<Arrival, SourceError>> {
        Box::pin(async move {
            if let Some(partitions) = self.assigned.take() {
                return Ok(Arrival::Assigned(partitions));
            }
            if let Some(error) = self.fails.pop() {
                return Err(error);
            }
            loop {
                let arrived = Arc::clone(&self.topic.0.lock().arrived);
                let arrived = arrived.notified();
                let messages = self.take(budget)?;
                if !messages.is_empty() {
                    return Ok(Arrival::Messages(messages));
                }
                arrived.await;
            }
        })
    }

    fn begin<'a>(&'a mut self, places: &'a [(i32, From)]) -> Later<'a, Result<Vec<(i32, u64)>, SourceError>> {
        Box::pin(async move {
            let mut begun = Vec::new();
            self.at.clear();
            for (partition, from) in places {
                let at = match from {
                    _ if self.replays => 0,
                    From::Offset(offset) => *offset,
                    From::First => self.topic.0.lock().floor,
                    From::Now => self.topic.count(*partition),
                };
                begun.extend((*from == From::Now).then_some((*partition, at)));
                self.at.insert(*partition, at);
            }
            Ok(begun)
        })
    }

    fn bury<'a>(&'a mut self, letter: DeadMessage<'a>) -> Later<'a, Result<(), BuryError>> {
        Box::pin(async move {
            let mut inner = self.topic.0.lock();
            if inner.has_no_place_for_letters {
                return Err(BuryError::Nowhere("there is none".into()));
            }
            let Message { partition, offset, .. } = *letter.message;
            inner.letters.push(Letter { partition, offset, code: letter.code.into(), why: letter.why.into() });
            Ok(())
        })
    }

    fn ends(&self) -> Vec<Ends> {
        let inner = self.topic.0.lock();
        inner.partitions.iter().map(|(partition, all)| Ends { partition: *partition, first: inner.floor, next: all.len() as u64 }).collect()
    }

    fn reaches(&self) -> bool {
        true
    }
}
