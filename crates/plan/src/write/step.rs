//! One write, bound: the client's values, each of its type and within its constraints.

use std::sync::Arc;

use fourfold_model::{Base, Field, FieldId, Model, OwnedId, Row, SharedModel, Value};
use fourfold_op::{Error, FieldError, Limits, Operand, WriteKind};

use super::refuse::refuse;
use crate::coerce::{coerce, constrain};
use crate::shape::{OwnedWrite, PreparedWrite, WriteRule};

/// One bound write.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) prepared: Arc<PreparedWrite>,
    pub(crate) key: Option<Value>,
    pub(crate) set: Vec<(FieldId, Value)>,
    pub(crate) if_revision: Option<i64>,
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
        refuse(errors)?;
        let if_revision = match write.if_revision.map(value) {
            None | Some(Value::Null) => None,
            Some(Value::Int(revision)) => Some(*revision),
            Some(_) => return Err(Error::invalid("a revision is a whole number")),
        };
        Ok(Step { prepared: prepared.clone(), key, set, if_revision })
    }

    /// The rules by which the caller may set fields of a row that is there, or is not.
    pub(crate) fn rules_of(&self, is_there: bool) -> &[WriteRule] {
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

    /// Whether the caller sets a field.
    pub(crate) fn sets(&self, field: FieldId) -> bool {
        self.set.iter().any(|(set, _)| *set == field)
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
        let elements = checked_elements(model, owned.map(|(_, of, write)| (*of, write)), rows, &field.name, &prepared.limits)?;
        constrain(field, None, &elements, &prepared.limits).map_err(at)?;
        return Ok(elements);
    }
    let value = coerce(model, field.ty.base, field.ty.list, value).map_err(at)?;
    let pattern = prepared.rules.fields.patterns.get(usize::from(id.0)).and_then(Option::as_ref);
    constrain(field, pattern, &value, &prepared.limits).map_err(at)?;
    Ok(value)
}

/// The elements of an owned list as a client gave them, checked one by one.
fn checked_elements(
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
