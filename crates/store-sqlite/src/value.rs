//! Values to columns and back, in the forms of [`Codec`].

use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{Decimal, EnumId, Model, SmolStr, Value};
use fourfold_store::sql::Codec;
use fourfold_store::sql::codec::Element;
use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};

/// The form of a value in a column or a parameter; borrowed where it can be.
pub fn to_sql<'a>(model: &'a Model, codec: Codec, value: &'a Value) -> ToSqlOutput<'a> {
    let borrowed = match value {
        Value::Null => ValueRef::Null,
        Value::Boolean(value) => ValueRef::Integer(i64::from(*value)),
        Value::Int(number) => ValueRef::Integer(match codec {
            Codec::Decimal(scale) => rescaled(Decimal { unscaled: *number, scale: 0 }, scale),
            _ => *number,
        }),
        Value::DateTime(number) => ValueRef::Integer(*number),
        Value::Date(days) => ValueRef::Integer(i64::from(*days)),
        Value::Float(number) => ValueRef::Real(*number),
        Value::Decimal(decimal) => ValueRef::Integer(match codec {
            Codec::Decimal(scale) => rescaled(*decimal, scale),
            _ => decimal.unscaled,
        }),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Uuid(bytes) => ValueRef::Blob(bytes),
        Value::Bytes(bytes) => ValueRef::Blob(bytes),
        Value::Json(text) => ValueRef::Text(text.as_bytes()),
        Value::Enum(number) => match codec {
            Codec::Enum(id) => enum_text(model, id, *number).map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())),
            _ => ValueRef::Integer(i64::from(*number)),
        },
        Value::List(values) => return ToSqlOutput::Owned(Stored::Text(list_text(model, codec, values))),
        Value::Owned(_) => ValueRef::Null,
    };
    ToSqlOutput::Borrowed(borrowed)
}

/// The same, owned: an element of an array parameter.
pub fn to_stored(model: &Model, codec: Codec, value: &Value) -> Stored {
    match to_sql(model, codec, value) {
        ToSqlOutput::Borrowed(ValueRef::Integer(number)) => Stored::Integer(number),
        ToSqlOutput::Borrowed(ValueRef::Real(number)) => Stored::Real(number),
        ToSqlOutput::Borrowed(ValueRef::Text(text)) => Stored::Text(String::from_utf8_lossy(text).into_owned()),
        ToSqlOutput::Borrowed(ValueRef::Blob(bytes)) => Stored::Blob(bytes.to_vec()),
        ToSqlOutput::Owned(owned) => owned,
        _ => Stored::Null,
    }
}

fn rescaled(decimal: Decimal, scale: u8) -> i64 {
    decimal.rescale(scale).map_or(decimal.unscaled, |decimal| decimal.unscaled)
}

fn enum_text(model: &Model, id: EnumId, number: i32) -> Option<&str> {
    model.enumeration(id).by_number(number).map(|value| value.column.as_str())
}

fn list_text(model: &Model, codec: Codec, values: &[Value]) -> String {
    let element = match codec {
        Codec::List(element) => element,
        _ => Element::Text,
    };
    let items = values.iter().map(|value| element_json(model, element, value)).collect();
    serde_json::Value::Array(items).to_string()
}

fn element_json(model: &Model, element: Element, value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Boolean(value) => Json::from(*value),
        Value::Int(number) | Value::DateTime(number) => Json::from(*number),
        Value::Date(days) => Json::from(*days),
        Value::Float(number) => Json::from(*number),
        Value::Decimal(decimal) => Json::from(match element {
            Element::Decimal(scale) => rescaled(*decimal, scale),
            _ => decimal.unscaled,
        }),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Uuid(bytes) => Json::from(hexadecimal(bytes)),
        Value::Bytes(bytes) => Json::from(hexadecimal(bytes)),
        Value::Json(text) => serde_json::from_str(text).unwrap_or(Json::Null),
        Value::Enum(number) => match element {
            Element::Enum(id) => enum_text(model, id, *number).map_or(Json::Null, Json::from),
            _ => Json::from(*number),
        },
        Value::Null | Value::List(_) | Value::Owned(_) => Json::Null,
    }
}

/// Two digits a byte, lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The value that a column holds; `None` when it is not of that form (somebody else wrote it).
pub fn from_sql(model: &Model, codec: Codec, stored: ValueRef<'_>) -> Option<Value> {
    Some(match (codec, stored) {
        (_, ValueRef::Null) => match codec {
            Codec::List(_) => Value::List(Arc::from([])),
            _ => Value::Null,
        },
        (Codec::Boolean, ValueRef::Integer(number)) => Value::Boolean(number != 0),
        (Codec::Int, ValueRef::Integer(number)) => Value::Int(number),
        (Codec::Float, ValueRef::Real(number)) => Value::Float(number),
        (Codec::Float, ValueRef::Integer(number)) => Value::Float(number as f64),
        (Codec::Decimal(scale), ValueRef::Integer(unscaled)) => Value::Decimal(Decimal { unscaled, scale }),
        (Codec::Text, ValueRef::Text(text)) => Value::Text(SmolStr::new(std::str::from_utf8(text).ok()?)),
        (Codec::DateTime, ValueRef::Integer(number)) => Value::DateTime(number),
        (Codec::Date, ValueRef::Integer(days)) => Value::Date(i32::try_from(days).ok()?),
        (Codec::Uuid, ValueRef::Blob(bytes)) => Value::Uuid(bytes.try_into().ok()?),
        (Codec::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(Bytes::copy_from_slice(bytes)),
        (Codec::Json, ValueRef::Text(text)) => Value::Json(std::str::from_utf8(text).ok()?.into()),
        (Codec::Enum(id), ValueRef::Text(text)) => Value::Enum(model.enumeration(id).by_column(std::str::from_utf8(text).ok()?)?.number),
        (Codec::List(element), ValueRef::Text(text)) => {
            let items: Vec<serde_json::Value> = serde_json::from_slice(text).ok()?;
            Value::List(items.iter().map(|item| element_value(model, element, item)).collect::<Option<Vec<_>>>()?.into())
        }
        _ => return None,
    })
}

fn element_value(model: &Model, element: Element, item: &serde_json::Value) -> Option<Value> {
    Some(match element {
        Element::Boolean => Value::Boolean(item.as_bool()?),
        Element::Int => Value::Int(item.as_i64()?),
        Element::Float => Value::Float(item.as_f64()?),
        Element::Decimal(scale) => Value::Decimal(Decimal { unscaled: item.as_i64()?, scale }),
        Element::Text => Value::text(item.as_str()?),
        Element::DateTime => Value::DateTime(item.as_i64()?),
        Element::Date => Value::Date(i32::try_from(item.as_i64()?).ok()?),
        Element::Uuid => Value::Uuid(from_hexadecimal(item.as_str()?)?.try_into().ok()?),
        Element::Bytes => Value::Bytes(from_hexadecimal(item.as_str()?)?.into()),
        Element::Enum(id) => Value::Enum(model.enumeration(id).by_column(item.as_str()?)?.number),
        Element::Json => Value::Json(item.to_string().into()),
    })
}
