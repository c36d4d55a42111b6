//! An engine over a store with the model of notes and rooms, and the words to ask it things in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fourfold_engine::{Delivery, End, Engine, Subscription};
use fourfold_model::{EntityId, FieldId, KEY, Lock, SharedModel, Value, filter};
use fourfold_op::{
    Answer, Context, Cursor, Error, Event, Limits, Operand, Operation, Outcome, Start, Watch, WatchChange, Write, WriteKind,
};
use fourfold_store::conformance::world::{caller, id};
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Budget, Entities, Maintain, Store};
use fourfold_store_sqlite::{Files, SqliteStore};

pub const NOTE: EntityId = EntityId(0);
pub const ROOM: EntityId = EntityId(1);
pub const MEMBER: EntityId = EntityId(2);
pub const MESSAGE: EntityId = EntityId(3);
pub const ODDITY: EntityId = EntityId(4);
pub const UNWATCHED: EntityId = EntityId(5);

pub const TITLE: FieldId = FieldId(2);
pub const MOOD: FieldId = FieldId(3);
pub const OWNER: FieldId = FieldId(4);
pub const SIZE: FieldId = FieldId(5);
pub const PHONE: FieldId = FieldId(6);

pub const CALM: Value = Value::Enum(1);
pub const LOUD: Value = Value::Enum(2);

/// `room` of a member and of a message.
pub const OF_ROOM: FieldId = FieldId(2);
pub const USER: FieldId = FieldId(3);
pub const ACTIVE: FieldId = FieldId(4);
pub const ALIAS: FieldId = FieldId(5);
pub const TEXT: FieldId = FieldId(3);

/// What nobody waits for longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct World {
    pub engine: Arc<Engine>,
    pub store: Arc<dyn Maintain>,
    pub model: SharedModel,
    /// Where its files are; they go with the last who knows of them.
    pub _folder: Option<Arc<Folder>>,
}

pub struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a test is no fault of what it tests.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One write.
pub struct Ask(EntityId, WriteKind, u16, Vec<(FieldId, Value)>);

pub fn create(entity: EntityId, key: u16, set: Vec<(FieldId, Value)>) -> Ask {
    Ask(entity, WriteKind::Create, key, set)
}

pub fn update(entity: EntityId, key: u16, set: Vec<(FieldId, Value)>) -> Ask {
    Ask(entity, WriteKind::Update, key, set)
}

pub fn delete(entity: EntityId, key: u16) -> Ask {
    Ask(entity, WriteKind::Delete, key, Vec::new())
}

pub fn note(key: u16, title: &str) -> Ask {
    create(NOTE, key, vec![(TITLE, Value::text(title))])
}

pub fn ann() -> Context {
    caller(1, &[])
}

/// Whom `caller(number, …)` calls.
pub fn person(number: u8) -> Value {
    Value::Uuid([number; 16])
}

pub fn limits() -> Limits {
    Limits { watch_bookmark_ms: 1, ..Limits::default() }
}

impl World {
    pub async fn memory() -> World {
        World::over(Arc::new(MemoryStore::new()), limits()).await
    }

    pub async fn limited(limits: Limits) -> World {
        World::over(Arc::new(MemoryStore::new()), limits).await
    }

    pub async fn sqlite() -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fourfold-watch-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = SqliteStore::open(Files::in_folder(&folder)).unwrap();
        World { _folder: Some(Arc::new(Folder(folder))), ..World::over(store, limits()).await }
    }

    pub async fn over(store: Arc<dyn Maintain>, limits: Limits) -> World {
        let model = match fourfold_model::load(include_str!("talk.fourfold"), &Lock::default()) {
            Ok(loaded) => Arc::new(loaded.model),
            Err(errors) => panic!("{errors:?}"),
        };
        let migration = store.migration(&model).await.unwrap();
        store.migrate(&model, migration).await.unwrap();
        let served: Arc<dyn Store> = store.clone();
        World { engine: Engine::new(served, model.clone(), 1, limits), store, model, _folder: None }
    }

    /// Commits some writes as one; the cursor after it.
    pub async fn commit(&self, asks: Vec<Ask>) -> Cursor {
        let mut values = Vec::new();
        let mut operand = |value: Value| {
            values.push(value);
            Operand(values.len() as u16 - 1)
        };
        let writes = asks.into_iter().map(|Ask(entity, kind, key, set)| Write {
            entity,
            kind,
            key: Some(operand(id(key))),
            set: set.into_iter().map(|(field, value)| (field, operand(value))).collect(),
            if_revision: None,
            answer: Answer::Key,
        });
        let operation = Operation::Write(writes.collect());
        match self.engine.execute(&caller(9, &["admin"]), &operation, &values).await.unwrap().outcome {
            Outcome::Written(_, Some(cursor)) => cursor,
            other => panic!("{other:?}"),
        }
    }

    pub async fn one(&self, ask: Ask) -> Cursor {
        self.commit(vec![ask]).await
    }

    /// A watch, with a filter or without (`""`), that is told by bookmarks how far it has come.
    pub fn asked(&self, entity: EntityId, text: &str, start: Start) -> Watch {
        let filter = (!text.is_empty()).then(|| filter(&self.model, entity, text).unwrap());
        let fields = self.model.entity(entity).field_ids().map(|(field, _)| field).collect();
        Watch { entity, filter, fields, start, bookmarks: true, expires_at_us: None }
    }

    pub async fn try_watch(&self, who: &Context, entity: EntityId, filter: &str, start: Start) -> Result<Subscription, Error> {
        self.engine.watch(who, &self.asked(entity, filter, start), &[]).await
    }

    pub async fn watch(&self, who: &Context, entity: EntityId, filter: &str, start: Start) -> Subscription {
        self.try_watch(who, entity, filter, start).await.unwrap()
    }

    pub async fn start(&self) -> Cursor {
        Cursor { after: 0, ..self.head().await }
    }

    pub async fn head(&self) -> Cursor {
        let head = self.store.head(None).await;
        Cursor { epoch: head.epoch, after: head.position, skip: None }
    }

    /// Every event of the log.
    pub async fn log(&self) -> Vec<Event> {
        let (mut after, head) = (self.start().await, self.head().await);
        let mut events = Vec::new();
        while after.after < head.after {
            let budget = Budget { events_max: 1_000, bytes_max: 1 << 20 };
            let tail = self.store.events(&after, &Entities::All, budget).await.map_err(|_| "a tail").unwrap();
            events.extend(tail.events);
            after = tail.through;
        }
        events
    }
}

/// One look puts it into the index.
pub async fn attach(watch: &mut Subscription) {
    tokio::select! {
        biased;
        told = watch.next() => panic!("{told:?}"),
        () = std::future::ready(()) => {}
    }
}

/// The next delivery that is no bookmark.
pub async fn next(watch: &mut Subscription) -> Result<Delivery, End> {
    let told = async {
        loop {
            match watch.next().await {
                Ok(delivery) if delivery.change == WatchChange::Bookmark => {}
                other => return other,
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("something is told")
}

/// What is told until a position is passed.
pub async fn until(watch: &mut Subscription, position: u64) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    let told = async {
        while watch.cursor().after < position {
            let delivery = watch.next().await.expect("it goes on");
            if delivery.change != WatchChange::Bookmark {
                deliveries.push(delivery);
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it comes so far");
    deliveries
}

/// How it ends.
pub async fn end(watch: &mut Subscription) -> End {
    loop {
        if let Err(end) = next(watch).await {
            return end;
        }
    }
}

/// In short: `entered 1 "title"`.
pub fn told(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(short).collect()
}

fn short(delivery: &Delivery) -> String {
    let Value::Uuid(key) = delivery.key else { panic!("{delivery:?}") };
    let key = u16::from_be_bytes([key[14], key[15]]);
    assert_eq!(delivery.item.is_some(), delivery.change != WatchChange::Left);
    assert_eq!(delivery.revision.is_some(), delivery.item.is_some());
    match &delivery.item {
        Some(row) => {
            assert_eq!((row.value(KEY), Some(row.revision())), (&delivery.key, delivery.revision));
            format!("{} {key}@{}", delivery.change.name(), row.revision())
        }
        None => format!("{} {key}", delivery.change.name()),
    }
}
