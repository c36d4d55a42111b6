//! The rules of a write, on both images.

use fourfold_model::{Default, KEY, Row, Value};
use fourfold_op::{Error, ErrorCode, FieldError};

use super::refuse::{Halt, fields_denied};
use super::settling::Settle;
use crate::shape::{NEW, WriteRule};

impl<'s> Settle<'s> {
    /// A row that the caller may not read does not exist for it.
    pub(crate) fn seen(&mut self) -> Result<(), Halt> {
        if self.holds(&self.step.prepared.rules.read_old)? { Ok(()) } else { Err(self.absent().into()) }
    }

    /// The write is based on the revision that is there.
    pub(crate) fn revision_matches(&self, before: &Row) -> Result<(), Error> {
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
    pub(crate) fn allowed(&mut self, rules: &'s [WriteRule], verb: &str, both: bool) -> Result<(), Halt> {
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
            Some(fields) => fields_denied(&self.plan.model, self.entity, &fields),
            None => self.denied(verb),
        }
        .into())
    }

    /// `@allow(write, …)` of each field that the caller sets to something else.
    pub(crate) fn fields_allowed(&mut self, before: Option<&Row>) -> Result<(), Halt> {
        for (field, new, old) in &self.step.prepared.rules.field_rules {
            let set = self.step.set.iter().find(|(id, _)| id == field);
            let same = |value: &Value| before.is_some_and(|row| row.value(*field) == value);
            if set.is_none_or(|(_, value)| same(value)) {
                continue;
            }
            if !self.holds(new)? || (before.is_some() && !self.holds(old)?) {
                return Err(fields_denied(&self.plan.model, self.entity, &[*field]).into());
            }
        }
        Ok(())
    }

    /// A field that only a claim fills: a caller without the claim is refused, unless a rule that holds lets it set the field itself.
    pub(crate) fn claims_held(&mut self, row: &Row) -> Result<(), Halt> {
        let (step, plan) = (self.step, self.plan);
        let entity = plan.model.entity(self.entity);
        let missing = entity.field_ids().find_map(|(id, field)| match field.default {
            Some(Default::Claim(claim)) if id != KEY && !field.ty.nullable && row.value(id).is_null() && !self.step.sets(id) => {
                Some((id, claim))
            }
            _ => None,
        });
        let Some((id, claim)) = missing else { return Ok(()) };
        self.place(NEW, row.clone());
        let rules = step.rules_of(self.before.row.is_some()).iter();
        for rule in rules.filter(|rule| entity.field(id).writable() && rule.names(id)) {
            if self.holds(&rule.new)? {
                return Ok(());
            }
        }
        let (name, claim) = (&entity.field(id).name, self.plan.claim_name(claim));
        let message = format!("`{name}` of `{}` comes from the claim `{claim}`, which this caller does not have", entity.name);
        let mut error = Error::new(ErrorCode::PermissionDenied, message);
        error.public.errors.push(FieldError { pointer: format!("/{name}"), detail: format!("comes from the claim `{claim}`") });
        Err(error.into())
    }

    /// The new row, in its place, as the caller may read it; none where it may not.
    pub(crate) fn answer(&mut self) -> Result<Option<Row>, Halt> {
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
}
