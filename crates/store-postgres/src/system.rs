//! The tables beside the model's, and what the database knows of itself: which log it is, where it ends, of which model it is.

use fourfold_op::Epoch;
use fourfold_store::sql::functions::{POSTGRES_FUNCTIONS, POSTGRES_FUNCTIONS_VERSION};
use tokio_postgres::{Client, Row};

use crate::capture::CAPTURE;
use crate::error::Fail;

/// Locks of the database's own kind, by number; each is one that nobody else uses.
pub mod locks {
    /// Held by the session that numbers commits.
    pub const SEQUENCER: i64 = 0x666f_7572_0001;
    /// Shared by every commit, alone by a migration.
    pub const MODEL: i64 = 0x666f_7572_0002;
    /// Held while tables are made, or the log's name is looked at.
    pub const SETUP: i64 = 0x666f_7572_0003;
    /// Held by one who prunes or redacts.
    pub const PRUNE: i64 = 0x666f_7572_0004;
}

/// Positions in one partition of the log.
pub const PARTITION: u64 = 1 << 20;
/// Which of these tables a database has, and which functions.
const VERSION: i32 = 4_000 + POSTGRES_FUNCTIONS_VERSION;

/// A commit is one row of the outbox, then one of the log: its events stand together, and are numbered together.
///
/// `xid` is the transaction that wrote it: by that a reader knows whether a snapshot had it. `total` is the bytes of the log up to a commit,
/// so that how large the log is takes two look-ups.
const SYSTEM: &str = "
CREATE TABLE IF NOT EXISTS fourfold_state (one boolean PRIMARY KEY DEFAULT TRUE CHECK (one), version int4 NOT NULL, identity text NOT NULL,
  epoch text NOT NULL, floor int8 NOT NULL DEFAULT 0, generation int4 NOT NULL DEFAULT 0, fingerprint int8 NOT NULL DEFAULT 0,
  schema text NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS fourfold_outbox (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  count int8 NOT NULL, generation int4 NOT NULL, at int8 NOT NULL, by text NOT NULL, events bytea NOT NULL)
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE TABLE IF NOT EXISTS fourfold_log (position int8 PRIMARY KEY, xid xid8 NOT NULL, count int8 NOT NULL, generation int4 NOT NULL,
  at int8 NOT NULL, by text NOT NULL, total int8 NOT NULL, events bytea NOT NULL) PARTITION BY RANGE (position);
CREATE TABLE IF NOT EXISTS fourfold_tombstone (entity int8 NOT NULL, key text COLLATE \"C\" NOT NULL, revision int8 NOT NULL, PRIMARY KEY (entity, key));
CREATE TABLE IF NOT EXISTS fourfold_floor (entity int8 PRIMARY KEY, revision int8 NOT NULL);
CREATE TABLE IF NOT EXISTS fourfold_counter (entity int8 NOT NULL, field int8 NOT NULL, value int8 NOT NULL, PRIMARY KEY (entity, field));
CREATE TABLE IF NOT EXISTS fourfold_side (space int2 NOT NULL, key bytea NOT NULL, version int8 NOT NULL, bytes bytea NOT NULL, keep_until int8,
  PRIMARY KEY (space, key));
CREATE INDEX IF NOT EXISTS fourfold_side_until ON fourfold_side (keep_until) WHERE keep_until IS NOT NULL;
CREATE TABLE IF NOT EXISTS fourfold_adopted (number int8 PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS fourfold_lease (name text PRIMARY KEY, holder text NOT NULL, term int8 NOT NULL, until timestamptz NOT NULL);
";

/// Which cluster, on which timeline, and which database of it. A restore, a promotion or a copy makes another of one of them.
const IDENTITY: &str = "(SELECT system_identifier FROM pg_control_system())::text || '.' || \
  left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.' || (SELECT oid FROM pg_database WHERE datname = current_database())";

/// What a snapshot says of the log and the model.
pub const STATE: &str = "SELECT s.epoch, s.floor, s.generation, s.fingerprint, \
  greatest(s.floor, coalesce((SELECT max(position) FROM fourfold_log), 0)), \
  EXISTS (SELECT 1 FROM fourfold_outbox), pg_current_snapshot()::text, \
  (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, current_database()::text FROM fourfold_state AS s";

/// How many columns that has.
pub const STATE_COLUMNS: usize = 9;

/// Which run of a server a session is of, and which of its databases: so much can change between two transactions through a pooler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    begun: i64,
    database: String,
}

/// What a snapshot says of the log and the model.
#[derive(Clone, Debug)]
pub struct State {
    /// The log's name.
    pub epoch: Epoch,
    /// Cursors below it are too old.
    pub floor: u64,
    /// The model's generation.
    pub generation: u32,
    /// The model's fingerprint.
    pub fingerprint: u64,
    /// The last position that is given.
    pub position: u64,
    /// The snapshot, where it has commits without a position.
    pub unnumbered: Option<String>,
    /// Who says so.
    pub server: Server,
}

impl State {
    /// Reads a row of [`STATE`].
    pub fn of(row: &Row) -> Result<State, Fail> {
        let epoch: &str = row.try_get(0)?;
        let snapshot: Option<String> = if row.try_get(5)? { Some(row.try_get(6)?) } else { None };
        Ok(State {
            epoch: Epoch(epoch.into()),
            floor: row.try_get::<_, i64>(1)?.unsigned_abs(),
            generation: row.try_get::<_, i32>(2)?.unsigned_abs(),
            fingerprint: row.try_get::<_, i64>(3)?.cast_unsigned(),
            position: row.try_get::<_, i64>(4)?.unsigned_abs(),
            unnumbered: snapshot,
            server: Server { begun: row.try_get(7)?, database: row.try_get(8)? },
        })
    }
}

/// Makes the tables and functions that are missing.
pub async fn set_up(client: &Client) -> Result<(), Fail> {
    let version = "SELECT to_regclass('fourfold_state') IS NOT NULL";
    if client.query_one(version, &[]).await?.try_get(0)? {
        let row = client.query_opt("SELECT version FROM fourfold_state", &[]).await?;
        if row.is_some_and(|row| row.try_get::<_, i32>(0).is_ok_and(|version| version == VERSION)) {
            return Ok(());
        }
    }
    let state = format!(
        "INSERT INTO fourfold_state (version, identity, epoch) VALUES ({VERSION}, {IDENTITY}, '{}') \
         ON CONFLICT (one) DO UPDATE SET version = excluded.version",
        new_epoch()
    );
    let schema: String = client.query_one("SELECT quote_ident(current_schema())", &[]).await?.try_get(0)?;
    let capture = CAPTURE.replace("@schema@", &schema);
    let text = format!("BEGIN; SELECT pg_advisory_xact_lock({}); {SYSTEM} {POSTGRES_FUNCTIONS} {capture} {state}; COMMIT", locks::SETUP);
    let done = client.batch_execute(&text).await;
    if done.is_err() {
        // What failed is told; that the connection is of no use any more is seen by whoever takes it next.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    Ok(done?)
}

/// Gives the log another name when the database is not the one that it was: commits that were told of may be missing.
pub async fn check_identity(client: &Client) -> Result<(), Fail> {
    let same = format!("SELECT identity = {IDENTITY} FROM fourfold_state");
    if client.query_one(&same, &[]).await?.try_get(0)? {
        return Ok(());
    }
    Ok(client.batch_execute(&renamed_where_another()).await?)
}

/// Gives the log another name, where a condition holds of the state.
pub async fn rename_log(client: &Client, condition: &str) -> Result<(), Fail> {
    Ok(client.batch_execute(&renaming(condition)).await?)
}

/// The statement that gives the log another name where the database is not the one that it was.
pub fn renamed_where_another() -> String {
    renaming(&format!("identity <> {IDENTITY}"))
}

fn renaming(condition: &str) -> String {
    format!("UPDATE fourfold_state SET identity = {IDENTITY}, epoch = '{}' WHERE {condition}", new_epoch())
}

/// A name for a log that no other has.
fn new_epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect()
}

/// Makes the log's partitions for the positions after one, where that was not done for the same number.
pub async fn make_partitions(client: &Client, made: &mut Option<u64>, after: u64) -> Result<(), Fail> {
    let first = after / PARTITION;
    if *made == Some(first) {
        return Ok(());
    }
    for number in first..=first + 1 {
        let (from, to) = (number * PARTITION, (number + 1) * PARTITION);
        let known = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&format!("fourfold_log_{number}")]).await?;
        if known.try_get(0)? {
            continue;
        }
        // Made apart and then attached: that locks nobody out. The check spares a look at its rows.
        let text = format!(
            "BEGIN; CREATE TABLE fourfold_log_{number} (LIKE fourfold_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES); \
             ALTER TABLE fourfold_log ATTACH PARTITION fourfold_log_{number} FOR VALUES FROM ({from}) TO ({to}); COMMIT"
        );
        if let Err(error) = client.batch_execute(&text).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(error.into());
        }
    }
    *made = Some(first);
    Ok(())
}
