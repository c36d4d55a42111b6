//! Drafting: what a row would be after the write, before rules judge it.

use fourfold_model::{Base, Default, EntityId, Field, FieldId, KEY, Model, OwnedId, REVISION, Row, Value};
use fourfold_op::{Error, FieldError};
use smallvec::smallvec;

use super::probe::Probe;
use super::refuse::{Halt, refuse};
use super::serve::serve;
use super::settling::{Settle, params};
use crate::coerce::coerce;
use crate::compile::Kind;
use crate::eval::{Evaluator, Rows};
use crate::node::Node;
use crate::shape::{NEW, OwnedWrite};

impl Settle<'_> {
    /// A new row: what the client set, else defaults; then what the server sets and computes.
    pub(crate) fn draft_new(&mut self) -> Result<Row, Halt> {
        let mut row = self.defaults(None)?;
        let revision = self.before.revision_floor + 1;
        row.set(REVISION, Value::Int(revision as i64));
        self.serve_fields(&mut row)?;
        self.references_exist(&row, None)?;
        Ok(row)
    }

    /// The row before, with what the client set.
    pub(crate) fn draft_update(&mut self, before: &Row) -> Result<Row, Halt> {
        let mut row = before.clone();
        for (field, value) in &self.step.set {
            row.set(*field, value.clone());
        }
        self.once_stay(before, &row)?;
        let mut errors = Vec::new();
        self.nulls_allowed(&row, &mut errors);
        refuse(errors)?;
        self.references_exist(&row, Some(before))?;
        Ok(row)
    }

    /// Every client-writable field: what was set, else its default, else null. The server's fields stay till they are set anew.
    pub(crate) fn draft_replace(&mut self, before: &Row) -> Result<Row, Halt> {
        let mut row = self.defaults(Some(before))?;
        row.set(REVISION, before.value(REVISION).clone());
        self.once_stay(before, &row)?;
        self.references_exist(&row, Some(before))?;
        Ok(row)
    }

    fn once_stay(&self, before: &Row, row: &Row) -> Result<(), Error> {
        let model = &self.plan.model;
        for (id, field) in model.entity(self.entity).field_ids() {
            if field.once && before.value(id) != row.value(id) {
                return Err(Error::invalid_at(
                    format!("/{}", field.name),
                    format!("`{}` can be set only when the row is created", field.name),
                ));
            }
        }
        Ok(())
    }

    fn defaults(&mut self, before: Option<&Row>) -> Result<Row, Halt> {
        let plan = self.plan;
        let entity = plan.model.entity(self.entity);
        let mut row = Row::nulls(entity.fields.len());
        let mut errors = Vec::new();
        for (id, field) in entity.field_ids().filter(|(id, _)| *id != REVISION) {
            let given = self.step.set.iter().find(|(set, _)| *set == id).map(|(_, value)| value.clone());
            let value = match (id, given, before) {
                (KEY, ..) => match (&self.step.key, before) {
                    (Some(key), _) => key.clone(),
                    (None, _) => self.default(id, field)?,
                },
                (_, Some(value), _) => value,
                (_, None, Some(before)) if !field.writable() || field.once || field.secret => before.value(id).clone(),
                (_, None, _) => self.default(id, field)?,
            };
            row.set(id, value);
        }
        if row.value(KEY).is_null() {
            errors.push(FieldError { pointer: "/id".to_owned(), detail: "a key is required".to_owned() });
        }
        self.nulls_allowed(&row, &mut errors);
        if !errors.is_empty() {
            self.claims_held(&row)?;
        }
        refuse(errors)?;
        Ok(row)
    }

    /// Fields that the client answers for: none may be null that the model does not let be.
    fn nulls_allowed(&self, row: &Row, errors: &mut Vec<FieldError>) {
        let entity = self.plan.model.entity(self.entity);
        for (id, field) in entity.field_ids().filter(|(id, _)| *id != KEY && *id != REVISION) {
            let served = field.computed.is_some() || field.set.is_some();
            if !served && !field.ty.nullable && row.value(id).is_null() {
                errors.push(FieldError { pointer: format!("/{}", field.name), detail: self.required(id, field) });
            }
        }
    }

    fn required(&self, id: FieldId, field: &Field) -> String {
        match field.default {
            Some(Default::Claim(claim)) if !self.step.sets(id) => {
                let claim = self.plan.claim_name(claim);
                format!("`{}` is required: this caller has no claim `{claim}`, from which it would come", field.name)
            }
            _ => format!("`{}` is required", field.name),
        }
    }

    fn default(&mut self, id: FieldId, field: &Field) -> Result<Value, Halt> {
        let salt = ((self.number as u64) << 16) | u64::from(id.0);
        match &field.default {
            None if field.ty.list && matches!(field.ty.base, Base::Owned(_)) => Ok(Value::Owned([].into())),
            None if field.ty.list => Ok(Value::List([].into())),
            Some(Default::Next) => Ok(self.at.world.ask(Probe::Next { entity: self.entity, field: id })?),
            None => Ok(Value::Null),
            Some(default) => Ok(plain_default(default, self, salt, field)?),
        }
    }

    /// `@set`, owned elements' own, then computed fields, in the model's order.
    pub(crate) fn serve_fields(&mut self, row: &mut Row) -> Result<(), Halt> {
        let (step, plan) = (self.step, self.plan);
        let prepared = &step.prepared;
        for (list, owned, write) in &prepared.rules.owned {
            // A list that stays keeps what was set when it was written.
            let kept = self.before.row.is_some_and(|before| before.value(*list) == row.value(*list));
            if let (false, Value::Owned(elements)) = (kept, row.value(*list).clone()) {
                let served = self.serve_elements(*list, *owned, write, &elements)?;
                row.set(*list, served);
            }
        }
        let entity = plan.model.entity(self.entity);
        serve(&mut self.at, NEW, &prepared.rules.fields, &entity.fields, row, &prepared.limits)
    }

    fn serve_elements(&mut self, list: FieldId, owned: OwnedId, write: &OwnedWrite, elements: &[Row]) -> Result<Value, Halt> {
        let model: &Model = &self.plan.model;
        let name = &model.entity(self.entity).field(list).name;
        let params = params(&write.sources, &self.plan.principal.claims, self.moment);
        let mut served = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let mut row = element.clone();
            self.element_defaults(model, owned, index, name, &mut row)?;
            for (field, target, guard) in &write.references {
                let pointer = || format!("/{name}/{index}/{}", model.owned(owned).fields[usize::from(field.0)].name);
                self.reference_exists(*target, row.value(*field).clone(), Some(guard), Some(&params), &pointer)?;
            }
            let (world, kind) = (&mut *self.at.world, Kind::Owned(owned));
            let before = std::mem::replace(&mut world.kind, kind);
            let mut at = Evaluator { model: self.at.model, params: &params, rows: smallvec![None], world };
            let result = serve(&mut at, NEW, &write.fields, &model.owned(owned).fields, &mut row, &self.step.prepared.limits);
            self.at.world.kind = before;
            result?;
            served.push(row);
        }
        Ok(Value::Owned(served.into()))
    }

    fn element_defaults(&mut self, model: &Model, owned: OwnedId, index: usize, list: &str, row: &mut Row) -> Result<(), Halt> {
        let mut errors = Vec::new();
        for (slot, field) in model.owned(owned).fields.iter().enumerate() {
            let id = FieldId(slot as u16);
            let served = field.computed.is_some() || field.set.is_some();
            if served || !row.value(id).is_null() {
                continue;
            }
            let salt = ((self.number as u64) << 32) | ((index as u64) << 16) | slot as u64 | (1 << 63);
            let value = match &field.default {
                None if field.ty.list => Value::List([].into()),
                None => Value::Null,
                Some(default) => plain_default(default, self, salt, field)?,
            };
            if value.is_null() && !field.ty.nullable {
                errors.push(FieldError {
                    pointer: format!("/{list}/{index}/{}", field.name),
                    detail: format!("`{}` is required", field.name),
                });
            }
            row.set(id, value);
        }
        Ok(refuse(errors)?)
    }

    /// Each reference that is new must lead to a row; one that the client named, to a row that it may see.
    fn references_exist(&mut self, row: &Row, before: Option<&Row>) -> Result<(), Halt> {
        let (step, plan) = (self.step, self.plan);
        for (field, target, guard) in &step.prepared.rules.references {
            let value = row.value(*field);
            let kept = before.is_some_and(|before| before.value(*field) == value);
            let itself = *target == self.entity && value == row.value(KEY);
            if value.is_null() || kept || itself {
                continue;
            }
            let by_client = self.step.sets(*field).then_some(guard);
            let name = &plan.model.entity(self.entity).field(*field).name;
            self.reference_exists(*target, value.clone(), by_client, None, &|| format!("/{name}"))?;
        }
        Ok(())
    }

    fn reference_exists(
        &mut self,
        target: EntityId,
        key: Value,
        guard: Option<&Node>,
        params: Option<&[Value]>,
        pointer: &dyn Fn() -> String,
    ) -> Result<(), Halt> {
        if key.is_null() {
            return Ok(());
        }
        let params = params.unwrap_or(self.at.params);
        let closer = Evaluator { model: self.at.model, params, rows: Rows::new(), world: &mut *self.at.world };
        let guard = guard.filter(|guard| !guard.is_true()).map(|guard| closer.closed(guard, 0));
        let probe = Probe::Value { entity: target, key, guard, value: Node::Column(0, KEY) };
        if self.at.world.ask(probe)?.is_null() {
            let name = &self.plan.model.entity(target).name;
            return Err(Error::invalid_at(pointer(), format!("no `{name}` with this key")).into());
        }
        Ok(())
    }
}

fn plain_default(default: &Default, settle: &Settle<'_>, salt: u64, field: &Field) -> Result<Value, Error> {
    let value = match default {
        Default::Literal(value) => value.clone(),
        Default::Uuid7 => Value::Uuid(uuid7(settle.moment.now, settle.moment.random, salt)),
        Default::Now if field.ty.base == Base::Date => Value::Date(settle.moment.now.div_euclid(86_400_000_000) as i32),
        Default::Now => Value::DateTime(settle.moment.now),
        Default::Claim(claim) => settle.plan.principal.claims.value(*claim).clone(),
        Default::Next => return Err(Error::internal("a counter in an owned type")),
    };
    coerce(&settle.plan.model, field.ty.base, field.ty.list, &value).map_err(|detail| Error::invalid_at(format!("/{}", field.name), detail))
}

/// RFC 9562 §5.7: 48 bits of milliseconds, version 7, variant, 74 bits of randomness.
fn uuid7(now_us: i64, random: u128, salt: u64) -> [u8; 16] {
    let millis = (now_us / 1_000) as u64;
    let high = mix(random as u64 ^ salt);
    let low = mix((random >> 64) as u64 ^ high);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&((high as u16 & 0x0fff) | 0x7000).to_be_bytes());
    bytes[8..].copy_from_slice(&((low & (u64::MAX >> 2)) | (1 << 63)).to_be_bytes());
    bytes
}

/// SplitMix64's finaliser: spreads every bit of its input over all of its output.
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
