//! Values to parameters and back from columns, in the binary forms of the types in the table of values.

use std::error::Error as StdError;

use bytes::{BufMut, Bytes, BytesMut};
use fourfold_model::{Decimal, Model, SmolStr, Value};
use fourfold_store::sql::Codec;
use fourfold_store::sql::codec::Element;
use postgres_types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::numeric;

/// From 1970-01-01 to 2000-01-01, where PostgreSQL begins to count.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_US: i64 = 10_957 * 86_400_000_000;

/// What stands before the text of a `jsonb`.
const JSONB_VERSION: u8 = 1;

type Failed = Box<dyn StdError + Sync + Send>;

/// A parameter: enums stand by their columns' text, and a number takes the type that the statement gives it.
#[derive(Clone, Debug)]
pub struct Bound {
    value: Value,
    codec: Codec,
    /// The value is several of them.
    array: bool,
}

/// A value as a parameter.
pub fn bound(model: &Model, codec: Codec, value: &Value) -> Bound {
    Bound { value: stored(model, codec, value), codec, array: false }
}

fn stored(model: &Model, codec: Codec, value: &Value) -> Value {
    match (codec, value) {
        (Codec::Enum(id), Value::Enum(number)) => {
            let text = model.enumeration(id).by_number(*number).map(|value| value.column.clone());
            text.map_or(Value::Null, Value::Text)
        }
        (Codec::Decimal(scale), Value::Decimal(decimal)) => Value::Decimal(decimal.rescale(scale).unwrap_or(*decimal)),
        (Codec::Decimal(scale), Value::Int(number)) => {
            let whole = Decimal { unscaled: *number, scale: 0 };
            whole.rescale(scale).map_or(Value::Int(*number), Value::Decimal)
        }
        (Codec::List(element @ (Element::Enum(_) | Element::Decimal(_))), Value::List(values)) => {
            Value::List(values.iter().map(|value| stored(model, codec_of(element), value)).collect())
        }
        _ => value.clone(),
    }
}

/// Values as one array; nulls, which are no members of a set, are left out.
pub fn bound_array(model: &Model, codec: Codec, values: &[Value]) -> Bound {
    let values = values.iter().map(|value| stored(model, codec, value)).filter(|value| !value.is_null());
    Bound { value: Value::List(values.collect()), codec, array: true }
}

/// The values of one column of several rows, as one array; nulls stay.
pub fn bound_column<'v>(model: &Model, codec: Codec, values: impl Iterator<Item = &'v Value>) -> Bound {
    Bound { value: Value::List(values.map(|value| stored(model, codec, value)).collect()), codec, array: true }
}

impl Bound {
    /// A whole number.
    pub fn int(number: i64) -> Bound {
        Bound { value: Value::Int(number), codec: Codec::Int, array: false }
    }

    /// The type that it is sent as where no statement gives one: whole numbers are wide, and a narrow column takes them.
    pub fn ty(&self) -> Type {
        match self.codec {
            Codec::List(element) => types(codec_of(element)).1,
            codec if self.array => types(codec).1,
            codec => types(codec).0,
        }
    }
}

/// The type of a form, and of an array of such.
fn types(codec: Codec) -> (Type, Type) {
    match codec {
        Codec::Boolean => (Type::BOOL, Type::BOOL_ARRAY),
        Codec::Int => (Type::INT8, Type::INT8_ARRAY),
        Codec::Float => (Type::FLOAT8, Type::FLOAT8_ARRAY),
        Codec::Decimal(_) => (Type::NUMERIC, Type::NUMERIC_ARRAY),
        Codec::Text | Codec::Enum(_) => (Type::TEXT, Type::TEXT_ARRAY),
        Codec::DateTime => (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
        Codec::Date => (Type::DATE, Type::DATE_ARRAY),
        Codec::Uuid => (Type::UUID, Type::UUID_ARRAY),
        Codec::Bytes => (Type::BYTEA, Type::BYTEA_ARRAY),
        // No array has arrays.
        Codec::Json | Codec::List(_) => (Type::JSON, Type::JSON_ARRAY),
    }
}

impl ToSql for Bound {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        put(&self.value, ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn put(value: &Value, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
    match value {
        Value::Null => return Ok(IsNull::Yes),
        Value::Boolean(value) => out.put_u8(u8::from(*value)),
        Value::Int(number) => put_int(*number, ty, out)?,
        Value::Float(number) => out.put_f64(*number),
        Value::Decimal(decimal) if *ty == Type::NUMERIC => numeric::put(out, *decimal),
        Value::Decimal(decimal) => put_int(decimal.rescale(0).ok_or("digits after the point for a whole number")?.unscaled, ty, out)?,
        Value::Text(text) => out.put_slice(text.as_bytes()),
        Value::DateTime(number) => out.put_i64(number.checked_sub(EPOCH_US).ok_or("a moment out of range")?),
        Value::Date(days) => out.put_i32(days.checked_sub(EPOCH_DAYS).ok_or("a day out of range")?),
        Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Bytes(bytes) => out.put_slice(bytes),
        Value::Json(text) => {
            if *ty == Type::JSONB {
                out.put_u8(JSONB_VERSION);
            }
            out.put_slice(text.as_bytes());
        }
        Value::List(values) => put_list(values, ty, out)?,
        Value::Enum(_) | Value::Owned(_) => return Err("a value without a form of its own".into()),
    }
    Ok(IsNull::No)
}

fn put_int(number: i64, ty: &Type, out: &mut BytesMut) -> Result<(), Failed> {
    match *ty {
        Type::INT2 => out.put_i16(i16::try_from(number)?),
        Type::INT4 => out.put_i32(i32::try_from(number)?),
        Type::NUMERIC => numeric::put(out, Decimal { unscaled: number, scale: 0 }),
        Type::FLOAT8 => out.put_f64(number as f64),
        _ => out.put_i64(number),
    }
    Ok(())
}

fn put_list(values: &[Value], ty: &Type, out: &mut BytesMut) -> Result<(), Failed> {
    let Kind::Array(element) = ty.kind() else { return Err(format!("a list for a parameter of type {ty}").into()) };
    out.put_i32(i32::from(!values.is_empty()));
    out.put_i32(0);
    out.put_u32(element.oid());
    if !values.is_empty() {
        out.put_i32(i32::try_from(values.len())?);
        out.put_i32(1);
    }
    for value in values {
        let at = out.len();
        out.put_i32(-1);
        if let IsNull::No = put(value, element, out)? {
            let length = i32::try_from(out.len() - at - 4)?;
            if let Some(place) = out.get_mut(at..at + 4) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        }
    }
    Ok(())
}

/// A column's bytes and their type.
pub struct Raw<'a>(pub &'a [u8], pub Type);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Failed> {
        Ok(Raw(raw, ty.clone()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A whole number of any width; `None` where it is none.
pub struct Whole(pub Option<i64>);

impl<'a> FromSql<'a> for Whole {
    #[inline]
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Whole, Failed> {
        Ok(Whole(if *ty == Type::NUMERIC { numeric::take(raw, 0) } else { take_int(raw, ty) }))
    }

    #[inline]
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A text; `None` where it is not UTF-8.
pub struct Text<'a>(pub Option<&'a str>);

impl<'a> FromSql<'a> for Text<'a> {
    #[inline]
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Text<'a>, Failed> {
        Ok(Text(text(raw)))
    }

    #[inline]
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The value that a column holds; `None` when it is not of that form (somebody else wrote it).
pub fn taken(model: &Model, codec: Codec, raw: Option<&Raw<'_>>) -> Option<Value> {
    match (codec, raw) {
        (Codec::List(_), None) => Some(Value::List([].into())),
        (_, None) => Some(Value::Null),
        (Codec::List(element), Some(Raw(raw, ty))) => take_list(model, codec_of(element), raw, ty),
        (_, Some(Raw(raw, ty))) => take(model, codec, raw, ty),
    }
}

/// The value that an expression came to: a Decimal has the scale that it comes with.
pub fn computed(model: &Model, codec: Codec, raw: Option<&Raw<'_>>) -> Option<Value> {
    match (codec, raw) {
        (Codec::Decimal(_), Some(Raw(raw, ty))) if *ty == Type::NUMERIC => {
            let scale = u8::try_from(i16::from_be_bytes(raw.get(6..8)?.try_into().ok()?)).ok()?;
            take(model, Codec::Decimal(scale), raw, ty)
        }
        _ => taken(model, codec, raw),
    }
}

/// A number as digits at a scale; `None` where it does not fit.
pub fn whole(raw: &Raw<'_>, scale: u8) -> Option<i64> {
    match raw.1 {
        Type::NUMERIC => numeric::take(raw.0, scale),
        _ => take_int(raw.0, &raw.1),
    }
}

fn take(model: &Model, codec: Codec, raw: &[u8], ty: &Type) -> Option<Value> {
    Some(match codec {
        Codec::Boolean => Value::Boolean(*raw.first()? != 0),
        Codec::Int => Value::Int(if *ty == Type::NUMERIC { numeric::take(raw, 0)? } else { take_int(raw, ty)? }),
        Codec::Float => Value::Float(f64::from_be_bytes(raw.try_into().ok()?)),
        Codec::Decimal(scale) => Value::Decimal(Decimal { unscaled: numeric::take(raw, scale)?, scale }),
        Codec::Text => Value::Text(SmolStr::new(text(raw)?)),
        Codec::DateTime => Value::DateTime(i64::from_be_bytes(raw.try_into().ok()?).checked_add(EPOCH_US)?),
        Codec::Date => Value::Date(i32::from_be_bytes(raw.try_into().ok()?).checked_add(EPOCH_DAYS)?),
        Codec::Uuid => Value::Uuid(raw.try_into().ok()?),
        Codec::Bytes => Value::Bytes(Bytes::copy_from_slice(raw)),
        Codec::Json if *ty == Type::JSONB => Value::Json(text(raw.strip_prefix(&[JSONB_VERSION])?)?.into()),
        Codec::Json => Value::Json(text(raw)?.into()),
        Codec::Enum(id) => Value::Enum(model.enumeration(id).by_column(text(raw)?)?.number),
        Codec::List(_) => return None,
    })
}

fn text(raw: &[u8]) -> Option<&str> {
    std::str::from_utf8(raw).ok()
}

fn take_int(raw: &[u8], ty: &Type) -> Option<i64> {
    match *ty {
        Type::INT2 => Some(i64::from(i16::from_be_bytes(raw.try_into().ok()?))),
        Type::INT4 => Some(i64::from(i32::from_be_bytes(raw.try_into().ok()?))),
        Type::INT8 => Some(i64::from_be_bytes(raw.try_into().ok()?)),
        _ => None,
    }
}

fn take_list(model: &Model, codec: Codec, raw: &[u8], ty: &Type) -> Option<Value> {
    let Kind::Array(element) = ty.kind() else { return None };
    let word = |at: usize| Some(i32::from_be_bytes(raw.get(at..at + 4)?.try_into().ok()?));
    if word(0)? == 0 {
        return Some(Value::List([].into()));
    }
    if word(0)? != 1 {
        return None;
    }
    let (mut at, mut values) = (20, Vec::new());
    for _ in 0..word(12)? {
        let length = usize::try_from(word(at)?).ok()?;
        at += 4;
        values.push(take(model, codec, raw.get(at..at + length)?, element)?);
        at += length;
    }
    Some(Value::List(values.into()))
}

fn codec_of(element: Element) -> Codec {
    match element {
        Element::Boolean => Codec::Boolean,
        Element::Int => Codec::Int,
        Element::Float => Codec::Float,
        Element::Decimal(scale) => Codec::Decimal(scale),
        Element::Text => Codec::Text,
        Element::DateTime => Codec::DateTime,
        Element::Date => Codec::Date,
        Element::Uuid => Codec::Uuid,
        Element::Bytes => Codec::Bytes,
        Element::Enum(id) => Codec::Enum(id),
        Element::Json => Codec::Json,
    }
}
