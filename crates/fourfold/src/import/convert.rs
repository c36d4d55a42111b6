//! Values of a source as values of a model.

use fourfold_model::{Base, Decimal, Model, Type, Value};
use fourfold_op::json::parse_text;

use super::introspect::Cell;

/// A value of a field's type; the error says what it is instead.
pub fn convert(model: &Model, ty: Type, from: Cell<'_>) -> Result<Value, String> {
    let wrong = || format!("{} is not a {}{}", describe(from), type_name(model, ty.base), if ty.list { "[]" } else { "" });
    if ty.list {
        return list(model, ty, from).ok_or_else(wrong);
    }
    match (ty.base, from) {
        (_, Cell::Null) => Ok(Value::Null),
        (_, Cell::Text(text)) => of_text(model, ty.base, std::str::from_utf8(text).map_err(|_| wrong())?).map_err(|_| wrong()),
        (Base::Boolean, Cell::Integer(n @ (0 | 1))) => Ok(Value::Boolean(n == 1)),
        (Base::Int, Cell::Integer(n)) => i32::try_from(n).map(|n| Value::Int(n.into())).map_err(|_| wrong()),
        (Base::BigInt, Cell::Integer(n)) => Ok(Value::Int(n)),
        (Base::Float, Cell::Integer(n)) => Ok(Value::Float(n as f64)),
        (Base::Float, Cell::Real(x)) if x.is_finite() => Ok(Value::Float(x)),
        (Base::Decimal { precision, scale }, Cell::Integer(n)) => decimal(&n.to_string(), precision, scale).ok_or_else(wrong),
        (Base::Decimal { precision, scale }, Cell::Real(x)) => of_real(x, precision, scale).ok_or_else(wrong),
        (Base::DateTime, Cell::Integer(seconds)) => seconds.checked_mul(1_000_000).map(Value::DateTime).ok_or_else(wrong),
        (Base::Bytes, Cell::Blob(bytes)) => Ok(Value::Bytes(bytes.to_vec().into())),
        (Base::Uuid, Cell::Blob(bytes)) => <[u8; 16]>::try_from(bytes).map(Value::Uuid).map_err(|_| wrong()),
        (Base::String, Cell::Integer(n)) => Ok(Value::text(n.to_string())),
        (Base::String, Cell::Real(x)) => Ok(Value::text(x.to_string())),
        _ => Err(wrong()),
    }
}

/// A list stands as the JSON of its elements' texts; a null is an empty one.
fn list(model: &Model, ty: Type, from: Cell<'_>) -> Option<Value> {
    let texts: Vec<String> = match from {
        Cell::Null => Vec::new(),
        Cell::Text(text) => serde_json::from_slice(text).ok()?,
        _ => return None,
    };
    let one = Type { list: false, nullable: false, ..ty };
    let elements: Option<Vec<Value>> = texts.iter().map(|text| convert(model, one, Cell::Text(text.as_bytes())).ok()).collect();
    elements.map(|elements| Value::List(elements.into()))
}

fn of_text(model: &Model, base: Base, text: &str) -> Result<Value, String> {
    match base {
        Base::String => {
            if text.contains('\0') {
                Err("a NUL".into())
            } else {
                Ok(Value::text(text))
            }
        }
        Base::Float => text.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Float).ok_or_else(String::new),
        Base::DateTime => date_time(text).ok_or_else(String::new),
        // A date with a midnight is a date.
        Base::Date => parse_text(model, base, text.strip_suffix(" 00:00:00").unwrap_or(text)),
        Base::Decimal { precision, scale } => decimal(text.trim(), precision, scale).ok_or_else(String::new),
        Base::Bytes => Ok(Value::Bytes(text.as_bytes().to_vec().into())),
        Base::Json => serde_json::from_str::<serde_json::Value>(text)
            .map(|json| Value::Json(json.to_string().into()))
            .map_err(|error| error.to_string()),
        Base::Enum(id) => model.enumeration(id).by_column(text).map(|value| Value::Enum(value.number)).ok_or_else(String::new),
        _ => parse_text(model, base, text),
    }
}

/// `2021-01-01 00:00:00`, with or without a fraction, a `T` and a zone; without one it is UTC.
fn date_time(text: &str) -> Option<Value> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(Value::DateTime(moment.as_microsecond()));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let moment = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Value::DateTime(moment.timestamp().as_microsecond()))
}

fn decimal(text: &str, precision: u8, scale: u8) -> Option<Value> {
    let decimal = Decimal::parse(text)?.rescale(scale)?;
    let fits = decimal.unscaled.unsigned_abs() < 10u64.checked_pow(u32::from(precision))?;
    fits.then_some(Value::Decimal(decimal))
}

/// SQLite keeps `0.99` as a binary number: the decimal is the one that has that very number.
fn of_real(x: f64, precision: u8, scale: u8) -> Option<Value> {
    let text = format!("{x:.places$}", places = usize::from(scale));
    let same = text.parse::<f64>().is_ok_and(|back| back == x);
    if same { decimal(&text, precision, scale) } else { None }
}

fn describe(from: Cell<'_>) -> String {
    match from {
        Cell::Null => "null".into(),
        Cell::Integer(n) => format!("`{n}`"),
        Cell::Real(x) => format!("`{x}`"),
        Cell::Text(text) => format!("`{}`", String::from_utf8_lossy(text).chars().take(40).collect::<String>()),
        Cell::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

fn type_name(model: &Model, base: Base) -> String {
    match base {
        Base::Enum(id) => model.enumeration(id).name.to_string(),
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn check(base: Base, from: Cell<'_>, expect: Result<Value, &str>) {
        let ty = Type { base, nullable: true, list: false };
        assert_eq!(convert(&Model::default(), ty, from), expect.map_err(str::to_owned));
    }

    #[test]
    fn values_are_taken_exactly_or_not_at_all() {
        let price = Base::Decimal { precision: 10, scale: 2 };
        let decimal = |unscaled| Value::Decimal(Decimal { unscaled, scale: 2 });
        check(price, Cell::Real(0.99), Ok(decimal(99)));
        check(price, Cell::Integer(3), Ok(decimal(300)));
        check(price, Cell::Text(b"1.9"), Ok(decimal(190)));
        check(price, Cell::Real(0.995), Err("`0.995` is not a Decimal(10,2)"));
        check(Base::DateTime, Cell::Text(b"1970-01-02 00:00:00"), Ok(Value::DateTime(86_400_000_000)));
        check(Base::DateTime, Cell::Text(b"1970-01-01T01:00:00+01:00"), Ok(Value::DateTime(0)));
        check(Base::Date, Cell::Text(b"1970-01-03"), Ok(Value::Date(2)));
        check(Base::Int, Cell::Integer(1 << 40), Err("`1099511627776` is not a Int"));
        check(Base::String, Cell::Text(b"\xc3\xa9"), Ok(Value::text("é")));
        check(Base::Bytes, Cell::Null, Ok(Value::Null));
    }
}
