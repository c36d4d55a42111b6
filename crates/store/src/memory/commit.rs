//! Committing: side records are compared, steps settled and written, events appended; or everything is undone.

use std::num::NonZeroU64;

use fourfold_model::{FieldId, OnDelete, Row, Value};
use fourfold_op::{Change, Error, Event, Position};
use fourfold_plan::{Before, Moment, Probe, Reference, Settled, Settling, WritePlan, eval};

use super::read::{all, holds};
use super::state::{Kept, LogRecord, Rows, State, Undo, key_of, now_us};
use crate::outcome::encode_outcome;
use crate::store::{CommitError, Expect, Put, SettledStep, Side, SideRecord, Space};

type Steps = Vec<Result<SettledStep, Error>>;

/// Commits a plan with its side records, or leaves the state as it was.
pub(super) fn commit(state: &mut State, plan: &WritePlan, side: Vec<Side>) -> Result<Steps, CommitError> {
    state.serves(plan.model()).map_err(CommitError::Refused)?;
    let now = now_us().max(state.log.back().map_or(0, |last| last.event.at));
    // Before the steps: a request that is sent twice must meet its record, not the row that it made.
    expect(state, &side, now).map_err(CommitError::Conflict)?;
    let moment = Moment { now, random: random() };
    let mut committing = Committing { state, plan, moment, undo: Vec::new(), events: Vec::new(), bytes: 0 };
    let steps = committing.steps().map_err(CommitError::Refused)?;
    let events = std::mem::take(&mut committing.events);
    append(state, events);
    for record in side {
        put(state, plan, record, &steps, now);
    }
    Ok(steps)
}

/// A commit under way.
struct Committing<'a> {
    state: &'a mut State,
    plan: &'a WritePlan,
    moment: Moment,
    undo: Vec<Undo>,
    events: Vec<LogRecord>,
    bytes: usize,
}

impl Committing<'_> {
    fn steps(&mut self) -> Result<Steps, Error> {
        let mut steps = Vec::with_capacity(self.plan.len());
        for step in 0..self.plan.len() {
            let (undo, events, bytes) = (self.undo.len(), self.events.len(), self.bytes);
            let result = self.step(step);
            if result.is_err() {
                let from = if self.plan.each() { undo } else { 0 };
                self.state.roll_back(&mut self.undo, from);
                self.events.truncate(events);
                self.bytes = bytes;
            }
            match result {
                Err(error) if !self.plan.each() && self.plan.len() > 1 => return Err(error.at_operation(step)),
                Err(error) if !self.plan.each() => return Err(error),
                result => steps.push(result),
            }
        }
        Ok(steps)
    }

    fn step(&mut self, step: usize) -> Result<SettledStep, Error> {
        let head = self.plan.head(step);
        let number = self.plan.model().entity(head.entity).number;
        let row = head.key.as_ref().and_then(|key| self.state.row(self.plan.model(), head.entity, key)).cloned();
        let revision_floor = self.state.revision_floor(number, head.key);
        let plan = self.plan;
        let settled = self.settle(|answers, moment| {
            let before = Before { row: row.as_ref(), revision_floor };
            plan.settle(step, before, answers, moment)
        })?;
        let done = SettledStep {
            entity: settled.entity,
            key: settled.key.clone(),
            revision: settled.revision,
            change: settled.change,
            answer: settled.answer.clone(),
        };
        self.write(settled)?;
        Ok(done)
    }

    /// Settles by answering questions until there is none left.
    fn settle(&mut self, ask: impl Fn(&[Value], &Moment) -> Result<Settling, Error>) -> Result<Settled, Error> {
        let mut answers = Vec::new();
        loop {
            match ask(&answers, &self.moment)? {
                Settling::Done(settled) => return Ok(*settled),
                Settling::Ask(probe) => answers.push(self.probe(probe)?),
            }
        }
    }

    fn probe(&mut self, probe: Probe) -> Result<Value, Error> {
        let model = self.plan.model();
        let rows = Rows { state: self.state, model };
        Ok(match probe {
            Probe::Value { entity, key, guard, value } => match self.state.row(model, entity, &key) {
                Some(row) if guard.is_none_or(|guard| holds(&rows, &guard, row)) => eval(model, &value, row, &[], &rows),
                _ => Value::Null,
            },
            Probe::Exists { entity, filter } => Value::Boolean(all(&rows, entity).any(|row| holds(&rows, &filter, row))),
            Probe::Next { entity, field } => {
                let next = self.state.next(model, entity, field, &mut self.undo);
                Value::Int(next.ok_or_else(|| Error::limit("counter_max", i64::MAX as usize, "numbers"))?)
            }
        })
    }

    /// Writes a settled row and its event; a deleted row's references are seen to.
    fn write(&mut self, settled: Settled) -> Result<(), Error> {
        let Some(change) = settled.change else { return Ok(()) };
        let number = self.plan.model().entity(settled.entity).number;
        match change {
            Change::Deleted => self.restrict(&settled)?,
            Change::Created | Change::Updated => self.unique(&settled, change)?,
        }
        let row = (change != Change::Deleted).then(|| settled.row.clone());
        let tombstone = (change == Change::Deleted).then_some(settled.revision);
        self.state.put_row(number, &settled.key, row, &mut self.undo);
        self.state.put_tombstone(number, &settled.key, tombstone, &mut self.undo);
        self.event(number, &settled)?;
        match change {
            Change::Deleted => self.cascade(&settled),
            Change::Created | Change::Updated => Ok(()),
        }
    }

    /// Refuses values of unique fields that another row has; nulls are never equal.
    fn unique(&self, settled: &Settled, change: Change) -> Result<(), Error> {
        let entity = self.plan.model().entity(settled.entity);
        let rows = Rows { state: self.state, model: self.plan.model() };
        if change == Change::Created && self.state.row(rows.model, settled.entity, &settled.key).is_some() {
            return Err(self.plan.not_unique(settled.entity, &[fourfold_model::KEY]));
        }
        for fields in &entity.uniques {
            let taken = |row: &Row| key_of(row) != &settled.key && fields.iter().all(|field| same(row, &settled.row, *field));
            if all(&rows, settled.entity).any(taken) {
                return Err(self.plan.not_unique(settled.entity, fields));
            }
        }
        Ok(())
    }

    /// Refuses to delete what others may not be without.
    fn restrict(&self, settled: &Settled) -> Result<(), Error> {
        for by in settled.references.iter().filter(|by| by.on_delete == OnDelete::Restrict) {
            let referring = self.state.referring(self.plan.model(), by.entity, by.field, &settled.key);
            // A row that refers to itself goes with itself.
            let itself = |row: &Row| by.entity == settled.entity && key_of(row) == &settled.key;
            if !referring.iter().all(itself) {
                return Err(self.plan.still_referenced(settled.entity, *by));
            }
        }
        Ok(())
    }

    /// Deletes rows that go with a deleted one, and clears the columns of those that stay.
    fn cascade(&mut self, settled: &Settled) -> Result<(), Error> {
        for by in settled.references.iter().filter(|by| by.on_delete != OnDelete::Restrict) {
            for row in self.state.referring(self.plan.model(), by.entity, by.field, &settled.key) {
                self.follow(*by, &row)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self, by: Reference, before: &Row) -> Result<(), Error> {
        // An earlier cascade of this commit may have taken or changed it.
        if self.state.row(self.plan.model(), by.entity, key_of(before)) != Some(before) {
            return Ok(());
        }
        let plan = self.plan;
        let settled = self.settle(|answers, moment| plan.settle_cascade(by, before, answers, moment))?;
        self.write(settled)
    }

    fn event(&mut self, number: u32, settled: &Settled) -> Result<(), Error> {
        self.bytes += [&settled.changed, &settled.after].into_iter().flatten().map(|bytes| bytes.len()).sum::<usize>();
        if self.events.len() >= self.plan.events_max() {
            return Err(Error::limit("commit_events_max", self.plan.events_max(), "events"));
        }
        if self.bytes > self.plan.bytes_max() {
            return Err(Error::limit("commit_bytes_max", self.plan.bytes_max(), "bytes"));
        }
        let event = Event {
            // Both are set when the commit is whole.
            position: Position(NonZeroU64::MIN),
            commit_last: Position(NonZeroU64::MIN),
            entity: settled.entity,
            key: settled.key.clone(),
            revision: settled.revision,
            generation: self.plan.generation(),
            changed: settled.changed.clone().map(bytes::Bytes::from),
            after: settled.after.clone().map(bytes::Bytes::from),
            at: self.moment.now,
            by: self.plan.by().clone(),
        };
        self.events.push(LogRecord { entity: number, event });
        Ok(())
    }
}

/// Whether two rows have the same value in a field; nulls are never the same.
fn same(a: &Row, b: &Row, field: FieldId) -> bool {
    !a.value(field).is_null() && a.value(field) == b.value(field)
}

/// Numbers the events of a commit, densely and as one.
fn append(state: &mut State, events: Vec<LogRecord>) {
    let before = state.position();
    let last = before + events.len() as u64;
    for (number, mut record) in (before + 1..).zip(events) {
        record.event.position = position(number);
        record.event.commit_last = position(last);
        state.log.push_back(record);
    }
}

fn position(number: u64) -> Position {
    Position(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
}

/// Whether every side record is as expected; else which space's is not.
fn expect(state: &State, side: &[Side], now: i64) -> Result<(), Space> {
    for wanted in side {
        let found = state.side(wanted.space, &wanted.key, now);
        let as_expected = match wanted.expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.is_some_and(|kept| kept.record.version == version),
        };
        if !as_expected {
            return Err(wanted.space);
        }
    }
    Ok(())
}

fn put(state: &mut State, plan: &WritePlan, side: Side, steps: &[Result<SettledStep, Error>], now: i64) {
    let bytes = match side.put {
        Put::Nothing => return,
        Put::Bytes(bytes) => bytes,
        Put::Outcome(own) => encode_outcome(&own, plan.model(), steps),
    };
    let version = state.side(side.space, &side.key, now).map_or(0, |kept| kept.record.version) + 1;
    // Records past their end go now and then, so that they do not pile up.
    if state.sides.len().is_multiple_of(1_024) {
        state.sides.retain(|_, kept| kept.until.is_none_or(|until| until > now));
    }
    state.sides.insert((side.space, side.key), Kept { record: SideRecord { version, bytes }, until: side.keep_until });
}

/// 128 random bits: two v4 UUIDs, laid so that the fixed bits of each meet random bits of the other.
fn random() -> u128 {
    uuid::Uuid::new_v4().as_u128() ^ uuid::Uuid::new_v4().as_u128().rotate_left(64)
}
