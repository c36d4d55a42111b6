//! Values as plain text: in paths, query strings and `Location`.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use fourfold_model::{Base, Decimal, EnumId, Model, Value, literal};

use super::{did_you_mean, write_value};

/// The value of type `base` that a text stands for: `cart`, `794`, `12.50`, `2026-11-22T10:00:00Z`.
///
/// # Errors
/// What is wrong with the text in backticks, and what would be right.
///
/// ```
/// use fourfold_model::{Base, Model, Value};
/// use fourfold_op::json::parse_text;
/// assert_eq!(parse_text(&Model::default(), Base::Int, "42"), Ok(Value::Int(42)));
/// assert!(parse_text(&Model::default(), Base::Int, "x").is_err());
/// ```
pub fn parse_text(model: &Model, base: Base, text: &str) -> Result<Value, String> {
    match base {
        Base::String => string(text),
        Base::Boolean => boolean(text),
        Base::Int => int(text),
        Base::BigInt => big_int(text),
        Base::Float => float(text),
        Base::Decimal { precision, scale } => decimal(text, precision, scale),
        Base::DateTime => literal::date_time(text).map(Value::DateTime).ok_or_else(|| not_a_date_time(text)),
        Base::Date => literal::date(text).map(Value::Date).ok_or_else(|| not(text, "Date", "a day such as 2026-11-22")),
        Base::Uuid => literal::uuid(text)
            .map(Value::Uuid)
            .ok_or_else(|| not(text, "Uuid", "36 characters such as 018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4e5f")),
        Base::Bytes => bytes(text),
        Base::Enum(id) => enumeration(model, id, text),
        Base::Json => Err("a Json field cannot be compared".to_owned()),
        Base::Owned(_) => Err("an owned list cannot be compared".to_owned()),
    }
}

/// Appends a key's value as it stands in a path, not yet percent-encoded.
pub fn write_value_text(out: &mut String, model: &Model, base: Base, value: &Value) {
    if let Value::Text(text) = value {
        return out.push_str(text);
    }
    let mut json = Vec::with_capacity(40);
    write_value(&mut json, model, base, value, super::Dialect::Plain);
    let text = String::from_utf8_lossy(&json);
    out.push_str(text.trim_matches('"'));
}

/// A text in backticks, shortened when it is long, for messages.
pub fn quoted(text: &str) -> String {
    const CHARACTERS_MAX: usize = 64;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

fn not(text: &str, ty: &str, expected: &str) -> String {
    format!("{} is not a {ty}; expected {expected}", quoted(text))
}

pub(super) fn string(text: &str) -> Result<Value, String> {
    if text.contains('\0') {
        return Err("a String cannot hold the character NUL".to_owned());
    }
    Ok(Value::text(text))
}

fn boolean(text: &str) -> Result<Value, String> {
    match text {
        "true" => Ok(Value::Boolean(true)),
        "false" => Ok(Value::Boolean(false)),
        _ => Err(not(text, "Boolean", "true or false")),
    }
}

fn int(text: &str) -> Result<Value, String> {
    let number = whole(text).and_then(|number| i32::try_from(number).ok());
    number.map(|number| Value::Int(i64::from(number))).ok_or_else(|| not_an_int(text))
}

pub(super) fn not_an_int(text: &str) -> String {
    format!("{} is not an Int; expected a whole number from -2147483648 to 2147483647", quoted(text))
}

pub(super) fn big_int(text: &str) -> Result<Value, String> {
    whole(text).map(Value::Int).ok_or_else(|| not(text, "BigInt", "a whole number of 64 bits"))
}

/// Digits with at most a minus before them.
pub(super) fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn float(text: &str) -> Result<Value, String> {
    let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.');
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && starts_well);
    number.map(Value::Float).ok_or_else(|| not(text, "Float", "a number such as 0.5"))
}

pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Result<Value, String> {
    let Some(read) = Decimal::parse(text) else {
        return Err(format!("{} is not a Decimal({precision},{scale}); expected digits such as {}", quoted(text), sample(scale)));
    };
    let Some(fits) = read.rescale(scale) else {
        return Err(format!("{} does not fit Decimal({precision},{scale}); at most {scale} digits after the point", quoted(text)));
    };
    let digits_max = 10u64.pow(u32::from(precision.min(18)));
    if fits.unscaled.unsigned_abs() >= digits_max {
        return Err(format!("{} does not fit Decimal({precision},{scale}); at most {precision} digits", quoted(text)));
    }
    Ok(Value::Decimal(fits))
}

fn sample(scale: u8) -> String {
    Decimal { unscaled: 0, scale }.to_string()
}

pub(super) fn not_a_date_time(text: &str) -> String {
    let hint = if text.contains(' ') { " (in a URL, `+` is written `%2B`)" } else { "" };
    let expected = "expected RFC 3339 with an offset and at most 6 digits of a second, such as 2026-11-22T10:00:00.123456Z";
    format!("{} is not a DateTime; {expected}{hint}", quoted(text))
}

pub(super) fn bytes(text: &str) -> Result<Value, String> {
    const EITHER_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { PLAIN };
    engine.decode(text).map(|read| Value::Bytes(read.into())).map_err(|_| not(text, "Bytes", "base64"))
}

pub(super) fn enumeration(model: &Model, id: EnumId, text: &str) -> Result<Value, String> {
    let enumeration = model.enumeration(id);
    if let Some(value) = enumeration.by_name(text) {
        return Ok(Value::Enum(value.number));
    }
    let names: Vec<&str> = enumeration.values.iter().map(|value| value.name.as_str()).collect();
    let near = did_you_mean(text, names.iter().copied());
    let expected = if near.is_empty() { format!("; expected one of {}", names.join(", ")) } else { near };
    Err(format!("{} is not a value of `{}`{expected}", quoted(text), enumeration.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(base: Base, text: &str) -> Result<Value, String> {
        parse_text(&Model::default(), base, text)
    }

    #[test]
    fn texts_become_values() {
        let price = Base::Decimal { precision: 4, scale: 2 };
        for (base, text, value) in [
            (Base::Int, "-2147483648", Value::Int(-2_147_483_648)),
            (Base::BigInt, "9223372036854775807", Value::Int(i64::MAX)),
            (Base::Float, "1e3", Value::Float(1000.0)),
            (price, "9.9", Value::Decimal(Decimal { unscaled: 990, scale: 2 })),
            (price, "9.9000", Value::Decimal(Decimal { unscaled: 990, scale: 2 })),
            (Base::Boolean, "true", Value::Boolean(true)),
            (Base::Date, "1970-01-02", Value::Date(1)),
            (Base::Bytes, "-_8", Value::Bytes(bytes::Bytes::from_static(&[251, 255]))),
            (Base::String, "", Value::text("")),
        ] {
            assert_eq!(parse(base, text), Ok(value));
        }
    }

    #[test]
    fn what_is_no_value_is_refused_by_name() {
        let price = Base::Decimal { precision: 4, scale: 2 };
        for (base, text) in [
            (Base::Int, "2147483648"),
            (Base::Int, "1.5"),
            (Base::Int, "+1"),
            (Base::Int, ""),
            (Base::BigInt, "9223372036854775808"),
            (Base::Float, "NaN"),
            (Base::Float, "inf"),
            (Base::Float, "1e999"),
            (price, "9.999"),
            (price, "100.00"),
            (price, "1e2"),
            (Base::Boolean, "True"),
            (Base::Date, "2026-02-30"),
            (Base::DateTime, "2026-02-20"),
            (Base::Uuid, "x"),
            (Base::Bytes, "a"),
            (Base::String, "\0"),
        ] {
            assert!(parse(base, text).is_err(), "{base:?} {text}");
        }
    }
}
