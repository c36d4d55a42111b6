//! Values that come with a request: of the type that their place has, or an error that says what would be right.

use fourfold_model::{Base, Field, Model, Value};
use fourfold_op::Limits;

/// A value of type `base` (a list of them where `list`); what is wrong otherwise.
///
/// A Decimal gets the type's digits after the point; one with more is refused.
pub(crate) fn coerce(model: &Model, base: Base, list: bool, value: &Value) -> Result<Value, String> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::List(values) if list => {
            let values = values.iter().map(|value| coerce(model, base, false, value)).collect::<Result<Vec<_>, _>>()?;
            if values.iter().any(Value::is_null) {
                return Err("a list holds no nulls".to_owned());
            }
            Ok(Value::List(values.into()))
        }
        _ if list => Err(format!("expected a list of {}", name(model, base))),
        value => one(model, base, value),
    }
}

fn one(model: &Model, base: Base, value: &Value) -> Result<Value, String> {
    match (base, value) {
        (Base::Int, Value::Int(n)) if i32::try_from(*n).is_err() => Err(format!("`{n}` does not fit Int (32 bit)")),
        (Base::Int | Base::BigInt, Value::Int(_)) => Ok(value.clone()),
        (Base::Float, Value::Int(n)) => Ok(Value::Float(*n as f64)),
        (Base::Float, Value::Float(n)) if n.is_finite() => Ok(value.clone()),
        (Base::Decimal { precision, scale }, Value::Int(_) | Value::Decimal(_)) => decimal(precision, scale, value),
        (Base::Enum(id), Value::Enum(number)) => match model.enumeration(id).by_number(*number) {
            Some(_) => Ok(value.clone()),
            None => Err(format!("{number} is no value of `{}`", model.enumeration(id).name)),
        },
        (Base::String, Value::Text(text)) if text.contains('\0') => Err("a String holds no NUL".to_owned()),
        (Base::String, Value::Text(_))
        | (Base::Boolean, Value::Boolean(_))
        | (Base::DateTime, Value::DateTime(_))
        | (Base::Date, Value::Date(_))
        | (Base::Uuid, Value::Uuid(_))
        | (Base::Bytes, Value::Bytes(_))
        | (Base::Json, Value::Json(_)) => Ok(value.clone()),
        _ => Err(format!("expected {}", name(model, base))),
    }
}

fn decimal(precision: u8, scale: u8, value: &Value) -> Result<Value, String> {
    let given = match value {
        Value::Int(n) => fourfold_model::Decimal { unscaled: *n, scale: 0 },
        Value::Decimal(decimal) => *decimal,
        _ => return Err("expected a Decimal".to_owned()),
    };
    let fits = |d: &fourfold_model::Decimal| {
        fourfold_model::value::power_of_ten(precision).is_none_or(|top| d.unscaled.unsigned_abs() < top.unsigned_abs())
    };
    given.rescale(scale).filter(fits).map(Value::Decimal).ok_or_else(|| format!("`{given}` does not fit Decimal({precision},{scale})"))
}

/// What a type is called in messages.
pub(crate) fn name(model: &Model, base: Base) -> String {
    match base {
        Base::Enum(id) => {
            let values: Vec<&str> = model.enumeration(id).values.iter().map(|value| value.name.as_str()).collect();
            format!("{}: one of {}", model.enumeration(id).name, values.join(", "))
        }
        Base::Owned(id) => model.owned(id).name.to_string(),
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        other => format!("{other:?}"),
    }
}

/// Whether a stored value keeps the field's constraints; what it breaks otherwise.
pub(crate) fn constrain(field: &Field, pattern: Option<&regex::Regex>, value: &Value, limits: &Limits) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    if let Some(min) = &field.min
        && value.compare(min) == Some(std::cmp::Ordering::Less)
    {
        return Err(format!("`{}` is below the least value `{}`", shown(value), shown(min)));
    }
    if let Some(max) = &field.max
        && value.compare(max) == Some(std::cmp::Ordering::Greater)
    {
        return Err(format!("`{}` is above the greatest value `{}`", shown(value), shown(max)));
    }
    length(field, value, limits)?;
    if let (Some(pattern), Value::Text(text)) = (pattern, value)
        && !pattern.is_match(text)
    {
        return Err(format!("`{}` does not match `{}`", shown(value), field.pattern.as_deref().unwrap_or_default()));
    }
    Ok(())
}

fn length(field: &Field, value: &Value, limits: &Limits) -> Result<(), String> {
    let (length, unit) = match value {
        Value::Text(text) => (text.chars().count(), "characters"),
        Value::Bytes(bytes) => (bytes.len(), "bytes"),
        Value::List(values) => (values.len(), "elements"),
        Value::Owned(rows) => (rows.len(), "elements"),
        _ => return Ok(()),
    };
    let (low, high) = field.length;
    if low.is_some_and(|low| length < low as usize) {
        return Err(format!("{length} {unit}; at least {} are needed", low.unwrap_or_default()));
    }
    if high.is_some_and(|high| length > high as usize) {
        return Err(format!("{length} {unit}; at most {} are allowed", high.unwrap_or_default()));
    }
    let (bytes, limit, name) = match value {
        Value::Text(text) if high.is_none() => (text.len(), limits.string_bytes_max, "string_bytes_max"),
        Value::Bytes(bytes) => (bytes.len(), limits.bytes_bytes_max, "bytes_bytes_max"),
        Value::List(values) => (values.len(), limits.list_elements_max, "list_elements_max"),
        Value::Owned(rows) => (rows.len(), limits.owned_elements_max, "owned_elements_max"),
        _ => return Ok(()),
    };
    if bytes > limit { Err(format!("{bytes} is over the limit `{name}` of {limit}")) } else { Ok(()) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.chars().take(80).collect(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Decimal(n) => n.to_string(),
        other => format!("{other:?}"),
    }
}
