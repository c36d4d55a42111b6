//! A connection of the pool with a transaction on it, which ends in every case: also where its user goes away in the middle.

use std::sync::Arc;

use deadpool_postgres::Object;
use futures_util::FutureExt;

use crate::connect::{Connections, Target};
use crate::error::Fail;
use crate::pooled::Pooled;

/// A connection that is lent for a transaction.
pub struct Lent {
    client: Option<Pooled>,
    target: Arc<Target>,
}

impl Lent {
    /// One of the pool's.
    pub async fn take(connections: &Connections) -> Result<Lent, Fail> {
        Ok(Lent { client: Some(connections.take().await?), target: connections.target.clone() })
    }

    /// The connection.
    ///
    /// # Errors
    /// `internal`, after its end.
    pub fn client(&self) -> Result<&Pooled, Fail> {
        self.client.as_ref().ok_or_else(|| Fail::Error(fourfold_op::Error::internal("a connection was used after it was given back")))
    }

    /// Gives it back: its transaction has ended.
    pub fn done(mut self) {
        self.give_back();
    }

    /// The same, where it is held by what ends.
    pub fn give_back(&mut self) {
        self.client = None;
    }

    /// Gives it back: its transaction has committed what was done, else it is rolled back.
    pub async fn ended<T, E>(self, done: Result<T, E>) -> Result<T, E> {
        match done {
            Ok(_) => self.done(),
            Err(_) => self.roll_back().await,
        }
        done
    }

    /// Ends the connection.
    pub fn forget(mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client.into_inner()));
        }
    }

    /// Gives it back when its transaction, which read, has ended; nobody waits for that. On a session what the next user sends comes after it, so
    /// the next need not wait either; a pooler could hand that to another session.
    pub fn end_reading(mut self) {
        let Some(client) = self.client.take() else { return };
        if !client.is_session() {
            tokio::spawn(end(client, "COMMIT"));
            return;
        }
        // The first look at it sends it; its answer is dropped by the connection.
        if let Some(Err(_)) = client.batch_execute("COMMIT").now_or_never() {
            drop(Object::take(client.into_inner()));
        }
    }

    /// Gives it back without what its transaction wrote.
    pub async fn roll_back(mut self) {
        if let Some(client) = self.client.take() {
            end(client, "ROLLBACK").await;
        }
    }
}

async fn end(client: Pooled, how: &str) {
    if client.batch_execute(how).await.is_err() {
        // Whatever state it is in, it is not one for the next user.
        let _ = Object::take(client.into_inner());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (Some(client), Ok(runtime)) = (self.client.take(), tokio::runtime::Handle::try_current()) else { return };
        let (token, target) = (client.cancel_token(), self.target.clone());
        // A cancellation that comes late ends whatever the connection does then, so nobody else has the connection after it.
        drop(Object::take(client.into_inner()));
        runtime.spawn(async move { target.cancel(token).await });
    }
}
