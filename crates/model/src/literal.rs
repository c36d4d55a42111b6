//! Literals: the text forms of values, shared by the model, filters and JSON.

use std::ops::RangeInclusive;

/// `018f2e8a-…`: a Uuid, hyphened, in either case.
pub fn uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0u8; 16];
    let mut digits = 0usize;
    for (at, letter) in text.bytes().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if letter != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(letter).to_digit(16)?;
        let byte = bytes.get_mut(digits / 2)?;
        *byte = (*byte << 4) | u8::try_from(digit).ok()?;
        digits += 1;
    }
    Some(bytes)
}

/// `2026-11-22`: days since 1970-01-01, for the years 1 to 9999.
pub fn date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let (year, month, day) = (digits(text, 0..4)?, digits(text, 5..7)?, digits(text, 8..10)?);
    if year == 0 || month == 0 || month > 12 || day == 0 || day > days_of(year, month) {
        return None;
    }
    i32::try_from(days_since_epoch(year, month, day)).ok()
}

/// RFC 3339 with any offset: microseconds since 1970-01-01T00:00:00Z.
///
/// Up to 9 digits of a second are read, but what a microsecond cannot hold is refused, not rounded.
pub fn date_time(text: &str) -> Option<i64> {
    let days = date(text.get(..10)?)?;
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let (hour, minute, second) = (digits(text, 11..13)?, digits(text, 14..16)?, digits(text, 17..19)?);
    let colons = text.as_bytes().get(13) == Some(&b':') && text.as_bytes().get(16) == Some(&b':');
    if !colons || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = fraction(text.get(19..)?)?;
    let seconds = i64::from(days) * 86_400 + hour * 3600 + minute * 60 + second - offset_seconds(rest)?;
    let total = seconds.checked_mul(1_000_000)?.checked_add(micros)?;
    MOMENTS.contains(&total).then_some(total)
}

/// What a `DateTime` can be: microseconds since 1970, from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z.
pub const MOMENTS: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// `.5` and what follows; no point at all is zero.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(after) = text.strip_prefix('.') else { return Some((0, text)) };
    let count = after.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 || count > 9 {
        return None;
    }
    let (digits, rest) = after.split_at(count);
    let nanos = format!("{digits:0<9}").parse::<i64>().ok()?;
    (nanos % 1000 == 0).then_some((nanos / 1000, rest))
}

fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if text.len() != 6 || text.as_bytes().get(3) != Some(&b':') {
        return None;
    }
    let (hours, minutes) = (digits(text, 1..3)?, digits(text, 4..6)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str, range: std::ops::Range<usize>) -> Option<i64> {
    let part = text.get(range)?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    part.parse().ok()
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counts from 1970-01-01 in eras of 400 years that begin in March, so that the leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_1970() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("2000-02-29"), Some(11_016));
        assert_eq!(date("1969-12-31"), Some(-1));
        assert_eq!(date("2026-11-22"), Some(20_779));
        for bad in ["1900-02-29", "2026-13-01", "2026-00-10", "0000-01-01", "2026-1-1", "2026-11-31", "+026-01-01", ""] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn date_times_take_any_offset_and_refuse_lost_digits() {
        assert_eq!(date_time("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(date_time("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(date_time("1970-01-01T00:00:00.000001000Z"), Some(1));
        for bad in ["1970-01-01T00:00:00.0000001Z", "1970-01-01T00:00:00", "1970-01-01T24:00:00Z", "1970-01-01T00:00:00.Z", "é"] {
            assert_eq!(date_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn uuids_are_hyphened() {
        assert_eq!(uuid("00000000-0000-0000-0000-0000000000fF"), Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255]));
        assert_eq!(uuid("000000000000000000000000000000000000"), None);
        assert_eq!(uuid("x"), None);
    }
}
