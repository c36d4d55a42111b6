//! About how large a record is as JSON: what `page_bytes_max` is measured by.

use fourfold_model::{Row, Value};
use fourfold_op::{Joined, Page, Record};

/// Bytes that a record with its relations takes as JSON, roughly: names and punctuation are counted as a flat 8 a value.
pub fn record_bytes(record: &Record) -> usize {
    row_bytes(&record.row) + record.nested.iter().map(joined_bytes).sum::<usize>()
}

/// Bytes that a row takes as JSON, roughly.
pub fn row_bytes(row: &Row) -> usize {
    row.0.iter().map(value_bytes).sum()
}

fn joined_bytes(joined: &Joined) -> usize {
    match joined {
        Joined::One(None) => 8,
        Joined::One(Some(record)) => 8 + record_bytes(record),
        Joined::Many(Page { items, .. }) => 8 + items.iter().map(record_bytes).sum::<usize>(),
    }
}

/// Most are numbers and short texts: those are counted without a call.
#[inline]
fn value_bytes(value: &Value) -> usize {
    8 + match value {
        Value::Null => 0,
        Value::Text(text) => text.len(),
        Value::Bytes(_) | Value::Json(_) | Value::List(_) | Value::Owned(_) => long_bytes(value),
        _ => 16,
    }
}

fn long_bytes(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len() * 4 / 3,
        Value::Json(json) => json.len(),
        Value::List(items) => items.iter().map(value_bytes).sum(),
        Value::Owned(rows) => rows.iter().map(row_bytes).sum(),
        _ => 0,
    }
}
