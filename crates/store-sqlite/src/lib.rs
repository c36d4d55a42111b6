//! The SQLite store: one file, one writer with group commit, readers that hold their snapshots.
//!
//! It knows plans and SQLite, and no protocol. Statements come from `fourfold_store::sql`. Read [`SqliteStore`], then `writer`, then `read`.

mod backup;
mod beside;
mod commit;
mod connection;
mod error;
#[cfg(feature = "planted-faults")]
mod fault;
mod functions;
mod log;
mod maintain;
mod prune;
mod read;
mod readers;
mod redact;
mod state;
mod value;
mod writer;

pub use backup::{Copy, Restored, backup, restore};
pub use beside::LogBeside;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fourfold_model::SharedModel;
use fourfold_op::{Answered, Cursor, Deadline, Epoch, Error, ErrorCode};
use fourfold_plan::{FetchKind, ReadPlan, WritePlan};
use fourfold_store::sql::{Dialect, FetchSql};
use fourfold_store::{
    Budget, Capabilities, CommitError, Committed, Entities, Head, Later, LeaseTerm, Side, SideRecord, Snapshot, Space, Store, StoreError,
    Tail,
};
use parking_lot::{Mutex, RwLock};
use rusqlite::OptionalExtension;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use connection::{last_position, meta, new_epoch, open_writer, set_meta};
use error::{Fail, to_error, unavailable};
use prune::LogSize;
use read::Reading;
use readers::{Lent, Reader, Readers};
use writer::{Message, Request, Writer, now_us};

const CAPABILITIES: Capabilities =
    Capabilities { name: "sqlite", durable: true, cursor_at_commit: true, transactions: true, datetime_step_us: 1 };
/// Commits that wait for the writer; more wait outside.
const QUEUE_MAX: usize = 4_096;
/// A write-ahead log of this size is copied into the database.
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// From here on the writer itself copies the write-ahead log: the thread beside it never catches up with writes that do not pause.
const LOG_BYTES_MAX: u64 = 32 << 20;

/// Where a store's files are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The database.
    pub database: PathBuf,
    /// The state file: epoch and highest position, outside the database.
    pub state: PathBuf,
    /// The file that one process at a time has locked.
    pub lock: PathBuf,
}

impl Files {
    /// `data.db`, `state` and `lock` in a data folder.
    pub fn in_folder(folder: &Path) -> Files {
        Files { database: folder.join("data.db"), state: folder.join("state"), lock: folder.join("lock") }
    }

    /// Bytes of the database's write-ahead log.
    fn log_bytes(&self) -> u64 {
        let mut wal = self.database.clone().into_os_string();
        wal.push("-wal");
        std::fs::metadata(wal).map_or(0, |file| file.len())
    }
}

/// A store in one SQLite file.
pub struct SqliteStore {
    inner: Arc<Inner>,
    queue: mpsc::Sender<Message>,
}

/// What the threads of a store share.
pub(crate) struct Inner {
    files: Files,
    epoch: Epoch,
    pub(crate) model: RwLock<Option<SharedModel>>,
    pub(crate) fingerprint: AtomicU64,
    pub(crate) generation: AtomicU32,
    pub(crate) floor: AtomicU64,
    pub(crate) size: Mutex<LogSize>,
    term: u64,
    /// Transactions committed by this process: a snapshot of an older count is stale.
    pub(crate) commits: AtomicU64,
    pub(crate) moved: watch::Sender<u64>,
    pub(crate) poisoned: AtomicBool,
    pub(crate) failed: Notify,
    pub(crate) closed: AtomicBool,
    pub(crate) readers: Readers,
    heavy: Semaphore,
    /// The connection of the thread that keeps the files, which has it for a round.
    checkpointer: Mutex<Option<rusqlite::Connection>>,
    /// What the state file says.
    written: Mutex<u64>,
    lock: File,
}

impl SqliteStore {
    /// Opens a database, or makes one; two threads of its own begin.
    ///
    /// # Errors
    /// `unavailable` when another process has it open, or the files cannot be used.
    pub fn open(files: Files) -> Result<Arc<SqliteStore>, Error> {
        let lock = lock(&files.lock)?;
        let durable = {
            #[cfg(feature = "planted-faults")]
            {
                !fault::synchronous_off()
            }
            #[cfg(not(feature = "planted-faults"))]
            {
                true
            }
        };
        let unusable = |error: rusqlite::Error| {
            unavailable(&format!("the database `{}` cannot be opened", files.database.display())).with_private(error)
        };
        let connection = open_writer(&files.database, durable).map_err(unusable)?;
        let opened = Opened::of(&connection, &files).map_err(unusable)?;
        let last = opened.position;
        let readers = Readers::new(files.database.clone());
        let inner = Arc::new(Inner {
            epoch: opened.epoch,
            model: RwLock::new(None),
            fingerprint: AtomicU64::new(opened.fingerprint),
            generation: AtomicU32::new(opened.generation),
            floor: AtomicU64::new(opened.floor),
            size: Mutex::new(opened.size),
            term: opened.term,
            commits: AtomicU64::new(0),
            moved: watch::Sender::new(last),
            poisoned: AtomicBool::new(false),
            failed: Notify::new(),
            closed: AtomicBool::new(false),
            heavy: Semaphore::new(readers.heavy_count()),
            readers,
            checkpointer: Mutex::new(None),
            written: Mutex::new(u64::MAX),
            files,
            lock,
        });
        inner.write_state();
        let (queue, received) = mpsc::channel(QUEUE_MAX);
        let writer = Writer::new(inner.clone(), connection, last, opened.last_at);
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.into()).spawn(run);
        let weak = Arc::downgrade(&inner);
        let threads = spawn("sqlite-writer", Box::new(move || writer.run(received)))
            .and_then(|_| spawn("sqlite-keeper", Box::new(move || keep(&weak))));
        threads.map_err(Error::internal)?;
        Ok(Arc::new(SqliteStore { inner, queue }))
    }

    /// The model's generation: one more at each migration to another model.
    pub fn generation(&self) -> u32 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// Resolves when a commit failed in a way that leaves its outcome unknown: the process must end and begin again.
    pub async fn failed(&self) {
        let notified = self.inner.failed.notified();
        if !self.inner.poisoned.load(Ordering::Acquire) {
            notified.await;
        }
    }
}

/// What an opened database knows of itself.
struct Opened {
    epoch: Epoch,
    position: u64,
    floor: u64,
    fingerprint: u64,
    generation: u32,
    term: u64,
    last_at: i64,
    size: LogSize,
}

impl Opened {
    fn of(connection: &rusqlite::Connection, files: &Files) -> rusqlite::Result<Opened> {
        let position = last_position(connection)?;
        let known: Option<String> = meta(connection, "epoch")?;
        // A state file that cannot be read says nothing.
        let seen = state::read(&files.state).ok().flatten();
        let put_back = |epoch: &str| seen.as_ref().is_some_and(|seen| seen.epoch != epoch || seen.position > position);
        let epoch = match known {
            Some(epoch) if !put_back(&epoch) => epoch,
            _ => {
                let fresh = new_epoch();
                set_meta(connection, "epoch", &fresh)?;
                fresh
            }
        };
        let term = meta::<i64>(connection, "opened")?.unwrap_or(0) + 1;
        set_meta(connection, "opened", term)?;
        let last_at: Option<i64> =
            connection.query_row("SELECT at FROM fourfold_commit ORDER BY position DESC LIMIT 1", [], |row| row.get(0)).optional()?;
        Ok(Opened {
            epoch: Epoch(epoch.into()),
            position,
            floor: meta::<i64>(connection, "floor")?.and_then(|floor| u64::try_from(floor).ok()).unwrap_or(0),
            fingerprint: meta::<i64>(connection, "fingerprint")?.unwrap_or(0).cast_unsigned(),
            generation: meta(connection, "generation")?.unwrap_or(0),
            term: u64::try_from(term).unwrap_or(1),
            last_at: last_at.unwrap_or(0),
            size: LogSize::noted(connection)?,
        })
    }
}

pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let unusable = |error: std::io::Error| unavailable(&format!("the lock file `{}` cannot be used", path.display())).with_private(error);
    let file = File::options().create(true).append(true).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(unavailable(&format!("another process has the data beside `{}` open", path.display()))),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Four times a second: idle readers let go, a long write-ahead log is copied. Once a second: the state file.
fn keep(weak: &std::sync::Weak<Inner>) {
    let (mut round, mut commits) = (0u32, 0);
    loop {
        std::thread::sleep(Duration::from_millis(250));
        let Some(inner) = weak.upgrade() else { return };
        let mut checkpointer = inner.checkpointer.lock();
        if inner.closed.load(Ordering::Acquire) {
            return;
        }
        inner.readers.rest();
        round = round.wrapping_add(1);
        if round.is_multiple_of(4) {
            inner.write_state();
        }
        let now = inner.commits.load(Ordering::Acquire);
        if now != std::mem::replace(&mut commits, now) {
            checkpoint(&inner, &mut checkpointer);
        }
    }
}

fn checkpoint(inner: &Inner, checkpointer: &mut Option<rusqlite::Connection>) {
    if inner.files.log_bytes() < CHECKPOINT_BYTES {
        return;
    }
    if checkpointer.is_none() {
        *checkpointer = rusqlite::Connection::open(&inner.files.database).ok();
    }
    if let Some(connection) = checkpointer {
        // One that cannot finish is tried again; what it copied stays copied.
        let _ = connection::copy_log(connection);
    }
}

impl Inner {
    fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(unavailable("the store is closed")) } else { Ok(()) }
    }

    /// No round of the thread that keeps the files begins any more, and none is under way.
    pub(crate) fn end_keeping(&self) {
        self.closed.store(true, Ordering::Release);
        *self.checkpointer.lock() = None;
    }

    /// Lets another opening have the files.
    pub(crate) fn unlock(&self) {
        // The file's end unlocks it in any case.
        let _ = self.lock.unlock();
    }

    pub(crate) fn write_state(&self) {
        let position = *self.moved.borrow();
        let mut written = self.written.lock();
        if *written != position {
            let seen = state::Seen { epoch: self.epoch.0.to_string(), position };
            // Behind is safe, so a failure is made good by the next.
            if state::write(&self.files.state, &seen).is_ok() {
                *written = position;
            }
        }
    }

    fn cursor(&self, after: u64) -> Cursor {
        Cursor { epoch: self.epoch.clone(), after, skip: None }
    }

    /// A reader whose snapshot has every commit that was acknowledged before.
    pub(crate) fn renewed<'a>(&'a self, lent: rusqlite::Result<Lent<'a>>) -> Result<Lent<'a>, Fail> {
        let mut reader = lent?;
        reader.gate.until(None);
        reader.renew(self.commits.load(Ordering::Acquire))?;
        Ok(reader)
    }

    fn read_inline(&self, plans: &[ReadPlan]) -> Result<Snapshot, Fail> {
        let reader = self.renewed(self.readers.quick())?;
        if !plans.iter().all(|plan| matches!(plan.fetch().kind, FetchKind::Key { .. }) && plan.fetch().children.is_empty()) {
            reader.gate.inline();
        }
        self.answer(&reader, plans)
    }

    fn read_heavy(&self, plans: &[ReadPlan], deadline: Deadline, left: impl FnOnce(&Reader)) -> Result<Snapshot, Fail> {
        let mut reader = self.renewed(self.readers.heavy())?;
        reader.gate.until(deadline.0);
        left(&reader);
        let answer = self.answer(&reader, plans);
        reader.gate.until(None);
        reader.let_go()?;
        answer
    }

    fn answer(&self, reader: &Reader, plans: &[ReadPlan]) -> Result<Snapshot, Fail> {
        let mut statements = 0;
        let mut answers: Vec<Answered> = Vec::with_capacity(plans.len());
        for plan in plans {
            if plan.model().fingerprint != self.fingerprint.load(Ordering::Acquire) {
                return Err(unavailable("the store is being migrated to another model; try again").into());
            }
            let compiled = plan.compiled(|shape| Arc::new(fourfold_store::sql::fetch(Dialect::Sqlite, shape.model(), shape.fetch())));
            let Some(sql) = compiled.downcast_ref::<FetchSql>() else {
                return Err(Error::internal("a plan compiled by another store").into());
            };
            let mut reading = Reading { connection: &reader.connection, plan, model: plan.model(), statements: 0 };
            answers.push(reading.answer(sql)?);
            statements += reading.statements;
        }
        Ok(Snapshot { answers, cursor: Some(self.cursor(reader.position)), statements })
    }
}

fn late() -> Error {
    Error::new(ErrorCode::DeadlineExceeded, "the deadline passed while reading")
}

fn passed(deadline: &Deadline) -> bool {
    deadline.0.is_some_and(|at| at <= std::time::Instant::now())
}

fn refused(fail: Fail) -> StoreError {
    StoreError::Refused(match fail {
        Fail::Interrupted => late(),
        Fail::Error(error) => error,
    })
}

/// Reads on a thread that may block, and stops when nobody waits any more.
async fn read_blocking(inner: Arc<Inner>, plans: Vec<ReadPlan>, deadline: Deadline) -> Result<Snapshot, Fail> {
    let permit = inner.heavy.acquire().await.map_err(|_| unavailable("the store is closed"))?;
    let (tell, told) = oneshot::channel::<Arc<readers::Gate>>();
    let work = inner.clone();
    let task = tokio::task::spawn_blocking(move || {
        work.read_heavy(&plans, deadline, |reader| {
            let _ = tell.send(reader.gate.clone());
        })
    });
    let guard = Leave(told.await.ok());
    let answer = task.await.map_err(Error::internal)?;
    // It has ended, so there is nothing to leave.
    let mut guard = guard;
    guard.0 = None;
    drop(permit);
    answer
}

/// Stops a read that nobody waits for.
struct Leave(Option<Arc<readers::Gate>>);

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(gate) = &self.0 {
            gate.left.store(true, Ordering::Relaxed);
        }
    }
}

impl Store for SqliteStore {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn read<'a>(&'a self, plans: &'a [ReadPlan], deadline: &'a Deadline) -> Later<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            if passed(deadline) {
                return Err(StoreError::Refused(late()));
            }
            match self.inner.read_inline(plans) {
                Err(Fail::Interrupted) => read_blocking(self.inner.clone(), plans.to_vec(), *deadline).await.map_err(refused),
                done => done.map_err(refused),
            }
        })
    }

    fn commit(&self, plan: WritePlan, side: Vec<Side>) -> Later<'static, Result<Committed, CommitError>> {
        let closed = || CommitError::Refused(unavailable("the store is closed"));
        if self.inner.closed.load(Ordering::Acquire) {
            return Box::pin(async move { Err(closed()) });
        }
        let (answer, answered) = oneshot::channel();
        let message = Message::Commit(Box::new(Request { plan, side, answer }));
        // Queued at once where there is room, so that it runs even if its caller never polls.
        let waiting = match self.queue.try_send(message) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(message)) => Some((self.queue.clone(), message)),
            Err(mpsc::error::TrySendError::Closed(_)) => return Box::pin(async move { Err(closed()) }),
        };
        Box::pin(async move {
            if let Some((queue, message)) = waiting {
                queue.send(message).await.map_err(|_| closed())?;
            }
            answered.await.unwrap_or_else(|_| Err(CommitError::Unknown("the writer ended".into())))
        })
    }

    fn events<'a>(&'a self, after: &'a Cursor, of: &'a Entities, budget: Budget) -> Later<'a, Result<Tail, StoreError>> {
        Box::pin(async move {
            let inner = &self.inner;
            inner.open().map_err(StoreError::Refused)?;
            let Some(model) = inner.model.read().clone() else {
                return Err(StoreError::Refused(unavailable("the store has no model yet")));
            };
            let reader = inner.renewed(inner.readers.quick()).map_err(refused)?;
            let floor = inner.floor.load(Ordering::Acquire);
            let log = log::Log { connection: &reader.connection, model: &model, epoch: &inner.epoch, last: reader.position, floor };
            log.events(after, of, budget).map_err(refused)
        })
    }

    fn head(&self, beyond: Option<u64>) -> Later<'_, Head> {
        Box::pin(async move {
            let mut moved = self.inner.moved.subscribe();
            // The sender lives as long as this store, so waiting ends only by a move.
            let position = match moved.wait_for(|position| beyond.is_none_or(|beyond| *position > beyond)).await {
                Ok(position) => *position,
                Err(_) => beyond.unwrap_or(0),
            };
            Head { epoch: self.inner.epoch.clone(), position, floor: self.inner.floor.load(Ordering::Acquire) }
        })
    }

    fn side<'a>(&'a self, space: Space, key: &'a [u8]) -> Later<'a, Result<Option<SideRecord>, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            let reader = self.inner.renewed(self.inner.readers.quick()).map_err(refused)?;
            let text = "SELECT version, bytes FROM fourfold_side WHERE space = ?1 AND key = ?2 AND (keep_until IS NULL OR keep_until > ?3)";
            let read = |row: &rusqlite::Row<'_>| {
                let version: i64 = row.get(0)?;
                Ok(SideRecord { version: u64::try_from(version).unwrap_or(0), bytes: Bytes::from(row.get::<_, Vec<u8>>(1)?) })
            };
            let found = reader
                .connection
                .prepare_cached(text)
                .and_then(|mut statement| statement.query_row(rusqlite::params![space as u8, key, now_us()], read).optional());
            found.map_err(|error| StoreError::Refused(to_error(&error)))
        })
    }

    fn lease<'a>(&'a self, _name: &'a str) -> Later<'a, Result<Option<LeaseTerm>, StoreError>> {
        // One process, so nobody else can hold it; the term counts openings.
        Box::pin(async { Ok(Some(LeaseTerm { term: self.inner.term })) })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            if self.inner.closed.swap(true, Ordering::AcqRel) {
                return;
            }
            let (done, ended) = oneshot::channel();
            if self.queue.send(Message::Close(done)).await.is_ok() {
                // An error says that the writer has ended already.
                let _ = ended.await;
            }
        })
    }
}
