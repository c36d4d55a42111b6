//! An engine with notes and rooms, and targets that do what a test says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fourfold_connect::{Begin, DeadLetter, Delivery, Later, Opened, Pace, Sink, SinkError, SinkSettings, Sinks};
use fourfold_engine::{Engine, Interest};
use fourfold_model::{EntityId, FieldId, Lock, Value};
use fourfold_op::{Answer, Claims, Context, Deadline, Limits, Operand, Operation, Position, Principal, RequestId, Write, WriteKind};
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Retention, Store};
use fourfold_store_sqlite::{Files, SqliteStore};

pub const NOTE: EntityId = EntityId(0);
pub const ROOM: EntityId = EntityId(1);
const TITLE: FieldId = FieldId(2);

const MODEL: &str = r#"
package talk.v1

caller {
  roles String[] @claim("roles")
}

entity Note {
  id     Uuid    @key @default(uuid7())
  title  String
  phone  String? @allow(read, "admin" in caller.roles)
  secret String? @secret
  @@allow(read, title != "hidden" || "admin" in caller.roles)
  @@allow(create, update, delete, true)
}

entity Room {
  id    Uuid   @key @default(uuid7())
  title String
  @@allow(read, create, update, delete, true)
}
"#;

/// What nobody waits for longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub engine: Arc<Engine>,
    store: Arc<dyn Maintain>,
    _folder: Option<Folder>,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    pub async fn new() -> World {
        World::over(Arc::new(MemoryStore::new()), None).await
    }

    pub async fn sqlite() -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fourfold-connect-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        World::over(SqliteStore::open(Files::in_folder(&folder)).unwrap(), Some(Folder(folder))).await
    }

    async fn over(store: Arc<dyn Maintain>, folder: Option<Folder>) -> World {
        let loaded = fourfold_model::load(MODEL, &Lock::default());
        let model = Arc::new(loaded.map_err(|errors| format!("{errors:?}")).unwrap().model);
        let migration = store.migration(&model).await.unwrap();
        store.migrate(&model, migration).await.unwrap();
        let served: Arc<dyn Store> = store.clone();
        World { engine: Engine::new(served, model, 1, Limits::default()), store, _folder: folder }
    }

    pub fn start(&self, sinks: Vec<Opened>) -> Arc<Sinks> {
        Arc::new(Sinks::start(&self.engine, sinks))
    }

    pub async fn create(&self, entity: EntityId, key: u8, title: &str) {
        self.write(entity, WriteKind::Create, key, Some(title)).await;
    }

    pub async fn create_many(&self, entity: EntityId, keys: std::ops::RangeInclusive<u8>) {
        for key in keys {
            self.create(entity, key, "a title").await;
        }
    }

    pub async fn update(&self, entity: EntityId, key: u8, title: &str) {
        self.write(entity, WriteKind::Update, key, Some(title)).await;
    }

    pub async fn delete(&self, entity: EntityId, key: u8) {
        self.write(entity, WriteKind::Delete, key, None).await;
    }

    async fn write(&self, entity: EntityId, kind: WriteKind, key: u8, title: Option<&str>) {
        let mut id = [0; 16];
        id[15] = key;
        let mut values = vec![Value::Uuid(id)];
        values.extend(title.map(Value::text));
        let set = title.map(|_| (TITLE, Operand(1))).into_iter().collect();
        let write = Write { entity, kind, key: Some(Operand(0)), set, if_revision: None, answer: Answer::Key };
        let context =
            Context { principal: principal(&["admin"]), deadline: Deadline(None), idempotency: None, request: RequestId("test".into()) };
        self.engine.execute(&context, &Operation::Write(vec![write]), &values).await.unwrap();
    }

    pub async fn prune(&self, keep: &Retention) {
        while self.store.prune(keep).await.map_err(|_| "pruned").unwrap().more {}
    }

    pub async fn epoch(&self) -> String {
        self.engine.log_ends().await.last.epoch.0.to_string()
    }

    pub async fn saved(&self, name: &str) -> Option<u64> {
        self.engine.checkpoint(name).await.unwrap().map(|saved| saved.cursor.after)
    }

    /// Until the first sink has come so far.
    pub async fn delivered(&self, sinks: &Sinks, watermark: u64) {
        self.until(|| sinks.figures()[0].watermark == watermark).await;
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

fn principal(roles: &[&str]) -> Arc<Principal> {
    let roles = Value::List(roles.iter().copied().map(Value::text).collect::<Vec<_>>().into());
    Arc::new(Principal { issuer: "sink".into(), subject: "all".into(), claims: Claims(vec![roles].into()) })
}

/// A sink that is told of notes and rooms, and may not see all of them.
pub fn sink(name: &str, target: &Target) -> Opened {
    let interest = |entity| Interest { entity, filter: None, values: Vec::new() };
    let settings = SinkSettings {
        name: name.into(),
        kind: "test".into(),
        interests: vec![interest(NOTE), interest(ROOM)],
        principal: principal(&[]),
        begin: Begin::First,
        pace: Pace::default(),
    };
    Opened { settings, sink: Box::new(target.clone()) }
}

type Answers = Box<dyn FnMut(&[Delivery], usize) -> Result<Position, SinkError> + Send>;

/// A target that remembers what it took.
#[derive(Clone, Default)]
pub struct Target(Arc<parking_lot::Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    taken: Vec<Delivery>,
    buried: Vec<u64>,
    refused: Vec<u64>,
    cannot_bury: bool,
    hangs_after: Option<usize>,
    answers: Option<Answers>,
    /// The first position of each batch.
    calls: Vec<u64>,
}

impl Target {
    pub fn answers(&self, answers: impl FnMut(&[Delivery], usize) -> Result<Position, SinkError> + Send + 'static) {
        self.0.lock().answers = Some(Box::new(answers));
    }

    pub fn refuses(&self, positions: &[u64]) {
        self.0.lock().refused = positions.to_vec();
    }

    pub fn cannot_bury(&self) {
        self.0.lock().cannot_bury = true;
    }

    /// It takes so many, and then never answers.
    pub fn hangs_after(&self, count: usize) {
        self.0.lock().hangs_after = Some(count);
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.lock().taken.clone()
    }

    pub fn taken(&self) -> Vec<u64> {
        self.0.lock().taken.iter().map(number).collect()
    }

    pub fn buried(&self) -> Vec<u64> {
        self.0.lock().buried.clone()
    }

    pub fn calls(&self) -> Vec<u64> {
        self.0.lock().calls.clone()
    }
}

fn number(delivery: &Delivery) -> u64 {
    delivery.position.0.get()
}

impl Inner {
    fn deliver(&mut self, batch: &[Delivery]) -> Result<Position, SinkError> {
        let call = self.calls.len();
        self.calls.push(number(&batch[0]));
        if let Some(answers) = &mut self.answers {
            let answer = answers(batch, call);
            let through = match &answer {
                Ok(position) => Some(*position),
                Err(error) => error.delivered(),
            };
            self.taken.extend(batch.iter().filter(|one| through.is_some_and(|through| one.position <= through)).cloned());
            return answer;
        }
        let good = batch.iter().take_while(|one| !self.refused.contains(&number(one))).count();
        self.taken.extend_from_slice(&batch[..good]);
        let delivered = batch[..good].last().map(|one| one.position);
        match (batch.get(good), delivered) {
            (Some(bad), delivered) => Err(SinkError::ForGood { delivered, position: bad.position, why: "too long".into() }),
            (None, Some(last)) => Ok(last),
            (None, None) => panic!("an empty batch"),
        }
    }
}

impl Sink for Target {
    fn deliver<'a>(&'a mut self, batch: &'a [Delivery]) -> Later<'a, Result<Position, SinkError>> {
        Box::pin(async move {
            let hangs_after = self.0.lock().hangs_after;
            if let Some(count) = hangs_after {
                self.0.lock().taken.extend(batch.iter().take(count).cloned());
                std::future::pending::<()>().await;
            }
            self.0.lock().deliver(batch)
        })
    }

    fn bury<'a>(&'a mut self, letter: DeadLetter<'a>) -> Later<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mut inner = self.0.lock();
            assert_eq!(letter.why, "too long");
            if inner.cannot_bury {
                return Err(SinkError::ForGood { delivered: None, position: letter.delivery.position, why: "nowhere".into() });
            }
            inner.buried.push(number(letter.delivery));
            Ok(())
        })
    }
}
