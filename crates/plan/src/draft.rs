//! Drafting: what a row would be after the write, before rules judge it.

use fourfold_model::expr::{Arithmetic, FoldBy};
use fourfold_model::{Base, Decimal, Default, EntityId, Field, FieldId, KEY, Model, OwnedId, REVISION, Row, Value};
use fourfold_op::{Error, FieldError, Limits};
use smallvec::smallvec;

use crate::coerce::{coerce, constrain};
use crate::compile::Kind;
use crate::eval::{Asking, Evaluator, Rows, arithmetic};
use crate::node::Node;
use crate::settle::{Halt, Settle, params};
use crate::shape::{Computed, ELEMENT, FOLD, FieldWrites, FoldPlan, NEW, OwnedWrite};
use crate::write::Probe;

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
            Some(Default::Claim(claim)) if !self.sets(id) => {
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
            let by_client = self.sets(*field).then_some(guard);
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

/// Sets and computes the fields of a row that the server answers for.
fn serve(
    at: &mut Evaluator<'_, Asking<'_>>,
    level: crate::node::Level,
    writes: &FieldWrites,
    fields: &[Field],
    row: &mut Row,
    limits: &Limits,
) -> Result<(), Halt> {
    for (id, node) in &writes.sets {
        let value = at.with(level, row.clone(), |at| at.value(node))?;
        put(at.model, fields, writes, *id, value, row, limits)?;
    }
    for (id, computed) in &writes.computed {
        let value = at.with(level, row.clone(), |at| compute(at, computed, row))?;
        put(at.model, fields, writes, *id, value, row, limits)?;
    }
    Ok(())
}

fn put(
    model: &Model,
    fields: &[Field],
    writes: &FieldWrites,
    id: FieldId,
    value: Value,
    row: &mut Row,
    limits: &Limits,
) -> Result<(), Error> {
    let Some(field) = fields.get(usize::from(id.0)) else { return Err(Error::internal("a field that is not there")) };
    let refuse = |detail: String| Error::invalid_at(format!("/{}", field.name), format!("`{}` comes out wrong: {detail}", field.name));
    let value = coerce(model, field.ty.base, field.ty.list, &value).map_err(refuse)?;
    if value.is_null() && !field.ty.nullable {
        return Err(refuse("it has no value, or does not fit".to_owned()));
    }
    constrain(field, writes.patterns.get(usize::from(id.0)).and_then(Option::as_ref), &value, limits).map_err(refuse)?;
    row.set(id, value);
    Ok(())
}

fn compute(at: &mut Evaluator<'_, Asking<'_>>, computed: &Computed, row: &Row) -> Result<Value, Box<Probe>> {
    let mut results = Vec::with_capacity(computed.folds.len());
    for fold in &computed.folds {
        results.push(folded(at, fold, row)?);
    }
    let node = computed.node.clone().map(&mut |part| match part {
        Node::Bind(index, base) if index >= FOLD => {
            Node::Constant(results.get(usize::from(index - FOLD)).cloned().unwrap_or_default(), base)
        }
        other => other,
    });
    at.value(&node)
}

fn folded(at: &mut Evaluator<'_, Asking<'_>>, fold: &FoldPlan, row: &Row) -> Result<Value, Box<Probe>> {
    let Value::Owned(elements) = row.value(fold.list) else { return Ok(Value::Null) };
    let mut values = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        let value = at.with(ELEMENT, element.clone(), |at| fold_value(at, fold))?;
        values.extend(value);
    }
    Ok(match fold.by {
        FoldBy::Size => Value::Int(values.len() as i64),
        FoldBy::Min => {
            values.into_iter().reduce(|a, b| if b.compare(&a) == Some(std::cmp::Ordering::Less) { b } else { a }).unwrap_or_default()
        }
        FoldBy::Max => {
            values.into_iter().reduce(|a, b| if b.compare(&a) == Some(std::cmp::Ordering::Greater) { b } else { a }).unwrap_or_default()
        }
        FoldBy::Sum => values.into_iter().fold(zero(fold.base), |sum, value| arithmetic(Arithmetic::Add, &sum, &value)),
    })
}

/// What an element adds to a fold; nothing where a filter is not true of it.
fn fold_value(at: &mut Evaluator<'_, Asking<'_>>, fold: &FoldPlan) -> Result<Option<Value>, Box<Probe>> {
    for filter in &fold.filters {
        if at.value(filter)? != Value::Boolean(true) {
            return Ok(None);
        }
    }
    match &fold.map {
        None => Ok(Some(Value::Null)),
        Some(map) => {
            let value = at.value(map)?;
            Ok((!value.is_null()).then_some(value))
        }
    }
}

fn zero(base: Option<Base>) -> Value {
    match base {
        Some(Base::Float) => Value::Float(0.0),
        Some(Base::Decimal { scale, .. }) => Value::Decimal(Decimal { unscaled: 0, scale }),
        _ => Value::Int(0),
    }
}

/// The elements of an owned list as a client gave them, checked one by one.
pub(crate) fn checked_elements(
    model: &Model,
    owned: Option<(OwnedId, &OwnedWrite)>,
    rows: &[Row],
    list: &str,
    limits: &Limits,
) -> Result<Value, Vec<FieldError>> {
    let Some((owned, write)) = owned else { return Err(Vec::new()) };
    let mut errors = Vec::new();
    let mut elements = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let fields = &model.owned(owned).fields;
        let mut element = Row::nulls(fields.len());
        for (slot, field) in fields.iter().enumerate() {
            let id = FieldId(slot as u16);
            match checked_element_field(model, write, field, id, row.value(id), limits) {
                Ok(value) => element.set(id, value),
                Err(detail) => errors.push(FieldError { pointer: format!("/{list}/{index}/{}", field.name), detail }),
            }
        }
        elements.push(element);
    }
    if errors.is_empty() { Ok(Value::Owned(elements.into())) } else { Err(errors) }
}

fn checked_element_field(
    model: &Model,
    write: &OwnedWrite,
    field: &Field,
    id: FieldId,
    value: &Value,
    limits: &Limits,
) -> Result<Value, String> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if !field.writable() {
        return Err(format!("`{}` is set by the server", field.name));
    }
    let value = coerce(model, field.ty.base, field.ty.list, value)?;
    constrain(field, write.fields.patterns.get(usize::from(id.0)).and_then(Option::as_ref), &value, limits)?;
    Ok(value)
}

/// The slots that differ.
pub(crate) fn changed(before: &Row, after: &Row) -> Vec<FieldId> {
    let differs = |slot: &usize| before.0.get(*slot) != after.0.get(*slot);
    (0..after.0.len()).filter(differs).map(|slot| FieldId(slot as u16)).collect()
}

/// Bytes of a row's JSON at most.
pub(crate) fn json_bytes(row: &Row) -> usize {
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

/// One error of all that is wrong; nothing where nothing is.
pub(crate) fn refuse(errors: Vec<FieldError>) -> Result<(), Error> {
    if errors.is_empty() { Ok(()) } else { Error::invalid_places(errors).map_or(Ok(()), Err) }
}
