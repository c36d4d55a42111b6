//! The heart: from the row before to the row after, or a refusal. Pure.
//!
//! A step is settled from nothing but the row before, the answers to its probes, and the moment. When something beyond is needed the
//! settling stops with a [`Probe`]; the store answers it inside the transaction and calls again.

use fourfold_model::{OnDelete, REVISION, Row, Value};
use fourfold_op::{Error, WriteKind};
use smallvec::smallvec;

use super::plan::WritePlan;
use super::probe::{Asking, Probe};
use super::refuse::{Halt, fields_denied, names_nothing};
use super::settled::{Before, Moment, Reference, Settled, Settling, changed};
use super::settling::{Settle, params};
use super::step::Step;
use crate::compile::Kind;
use crate::eval::Evaluator;
use crate::shape::NEW;

/// One try of a step, and what it asked.
struct Tried {
    result: Result<Box<Settled>, Halt>,
    asked: Vec<Probe>,
}

/// What a step is settled from.
#[derive(Clone, Copy)]
struct Given<'g> {
    number: usize,
    before: Before<'g>,
    answers: &'g [Value],
    moment: &'g Moment,
}

impl WritePlan {
    /// Settles a step: patch, defaults, `@set`, computed fields, constraints and rules on both images.
    ///
    /// `answers` are those to the probes asked so far for this step, in order; call again with one more until it is done.
    ///
    /// # Errors
    /// Everything that a write can be refused for.
    pub fn settle(&self, step: usize, before: Before<'_>, answers: &[Value], moment: &Moment) -> Result<Settling, Error> {
        let bound = &self.steps[step];
        let given = Given { number: step, before, answers, moment };
        let tried = self.tried(bound, given, Vec::new());
        match tried.result {
            Err(Halt::Refuse(refusal)) if names_nothing(&refusal) => self.explained(bound, given, refusal, tried.asked),
            result => settled(result),
        }
    }

    /// Settles a step as far as its answers go; `asked` is what was asked of them already.
    fn tried(&self, step: &Step, given: Given<'_>, asked: Vec<Probe>) -> Tried {
        let Given { number, before, answers, moment } = given;
        let entity = step.prepared.write.entity;
        let params = params(&step.prepared.rules.sources, &self.principal.claims, moment);
        let mut world = Asking { kind: Kind::Entity(entity), answers, asked };
        let rows = smallvec![None, before.row.cloned()];
        let at = Evaluator { model: &self.model, params: &params, rows, world: &mut world };
        let mut settle = Settle { plan: self, step, number, entity, before, moment, at };
        Tried { result: settle.run(), asked: std::mem::take(&mut settle.at.world.asked) }
    }

    /// A refusal by the rules, told again with the fields that stand in the way: those that a rule's `fields:` does not name, where the
    /// write would do without them. So the caller learns nothing that it could not find out by leaving them away.
    ///
    /// # Errors
    /// The refusal.
    fn explained(&self, step: &Step, given: Given<'_>, refusal: Error, mut asked: Vec<Probe>) -> Result<Settling, Error> {
        for rule in step.rules_of(given.before.row.is_some()) {
            let beyond = step.beyond(rule);
            if beyond.is_empty() {
                continue;
            }
            let set = step.set.iter().filter(|(field, _)| !beyond.contains(field)).cloned().collect();
            let tried = self.tried(&Step { set, ..step.clone() }, given, asked);
            asked = tried.asked;
            match tried.result {
                Ok(_) => return Err(fields_denied(&self.model, step.prepared.write.entity, &beyond)),
                Err(Halt::Ask(probe)) => return Ok(Settling::Ask(*probe)),
                Err(Halt::Refuse(_)) => {}
            }
        }
        Err(refusal)
    }

    /// Settles a row that goes (or loses its reference) because the row it references was deleted. Its own rules are not asked.
    ///
    /// # Errors
    /// `failed_precondition` where a column that would become null may not.
    pub fn settle_cascade(&self, reference: Reference, before: &Row, _answers: &[Value], _moment: &Moment) -> Result<Settling, Error> {
        let settled = match reference.on_delete {
            OnDelete::Restrict => return Err(self.still_referenced(reference.entity, reference)),
            OnDelete::Cascade => Settled::gone(&self.model, reference.entity, before),
            OnDelete::Null => {
                let mut after = before.clone();
                after.set(reference.field, Value::Null);
                after.set(REVISION, Value::Int(before.revision() as i64 + 1));
                Settled::updated(&self.model, reference.entity, before, after, None)
            }
        };
        Ok(Settling::Done(Box::new(settled)))
    }
}

fn settled(result: Result<Box<Settled>, Halt>) -> Result<Settling, Error> {
    match result {
        Ok(settled) => Ok(Settling::Done(settled)),
        Err(Halt::Ask(probe)) => Ok(Settling::Ask(*probe)),
        Err(Halt::Refuse(error)) => Err(error),
    }
}

impl Settle<'_> {
    /// What comes of the step.
    fn run(&mut self) -> Result<Box<Settled>, Halt> {
        match (self.step.prepared.write.kind, self.before.row) {
            (WriteKind::Create, Some(_)) => Err(self.exists().into()),
            (WriteKind::Create, None) => self.create(),
            (WriteKind::Update, Some(before)) => self.update(before),
            (WriteKind::Delete, Some(before)) => self.delete(before),
            (WriteKind::Update | WriteKind::Delete | WriteKind::Upsert { update_only: true, .. }, None) => Err(self.absent().into()),
            (WriteKind::Upsert { .. } | WriteKind::Merge, None) => self.create(),
            (WriteKind::Upsert { create_only: true, .. }, Some(_)) => Err(self.exists().into()),
            (WriteKind::Upsert { .. } | WriteKind::Merge, Some(before)) => self.replace(before),
        }
    }

    fn create(&mut self) -> Result<Box<Settled>, Halt> {
        if self.step.if_revision.is_some() {
            return Err(self.absent().into());
        }
        let row = self.draft_new()?;
        self.place(NEW, row);
        let rules = &self.step.prepared.rules;
        let upsert = self.step.prepared.write.kind != WriteKind::Create;
        if upsert && rules.update.is_empty() {
            return Err(self.denied("update").into());
        }
        self.allowed(&rules.create, "create", false)?;
        self.fields_allowed(None)?;
        let answer = self.answer()?;
        let row = self.take_new()?;
        let settled = Settled::created(&self.plan.model, self.entity, row, answer);
        self.fits(&settled)?;
        Ok(Box::new(settled))
    }

    fn update(&mut self, before: &Row) -> Result<Box<Settled>, Halt> {
        self.seen()?;
        self.revision_matches(before)?;
        let after = self.draft_update(before)?;
        self.change(before, after)
    }

    fn replace(&mut self, before: &Row) -> Result<Box<Settled>, Halt> {
        if !self.holds(&self.step.prepared.rules.read_old)? {
            return Err(self.exists().into());
        }
        if self.step.prepared.rules.create.is_empty() {
            return Err(self.denied("create").into());
        }
        self.revision_matches(before)?;
        let after = match self.step.prepared.write.kind {
            WriteKind::Merge => self.draft_update(before)?,
            _ => self.draft_replace(before)?,
        };
        self.change(before, after)
    }

    fn change(&mut self, before: &Row, mut after: Row) -> Result<Box<Settled>, Halt> {
        let model = &self.plan.model;
        let moved = !changed(before, &after).is_empty();
        if moved {
            self.serve_fields(&mut after)?;
            after.set(REVISION, Value::Int(before.revision() as i64 + 1));
        }
        self.place(NEW, after);
        let rules = &self.step.prepared.rules;
        self.allowed(&rules.update, "update", true)?;
        self.fields_allowed(Some(before))?;
        let answer = self.answer()?;
        if !moved {
            return Ok(Box::new(Settled::unchanged(self.entity, before, answer)));
        }
        let after = self.take_new()?;
        let settled = Settled::updated(model, self.entity, before, after, answer);
        self.fits(&settled)?;
        Ok(Box::new(settled))
    }

    fn delete(&mut self, before: &Row) -> Result<Box<Settled>, Halt> {
        self.seen()?;
        self.revision_matches(before)?;
        let mut allowed = false;
        for rule in &self.step.prepared.rules.delete {
            allowed = allowed || self.holds(rule)?;
        }
        if !allowed {
            return Err(self.denied("delete").into());
        }
        Ok(Box::new(Settled::gone(&self.plan.model, self.entity, before)))
    }

    /// A row must fit every face.
    fn fits(&self, settled: &Settled) -> Result<(), Error> {
        let limit = self.step.prepared.limits.row_bytes_max;
        let wire_bytes = settled.after.as_ref().map_or(0, Vec::len);
        // JSON is at most six times the wire form, so most rows need no second look.
        if wire_bytes * 6 <= limit || json_bytes(&settled.row) <= limit {
            Ok(())
        } else {
            Err(Error::limit("row_bytes_max", limit, "bytes"))
        }
    }
}

/// Bytes of a row's JSON at most.
fn json_bytes(row: &Row) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Text(text) => {
                text.chars()
                    .map(|c| {
                        if c < ' ' {
                            6
                        } else if c == '"' || c == '\\' {
                            2
                        } else {
                            c.len_utf8()
                        }
                    })
                    .sum::<usize>()
                    + 2
            }
            Value::Bytes(bytes) => bytes.len() * 4 / 3 + 6,
            Value::Json(text) => text.len(),
            Value::List(values) => values.iter().map(|value| of(value) + 1).sum::<usize>() + 2,
            Value::Owned(rows) => rows.iter().map(|row| json_bytes(row) + 1).sum::<usize>() + 2,
            _ => 40,
        }
    }
    // 51: a name of 48 characters with its quotes and colon.
    row.0.iter().map(|value| of(value) + 51).sum()
}
