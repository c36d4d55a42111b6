//! Groups and measures, exact wherever their types are.

use std::cmp::Ordering;

use fourfold_model::{Base, Decimal, Row, Value};
use fourfold_op::{Error, Measure, Truncate};
use fourfold_plan::{GroupFetch, Node};

use super::order;
use super::reading::Reading;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// For each group its keys, then its measures, in the order of the keys.
pub(super) fn groups(reading: &Reading<'_>, fetch: &GroupFetch, rows: &[Row]) -> Result<Vec<Vec<Value>>, Error> {
    let mut keyed: Vec<(Vec<Value>, &Row)> = rows.iter().map(|row| (keys_of(reading, fetch, row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| compare(reading, fetch, a, b));
    let mut answer = Vec::new();
    for group in keyed.chunk_by(|(a, _), (b, _)| compare(reading, fetch, a, b) == Ordering::Equal) {
        if answer.len() as u64 >= u64::from(fetch.limit) {
            return Err(Error::limit("groups_max", fetch.limit as usize, "groups"));
        }
        let members: Vec<&Row> = group.iter().map(|(_, row)| *row).collect();
        let mut values = group.first().map(|(keys, _)| keys.clone()).unwrap_or_default();
        values.extend(measures(reading, fetch, &members)?);
        answer.push(values);
    }
    if answer.is_empty() && fetch.keys.is_empty() {
        // One group of all, even of none.
        answer.push(measures(reading, fetch, &[])?);
    }
    Ok(answer)
}

fn keys_of(reading: &Reading<'_>, fetch: &GroupFetch, row: &Row) -> Vec<Value> {
    let key = |(node, _, by): &(Node, Base, Option<Truncate>)| {
        let value = reading.value(node, row);
        by.map_or(value.clone(), |by| truncate(value, by))
    };
    fetch.keys.iter().map(key).collect()
}

fn compare(reading: &Reading<'_>, fetch: &GroupFetch, a: &[Value], b: &[Value]) -> Ordering {
    let each = fetch.keys.iter().zip(a.iter().zip(b));
    each.map(|((_, base, _), (a, b))| order::compare(reading.model, *base, a, b)).fold(Ordering::Equal, Ordering::then)
}

fn measures(reading: &Reading<'_>, fetch: &GroupFetch, rows: &[&Row]) -> Result<Vec<Value>, Error> {
    fetch.measures.iter().map(|(measure, of)| one(reading, *measure, of.as_ref(), rows)).collect()
}

fn one(reading: &Reading<'_>, measure: Measure, of: Option<&(Node, Base)>, rows: &[&Row]) -> Result<Value, Error> {
    let Some((node, base)) = of else { return Ok(Value::Int(rows.len() as i64)) };
    let values: Vec<Value> = rows.iter().map(|row| reading.value(node, row)).filter(|value| !value.is_null()).collect();
    let least = |a: &&Value, b: &&Value| order::compare(reading.model, *base, a, b);
    Ok(match measure {
        Measure::Count | Measure::CountOf(_) => Value::Int(values.len() as i64),
        Measure::CountDistinct(_) => Value::Int(distinct(&values)),
        Measure::Sum(_) => sum(&values, *base)?,
        Measure::Average(_) => average(&values),
        Measure::Min(_) => values.iter().min_by(least).cloned().unwrap_or_default(),
        Measure::Max(_) => values.iter().max_by(least).cloned().unwrap_or_default(),
    })
}

fn distinct(values: &[Value]) -> i64 {
    values.iter().collect::<std::collections::HashSet<_>>().len() as i64
}

/// Of Int: a BigInt; of BigInt and Decimal: a Decimal; of Float: a Float; of nothing: null.
fn sum(values: &[Value], base: Base) -> Result<Value, Error> {
    if values.is_empty() {
        return Ok(Value::Null);
    }
    if base == Base::Float {
        let sum: f64 = values.iter().map(approximate).sum();
        return if sum.is_finite() { Ok(Value::Float(sum)) } else { Err(overflow()) };
    }
    let sum = i64::try_from(values.iter().map(unscaled).sum::<i128>()).map_err(|_| overflow())?;
    Ok(match base {
        Base::BigInt => Value::Decimal(Decimal { unscaled: sum, scale: 0 }),
        Base::Decimal { scale, .. } => Value::Decimal(Decimal { unscaled: sum, scale }),
        _ => Value::Int(sum),
    })
}

fn average(values: &[Value]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    let exact: i128 = values.iter().map(unscaled).sum();
    let sum = match values.first() {
        Some(Value::Float(_)) => values.iter().map(approximate).sum::<f64>(),
        Some(Value::Decimal(decimal)) => exact as f64 / 10f64.powi(i32::from(decimal.scale)),
        _ => exact as f64,
    };
    Value::Float(sum / values.len() as f64)
}

fn unscaled(value: &Value) -> i128 {
    match value {
        Value::Int(number) => i128::from(*number),
        Value::Decimal(decimal) => i128::from(decimal.unscaled),
        _ => 0,
    }
}

fn approximate(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        _ => 0.0,
    }
}

fn overflow() -> Error {
    Error::limit("sum_digits_max", 18, "digits")
}

/// The start of the hour, day, week, month or year that a moment is in, in UTC.
fn truncate(value: Value, by: Truncate) -> Value {
    match (value, by) {
        (Value::DateTime(at), Truncate::Hour) => Value::DateTime(at.div_euclid(HOUR_US) * HOUR_US),
        (Value::DateTime(at), by) => Value::DateTime(truncate_days(at.div_euclid(DAY_US), by) * DAY_US),
        (Value::Date(day), by) => Value::Date(truncate_days(i64::from(day), by) as i32),
        (other, _) => other,
    }
}

/// Days since 1970-01-01, a Thursday.
fn truncate_days(day: i64, by: Truncate) -> i64 {
    let (year, _, day_of_month) = civil(day);
    match by {
        Truncate::Hour | Truncate::Day => day,
        Truncate::Week => day - (day + 3).rem_euclid(7),
        Truncate::Month => day - (day_of_month - 1),
        Truncate::Year => days(year, 1, 1),
    }
}

/// Year, month and day of a count of days (Hinnant's algorithm: years begin in March, so that the leap day is the last).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * march + 2) / 5 + 1)
}

/// The count of days of a date: the inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_start_of_its_week_month_and_year() {
        // 2026-11-22 is a Sunday: day 20779.
        let cases = [(Truncate::Day, 20_779), (Truncate::Week, 20_773), (Truncate::Month, 20_758), (Truncate::Year, 20_454)];
        for (by, expect) in cases {
            assert_eq!(truncate(Value::Date(20_779), by), Value::Date(expect), "{by:?}");
        }
        assert_eq!(truncate(Value::DateTime(-1), Truncate::Hour), Value::DateTime(-HOUR_US));
    }

    #[test]
    fn every_day_of_eight_centuries_is_read_back() {
        for day in -146_097..146_097 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }
}
