//! An engine over a store with rooms and their members, and the words to speak in channels.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::channel::{Channel, HistoryPage, Join, Present, Publishing};
use fourfold_engine::{ChannelEnd, ChannelSubscription, Engine, Told};
use fourfold_model::{FieldId, Lock, SharedModel, Value};
use fourfold_op::{
    Answer, Claims, Context, Cursor, Deadline, Error, Limits, Operand, Operation, Outcome, Principal, RequestId, WatchChange, Write,
    WriteKind,
};
use fourfold_store::conformance::world::id;
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Bus, Maintain, Store};
use fourfold_store_sqlite::{Files, SqliteStore};

/// What nobody waits for longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub engine: Arc<Engine>,
    pub model: SharedModel,
    pub store: Arc<dyn Maintain>,
    /// Where its files are; they go with it.
    _folder: Option<Folder>,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a test is no fault of what it tests.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The user of a number; 0 showed no token.
pub fn user(number: u8) -> Context {
    caller(number, &[])
}

pub fn admin() -> Context {
    caller(99, &["admin"])
}

fn caller(number: u8, roles: &[&str]) -> Context {
    let roles = Value::List(roles.iter().map(Value::text).collect());
    let who: Arc<str> = if number == 0 { "".into() } else { format!("u{number}").into() };
    let (issuer, id) = if number == 0 { ("", Value::Null) } else { ("issuer", id(number.into())) };
    let principal = Principal { issuer: issuer.into(), subject: who, claims: Claims(vec![id, roles].into()) };
    Context { principal: Arc::new(principal), deadline: Deadline(None), idempotency: None, request: RequestId("case".into()) }
}

impl World {
    pub async fn new() -> World {
        World::limited(Limits::default()).await
    }

    pub async fn limited(limits: Limits) -> World {
        World::over(Arc::new(MemoryStore::new()), limits).await
    }

    pub async fn sqlite_with_rooms() -> World {
        let folder = std::env::temp_dir().join(format!("fourfold-channel-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = SqliteStore::open(Files::in_folder(&folder)).unwrap();
        let world = World { _folder: Some(Folder(folder)), ..World::over(store, Limits::default()).await };
        world.fill().await;
        world
    }

    async fn over(store: Arc<dyn Maintain>, limits: Limits) -> World {
        let model = match fourfold_model::load(include_str!("chat.fourfold"), &Lock::default()) {
            Ok(loaded) => Arc::new(loaded.model),
            Err(errors) => panic!("{errors:?}"),
        };
        let migration = store.migration(&model).await.unwrap();
        store.migrate(&model, migration).await.unwrap();
        let served: Arc<dyn Store> = store.clone();
        World { engine: Engine::new(served, model.clone(), 1, limits), model, store, _folder: None }
    }

    /// Another start over the same store.
    pub fn restarted(self) -> World {
        let served: Arc<dyn Store> = self.store.clone();
        World { engine: Engine::new(served, self.model.clone(), 1, Limits::default()), ..self }
    }

    /// Another node over the same store, on a bus; it hears from now on.
    pub fn node(&self, bus: Arc<dyn Bus>) -> World {
        let served: Arc<dyn Store> = self.store.clone();
        let engine = Engine::with_bus(served, self.model.clone(), 1, Limits::default(), bus);
        World { engine, model: self.model.clone(), store: self.store.clone(), _folder: None }
    }

    /// Rooms 1 and 2; users 1 to 3; 1 and 2 are members of room 1, 3 of room 2. Member 11 is user 1 in room 1.
    pub async fn with_rooms() -> World {
        World::with_rooms_limited(Limits::default()).await
    }

    pub async fn with_rooms_limited(limits: Limits) -> World {
        let world = World::limited(limits).await;
        world.fill().await;
        world
    }

    async fn fill(&self) {
        for room in [1, 2] {
            self.create("Room", room, &[("title", Value::text("room"))]).await;
        }
        for user in 1..=3 {
            self.create("User", user, &[("name", Value::text("user"))]).await;
        }
        for (member, room, user) in [(11, 1, 1), (12, 1, 2), (13, 2, 3)] {
            self.create("Member", member, &[("room_id", id(room)), ("user_id", id(user))]).await;
        }
    }

    pub async fn create(&self, entity: &str, key: u16, set: &[(&str, Value)]) -> Cursor {
        self.write(&admin(), WriteKind::Create, entity, key, set).await.unwrap()
    }

    pub async fn update(&self, entity: &str, key: u16, set: &[(&str, Value)]) -> Cursor {
        self.write(&admin(), WriteKind::Update, entity, key, set).await.unwrap()
    }

    pub async fn delete(&self, entity: &str, key: u16) -> Cursor {
        self.write(&admin(), WriteKind::Delete, entity, key, &[]).await.unwrap()
    }

    async fn write(&self, who: &Context, kind: WriteKind, entity: &str, key: u16, set: &[(&str, Value)]) -> Result<Cursor, Error> {
        let entity = self.model.entity_by_name(entity).unwrap();
        let mut values = vec![id(key)];
        let mut fields = Vec::new();
        for (name, value) in set {
            fields.push((self.model.entity(entity).field_by_name(name).unwrap(), Operand(values.len() as u16)));
            values.push(value.clone());
        }
        fields.sort_unstable_by_key(|(field, _)| *field);
        let write = Write { entity, kind, key: Some(Operand(0)), set: fields, if_revision: None, answer: Answer::Key };
        match self.engine.execute(who, &Operation::Write(vec![write]), &values).await?.outcome {
            Outcome::Written(_, Some(cursor)) => Ok(cursor),
            other => panic!("{other:?}"),
        }
    }

    pub fn channel<'w>(&'w self, who: &'w Context, name: &str, parameter: Value) -> Channel<'w> {
        self.engine.channel(who, self.model.channel_by_name(name).unwrap(), parameter).unwrap()
    }

    pub async fn subscribe(&self, who: &Context, name: &str, parameter: Value, join: &Join) -> Result<ChannelSubscription, Error> {
        self.channel(who, name, parameter).subscribe(join).await
    }

    /// The chat of room 1.
    pub async fn chat(&self, who: &Context, join: &Join) -> ChannelSubscription {
        self.subscribe(who, "chat", id(1), join).await.unwrap()
    }

    /// Says something in a room as a user.
    pub async fn say(&self, who: u8, room: u16, text: &str) -> Result<Cursor, Error> {
        let row = vec![(self.field("Message", "text"), Value::text(text))];
        let published = self.channel(&user(who), "chat", id(room)).publish(&"anyone".into(), Publishing::Row(row)).await?;
        Ok(published.cursor.unwrap())
    }

    pub fn field(&self, entity: &str, name: &str) -> FieldId {
        let entity = self.model.entity_by_name(entity).unwrap();
        self.model.entity(entity).field_by_name(name).unwrap()
    }

    /// Writes on a board.
    pub async fn write_on(&self, board: &str, data: &str) -> Result<Cursor, Error> {
        let published =
            self.channel(&user(1), "board", Value::text(board)).publish(&"writer".into(), Publishing::Free(data.into())).await?;
        Ok(published.cursor.unwrap())
    }

    pub async fn board(&self, who: &Context, join: &Join) -> ChannelSubscription {
        self.subscribe(who, "board", Value::text("b"), join).await.unwrap()
    }

    pub async fn past(&self, name: &str, parameter: Value, page: &HistoryPage) -> Vec<String> {
        let past = self.channel(&user(1), name, parameter).history(page).await.unwrap();
        past.told.iter().map(|told| short(self, told)).collect()
    }
}

/// Joins as a connection, and no more.
pub fn join(client: &str) -> Join {
    Join { client: client.into(), after: None, presence: None, notices: false, expires_at_us: None }
}

pub fn join_after(client: &str, after: &Cursor) -> Join {
    Join { after: Some(after.clone()), ..join(client) }
}

/// Joins a chat with what it tells of itself, and is told who comes and goes.
pub fn present(client: &str, device: &str) -> Join {
    let info = vec![(FieldId(0), Value::text(device)), (FieldId(1), Value::Boolean(false))];
    Join { presence: Some(info), notices: true, ..join(client) }
}

/// Joins a board under a name.
pub fn nick(client: &str, nick: &str) -> Join {
    Join { presence: Some(vec![(FieldId(0), Value::text(nick))]), notices: true, ..join(client) }
}

pub async fn next(subscription: &mut ChannelSubscription) -> Result<Told, ChannelEnd> {
    tokio::time::timeout(PATIENCE, subscription.next()).await.expect("something is told")
}

pub async fn end(subscription: &mut ChannelSubscription) -> ChannelEnd {
    loop {
        if let Err(end) = next(subscription).await {
            return end;
        }
    }
}

/// The next so many things, in short.
pub async fn told(world: &World, subscription: &mut ChannelSubscription, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..count {
        let told = next(subscription).await.unwrap();
        all.push(short(world, &told));
    }
    all
}

/// Whether nothing waits to be told.
pub async fn is_quiet(subscription: &mut ChannelSubscription) -> bool {
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = subscription.next() => return false,
            () = tokio::task::yield_now() => {}
        }
    }
    true
}

/// `row entered hello`, `#3 "data"`, `typing of a`, `joined a phone`, `left a`.
pub fn short(world: &World, told: &Told) -> String {
    match told {
        Told::Row(delivery) if delivery.change == WatchChange::Left => "row left".to_owned(),
        Told::Row(delivery) => match delivery.item.as_ref().unwrap().value(world.field("Message", "text")) {
            Value::Text(text) => format!("row {} {text}", delivery.change.name()),
            other => panic!("{other:?}"),
        },
        Told::Publication(publication) => format!("#{} {}", publication.offset, publication.data),
        Told::Signal(signal) => format!("{} of {}", signal.name, signal.by.id),
        Told::Joined(present) => format!("joined {}", named(present)),
        Told::Left(present) => format!("left {}", present.client.id),
    }
}

pub fn named(present: &Present) -> String {
    match present.info.value(FieldId(0)) {
        Value::Text(first) => format!("{} {first}", present.client.id),
        other => panic!("{other:?}"),
    }
}
