//! Values as JSON Schema (draft 2020-12).

use fourfold_model::{Base, Field, Model, Type, Value as Constant};
use serde_json::{Value, json};

use super::reference;

/// Whether a schema is of what a client sends or of what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    In,
    Out,
}

/// A field's schema, with its constraints and documentation.
pub(super) fn field(model: &Model, of: &Field, side: Side) -> Value {
    let nullable = if side == Side::Out { of.nullable_out() } else { of.ty.nullable };
    let mut schema =
        if of.name == "revision" { json!({"type": "integer", "format": "int64", "minimum": 1}) } else { typed(model, of.ty, side) };
    constrain(&mut schema, of, side);
    if nullable {
        schema = or_null(schema);
    }
    let mut notes = Vec::new();
    notes.extend(of.doc.clone());
    notes.extend(of.deprecated.as_ref().map(|instead| format!("Deprecated: {instead}.")));
    if side == Side::Out && !of.writable() && of.name != "revision" {
        notes.push("Kept by the server.".to_owned());
    }
    if of.name == "revision" {
        notes.push("Grows with each change of the row; it is the first part of the row's `ETag`.".to_owned());
    }
    if let Some(members) = schema.as_object_mut() {
        if !notes.is_empty() {
            members.insert("description".to_owned(), json!(notes.join("\n\n")));
        }
        if of.deprecated.is_some() {
            members.insert("deprecated".to_owned(), json!(true));
        }
    }
    schema
}

fn typed(model: &Model, ty: Type, side: Side) -> Value {
    match (ty.base, ty.list) {
        (Base::Owned(id), _) => {
            let name = &model.owned(id).name;
            let name = if side == Side::In { format!("{name}Input") } else { name.to_string() };
            json!({"type": "array", "maxItems": 500, "items": reference("schemas", &name)})
        }
        (base, true) => json!({"type": "array", "maxItems": 100, "items": scalar(model, base, side)}),
        (base, false) => scalar(model, base, side),
    }
}

/// The schema of one value.
pub(super) fn scalar(model: &Model, base: Base, side: Side) -> Value {
    match base {
        Base::String => json!({"type": "string"}),
        Base::Boolean => json!({"type": "boolean"}),
        Base::Int => json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX}),
        Base::BigInt if side == Side::In => {
            json!({"type": ["string", "integer"], "description": "A string of digits, or a number up to 2^53.", "examples": ["42"]})
        }
        Base::BigInt => json!({"type": "string", "pattern": "^-?[0-9]{1,19}$", "examples": ["42"]}),
        Base::Float => json!({"type": "number", "format": "double"}),
        Base::Decimal { precision, scale } => decimal(precision, scale, side),
        Base::DateTime => json!({"type": "string", "format": "date-time", "examples": ["2026-11-22T10:00:00.000000Z"]}),
        Base::Date => json!({"type": "string", "format": "date", "examples": ["2026-11-22"]}),
        Base::Uuid => json!({"type": "string", "format": "uuid", "examples": ["018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4e5f"]}),
        Base::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Base::Json => json!({"description": "Any JSON."}),
        Base::Enum(id) => reference("schemas", &model.enumeration(id).name),
        Base::Owned(id) => reference("schemas", &model.owned(id).name),
    }
}

fn decimal(precision: u8, scale: u8, side: Side) -> Value {
    let fraction = match (scale, side) {
        (0, _) => String::new(),
        (_, Side::Out) => format!("\\.[0-9]{{{scale}}}"),
        (_, Side::In) => format!("(\\.[0-9]{{1,{scale}}})?"),
    };
    let example = fourfold_model::Decimal { unscaled: 0, scale }.to_string();
    json!({
        "type": "string",
        "pattern": format!("^-?[0-9]{{1,19}}{fraction}$"),
        "description": format!("A decimal of at most {precision} digits, {scale} of them after the point."),
        "examples": [example],
    })
}

fn constrain(schema: &mut Value, of: &Field, side: Side) {
    let Some(members) = schema.as_object_mut() else { return };
    if side == Side::Out || members.contains_key("$ref") {
        return;
    }
    let (low, high) =
        if of.ty.list || matches!(of.ty.base, Base::Owned(_)) { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
    if of.ty.base != Base::Bytes || of.ty.list {
        members.extend(of.length.0.map(|length| (low.to_owned(), json!(length))));
        members.extend(of.length.1.map(|length| (high.to_owned(), json!(length))));
    }
    if let (Some(pattern), Base::String, false) = (&of.pattern, of.ty.base, of.ty.list) {
        members.insert("pattern".to_owned(), json!(format!("^(?:{pattern})$")));
    }
    let number = |constant: &Option<Constant>| match constant {
        Some(Constant::Int(number)) if of.ty.base == Base::Int => Some(json!(number)),
        Some(Constant::Float(number)) if of.ty.base == Base::Float => Some(json!(number)),
        _ => None,
    };
    members.extend(number(&of.min).map(|number| ("minimum".to_owned(), number)));
    members.extend(number(&of.max).map(|number| ("maximum".to_owned(), number)));
}

/// The same, or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    let Some(members) = schema.as_object_mut() else { return schema };
    match members.get("type").cloned() {
        Some(Value::String(one)) => {
            members.insert("type".to_owned(), json!([one, "null"]));
            schema
        }
        Some(Value::Array(mut several)) => {
            several.push(json!("null"));
            members.insert("type".to_owned(), Value::Array(several));
            schema
        }
        // Any JSON holds null already.
        None if !members.contains_key("$ref") && !members.contains_key("anyOf") => schema,
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}
