//! What SQLite lacks: Unicode lower case, checked arithmetic, membership in a list, the start of a day. Each means what `eval` means.

use fourfold_model::expr::Arithmetic;
use fourfold_model::literal::MOMENTS;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Result};

use crate::value::hexadecimal;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// Registers every function on a connection.
pub fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("ff_lower", 1, flags, |context| Ok(text(context, 0).map(str::to_lowercase)))?;
    connection.create_scalar_function("ff_starts_with", 2, flags, |context| {
        Ok(text(context, 0).zip(text(context, 1)).map(|(text, start)| text.starts_with(start)))
    })?;
    connection.create_scalar_function("ff_ends_with", 2, flags, |context| {
        Ok(text(context, 0).zip(text(context, 1)).map(|(text, end)| text.ends_with(end)))
    })?;
    connection.create_scalar_function("ff_has", 2, flags, |context| Ok(has(context)))?;
    connection.create_scalar_function("ff_truncate", 2, flags, |context| {
        let at = number(context, 1);
        Ok(text(context, 0).zip(at).map(|(by, at)| truncate_moment(by, at)))
    })?;
    connection.create_scalar_function("ff_truncate_date", 2, flags, |context| {
        let day = number(context, 1);
        Ok(text(context, 0).zip(day).map(|(by, day)| truncate_day(by, day)))
    })?;
    let operators = [
        ("ff_add", Arithmetic::Add),
        ("ff_subtract", Arithmetic::Subtract),
        ("ff_multiply", Arithmetic::Multiply),
        ("ff_divide", Arithmetic::Divide),
        ("ff_remainder", Arithmetic::Remainder),
    ];
    operators.into_iter().try_for_each(|(name, by)| {
        connection.create_scalar_function(name, 2, flags, move |context| Ok(arithmetic(by, context.get_raw(0), context.get_raw(1))))
    })?;
    [("ff_moment_add", Arithmetic::Add), ("ff_moment_subtract", Arithmetic::Subtract)].into_iter().try_for_each(|(name, by)| {
        connection.create_scalar_function(name, 2, flags, move |context| {
            let moment = number(context, 0).zip(number(context, 1)).and_then(|(at, micros)| whole(by, at, micros));
            Ok(moment.filter(|at| MOMENTS.contains(at)))
        })
    })
}

fn text<'a>(context: &'a Context<'_>, index: usize) -> Option<&'a str> {
    match context.get_raw(index) {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

fn number(context: &Context<'_>, index: usize) -> Option<i64> {
    match context.get_raw(index) {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

fn arithmetic(by: Arithmetic, a: ValueRef<'_>, b: ValueRef<'_>) -> Stored {
    match (a, b) {
        (ValueRef::Integer(a), ValueRef::Integer(b)) => whole(by, a, b).map_or(Stored::Null, Stored::Integer),
        (ValueRef::Real(a), ValueRef::Real(b)) => real(by, a, b).filter(|number| number.is_finite()).map_or(Stored::Null, Stored::Real),
        _ => Stored::Null,
    }
}

fn whole(by: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match by {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => a.checked_rem(b),
    }
}

fn real(by: Arithmetic, a: f64, b: f64) -> Option<f64> {
    match by {
        Arithmetic::Add => Some(a + b),
        Arithmetic::Subtract => Some(a - b),
        Arithmetic::Multiply => Some(a * b),
        Arithmetic::Divide => Some(a / b),
        Arithmetic::Remainder => None,
    }
}

/// Whether a JSON array holds a value in its element's form.
fn has(context: &Context<'_>) -> Option<bool> {
    let wanted = context.get_raw(1);
    let digits = match wanted {
        ValueRef::Null => return None,
        ValueRef::Blob(bytes) => Some(hexadecimal(bytes)),
        _ => None,
    };
    let items: Vec<serde_json::Value> = serde_json::from_str(text(context, 0)?).ok()?;
    Some(items.iter().any(|item| match wanted {
        ValueRef::Integer(number) => match item {
            serde_json::Value::Bool(value) => i64::from(*value) == number,
            _ => item.as_i64() == Some(number),
        },
        ValueRef::Real(number) => item.as_f64() == Some(number),
        ValueRef::Text(text) => item.as_str().is_some_and(|item| item.as_bytes() == text),
        _ => item.as_str() == digits.as_deref(),
    }))
}

fn truncate_moment(by: &str, at: i64) -> i64 {
    match by {
        "hour" => at.div_euclid(HOUR_US) * HOUR_US,
        _ => truncate_day(by, at.div_euclid(DAY_US)) * DAY_US,
    }
}

/// Days since 1970-01-01, a Thursday.
fn truncate_day(by: &str, day: i64) -> i64 {
    match by {
        "week" => day - (day + 3).rem_euclid(7),
        "month" => day - (civil(day).2 - 1),
        "year" => {
            let (_, month, of_month) = civil(day);
            let (year, _, _) = civil(day);
            day - days_before(year, month) - (of_month - 1)
        }
        _ => day,
    }
}

/// Year, month and day of a count of days; years begin in March, so that the leap day is the last (Hinnant).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * march + 2) / 5 + 1)
}

/// Days of a year before a month begins.
fn days_before(year: i64, month: i64) -> i64 {
    const STARTS: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let start = usize::try_from(month - 1).ok().and_then(|index| STARTS.get(index)).copied().unwrap_or(0);
    start + i64::from(leap && month > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_truncated_to_its_week_month_and_year() {
        // 2026-11-22 is a Sunday: day 20779.
        for (by, expect) in [("day", 20_779), ("week", 20_773), ("month", 20_758), ("year", 20_454)] {
            assert_eq!(truncate_day(by, 20_779), expect, "{by}");
        }
        assert_eq!(truncate_moment("hour", -1), -HOUR_US);
    }
}
