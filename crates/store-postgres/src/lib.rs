//! The PostgreSQL store: any number of nodes over one database.
//!
//! A read is one snapshot. A commit is one transaction under row locks, whose events wait in an outbox until the sequencer gives them
//! positions; so a write's answer has none, and a list's cursor says which commits without a position it has shown. It knows plans and
//! PostgreSQL, and no protocol. Statements come from `fourfold_store::sql`. Read [`PostgresStore`], then `commit`, `sequencer` and `log`.

mod adopt;
mod bus;
mod capture;
mod commit;
mod connect;
mod error;
mod lent;
pub mod limits;
mod log;
mod maintain;
mod numeric;
mod pooled;
mod prune;
mod read;
mod redact;
mod sequencer;
mod shared;
mod shown;
pub mod source;
mod system;
#[cfg(feature = "testing")]
pub mod testing;
mod value;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use fourfold_model::SharedModel;
use fourfold_op::{Cursor, Deadline, Epoch, Error};
use fourfold_plan::{ReadPlan, WritePlan};
use fourfold_store::{
    Budget, Capabilities, CommitError, Committed, Entities, Head, Later, LeaseTerm, Side, SideRecord, Snapshot, Space, Store, StoreError,
    Tail,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, watch};

use commit::{Groups, Texts};
pub use connect::CONNECTIONS;
use connect::{Connections, MAINTENANCE_CONNECTIONS, Target};
use error::{Fail, unavailable};
use lent::Lent;
use pooled::Pooled;
use shared::Shared;
use system::{STATE, Server, State, renamed_where_another};

const CAPABILITIES: Capabilities =
    Capabilities { name: "postgres", durable: true, cursor_at_commit: false, transactions: true, datetime_step_us: 1 };
/// Commits that run or wait for a connection.
const COMMITS_MAX: usize = 4_096;
/// How long whoever asks for the log's end waits for commits that are there to be numbered.
const NUMBERED_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether they are.
const NUMBERED_LOOK: Duration = Duration::from_millis(5);
/// How long a lease is held after it was last renewed.
const LEASE: &str = "15 seconds";

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    inner: Arc<Inner>,
}

/// What a store's tasks share.
pub(crate) struct Inner {
    /// For reads and commits; they may lead through a pooler.
    pooled: Connections,
    /// Those of them that several readers use at once.
    shared: Shared,
    /// For what needs a session of its own; they lead to the server.
    direct: Connections,
    /// The server whose identity was checked last.
    checked: Mutex<Server>,
    model: RwLock<Option<SharedModel>>,
    texts: Mutex<Option<Arc<Texts>>>,
    generation: AtomicU32,
    fingerprint: AtomicU64,
    head: watch::Sender<Head>,
    /// The tables of others that entities are served from, by the entities' numbers.
    adopted: RwLock<adopt::Adopted>,
    /// The revision above which new rows of an entity begin, by its number, as it was last seen.
    floors: Mutex<HashMap<u32, u64>>,
    last_at: AtomicI64,
    /// Something was committed here since the sequencer last looked.
    fresh: AtomicBool,
    committed: Notify,
    closed: watch::Sender<bool>,
    commits: Arc<Semaphore>,
    groups: Groups,
    holder: String,
    /// Begun when it is first asked for.
    bus: OnceLock<Arc<bus::PostgresBus>>,
}

impl PostgresStore {
    /// Opens a database by its URL; its tables and functions are made where they are missing.
    ///
    /// The role owns what it makes, so it must be allowed to create tables. Connections must be sessions of the server; for a pooler there is
    /// [`PostgresStore::open_through`]. A node that falls silent gives up its place among them: see [`limits`].
    ///
    /// # Errors
    /// `invalid_argument` for a URL that is none or leads to a pooler, `unavailable` for a database that cannot be reached.
    pub async fn open(url: &str) -> Result<Arc<PostgresStore>, Error> {
        PostgresStore::open_with(url, CONNECTIONS).await
    }

    /// The same, with another number of connections beside the sequencer's.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn open_with(url: &str, connections: usize) -> Result<Arc<PostgresStore>, Error> {
        let target = Target::parse(url)?;
        let state = Inner::set_up(&target).await.map_err(Fail::into_error)?;
        let direct = target.clone().connections(MAINTENANCE_CONNECTIONS)?;
        Ok(PostgresStore::begin(target.connections(connections.max(1))?, direct, state))
    }

    /// Opens a database whose reads and commits go through a pooler, which may give each transaction another session of the server
    /// (PgBouncer's `pool_mode = transaction`). Numbering, set-up, migration and maintenance go to the server itself.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], of both URLs; `invalid_argument` where they lead to different databases.
    pub async fn open_through(pooler_url: &str, direct_url: &str, connections: usize) -> Result<Arc<PostgresStore>, Error> {
        let (pooler, target) = (Target::pooler(pooler_url)?, Target::parse(direct_url)?);
        let state = Inner::set_up(&target).await.map_err(Fail::into_error)?;
        let (pooled, direct) = (pooler.connections(connections.max(1))?, target.connections(MAINTENANCE_CONNECTIONS)?);
        let store = PostgresStore::begin(pooled, direct, state);
        store.inner.is_one_database().await.map_err(Fail::into_error)?;
        Ok(store)
    }

    fn begin(pooled: Connections, direct: Connections, state: State) -> Arc<PostgresStore> {
        let head = Head { epoch: state.epoch, position: state.position, floor: state.floor };
        let inner = Arc::new(Inner {
            shared: Shared::of(&pooled),
            pooled,
            direct,
            checked: Mutex::new(state.server),
            model: RwLock::new(None),
            texts: Mutex::new(None),
            generation: AtomicU32::new(state.generation),
            fingerprint: AtomicU64::new(state.fingerprint),
            head: watch::Sender::new(head),
            adopted: RwLock::default(),
            floors: Mutex::new(HashMap::new()),
            last_at: AtomicI64::new(0),
            fresh: AtomicBool::new(false),
            committed: Notify::new(),
            closed: watch::Sender::new(false),
            commits: Arc::new(Semaphore::new(COMMITS_MAX)),
            groups: Groups::default(),
            holder: uuid::Uuid::new_v4().simple().to_string(),
            bus: OnceLock::new(),
        });
        tokio::spawn(sequencer::run(Arc::downgrade(&inner)));
        Arc::new(PostgresStore { inner })
    }

    /// The model's generation: one more at each migration to another model.
    pub fn generation(&self) -> u32 {
        self.inner.generation.load(Ordering::Acquire)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.inner.closed.send_replace(true);
    }
}

impl Inner {
    async fn set_up(target: &Target) -> Result<State, Fail> {
        let (client, connection) = target.connect().await?;
        let driver = tokio::spawn(connection);
        connect::check_session(&client).await?;
        system::set_up(&client).await?;
        system::check_identity(&client).await?;
        let state = State::of(&client.query_one(STATE, &[]).await?)?;
        drop(client);
        let _ = driver.await;
        Ok(state)
    }

    /// Whether the pooler leads to the database that the direct session is of.
    async fn is_one_database(&self) -> Result<(), Fail> {
        let client = self.pooled.take().await?;
        let there = client.alone("SELECT to_regclass('fourfold_state') IS NOT NULL", &[]).await?;
        let there = there.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        let row = if there { client.alone(STATE, &[]).await?.into_iter().next() } else { None };
        match row.as_ref().map(State::of).transpose()? {
            Some(state) if state.server == *self.checked.lock() => Ok(()),
            _ => Err(Error::invalid("`store.url` and `store.direct_url` lead to different databases").into()),
        }
    }

    /// Takes in what a snapshot says. Through a pooler it may be of a server that nobody has looked at yet, whose log may not be the same.
    ///
    /// # Errors
    /// [`Fail::Elsewhere`]: then [`Inner::look`], and take the snapshot again.
    fn told_by(&self, client: &Pooled, state: &State) -> Result<(), Fail> {
        if !client.is_session() && state.server != *self.checked.lock() {
            return Err(Fail::Elsewhere);
        }
        self.told(state);
        Ok(())
    }

    /// Looks at the server to which the pooler leads now, and gives its log another name where it is not the one that it was.
    async fn look(&self) -> Result<(), Fail> {
        let lent = Lent::take(&self.pooled).await?;
        let client = lent.client()?;
        let looked = async {
            client.batch_execute(&format!("{}; {}", client.begin("", None), renamed_where_another())).await?;
            let state = State::of(&client.query_one(&client.prepared(STATE).await?, &[]).await?)?;
            client.batch_execute("COMMIT").await?;
            Ok(state)
        };
        let looked: Result<State, Fail> = looked.await;
        let state = lent.ended(looked).await?;
        self.told(&state);
        *self.checked.lock() = state.server;
        Ok(())
    }

    fn open(&self) -> Result<(), Error> {
        if self.is_closed() { Err(unavailable("the store is closed")) } else { Ok(()) }
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Resolves when the store is closed.
    async fn closing(&self) {
        // The sender lives as long as this does.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn model(&self) -> Option<SharedModel> {
        self.model.read().clone()
    }

    /// The statements of a model.
    fn texts(&self, model: &SharedModel) -> Arc<Texts> {
        let mut texts = self.texts.lock();
        match &*texts {
            Some(known) if known.model.fingerprint == model.fingerprint => known.clone(),
            _ => texts.insert(Arc::new(Texts::of(model))).clone(),
        }
    }

    /// Something was committed here.
    fn committed(&self) {
        self.fresh.store(true, Ordering::Release);
        self.committed.notify_one();
    }

    /// Whether something was, since this was last asked.
    fn take_committed(&self) -> bool {
        self.fresh.swap(false, Ordering::AcqRel)
    }

    async fn committed_here(&self) {
        self.committed.notified().await;
    }

    /// Takes in what a snapshot says; an older one than is known changes nothing.
    fn told(&self, state: &State) {
        self.generation.store(state.generation, Ordering::Release);
        self.fingerprint.store(state.fingerprint, Ordering::Release);
        self.head.send_if_modified(|head| {
            let before = head.clone();
            if head.epoch == state.epoch {
                head.position = head.position.max(state.position);
                head.floor = head.floor.max(state.floor);
            } else {
                *head = Head { epoch: state.epoch.clone(), position: state.position, floor: state.floor };
            }
            *head != before
        });
    }

    /// The log has come this far.
    fn moved_to(&self, position: u64) {
        self.head.send_if_modified(|head| {
            let moved = head.position < position;
            head.position = head.position.max(position);
            moved
        });
    }

    /// The highest position that this process has seen in a log.
    fn highest(&self, epoch: &Epoch) -> u64 {
        let head = self.head.borrow();
        if head.epoch == *epoch { head.position } else { 0 }
    }

    /// A moment that is not before an earlier commit's of this process.
    fn not_before(&self, at: i64) -> i64 {
        self.last_at.fetch_max(at, Ordering::AcqRel).max(at)
    }

    fn floor_of(&self, number: u32) -> u64 {
        self.floors.lock().get(&number).copied().unwrap_or(0)
    }

    fn floor_seen(&self, number: u32, floor: u64) {
        if floor > 0 {
            let mut floors = self.floors.lock();
            let known = floors.entry(number).or_default();
            *known = floor.max(*known);
        }
    }

    /// Waits until all commits that are there have positions.
    async fn numbered(&self) -> Result<State, Fail> {
        let first = self.state().await?;
        let Some(snapshot) = first.unnumbered.clone() else { return Ok(first) };
        let text = "SELECT EXISTS (SELECT 1 FROM fourfold_outbox WHERE pg_visible_in_snapshot(xid, $1::text::pg_snapshot))";
        let mut head = self.head.subscribe();
        loop {
            head.mark_unchanged();
            self.committed();
            let _ = tokio::time::timeout(NUMBERED_LOOK, head.changed()).await;
            let left = self.pooled.take().await?.alone(text, &[&snapshot]).await?;
            if !left.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false) {
                return self.state().await;
            }
        }
    }

    /// What a snapshot says now.
    async fn state(&self) -> Result<State, Fail> {
        let mut looked = false;
        loop {
            let client = self.pooled.take().await?;
            let rows = client.alone(STATE, &[]).await?;
            let state = State::of(rows.first().ok_or_else(|| Error::internal("the store's own state is not there"))?)?;
            match self.told_by(&client, &state) {
                Err(Fail::Elsewhere) if !looked => {
                    drop(client);
                    self.look().await?;
                    looked = true;
                }
                told => return told.map(|()| state),
            }
        }
    }

    async fn side(&self, space: Space, key: &[u8]) -> Result<Option<SideRecord>, Fail> {
        let client = self.pooled.take().await?;
        let text = "SELECT version, bytes FROM fourfold_side WHERE space = $1 AND key = $2 \
                    AND (keep_until IS NULL OR keep_until > (extract(epoch FROM clock_timestamp()) * 1000000)::int8)";
        let rows = client.alone(text, &[&i16::from(space as u8), &key]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let bytes: &[u8] = row.try_get(1)?;
        Ok(Some(SideRecord { version: row.try_get::<_, i64>(0)?.unsigned_abs(), bytes: Bytes::copy_from_slice(bytes) }))
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseTerm>, Fail> {
        let client = self.pooled.take().await?;
        let text = format!(
            "INSERT INTO fourfold_lease AS l (name, holder, term, until) VALUES ($1, $2, 1, clock_timestamp() + interval '{LEASE}') \
             ON CONFLICT (name) DO UPDATE SET term = l.term + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END, holder = excluded.holder, \
             until = excluded.until WHERE l.holder = excluded.holder OR l.until < clock_timestamp() RETURNING term"
        );
        let rows = client.alone(&text, &[&name, &self.holder]).await?;
        Ok(rows.first().map(|row| row.try_get::<_, i64>(0)).transpose()?.map(|term| LeaseTerm { term: term.unsigned_abs() }))
    }

    async fn close(&self) {
        if let Some(bus) = self.bus.get() {
            bus.flush().await;
        }
        self.closed.send_replace(true);
        // Each commit that runs holds one: when all are free, none runs.
        let all = u32::try_from(COMMITS_MAX).unwrap_or(u32::MAX);
        if let Ok(all) = self.commits.acquire_many(all).await {
            all.forget();
        }
        self.commits.close();
        self.pooled.close();
        self.direct.close();
    }
}

fn refused(fail: Fail) -> StoreError {
    StoreError::Refused(fail.into_error())
}

impl Store for PostgresStore {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn read<'a>(&'a self, plans: &'a [ReadPlan], deadline: &'a Deadline) -> Later<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            match read::read(&self.inner, plans, deadline).await {
                Err(Fail::Elsewhere) => {
                    self.inner.look().await.map_err(refused)?;
                    read::read(&self.inner, plans, deadline).await.map_err(refused)
                }
                Err(Fail::Stale) => read::read(&self.inner, plans, deadline).await.map_err(refused),
                done => done.map_err(refused),
            }
        })
    }

    fn commit(&self, plan: WritePlan, side: Vec<Side>) -> Later<'static, Result<Committed, CommitError>> {
        let closed = || CommitError::Refused(unavailable("the store is closed"));
        if self.inner.is_closed() {
            return Box::pin(async move { Err(closed()) });
        }
        let Ok(permit) = self.inner.commits.clone().try_acquire_owned() else {
            let error = if self.inner.commits.is_closed() { closed() } else { commit::overloaded() };
            return Box::pin(async move { Err(error) });
        };
        let inner = self.inner.clone();
        // At once, and on a task of its own: it runs to its end even if its caller goes away.
        let task = tokio::spawn(async move {
            let done = commit::commit(inner, plan, side).await;
            drop(permit);
            done
        });
        Box::pin(async move { task.await.unwrap_or_else(|_| Err(CommitError::Unknown("the commit's task ended".into()))) })
    }

    fn events<'a>(&'a self, after: &'a Cursor, of: &'a Entities, budget: Budget) -> Later<'a, Result<Tail, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            match log::events(&self.inner, after, of, budget).await {
                Err(Fail::Elsewhere) => {
                    self.inner.look().await.map_err(refused)?;
                    log::events(&self.inner, after, of, budget).await.map_err(refused)
                }
                done => done.map_err(refused),
            }
        })
    }

    fn head(&self, beyond: Option<u64>) -> Later<'_, Head> {
        Box::pin(async move {
            let mut head = self.inner.head.subscribe();
            let Some(beyond) = beyond else {
                // A database that does not answer leaves what was known.
                let _ = tokio::time::timeout(NUMBERED_MAX, self.inner.numbered()).await;
                return self.inner.head.borrow().clone();
            };
            let epoch = head.borrow().epoch.clone();
            // The sender lives as long as this store, so waiting ends only by a move.
            let moved = head.wait_for(|head| head.position > beyond || head.epoch != epoch).await.map(|head| head.clone());
            moved.unwrap_or_else(|_| self.inner.head.borrow().clone())
        })
    }

    fn side<'a>(&'a self, space: Space, key: &'a [u8]) -> Later<'a, Result<Option<SideRecord>, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            self.inner.side(space, key).await.map_err(refused)
        })
    }

    fn lease<'a>(&'a self, name: &'a str) -> Later<'a, Result<Option<LeaseTerm>, StoreError>> {
        Box::pin(async move {
            self.inner.open().map_err(StoreError::Refused)?;
            self.inner.lease(name).await.map_err(refused)
        })
    }

    fn bus(&self) -> Option<Arc<dyn fourfold_store::Bus>> {
        let bus = self.inner.bus.get_or_init(|| bus::PostgresBus::begin(&self.inner));
        Some(bus.clone())
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(self.inner.close())
    }
}
