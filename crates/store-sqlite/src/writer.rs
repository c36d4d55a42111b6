//! The one thread that writes: what is queued becomes one transaction, and all are answered when it is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fourfold_op::{Cursor, Error};
use fourfold_plan::{Moment, WritePlan};
use fourfold_store::{CommitError, Committed, Side};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::commit::{Committing, Counters, Stop, Texts};
use crate::connection::copy_log;
use crate::error::{to_error, unavailable, unknown};
use crate::{Inner, LOG_BYTES_MAX};

/// Requests in one transaction.
const REQUESTS_MAX: usize = 512;
/// Work in one transaction.
const WORK_MAX: Duration = Duration::from_millis(5);
/// Event bytes in one transaction.
const POSITIONS_MAX: u64 = 20_000;

/// What the writer is asked.
pub enum Message {
    /// A commit.
    Commit(Box<Request>),
    /// Work that has a transaction, or several, of its own.
    Task(Box<dyn FnOnce(&mut Writer) + Send>),
    /// The end.
    Close(oneshot::Sender<()>),
}

/// A commit and where its answer goes.
pub struct Request {
    pub plan: WritePlan,
    pub side: Vec<Side>,
    pub answer: oneshot::Sender<Result<Committed, CommitError>>,
}

/// The writer's side of a store.
pub struct Writer {
    pub inner: Arc<Inner>,
    pub connection: Connection,
    pub position: u64,
    texts: Option<Texts>,
    pub counters: Counters,
    last_at: i64,
}

type Answer = (oneshot::Sender<Result<Committed, CommitError>>, Result<Committed, CommitError>);

impl Writer {
    /// A writer that has its connection.
    pub fn new(inner: Arc<Inner>, connection: Connection, position: u64, last_at: i64) -> Writer {
        Writer { inner, connection, position, texts: None, counters: Counters::default(), last_at }
    }

    /// Runs until it is closed, or every sender is gone.
    pub fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut stashed = None;
        while let Some(message) = stashed.take().or_else(|| queue.blocking_recv()) {
            match message {
                Message::Commit(request) => {
                    stashed = self.batch(*request, &mut queue);
                    self.bound_log();
                }
                Message::Task(task) => task(&mut self),
                Message::Close(done) => {
                    self.end();
                    let _ = done.send(());
                    return;
                }
            }
        }
        self.end();
    }

    /// Copies a write-ahead log that has grown too long, so that the next commit begins it anew.
    fn bound_log(&self) {
        if self.is_whole() && self.inner.files.log_bytes() >= LOG_BYTES_MAX {
            // While a long read needs an old page the log goes on; what was copied stays copied.
            let _ = copy_log(&self.connection);
        }
    }

    /// Lets go of every file, and only then of the lock: a connection that closed later could remove the write-ahead log of who has the files next.
    fn end(self) {
        self.inner.end_keeping();
        self.inner.readers.close();
        // After a failed commit nobody knows what of the log is on the disk: its judge is the next opening.
        if self.is_whole() {
            // A checkpoint that fails leaves the log to the next opening.
            let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        self.inner.write_state();
        let Writer { inner, connection, .. } = self;
        drop(connection);
        inner.unlock();
    }

    /// One transaction; a message that is no commit ends it and is given back.
    fn batch(&mut self, first: Request, queue: &mut mpsc::Receiver<Message>) -> Option<Message> {
        if let Err(error) = self.whole() {
            let _ = first.answer.send(Err(CommitError::Refused(error)));
            return None;
        }
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            let _ = first.answer.send(Err(CommitError::Refused(to_error(&error))));
            return None;
        }
        let (start, before) = (Instant::now(), self.position);
        let mut answers: Vec<Answer> = Vec::new();
        let mut next = Some(first);
        let mut stashed = None;
        while let Some(request) = next.take() {
            match self.request(request, &mut answers) {
                Ok(()) => {}
                Err(error) => {
                    self.give_up(answers, &error, before);
                    return stashed;
                }
            }
            let full = answers.len() >= REQUESTS_MAX || start.elapsed() >= WORK_MAX || self.position - before >= POSITIONS_MAX;
            if full {
                break;
            }
            match queue.try_recv() {
                Ok(Message::Commit(request)) => next = Some(*request),
                Ok(other) => stashed = Some(other),
                Err(_) => {}
            }
        }
        self.finish(answers, before);
        stashed
    }

    fn execute(&self, text: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(text)?.raw_execute().map(|_| ())
    }

    fn request(&mut self, request: Request, answers: &mut Vec<Answer>) -> rusqlite::Result<()> {
        let Request { plan, side, answer } = request;
        if plan.model().fingerprint != self.inner.fingerprint.load(Ordering::Acquire) {
            let refused = unavailable("the store is being migrated to another model; try again");
            answers.push((answer, Err(CommitError::Refused(refused))));
            return Ok(());
        }
        let moment = self.moment();
        let texts = match &mut self.texts {
            Some(texts) if texts.model.fingerprint == plan.model().fingerprint => texts,
            texts => texts.insert(Texts::of(plan.model())),
        };
        let mut committing = Committing::new(&self.connection, texts, &mut self.counters, &plan, (moment, self.position));
        match committing.run(side) {
            Ok(steps) => {
                self.position = committing.position;
                let cursor = Cursor { epoch: self.inner.epoch.clone(), after: self.position, skip: None };
                answers.push((answer, Ok(Committed { steps, cursor: Some(cursor) })));
            }
            Err(Stop::Refused(error)) => answers.push((answer, Err(error))),
            Err(Stop::Storage(error)) => {
                answers.push((answer, Err(CommitError::Refused(to_error(&error)))));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The moment of a commit: never before the one of an earlier commit.
    pub fn moment(&mut self) -> Moment {
        self.last_at = self.last_at.max(now_us());
        // Two v4 UUIDs, laid so that the fixed bits of each meet random bits of the other.
        let random = uuid::Uuid::new_v4().as_u128() ^ uuid::Uuid::new_v4().as_u128().rotate_left(64);
        Moment { now: self.last_at, random }
    }

    /// SQLite failed before the commit: nothing stands, and every answer says so.
    fn give_up(&mut self, answers: Vec<Answer>, error: &rusqlite::Error, before: u64) {
        if !self.connection.is_autocommit() && self.execute("ROLLBACK").is_err() {
            self.poison();
        }
        self.position = before;
        self.counters.forget();
        for (answer, _) in answers {
            let _ = answer.send(Err(CommitError::Refused(to_error(error))));
        }
    }

    fn finish(&mut self, answers: Vec<Answer>, before: u64) {
        if let Err(error) = self.counters.flush(&self.connection) {
            return self.give_up(answers, &error, before);
        }
        #[cfg(feature = "planted-faults")]
        let answers = if crate::fault::acknowledge_before_commit() {
            let none = self.publish(answers);
            crate::fault::pause();
            none
        } else {
            answers
        };
        if let Err(error) = self.execute("COMMIT") {
            // SQLite may bring these rows back after a crash, so nobody is told that they are not there.
            self.poison();
            for (answer, _) in answers {
                let _ = answer.send(Err(CommitError::Unknown(error.to_string())));
            }
            return;
        }
        let _ = self.publish(answers);
    }

    /// Tells readers and callers of what is durable.
    fn publish(&mut self, answers: Vec<Answer>) -> Vec<Answer> {
        self.inner.commits.fetch_add(1, Ordering::Release);
        self.inner.moved.send_replace(self.position);
        for (answer, result) in answers {
            let _ = answer.send(result);
        }
        Vec::new()
    }

    /// After a commit of unknown outcome nothing more is written.
    fn whole(&self) -> Result<(), Error> {
        if self.is_whole() { Ok(()) } else { Err(unavailable("the store failed and must be started again")) }
    }

    fn is_whole(&self) -> bool {
        !self.inner.poisoned.load(Ordering::Acquire)
    }

    fn poison(&self) {
        self.inner.poisoned.store(true, Ordering::Release);
        self.inner.failed.notify_waiters();
        self.inner.failed.notify_one();
    }

    /// Runs work in a transaction of its own.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Writer) -> Result<T, Error>) -> Result<T, Error> {
        self.whole()?;
        let before = self.position;
        self.execute("BEGIN IMMEDIATE").map_err(|error| to_error(&error))?;
        let done = work(self);
        self.counters.forget();
        if done.is_err() {
            self.position = before;
            if !self.connection.is_autocommit() && self.execute("ROLLBACK").is_err() {
                self.poison();
            }
            return done;
        }
        if let Err(error) = self.execute("COMMIT") {
            self.poison();
            return Err(unknown(&error));
        }
        self.inner.commits.fetch_add(1, Ordering::Release);
        self.inner.moved.send_replace(self.position);
        done
    }

    /// Forgets above which revisions new rows begin.
    pub fn forget_floors(&mut self) {
        if let Some(texts) = &mut self.texts {
            texts.forget_floors();
        }
    }

    /// Forgets the statements of the model before.
    pub fn forget_texts(&mut self) {
        self.texts = None;
    }
}

/// Microseconds since 1970, UTC.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
