//! Why a create or change is refused, so far as the caller may know: which of its fields are in the way, or which claim it lacks.

use fourfold_model::{ClaimId, Default, FieldId, KEY, Row, Value};
use fourfold_op::{Error, ErrorCode, FieldError, WriteKind};
use smallvec::smallvec;

use crate::compile::Kind;
use crate::eval::{Asking, Evaluator};
use crate::settle::{Halt, Settle, Step, params};
use crate::shape::{NEW, WriteRule};
use crate::write::{Before, Moment, Probe, Settled, Settling, WritePlan};

/// One try of a step, and what it asked.
pub(crate) struct Tried {
    pub result: Result<Box<Settled>, Halt>,
    pub asked: Vec<Probe>,
}

/// What a step is settled from.
#[derive(Clone, Copy)]
pub(crate) struct Given<'g> {
    pub number: usize,
    pub before: Before<'g>,
    pub answers: &'g [Value],
    pub moment: &'g Moment,
}

impl WritePlan {
    /// Settles a step as far as its answers go; `asked` is what was asked of them already.
    pub(crate) fn tried(&self, step: &Step, given: Given<'_>, asked: Vec<Probe>) -> Tried {
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
    pub(crate) fn explained(&self, step: &Step, given: Given<'_>, refusal: Error, mut asked: Vec<Probe>) -> Result<Settling, Error> {
        for rule in step.rules_of(given.before.row.is_some()) {
            let beyond = step.beyond(rule);
            if beyond.is_empty() {
                continue;
            }
            let set = step.set.iter().filter(|(field, _)| !beyond.contains(field)).cloned().collect();
            let tried = self.tried(&Step { set, ..step.clone() }, given, asked);
            asked = tried.asked;
            match tried.result {
                Ok(_) => return Err(self.fields_denied(step, &beyond)),
                Err(Halt::Ask(probe)) => return Ok(Settling::Ask(*probe)),
                Err(Halt::Refuse(_)) => {}
            }
        }
        Err(refusal)
    }

    pub(crate) fn claim_name(&self, claim: ClaimId) -> &str {
        self.model.claims.get(usize::from(claim.0)).map_or("", |claim| claim.name.as_str())
    }

    pub(crate) fn fields_denied(&self, step: &Step, fields: &[FieldId]) -> Error {
        let entity = self.model.entity(step.prepared.write.entity);
        let names: Vec<&str> = fields.iter().map(|field| entity.field(*field).name.as_str()).collect();
        let message = format!("this caller may not set `{}` of `{}`", names.join("`, `"), entity.name);
        let mut error = Error::new(ErrorCode::PermissionDenied, message);
        let denied = |name: &str| FieldError { pointer: format!("/{name}"), detail: "may not be set by this caller".to_owned() };
        error.public.errors = names.into_iter().map(denied).collect();
        error
    }
}

/// Whether an error is the rules' refusal, with no field named.
pub(crate) fn names_nothing(error: &Error) -> bool {
    error.code == ErrorCode::PermissionDenied && error.public.errors.is_empty()
}

impl Step {
    /// The rules by which the caller may set fields of a row that is there, or is not.
    fn rules_of(&self, is_there: bool) -> &[WriteRule] {
        match (self.prepared.write.kind, is_there) {
            (WriteKind::Delete, _) => &[],
            (_, true) => &self.prepared.rules.update,
            (_, false) => &self.prepared.rules.create,
        }
    }

    /// What the caller sets that a rule does not name.
    pub(crate) fn beyond(&self, rule: &WriteRule) -> Vec<FieldId> {
        self.set.iter().map(|(field, _)| *field).filter(|field| !rule.names(*field)).collect()
    }
}

impl Settle<'_> {
    /// A field that only a claim fills: a caller without the claim is refused, unless a rule that holds lets it set the field itself.
    pub(crate) fn claims_held(&mut self, row: &Row) -> Result<(), Halt> {
        let (step, plan) = (self.step, self.plan);
        let entity = plan.model.entity(self.entity);
        let missing = entity.field_ids().find_map(|(id, field)| match field.default {
            Some(Default::Claim(claim)) if id != KEY && !field.ty.nullable && row.value(id).is_null() && !self.sets(id) => {
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

    /// Whether the caller sets a field.
    pub(crate) fn sets(&self, field: FieldId) -> bool {
        self.step.set.iter().any(|(set, _)| *set == field)
    }
}
