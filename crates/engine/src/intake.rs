//! Intake: the rows of a source, committed together with how far it was read.
//!
//! How far each stream of a source was read is a side record, moved by compare-and-set in the commit of the rows. So whoever reads the same
//! messages again, or reads them beside another, changes nothing twice: its commit finds the record moved and is refused whole.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fourfold_model::{EntityId, FieldId, Value};
use fourfold_op::{Answer, Context, Deadline, Error, ErrorCode, Operand, Operation, Write, WriteKind};
use fourfold_plan::{Plan, WritePlan};
use fourfold_store::{Expect, Put, Side, Space};

use crate::Engine;
use crate::refusal::of_store;

/// How long a commit of a source may take; one that takes longer may still come about, which the places tell.
const COMMIT_LIMIT: Duration = Duration::from_secs(30);

/// A write that a source asks for.
#[derive(Clone, Debug)]
pub struct IntakeRow {
    /// Of which entity.
    pub entity: EntityId,
    /// What is done.
    pub kind: WriteKind,
    /// The row's key; `None` lets the model's default make one.
    pub key: Option<Value>,
    /// What is set, ascending by field.
    pub set: Vec<(FieldId, Value)>,
}

/// How far a stream of a source was read, as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the next message.
    pub next: u64,
    version: u64,
}

/// A stream that goes on in a commit.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The name of its record.
    pub stream: &'a str,
    /// As it was read or moved last; `None`: it has no record yet.
    pub last: Option<&'a Place>,
    /// The number of the message after those that this commit deals with.
    pub next: u64,
}

/// Why nothing was taken in.
#[derive(Clone, Debug)]
pub enum IntakeError {
    /// A rule, a constraint or the model refuses this row, and will again; nothing was written.
    Refused {
        /// Which of the rows.
        row: usize,
        /// Why.
        error: Error,
    },
    /// Together they are more than one commit may be; nothing was written.
    TooMuch(Error),
    /// Somebody else has moved one of the streams, or we have and were not told; nothing was written now.
    Moved,
    /// It may be tried again; whether it was written, the places tell.
    Failed(Error),
}

impl Engine {
    /// How far a stream was read; `None` where it never was.
    ///
    /// # Errors
    /// Those of the store; `internal` for a record that is no number.
    pub async fn place(&self, stream: &str) -> Result<Option<Place>, Error> {
        let record = self.store.side(Space::Source, stream.as_bytes()).await.map_err(of_store)?;
        let Some(record) = record else { return Ok(None) };
        let text = std::str::from_utf8(&record.bytes).ok().and_then(|text| text.parse().ok());
        let next = text.ok_or_else(|| Error::internal("the place of a source is no number"))?;
        Ok(Some(Place { next, version: record.version }))
    }

    /// Writes rows and moves streams in one commit, all or nothing; the places after it, in the order of `moves`.
    ///
    /// # Errors
    /// Why not; whatever it is, the places can be read again.
    pub async fn take_in(&self, context: &Context, rows: &[IntakeRow], moves: &[Move<'_>]) -> Result<Vec<Place>, IntakeError> {
        let plan = self.intake_plan(context, rows)?;
        let deadline = Deadline(Some(Instant::now() + COMMIT_LIMIT));
        let side = moves.iter().map(side).collect();
        match self.commit(&deadline, plan, side, None).await {
            Ok(Ok(_)) => Ok(moves.iter().map(moved).collect()),
            Ok(Err(_)) => Err(IntakeError::Moved),
            Err(error) => Err(refused(rows.len(), error)),
        }
    }

    fn intake_plan(&self, context: &Context, rows: &[IntakeRow]) -> Result<WritePlan, IntakeError> {
        let mut whole: Option<WritePlan> = None;
        let mut values = Vec::new();
        for (row, intake) in rows.iter().enumerate() {
            let refuse = |error| IntakeError::Refused { row, error };
            let prepared = self.prepare_for_source(&operation(intake).map_err(refuse)?).map_err(refuse)?;
            values.clear();
            values.extend(intake.key.iter().chain(intake.set.iter().map(|(_, value)| value)).cloned());
            match &mut whole {
                Some(plan) => prepared.plan.bind_onto(plan, &values).map_err(refuse)?,
                None => match prepared.plan.bind(context, &values).map_err(refuse)? {
                    Plan::Write(plan) => whole = Some(plan),
                    Plan::Read(_) => return Err(IntakeError::Failed(Error::internal("a write became a read plan"))),
                },
            }
        }
        Ok(whole.unwrap_or_else(|| WritePlan::of_nothing(self.model.clone(), self.generation, context.principal.clone())))
    }
}

fn operation(row: &IntakeRow) -> Result<Operation, Error> {
    let first = usize::from(row.key.is_some());
    let operand = |index: usize| u16::try_from(index + first).map(Operand).ok();
    let set = row.set.iter().enumerate().map(|(index, (field, _))| operand(index).map(|operand| (*field, operand)));
    let set = set.collect::<Option<Vec<_>>>().ok_or_else(|| Error::invalid("a row sets more fields than there can be"))?;
    let key = row.key.is_some().then_some(Operand(0));
    Ok(Operation::Write(vec![Write { entity: row.entity, kind: row.kind, key, set, if_revision: None, answer: Answer::Key }]))
}

fn side(of: &Move<'_>) -> Side {
    Side {
        space: Space::Source,
        key: of.stream.as_bytes().to_vec(),
        expect: of.last.map_or(Expect::Absent, |last| Expect::Version(last.version)),
        put: Put::Bytes(Bytes::from(of.next.to_string())),
        keep_until: None,
    }
}

fn moved(of: &Move<'_>) -> Place {
    Place { next: of.next, version: of.last.map_or(0, |last| last.version) + 1 }
}

/// A store says which of several steps it refuses; of one alone it need not.
fn refused(rows: usize, error: Error) -> IntakeError {
    let error = if rows == 1 { error.of_one_operation() } else { error };
    let of_commit = |name: &str| matches!(name, "commit_events_max" | "commit_bytes_max");
    match error.public.operation {
        _ if error.code == ErrorCode::LimitExceeded && error.public.limit.as_ref().is_some_and(|limit| of_commit(limit.name)) => {
            if rows == 1 { IntakeError::Refused { row: 0, error } } else { IntakeError::TooMuch(error) }
        }
        Some(row) if row < rows && !error.code.row().temporary => IntakeError::Refused { row, error },
        _ => IntakeError::Failed(error),
    }
}
