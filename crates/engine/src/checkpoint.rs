//! Checkpoints: how far a sink was served, kept in the store beside the rows.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fourfold_op::{Context, Cursor, Deadline, Error, ErrorCode};
use fourfold_plan::WritePlan;
use fourfold_store::{Expect, Put, Side, Space};

use crate::Engine;
use crate::refusal::of_store;

/// How long a checkpoint may take to be saved.
const SAVE_LIMIT: Duration = Duration::from_secs(30);

/// How far a sink was served, as it was saved last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Up to here, this included.
    pub cursor: Cursor,
    version: u64,
}

impl Engine {
    /// The checkpoint of this name; `None` where none was saved yet.
    ///
    /// # Errors
    /// Those of the store; `internal` for a record that is no cursor.
    pub async fn checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, Error> {
        let record = self.store.side(Space::Checkpoint, name.as_bytes()).await.map_err(of_store)?;
        let Some(record) = record else { return Ok(None) };
        let text = std::str::from_utf8(&record.bytes).ok().and_then(|text| text.parse().ok());
        let cursor = text.ok_or_else(|| Error::internal("a checkpoint is no cursor"))?;
        Ok(Some(Checkpoint { cursor, version: record.version }))
    }

    /// Saves a checkpoint in place of the one that was read or saved last; `None`: there was none.
    ///
    /// # Errors
    /// `failed_precondition` where another has saved it meanwhile: two processes serve one sink. `unknown_outcome`; those of the store.
    pub async fn save_checkpoint(
        &self,
        context: &Context,
        name: &str,
        cursor: Cursor,
        last: Option<&Checkpoint>,
    ) -> Result<Checkpoint, Error> {
        let side = Side {
            space: Space::Checkpoint,
            key: name.as_bytes().to_vec(),
            expect: last.map_or(Expect::Absent, |last| Expect::Version(last.version)),
            put: Put::Bytes(Bytes::from(cursor.to_string())),
            keep_until: None,
        };
        let plan = WritePlan::of_nothing(self.model.clone(), self.generation, context.principal.clone());
        let deadline = Deadline(Some(Instant::now() + SAVE_LIMIT));
        match self.commit(&deadline, plan, vec![side], None).await? {
            Ok(_) => Ok(Checkpoint { cursor, version: last.map_or(0, |last| last.version) + 1 }),
            Err(_) => Err(Error::new(ErrorCode::FailedPrecondition, "another process serves the sink of this name")),
        }
    }
}
