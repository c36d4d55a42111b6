//! Durable writes with group commit: one thread takes what is queued, writes it in one transaction, and answers all.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::database;
use crate::Failure;

/// How many rows of an ingest go into one commit.
pub const INGEST_BATCH: usize = 1000;

/// A row to write.
pub struct Artist {
    pub id: i64,
    pub name: String,
}

struct Request {
    rows: Vec<Artist>,
    done: oneshot::Sender<Result<(), String>>,
}

/// The way to the writer thread.
#[derive(Clone)]
pub struct Writer(Sender<Request>);

impl Writer {
    /// Writes these rows; resolves when they are durable.
    pub async fn write(&self, rows: Vec<Artist>) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        self.0.send(Request { rows, done }).map_err(|_| "the writer has ended".to_owned())?;
        answer.await.map_err(|_| "the writer has ended".to_owned())?
    }
}

/// Starts the thread with its own connection.
pub fn start(path: &Path) -> Result<Writer, Failure> {
    let mut connection = database::open(path)?;
    let (sender, requests) = channel();
    std::thread::spawn(move || while commit_next(&mut connection, &requests).is_some() {});
    Ok(Writer(sender))
}

/// The most requests in one commit, as in the product.
const COMMIT_MAX: usize = 512;

/// One commit of what is queued; `None` when nobody can send any more.
fn commit_next(connection: &mut Connection, requests: &Receiver<Request>) -> Option<()> {
    let mut batch = vec![requests.recv().ok()?];
    batch.extend(requests.try_iter().take(COMMIT_MAX - 1));
    let answers = write_all(connection, &batch);
    for (request, answer) in batch.into_iter().zip(answers) {
        let _ = request.done.send(answer);
    }
    Some(())
}

fn write_all(connection: &mut Connection, batch: &[Request]) -> Vec<Result<(), String>> {
    let begun = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
    let Ok(mut transaction) = begun else { return refuse(batch, "the transaction does not begin") };
    let answers: Vec<_> = batch.iter().map(|request| write(&mut transaction, &request.rows).map_err(|error| error.to_string())).collect();
    match transaction.commit() {
        Ok(()) => answers,
        Err(error) => refuse(batch, &error.to_string()),
    }
}

fn refuse(batch: &[Request], why: &str) -> Vec<Result<(), String>> {
    batch.iter().map(|_| Err(why.to_owned())).collect()
}

/// All rows of one request, or none.
fn write(transaction: &mut rusqlite::Transaction, rows: &[Artist]) -> rusqlite::Result<()> {
    let savepoint = transaction.savepoint()?;
    {
        let mut insert = savepoint.prepare_cached("INSERT INTO artist (id, revision, name) VALUES (?1, 1, ?2)")?;
        for row in rows {
            insert.execute((row.id, &row.name))?;
        }
    }
    savepoint.commit()
}
