//! Values to JSON bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fourfold_model::{Base, Decimal, Model, OwnedId, Row, Value};

use super::{Dialect, proto_enum_name};

/// Appends a value of type `base` (or a list of it). Null is `null`.
pub fn write_value(out: &mut Vec<u8>, model: &Model, base: Base, value: &Value, dialect: Dialect) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Int(number) if base == Base::BigInt => between_quotes(out, |out| write_integer(out, *number)),
        Value::Int(number) => write_integer(out, *number),
        Value::Float(number) => out.extend_from_slice(zmij::Buffer::new().format_finite(*number).as_bytes()),
        Value::Decimal(decimal) => between_quotes(out, |out| write_decimal(out, in_scale_of(base, *decimal))),
        Value::Text(text) => write_string(out, text),
        Value::DateTime(micros) => between_quotes(out, |out| write_date_time(out, *micros)),
        Value::Date(days) => between_quotes(out, |out| write_date(out, *days)),
        Value::Uuid(bytes) => between_quotes(out, |out| write_uuid(out, bytes)),
        Value::Bytes(bytes) => between_quotes(out, |out| out.extend_from_slice(STANDARD.encode(bytes).as_bytes())),
        Value::Json(text) => out.extend_from_slice(text.as_bytes()),
        Value::Enum(number) => write_enum(out, model, base, *number, dialect),
        Value::List(items) => write_list(out, items, |out, item| write_value(out, model, base, item, dialect)),
        Value::Owned(rows) => write_list(out, rows, |out, row| write_owned(out, model, base, row, dialect)),
    }
}

/// A decimal of another scale than its field's (a computed one, say) is shown with exactly the field's digits.
fn in_scale_of(base: Base, decimal: Decimal) -> Decimal {
    match base {
        Base::Decimal { scale, .. } => decimal.rescale(scale).unwrap_or(decimal),
        _ => decimal,
    }
}

fn between_quotes(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_enum(out: &mut Vec<u8>, model: &Model, base: Base, number: i32, dialect: Dialect) {
    let Base::Enum(id) = base else { return write_integer(out, i64::from(number)) };
    let enumeration = model.enumeration(id);
    match (enumeration.by_number(number), dialect) {
        (Some(value), Dialect::Plain) => write_string(out, &value.name),
        (Some(value), Dialect::Proto) => write_string(out, &proto_enum_name(enumeration, &value.name)),
        (None, _) => out.extend_from_slice(b"null"),
    }
}

fn write_owned(out: &mut Vec<u8>, model: &Model, base: Base, row: &Row, dialect: Dialect) {
    match base {
        Base::Owned(owned) => write_element(out, model, owned, row, dialect),
        _ => out.extend_from_slice(b"null"),
    }
}

/// An element of an owned list as an object; ProtoJSON leaves nulls out.
fn write_element(out: &mut Vec<u8>, model: &Model, owned: OwnedId, row: &Row, dialect: Dialect) {
    out.push(b'{');
    let mut first = true;
    for (field, value) in model.owned(owned).fields.iter().zip(row.0.iter()) {
        if field.secret || (value.is_null() && dialect == Dialect::Proto) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_string(out, &field.name);
        out.push(b':');
        write_value(out, model, field.ty.base, value, dialect);
    }
    out.push(b'}');
}

fn write_integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape != 0 {
            out.extend_from_slice(&bytes[done..at]);
            write_escape(out, escape, *byte);
            done = at + 1;
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// For each byte: 0 when it stands for itself, `u` for `\u00..`, else the letter after the backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

fn write_escape(out: &mut Vec<u8>, escape: u8, byte: u8) {
    out.push(b'\\');
    out.push(escape);
    if escape == b'u' {
        out.extend_from_slice(b"00");
        write_hex(out, byte);
    }
}

fn write_hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// Appends a decimal with exactly its scale's digits: `-12.50`.
pub fn write_decimal(out: &mut Vec<u8>, decimal: Decimal) {
    if decimal.unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(decimal.unscaled.unsigned_abs()).as_bytes();
    let scale = usize::from(decimal.scale);
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    let whole = digits.len().saturating_sub(scale);
    let (whole, fraction) = digits.split_at(whole);
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    out.push(b'.');
    out.resize(out.len() + (scale - fraction.len()), b'0');
    out.extend_from_slice(fraction);
}

/// Appends a Uuid, lower-case and hyphened.
pub fn write_uuid(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        write_hex(out, *byte);
    }
}

/// Appends a date: `2026-11-22`, from days since 1970-01-01.
pub fn write_date(out: &mut Vec<u8>, days: i32) {
    let (year, month, day) = civil(i64::from(days));
    write_digits(out, year.unsigned_abs(), 4);
    out.push(b'-');
    write_digits(out, month, 2);
    out.push(b'-');
    write_digits(out, day, 2);
}

/// Appends a moment in RFC 3339 with `Z` and 6 digits, from microseconds since 1970.
pub fn write_date_time(out: &mut Vec<u8>, micros: i64) {
    const DAY: i64 = 86_400_000_000;
    write_date(out, i32::try_from(micros.div_euclid(DAY)).unwrap_or(0));
    let of_day = micros.rem_euclid(DAY).unsigned_abs();
    let seconds = of_day / 1_000_000;
    out.push(b'T');
    write_digits(out, seconds / 3600, 2);
    out.push(b':');
    write_digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    write_digits(out, seconds % 60, 2);
    out.push(b'.');
    write_digits(out, of_day % 1_000_000, 6);
    out.push(b'Z');
}

fn write_digits(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    for digit in digits.iter_mut().take(width) {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend(digits.iter().take(width).rev());
}

/// Year, month and day of a count of days since 1970-01-01, in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourfold_model::literal;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn value(base: Base, value: Value) -> String {
        text(|out| write_value(out, &Model::default(), base, &value, Dialect::Plain))
    }

    #[test]
    fn strings_are_escaped_as_serde_json_escapes_them() {
        for sample in ["", "plain", "é ü 😀", "a\"b\\c", "\u{1}\n\r\t\u{8}\u{c}\u{1f}\u{7f}", "end\\"] {
            assert_eq!(text(|out| write_string(out, sample)), serde_json::to_string(sample).unwrap());
        }
    }

    #[test]
    fn decimals_have_exactly_their_digits() {
        for (unscaled, scale, expected) in
            [(1250, 2, "12.50"), (-5, 2, "-0.05"), (0, 3, "0.000"), (7, 0, "7"), (i64::MIN, 18, "-9.223372036854775808")]
        {
            let decimal = Decimal { unscaled, scale };
            assert_eq!(text(|out| write_decimal(out, decimal)), expected);
            assert_eq!(decimal.to_string(), expected);
        }
    }

    #[test]
    fn dates_come_back_as_they_were_read() {
        for sample in ["1970-01-01", "0001-01-01", "9999-12-31", "2000-02-29", "1969-12-31", "2026-11-22", "1900-03-01"] {
            let days = literal::date(sample).unwrap();
            assert_eq!(text(|out| write_date(out, days)), sample);
        }
        for sample in ["1970-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"] {
            let micros = literal::date_time(sample).unwrap();
            assert_eq!(text(|out| write_date_time(out, micros)), sample);
        }
    }

    #[test]
    fn values_have_the_forms_of_the_specification() {
        let price = Base::Decimal { precision: 12, scale: 2 };
        for (base, given, expected) in [
            (Base::Int, Value::Int(-7), "-7"),
            (Base::BigInt, Value::Int(9_007_199_254_740_993), "\"9007199254740993\""),
            (Base::Float, Value::Float(0.1), "0.1"),
            (Base::Float, Value::Float(794.0), "794.0"),
            (price, Value::Decimal(Decimal { unscaled: 9, scale: 0 }), "\"9.00\""),
            (Base::Bytes, Value::Bytes(bytes::Bytes::from_static(&[251, 255])), "\"+/8=\""),
            (Base::Json, Value::Json("{\"a\":[1]}".into()), "{\"a\":[1]}"),
            (Base::String, Value::List([Value::text("a"), Value::text("b")].into()), "[\"a\",\"b\"]"),
            (Base::Uuid, Value::Uuid([0xAB; 16]), "\"abababab-abab-abab-abab-abababababab\""),
            (Base::Boolean, Value::Null, "null"),
        ] {
            assert_eq!(value(base, given), expected);
        }
    }
}
