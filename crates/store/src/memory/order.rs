//! The order of values: null before everything, enums by their column's text.

use std::cmp::Ordering;

use fourfold_model::{Base, Model, Value};

/// The order of two values of a type, either of which may be null.
pub(super) fn compare(model: &Model, base: Base, a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_present(model, base, a, b),
    }
}

fn compare_present(model: &Model, base: Base, a: &Value, b: &Value) -> Ordering {
    match (base, a, b) {
        (Base::Enum(id), Value::Enum(a), Value::Enum(b)) => {
            let column = |number: i32| model.enumeration(id).by_number(number).map(|value| value.column.as_str());
            column(*a).cmp(&column(*b))
        }
        _ => a.compare(b).unwrap_or(Ordering::Equal),
    }
}
