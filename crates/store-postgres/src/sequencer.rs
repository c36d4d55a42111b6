//! The sequencer: one session of all nodes' gives commits their positions; the sessions of the others wait to take its place.
//!
//! Every statement that numbers runs on the session that holds the lock, so a session that ends can number no more, and one that begins sees
//! all that the one before has done. A batch is one statement: of one snapshot it takes the visible rows of the outbox, in the order of `seq`,
//! and gives them the positions after the log's last. A row's earlier commit has the lower `seq` and was visible earlier, so its events keep
//! their order; a commit that is not visible yet, however low its `seq`, is not waited for.
//!
//! A node that is stopped, or whose network is gone, would keep the lock. So the server ends a session that says nothing for
//! [`LEADER_SILENT_MAX`]; what it says after that reaches no session.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};

use crate::Inner;
use crate::connect::Driven;
use crate::error::Fail;
use crate::limits::{FOLLOWER_WAIT, LEADER_SILENT_MAX, LEADER_WAIT};
use crate::system::{STATE, State, check_identity, locks, make_partitions, rename_log};

/// Commits of one batch: their events fit the partitions that are made ahead.
const BATCH_MAX: i64 = 1_000;
/// How long a database that cannot be reached is left alone.
const RETRY: Duration = Duration::from_millis(250);
/// Tells the leader of commits of other nodes.
const COMMITTED: &str = "fourfold_committed";
/// Tells all of the log's last position.
const NUMBERED: &str = "fourfold_numbered";

const BATCH: &str = "WITH taken AS (DELETE FROM fourfold_outbox WHERE seq IN (SELECT seq FROM fourfold_outbox ORDER BY seq LIMIT $1) \
    RETURNING seq, xid, count, generation, at, by, events), \
  last AS (SELECT greatest(s.floor, coalesce(l.position, 0)) AS position, coalesce(l.total, 0) AS total, coalesce(l.at, 0) AS at \
    FROM fourfold_state AS s LEFT JOIN (SELECT position, total, at FROM fourfold_log ORDER BY position DESC LIMIT 1) AS l ON TRUE), \
  numbered AS (INSERT INTO fourfold_log (position, xid, count, generation, at, by, total, events) \
    SELECT last.position + sum(count) OVER w, xid, count, generation, greatest(last.at, max(taken.at) OVER w), by, \
      last.total + sum(octet_length(events) + octet_length(by) + 32) OVER w, events \
    FROM taken CROSS JOIN last WINDOW w AS (ORDER BY seq) RETURNING position) \
  SELECT count(*), max(position) FROM numbered";

/// Numbers commits, or waits to, for as long as the store is open.
pub async fn run(weak: Weak<Inner>) {
    while let Some(inner) = weak.upgrade().filter(|inner| !inner.is_closed()) {
        // Why one ended is learnt by whoever needs the database; here it is tried again.
        let _ = session(inner).await;
        let Some(inner) = weak.upgrade() else { return };
        tokio::select! {
            () = inner.closing() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// One session, until it ends or the store is closed.
async fn session(inner: Arc<Inner>) -> Result<(), Fail> {
    let (client, connection) = inner.direct.target.connect().await?;
    let (tell, mut told) = mpsc::channel(64);
    let driver = tokio::spawn(drive(connection, tell));
    check_identity(&client).await?;
    client.batch_execute(&begin()).await?;
    let done = Session { inner: &inner, client: &client, leads: false, partition: None }.run(&mut told).await;
    drop(client);
    let _ = driver.await;
    done
}

/// How a session begins. Between two statements it is idle, within a transaction that failed or without one.
fn begin() -> String {
    let silent = LEADER_SILENT_MAX.as_millis();
    format!(
        "LISTEN {NUMBERED}; LISTEN {COMMITTED}; SET statement_timeout = 0; SET idle_session_timeout = {silent}; \
         SET idle_in_transaction_session_timeout = {silent}"
    )
}

/// Drives a connection, and hands on what it is told.
async fn drive(mut connection: Driven, tell: mpsc::Sender<Told>) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                let told = match notification.channel() {
                    NUMBERED => Told::Numbered(notification.payload().parse().unwrap_or(0)),
                    _ => Told::Committed,
                };
                // One that finds no room says nothing that those before it do not say: go and look.
                let _ = tell.try_send(told);
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

enum Told {
    Numbered(u64),
    Committed,
}

struct Session<'a> {
    inner: &'a Inner,
    client: &'a Client,
    leads: bool,
    /// The log has partitions for this number, and the next.
    partition: Option<u64>,
}

impl Session<'_> {
    async fn run(&mut self, told: &mut mpsc::Receiver<Told>) -> Result<(), Fail> {
        let batch = self.client.prepare(BATCH).await?;
        let notify = self.client.prepare("SELECT pg_notify($1, $2)").await?;
        let state = self.client.prepare(STATE).await?;
        loop {
            if !self.leads {
                self.take_lead().await?;
            }
            if self.leads {
                self.number(&batch, &notify).await?;
            } else if self.inner.take_committed() {
                self.client.query(&notify, &[&COMMITTED, &""]).await?;
            }
            self.inner.told(&State::of(&self.client.query_one(&state, &[]).await?)?);
            if !self.wait(told).await? {
                return Ok(());
            }
        }
    }

    async fn take_lead(&mut self) -> Result<(), Fail> {
        let row = self.client.query_one("SELECT pg_try_advisory_lock($1)", &[&locks::SEQUENCER]).await?;
        if row.try_get(0)? {
            check_identity(self.client).await?;
            let state = State::of(&self.client.query_one(STATE, &[]).await?)?;
            if state.position < self.inner.highest(&state.epoch) {
                // What this process has seen is not there: the database was put back under its own name.
                rename_log(self.client, &format!("epoch = '{}'", state.epoch.0)).await?;
            }
            make_partitions(self.client, &mut self.partition, state.position).await?;
            self.leads = true;
        }
        Ok(())
    }

    /// Numbers all that is there, batch by batch.
    async fn number(&mut self, batch: &tokio_postgres::Statement, notify: &tokio_postgres::Statement) -> Result<(), Fail> {
        loop {
            self.inner.take_committed();
            let row = self.client.query_one(batch, &[&BATCH_MAX]).await?;
            let (count, position): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            let Some(position) = position.map(i64::unsigned_abs) else { return Ok(()) };
            self.inner.moved_to(position);
            self.client.query(notify, &[&NUMBERED, &position.to_string()]).await?;
            // The next batch ends in this partition or the next.
            make_partitions(self.client, &mut self.partition, position).await?;
            if count < BATCH_MAX {
                return Ok(());
            }
        }
    }

    /// Waits for a reason to go on; whether the store is still open.
    async fn wait(&self, told: &mut mpsc::Receiver<Told>) -> Result<bool, Fail> {
        let most = if self.leads { LEADER_WAIT } else { FOLLOWER_WAIT };
        let deadline = tokio::time::sleep(most);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = self.inner.closing() => return Ok(false),
                () = self.inner.committed_here() => return Ok(true),
                () = &mut deadline => return Ok(true),
                message = told.recv() => match message {
                    None => return Err(Fail::Lost("the sequencer's session ended".into())),
                    Some(Told::Numbered(position)) => self.inner.moved_to(position),
                    Some(Told::Committed) if self.leads => return Ok(true),
                    Some(Told::Committed) => {}
                },
            }
        }
    }
}
