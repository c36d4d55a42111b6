//! Fields that the server answers for: `@set`, computed fields, and folds over owned lists.

use fourfold_model::expr::{Arithmetic, FoldBy};
use fourfold_model::{Base, Decimal, Field, FieldId, Model, Row, Value};
use fourfold_op::{Error, Limits};

use super::probe::{Asking, Probe};
use super::refuse::Halt;
use crate::coerce::{coerce, constrain};
use crate::eval::{Evaluator, arithmetic};
use crate::node::{Level, Node};
use crate::shape::{Computed, ELEMENT, FOLD, FieldWrites, FoldPlan};

/// Sets and computes the fields of a row that the server answers for.
pub(crate) fn serve(
    at: &mut Evaluator<'_, Asking<'_>>,
    level: Level,
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
