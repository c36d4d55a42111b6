//! The heart: from the row before to the row after, or a refusal. Pure.
//!
//! A step is settled from nothing but the row before, the answers to its probes, and the moment. When something beyond is needed the
//! settling stops with a [`Probe`]; the store answers it inside the transaction and calls again.

use std::sync::Arc;

use fourfold_model::{Base, EntityId, Field, FieldId, KEY, Model, OnDelete, REVISION, Row, SharedModel, Value};
use fourfold_op::{Change, Claims, Error, ErrorCode, FieldError, Operand, WriteKind, wire};

use crate::coerce::{coerce, constrain};
use crate::compile::Source;
use crate::draft;
use crate::eval::{Asking, Evaluator};
use crate::node::Node;
use crate::shape::{NEW, PreparedWrite, WriteRule};
use crate::why::{Given, names_nothing};
use crate::write::{Before, Moment, Probe, Reference, Settled, Settling, StepHead, WritePlan};

/// One bound write.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) prepared: Arc<PreparedWrite>,
    pub(crate) key: Option<Value>,
    pub(crate) set: Vec<(FieldId, Value)>,
    pub(crate) if_revision: Option<i64>,
}

/// Why a settling stops.
pub(crate) enum Halt {
    Ask(Box<Probe>),
    Refuse(Error),
}

impl From<Box<Probe>> for Halt {
    fn from(probe: Box<Probe>) -> Halt {
        Halt::Ask(probe)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Refuse(error)
    }
}

impl Step {
    pub(crate) fn bind(prepared: &Arc<PreparedWrite>, model: &SharedModel, values: &[Value]) -> Result<Step, Error> {
        let write = &prepared.write;
        let entity = model.entity(write.entity);
        let value = |operand: Operand| values.get(usize::from(operand.0)).unwrap_or(&Value::Null);
        let key = match write.key {
            None => None,
            Some(operand) => Some(checked_key(model, entity.key_type(), value(operand))?),
        };
        let mut errors = Vec::new();
        let mut set = Vec::with_capacity(write.set.len());
        for (id, operand) in &write.set {
            let field = entity.field(*id);
            match checked(model, prepared, field, *id, value(*operand)) {
                Ok(value) => set.push((*id, value)),
                Err(mut found) => errors.append(&mut found),
            }
        }
        draft::refuse(errors)?;
        let if_revision = match write.if_revision.map(value) {
            None | Some(Value::Null) => None,
            Some(Value::Int(revision)) => Some(*revision),
            Some(_) => return Err(Error::invalid("a revision is a whole number")),
        };
        Ok(Step { prepared: prepared.clone(), key, set, if_revision })
    }
}

fn checked_key(model: &Model, base: Base, value: &Value) -> Result<Value, Error> {
    let key = coerce(model, base, false, value).map_err(|detail| Error::invalid_at("/id", detail))?;
    match &key {
        Value::Null => Err(Error::invalid_at("/id", "a key is never null")),
        Value::Text(text) if text.is_empty() || text.len() > 255 => Err(Error::invalid_at("/id", "a key has 1 to 255 bytes")),
        _ => Ok(key),
    }
}

/// A value of the client for a field: of its type and within its constraints.
fn checked(model: &Model, prepared: &PreparedWrite, field: &Field, id: FieldId, value: &Value) -> Result<Value, Vec<FieldError>> {
    let at = |detail: String| vec![FieldError { pointer: format!("/{}", field.name), detail }];
    if let (Base::Owned(_), Value::Owned(rows)) = (field.ty.base, value) {
        let owned = prepared.rules.owned.iter().find(|(list, ..)| *list == id);
        let elements = draft::checked_elements(model, owned.map(|(_, of, write)| (*of, write)), rows, &field.name, &prepared.limits)?;
        constrain(field, None, &elements, &prepared.limits).map_err(at)?;
        return Ok(elements);
    }
    let value = coerce(model, field.ty.base, field.ty.list, value).map_err(at)?;
    let pattern = prepared.rules.fields.patterns.get(usize::from(id.0)).and_then(Option::as_ref);
    constrain(field, pattern, &value, &prepared.limits).map_err(at)?;
    Ok(value)
}

impl WritePlan {
    /// What to lock and load for a step.
    pub fn head(&self, step: usize) -> StepHead<'_> {
        let step = &self.steps[step];
        let entity = step.prepared.write.entity;
        StepHead { entity, key: step.key.as_ref().or_else(|| self.key_by_default(entity)) }
    }

    /// A key that is the same at each write of this caller: a row, or the number of one that was deleted, may be there.
    fn key_by_default(&self, entity: EntityId) -> Option<&Value> {
        match &self.model.entity(entity).field(KEY).default {
            Some(fourfold_model::Default::Claim(claim)) => Some(self.principal.claims.value(*claim)).filter(|value| !value.is_null()),
            Some(fourfold_model::Default::Literal(value)) => Some(value),
            _ => None,
        }
    }

    /// How many rows one commit may change.
    pub fn events_max(&self) -> usize {
        self.steps.first().map_or(1, |step| step.prepared.limits.commit_events_max)
    }

    /// How many bytes of events one commit may append.
    pub fn bytes_max(&self) -> usize {
        self.steps.first().map_or(1, |step| step.prepared.limits.commit_bytes_max)
    }

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

    /// Settles a row that goes (or loses its reference) because the row it references was deleted. Its own rules are not asked.
    ///
    /// # Errors
    /// `failed_precondition` where a column that would become null may not.
    pub fn settle_cascade(&self, reference: Reference, before: &Row, _answers: &[Value], _moment: &Moment) -> Result<Settling, Error> {
        let settled = match reference.on_delete {
            OnDelete::Restrict => return Err(self.still_referenced(reference.entity, reference)),
            OnDelete::Cascade => gone(&self.model, reference.entity, before),
            OnDelete::Null => {
                let mut after = before.clone();
                after.set(reference.field, Value::Null);
                after.set(REVISION, Value::Int(before.revision() as i64 + 1));
                updated(&self.model, reference.entity, before, after, None)
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

pub(crate) fn params(sources: &[Source], claims: &Claims, moment: &Moment) -> Vec<Value> {
    let param = |source: &Source| match source {
        Source::Claim(claim) => claims.value(*claim).clone(),
        Source::Now => Value::DateTime(moment.now),
        _ => Value::Null,
    };
    sources.iter().map(param).collect()
}

/// One settling of one step.
pub(crate) struct Settle<'s> {
    pub plan: &'s WritePlan,
    pub step: &'s Step,
    pub number: usize,
    pub entity: EntityId,
    pub before: Before<'s>,
    pub moment: &'s Moment,
    pub at: Evaluator<'s, Asking<'s>>,
}

impl<'s> Settle<'s> {
    pub(crate) fn run(&mut self) -> Result<Box<Settled>, Halt> {
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
        let model = &self.plan.model;
        let mut after = Vec::with_capacity(256);
        wire::encode_row(model, model.entity(self.entity), &row, &mut after);
        self.fits(&row, after.len())?;
        let (key, revision) = (row.value(KEY).clone(), row.revision());
        Ok(Box::new(Settled {
            entity: self.entity,
            key,
            change: Some(Change::Created),
            revision,
            row,
            changed_fields: Vec::new(),
            changed: None,
            after: Some(after),
            references: Vec::new(),
            answer,
        }))
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
        let moved = !draft::changed(before, &after).is_empty();
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
            return Ok(Box::new(unchanged(self.entity, before, answer)));
        }
        let after = self.take_new()?;
        let settled = updated(model, self.entity, before, after, answer);
        self.fits(&settled.row, settled.after.as_ref().map_or(0, Vec::len))?;
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
        Ok(Box::new(gone(&self.plan.model, self.entity, before)))
    }

    /// A row that the caller may not read does not exist for it.
    fn seen(&mut self) -> Result<(), Halt> {
        if self.holds(&self.step.prepared.rules.read_old)? { Ok(()) } else { Err(self.absent().into()) }
    }

    fn revision_matches(&self, before: &Row) -> Result<(), Error> {
        match self.step.if_revision {
            None if self.plan.model.entity(self.entity).require_revision => {
                let entity = &self.plan.model.entity(self.entity).name;
                Err(Error::new(ErrorCode::RevisionRequired, format!("a write to `{entity}` must say which revision it is based on")))
            }
            Some(expected) if expected != before.revision() as i64 => {
                Err(Error::new(ErrorCode::RevisionMismatch, format!("the row has revision {}, not {expected}", before.revision())))
            }
            _ => Ok(()),
        }
    }

    /// Some rule must hold (of both rows, for an update) and cover every field that the caller sets.
    fn allowed(&mut self, rules: &'s [WriteRule], verb: &str, both: bool) -> Result<(), Halt> {
        let mut uncovered = None;
        for rule in rules {
            if !self.holds(&rule.new)? || (both && !self.holds(&rule.old)?) {
                continue;
            }
            let beyond = self.step.beyond(rule);
            if beyond.is_empty() {
                return Ok(());
            }
            uncovered = Some(beyond);
        }
        Err(match uncovered {
            Some(fields) => self.plan.fields_denied(self.step, &fields),
            None => self.denied(verb),
        }
        .into())
    }

    /// `@allow(write, …)` of each field that the caller sets to something else.
    fn fields_allowed(&mut self, before: Option<&Row>) -> Result<(), Halt> {
        for (field, new, old) in &self.step.prepared.rules.field_rules {
            let set = self.step.set.iter().find(|(id, _)| id == field);
            let same = |value: &Value| before.is_some_and(|row| row.value(*field) == value);
            if set.is_none_or(|(_, value)| same(value)) {
                continue;
            }
            if !self.holds(new)? || (before.is_some() && !self.holds(old)?) {
                return Err(self.plan.fields_denied(self.step, &[*field]).into());
            }
        }
        Ok(())
    }

    /// The new row, from its place.
    fn take_new(&mut self) -> Result<Row, Error> {
        let placed = self.at.rows.get_mut(usize::from(NEW)).and_then(Option::take);
        placed.ok_or_else(|| Error::internal("the new row is not in its place"))
    }

    /// The new row, in its place, as the caller may read it; none where it may not.
    fn answer(&mut self) -> Result<Option<Row>, Halt> {
        let rules = &self.step.prepared.rules;
        if !self.step.prepared.answers_row() || !self.holds(&rules.read_new)? {
            return Ok(None);
        }
        let Some(mut answer) = self.at.rows.get(usize::from(NEW)).cloned().flatten() else { return Ok(None) };
        for (field, mask) in &rules.masks {
            if !self.holds(mask)? {
                answer.set(*field, Value::Null);
            }
        }
        Ok(Some(answer))
    }

    pub(crate) fn holds(&mut self, node: &Node) -> Result<bool, Halt> {
        Ok(self.at.value(node)? == Value::Boolean(true))
    }

    pub(crate) fn place(&mut self, level: crate::node::Level, row: Row) {
        if let Some(slot) = self.at.rows.get_mut(usize::from(level)) {
            *slot = Some(row);
        }
    }

    /// A row must fit every face.
    fn fits(&self, row: &Row, wire_bytes: usize) -> Result<(), Error> {
        let limit = self.step.prepared.limits.row_bytes_max;
        // JSON is at most six times the wire form, so most rows need no second look.
        if wire_bytes * 6 <= limit || draft::json_bytes(row) <= limit { Ok(()) } else { Err(Error::limit("row_bytes_max", limit, "bytes")) }
    }

    fn name(&self) -> &str {
        &self.plan.model.entity(self.entity).name
    }

    fn absent(&self) -> Error {
        Error::not_found(self.name())
    }

    fn exists(&self) -> Error {
        not_unique(&self.plan.model, self.entity, &[KEY])
    }

    fn denied(&self, verb: &str) -> Error {
        let rules = &self.plan.model.entity(self.entity).rules;
        let why: Vec<String> = rules.iter().map(|rule| format!("line {}: `{}`", rule.line, rule.text)).collect();
        let error = Error::new(ErrorCode::PermissionDenied, format!("no rule of `{}` lets this caller {verb} it", self.name()));
        error.with_private(format!("none of these holds for {verb}: {}", why.join("; ")))
    }
}

fn unchanged(entity: EntityId, before: &Row, answer: Option<Row>) -> Settled {
    let (key, revision) = (before.value(KEY).clone(), before.revision());
    let (row, changed_fields, references) = (before.clone(), Vec::new(), Vec::new());
    Settled { entity, key, change: None, revision, row, changed_fields, changed: None, after: None, references, answer }
}

fn updated(model: &Model, entity: EntityId, before: &Row, row: Row, answer: Option<Row>) -> Settled {
    let changed_fields = draft::changed(before, &row);
    let definition = model.entity(entity);
    let (mut changed, mut after) = (Vec::with_capacity(64), Vec::with_capacity(256));
    let of_client: Vec<FieldId> = changed_fields.iter().copied().filter(|field| *field != REVISION).collect();
    wire::encode_changed(model, definition, &of_client, before, &mut changed);
    wire::encode_row(model, definition, &row, &mut after);
    let (key, revision) = (row.value(KEY).clone(), row.revision());
    let (changed, after) = (Some(changed), Some(after));
    Settled { entity, key, change: Some(Change::Updated), revision, row, changed_fields, changed, after, references: Vec::new(), answer }
}

fn gone(model: &Model, entity: EntityId, before: &Row) -> Settled {
    let definition = model.entity(entity);
    let all: Vec<FieldId> = definition.field_ids().map(|(id, _)| id).collect();
    let mut changed = Vec::with_capacity(256);
    wire::encode_changed(model, definition, &all, before, &mut changed);
    let references = model.references(entity).map(|(entity, field, on_delete)| Reference { entity, field, on_delete }).collect();
    Settled {
        entity,
        key: before.value(KEY).clone(),
        change: Some(Change::Deleted),
        revision: before.revision() + 1,
        row: before.clone(),
        changed_fields: Vec::new(),
        changed: Some(changed),
        after: None,
        references,
        answer: None,
    }
}

pub(crate) fn still_referenced(model: &Model, entity: EntityId, by: Reference) -> Error {
    let referrer = model.entity(by.entity);
    let (entity, field) = (&model.entity(entity).name, &referrer.field(by.field).name);
    Error::new(ErrorCode::FailedPrecondition, format!("this `{entity}` is still referenced by `{}.{field}`", referrer.name))
}

pub(crate) fn not_unique(model: &Model, entity: EntityId, fields: &[FieldId]) -> Error {
    let definition = model.entity(entity);
    let names: Vec<&str> = fields.iter().map(|field| definition.field(*field).name.as_str()).collect();
    let mut error = Error::new(ErrorCode::AlreadyExists, format!("another `{}` has the same `{}`", definition.name, names.join("`, `")));
    for name in names {
        error.public.errors.push(FieldError { pointer: format!("/{name}"), detail: "is taken".to_owned() });
    }
    error
}
