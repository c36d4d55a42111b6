//! The reference store: rows in ordered maps behind one lock.
//!
//! It is written to be plainly right: every filter goes through [`eval`](fourfold_plan::eval()), every row is looked at. What it answers is what every
//! other store must answer. Nothing survives its process.

mod commit;
mod groups;
mod log;
mod maintain;
mod order;
mod prune;
mod read;
mod reading;
mod state;

use std::sync::Arc;

use fourfold_op::{Cursor, Deadline, Epoch, Error, ErrorCode};
use fourfold_plan::{ReadPlan, WritePlan};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::store::{
    Budget, Capabilities, CommitError, Committed, Entities, Head, Later, LeaseTerm, Side, SideRecord, Snapshot, Space, Store, StoreError,
    Tail,
};
use state::State;

const CAPABILITIES: Capabilities =
    Capabilities { name: "memory", durable: false, cursor_at_commit: true, transactions: true, datetime_step_us: 1 };

/// A store that keeps everything in memory.
///
/// # Example
/// ```
/// use fourfold_store::{Store, memory::MemoryStore};
/// let store = MemoryStore::new();
/// assert!(!store.capabilities().durable);
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    epoch: Epoch,
    state: RwLock<State>,
    /// The log's last position; whoever waits for the log to move watches it.
    moved: watch::Sender<u64>,
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty store without a model; [`Maintain::migrate`](crate::Maintain::migrate) gives it one.
    pub fn new() -> MemoryStore {
        let shared = Shared { epoch: new_epoch(), state: RwLock::new(State::default()), moved: watch::Sender::new(0) };
        MemoryStore { shared: Arc::new(shared) }
    }
}

impl Store for MemoryStore {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn read<'a>(&'a self, plans: &'a [ReadPlan], deadline: &'a Deadline) -> Later<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state.read();
            let (answers, statements) = read::read(&state, plans, deadline)?;
            let cursor = self.shared.cursor(&state);
            Ok(Snapshot { answers, cursor: Some(cursor), statements })
        })
    }

    fn commit(&self, plan: WritePlan, side: Vec<Side>) -> Later<'static, Result<Committed, CommitError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let mut state = shared.state.write();
            let steps = commit::commit(&mut state, &plan, side)?;
            let cursor = shared.cursor(&state);
            // Under the lock, so that positions are announced in their order.
            shared.moved.send_replace(cursor.after);
            Ok(Committed { steps, cursor: Some(cursor) })
        })
    }

    fn events<'a>(&'a self, after: &'a Cursor, of: &'a Entities, budget: Budget) -> Later<'a, Result<Tail, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state.read();
            log::events(&state, &self.shared.epoch, after, of, budget)
        })
    }

    fn head(&self, beyond: Option<u64>) -> Later<'_, Head> {
        Box::pin(async move {
            let mut moved = self.shared.moved.subscribe();
            // The sender lives as long as this store, so waiting ends only by a move.
            let position = match moved.wait_for(|position| beyond.is_none_or(|beyond| *position > beyond)).await {
                Ok(position) => *position,
                Err(_) => beyond.unwrap_or(0),
            };
            Head { epoch: self.shared.epoch.clone(), position, floor: self.shared.state.read().floor }
        })
    }

    fn side<'a>(&'a self, space: Space, key: &'a [u8]) -> Later<'a, Result<Option<SideRecord>, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state.read();
            state.open().map_err(StoreError::Refused)?;
            Ok(state.side(space, key, state::now_us()).cloned().map(|kept| kept.record))
        })
    }

    fn lease<'a>(&'a self, _name: &'a str) -> Later<'a, Result<Option<LeaseTerm>, StoreError>> {
        // One process, so nobody else can hold it.
        Box::pin(async { Ok(Some(LeaseTerm { term: 1 })) })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async { self.shared.state.write().closed = true })
    }
}

impl Shared {
    fn cursor(&self, state: &State) -> Cursor {
        Cursor { epoch: self.epoch.clone(), after: state.position(), skip: None }
    }
}

fn new_epoch() -> Epoch {
    let text = uuid::Uuid::new_v4().simple().to_string();
    Epoch(text.chars().take(12).collect::<String>().into())
}

fn unavailable(message: &str) -> Error {
    let mut error = Error::new(ErrorCode::Unavailable, message);
    error.public.retry_after_ms = Some(1_000);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_reference_conforms() {
        crate::conformance::run(|| Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn crate::Maintain> })).await;
    }
}
