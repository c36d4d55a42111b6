//! JSON by hand, in the forms that Fourfold writes: decimals as text, times with six digits.

use rusqlite::Row;
use rusqlite::types::ValueRef;

/// How a column is written.
#[derive(Clone, Copy)]
pub enum Kind {
    Int,
    Text,
    /// Hundredths, as a decimal in quotes.
    Cents,
}

/// `{"name":value,…}` of a row whose columns stand in this order.
pub fn object(out: &mut Vec<u8>, columns: &[(&str, Kind)], row: &Row) -> rusqlite::Result<()> {
    for (at, (name, kind)) in columns.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        value(out, *kind, row.get_ref(at)?);
    }
    out.push(b'}');
    Ok(())
}

/// One value, `null` where it is.
pub fn value(out: &mut Vec<u8>, kind: Kind, value: ValueRef) {
    match (kind, value) {
        (Kind::Int, ValueRef::Integer(number)) => int(out, number),
        (Kind::Cents, ValueRef::Integer(number)) => cents(out, number),
        (_, ValueRef::Text(text)) => string(out, text),
        _ => out.extend_from_slice(b"null"),
    }
}

/// A number.
pub fn int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `"12.34"`.
pub fn cents(out: &mut Vec<u8>, number: i64) {
    out.push(b'"');
    if number < 0 {
        out.push(b'-');
    }
    let number = number.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(number / 100).as_bytes());
    out.push(b'.');
    digits(out, number % 100, 2);
    out.push(b'"');
}

/// `"2009-01-01T00:00:00.000000Z"`.
pub fn micros(out: &mut Vec<u8>, at: i64) {
    let (days, rest) = (at.div_euclid(86_400_000_000), at.rem_euclid(86_400_000_000).unsigned_abs());
    let (year, month, day) = civil(days);
    out.push(b'"');
    for (number, width, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (rest / 3_600_000_000, 2, b':'),
        (rest / 60_000_000 % 60, 2, b':'),
        (rest / 1_000_000 % 60, 2, b'.'),
        (rest % 1_000_000, 6, b'Z'),
    ] {
        digits(out, number, width);
        out.push(after);
    }
    out.push(b'"');
}

/// Days since 1970 as year, month, day; from year 0 on.
fn civil(days: i64) -> (u64, u64, u64) {
    let shifted = (days + 719_468).unsigned_abs();
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, day)
}

fn digits(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

/// A string with its escapes; stretches without any are copied whole.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[start..at]);
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        start = at + 1;
    }
    out.extend_from_slice(&text[start..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_have_the_forms_of_the_product() {
        assert_eq!(written(|out| cents(out, 99)), "\"0.99\"");
        assert_eq!(written(|out| cents(out, -1234)), "\"-12.34\"");
        assert_eq!(written(|out| micros(out, 1_230_768_000_000_000)), "\"2009-01-01T00:00:00.000000Z\"");
        assert_eq!(written(|out| micros(out, 951_782_399_000_001)), "\"2000-02-28T23:59:59.000001Z\"");
        assert_eq!(written(|out| string(out, "a\"b\\c\nd\u{1}é".as_bytes())), "\"a\\\"b\\\\c\\nd\\u0001é\"");
    }
}
