//! Values: what a field of a row can hold, typed by the model.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
pub use smol_str::SmolStr;

/// One value of a field, a claim, a parameter or a literal.
///
/// Cloning is cheap: long texts, lists and bytes are shared.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value. Comparisons with it are unknown (Kleene).
    #[default]
    Null,
    /// `Boolean`.
    Boolean(bool),
    /// `Int` (32 bit) and `BigInt` (64 bit).
    Int(i64),
    /// `Float`: always finite.
    Float(f64),
    /// `Decimal(p,s)`.
    Decimal(Decimal),
    /// `String`: UTF-8 without NUL.
    Text(SmolStr),
    /// `DateTime`: microseconds since 1970-01-01T00:00:00Z.
    DateTime(i64),
    /// `Date`: days since 1970-01-01.
    Date(i32),
    /// `Uuid`: 16 bytes in network order.
    Uuid([u8; 16]),
    /// `Bytes`: at most 128 KiB.
    Bytes(Bytes),
    /// `Json`: the compact text of one JSON value.
    Json(Arc<str>),
    /// An enum's value, by its number in the lock.
    Enum(i32),
    /// A list of scalars or enums, at most 100, none of them null.
    List(Arc<[Value]>),
    /// The elements of an owned list, each a row of the owned type.
    Owned(Arc<[Row]>),
}

/// A decimal number: `unscaled × 10^-scale`, at most 18 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits as one integer.
    pub unscaled: i64,
    /// Digits after the point, 0 to 18.
    pub scale: u8,
}

impl Decimal {
    /// The same number with `scale` digits after the point; `None` when digits would be lost or it does not fit.
    pub fn rescale(self, scale: u8) -> Option<Decimal> {
        let unscaled = if scale >= self.scale {
            self.unscaled.checked_mul(power_of_ten(scale - self.scale)?)?
        } else {
            let by = power_of_ten(self.scale - scale)?;
            if self.unscaled % by != 0 {
                return None;
            }
            self.unscaled / by
        };
        Some(Decimal { unscaled, scale })
    }

    /// Reads `-12.50`: digits with at most one point, no exponent; `None` when it is not one or has over 18 digits.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let has_point = digits.contains('.');
        if whole.is_empty() || (has_point && fraction.is_empty()) || fraction.len() > 18 {
            return None;
        }
        let mut unscaled: i64 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            unscaled = unscaled.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
        }
        let unscaled = if negative { -unscaled } else { unscaled };
        Some(Decimal { unscaled, scale: fraction.len() as u8 })
    }
}

/// `10^exponent` as an `i64`; `None` above 18.
pub fn power_of_ten(exponent: u8) -> Option<i64> {
    10i64.checked_pow(u32::from(exponent))
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.unscaled);
        }
        let by = 10u64.pow(u32::from(self.scale));
        let digits = self.unscaled.unsigned_abs();
        let sign = if self.unscaled < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:0width$}", digits / by, digits % by, width = usize::from(self.scale))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::DateTime(a), Value::DateTime(b)) => a == b,
            (Value::Date(a), Value::Date(b)) => a == b,
            (Value::Uuid(a), Value::Uuid(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Json(a), Value::Json(b)) => a == b,
            (Value::Enum(a), Value::Enum(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Owned(a), Value::Owned(b)) => a == b,
            _ => false,
        }
    }
}

// A `Float` is never NaN, so equality is total.
impl Eq for Value {}

impl Hash for Value {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Boolean(v) => v.hash(state),
            Value::Int(v) | Value::DateTime(v) => v.hash(state),
            // -0.0 and 0.0 are equal, so they hash alike.
            Value::Float(v) => (v + 0.0).to_bits().hash(state),
            Value::Decimal(v) => v.hash(state),
            Value::Text(v) => v.hash(state),
            Value::Date(v) | Value::Enum(v) => v.hash(state),
            Value::Uuid(v) => v.hash(state),
            Value::Bytes(v) => v.hash(state),
            Value::Json(v) => v.hash(state),
            Value::List(v) => v.hash(state),
            Value::Owned(v) => v.hash(state),
        }
    }
}

impl Value {
    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// A text value.
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(SmolStr::new(text))
    }

    /// The order of two values of one type; `None` with a null, or when the types cannot be compared.
    ///
    /// Int and Decimal are compared exactly, whatever their scales. Texts go by code point. False is before true.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Boolean(a), Value::Boolean(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => Some(compare_decimals(*a, *b)),
            (Value::Int(a), Value::Decimal(b)) => Some(compare_decimals(Decimal { unscaled: *a, scale: 0 }, *b)),
            (Value::Decimal(a), Value::Int(b)) => Some(compare_decimals(*a, Decimal { unscaled: *b, scale: 0 })),
            (Value::Text(a), Value::Text(b)) => Some(a.as_str().cmp(b.as_str())),
            (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
            (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
            (Value::Uuid(a), Value::Uuid(b)) => Some(a.cmp(b)),
            (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (Value::Enum(a), Value::Enum(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

fn compare_decimals(a: Decimal, b: Decimal) -> Ordering {
    let wide = |d: Decimal, scale: u8| i128::from(d.unscaled) * 10i128.pow(u32::from(scale - d.scale));
    let scale = a.scale.max(b.scale);
    wide(a, scale).cmp(&wide(b, scale))
}

/// A row of an entity or an owned type: one value for each of its fields, by [`FieldId`](crate::FieldId).
///
/// Slot 0 of an entity's row is `id`, slot 1 its `revision`. A field that was not read is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row(pub Box<[Value]>);

impl Row {
    /// A row of `width` nulls.
    pub fn nulls(width: usize) -> Row {
        // Made, not cloned: a clone asks each value what it is.
        Row(std::iter::repeat_with(|| Value::Null).take(width).collect())
    }

    /// The value in a slot; null when the row has no such slot.
    pub fn value(&self, field: crate::FieldId) -> &Value {
        self.0.get(usize::from(field.0)).unwrap_or(&Value::Null)
    }

    /// Puts a value into a slot; a slot beyond the row's width is ignored.
    pub fn set(&mut self, field: crate::FieldId, value: Value) {
        if let Some(slot) = self.0.get_mut(usize::from(field.0)) {
            *slot = value;
        }
    }

    /// The row's revision (slot 1 of an entity's row); 0 when it was not read.
    pub fn revision(&self) -> u64 {
        match self.0.get(1) {
            Some(Value::Int(n)) => u64::try_from(*n).unwrap_or(0),
            _ => 0,
        }
    }
}
