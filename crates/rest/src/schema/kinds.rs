//! The schemas of entities, owned types, enums and answers.

use fourfold_model::{Entity, Field, KEY, Model, OwnedType, RelationKind};
use fourfold_op::params::Face;
use serde_json::{Map, Value, json};

use super::values::{Side, field, or_null};
use super::{object, reference, shown};

pub(super) fn all(model: &Model) -> Value {
    let mut schemas = types(model);
    for one in &model.owned {
        schemas.insert(format!("{}Input", one.name), owned_input(model, one));
    }
    for (_, entity) in shown(model) {
        add_entity(&mut schemas, model, entity);
    }
    add_shared(&mut schemas);
    Value::Object(schemas)
}

/// The enums and owned types, as a reader gets them.
pub(super) fn types(model: &Model) -> Map<String, Value> {
    let enums = model.enums.iter().map(|one| {
        let names: Vec<&str> = one.values.iter().map(|value| value.name.as_str()).collect();
        (one.name.to_string(), described(json!({"type": "string", "enum": names}), one.doc.as_deref()))
    });
    let owned = model.owned.iter().map(|one| {
        let output = members(model, one.fields.iter().filter(|field| !field.secret), Side::Out);
        (one.name.to_string(), described(output, one.doc.as_deref()))
    });
    enums.chain(owned).collect()
}

/// An owned type, as a client sends it.
pub(super) fn owned_input(model: &Model, one: &OwnedType) -> Value {
    members(model, one.fields.iter().filter(|field| field.writable()), Side::In)
}

/// An entity's readable fields. `fields` may leave any out, so none is required.
pub(super) fn readable(model: &Model, entity: &Entity) -> Value {
    described(members(model, entity.fields.iter().filter(|field| !field.secret), Side::Out), entity.doc.as_deref())
}

/// An entity's fields that a client may write.
pub(super) fn writable(model: &Model, entity: &Entity) -> Value {
    members(model, entity.fields.iter().filter(|field| field.writable()), Side::In)
}

pub(super) fn described(mut schema: Value, doc: Option<&str>) -> Value {
    if let (Some(members), Some(doc)) = (schema.as_object_mut(), doc) {
        members.insert("description".to_owned(), json!(doc));
    }
    schema
}

pub(super) fn members<'a>(model: &Model, fields: impl Iterator<Item = &'a Field>, side: Side) -> Value {
    let properties = object(fields.map(|of| (of.name.to_string(), field(model, of, side))));
    let mut schema = json!({"type": "object", "properties": properties});
    if let (Side::In, Some(members)) = (side, schema.as_object_mut()) {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

fn add_entity(schemas: &mut Map<String, Value>, model: &Model, entity: &Entity) {
    let name = &entity.name;
    schemas.insert(name.to_string(), row(model, entity));
    schemas.insert(format!("{name}List"), list(name));
    schemas.insert(format!("{name}Groups"), groups());
    if entity.readonly {
        return;
    }
    let writable = || entity.fields.iter().filter(|field| field.writable());
    let mut create = members(model, writable(), Side::In);
    let required: Vec<&str> = writable().filter(|field| is_required(field)).map(|field| field.name.as_str()).collect();
    require(&mut create, &required);
    schemas.insert(format!("{name}Create"), create);
    let mut replace = members(model, writable(), Side::In);
    let required: Vec<&str> = required.into_iter().filter(|name| *name != "id").collect();
    require(&mut replace, &required);
    schemas.insert(format!("{name}Replace"), replace);
    let key_name = &entity.field(KEY).name;
    let patch = writable().filter(|field| !field.once && field.name != *key_name);
    schemas.insert(format!("{name}Patch"), members(model, patch, Side::In));
}

fn require(schema: &mut Value, names: &[&str]) {
    if let (Some(members), false) = (schema.as_object_mut(), names.is_empty()) {
        members.insert("required".to_owned(), json!(names));
    }
}

/// Whether a create must name the field.
fn is_required(field: &Field) -> bool {
    !field.ty.nullable && !field.ty.list && field.default.is_none() && !matches!(field.ty.base, fourfold_model::Base::Owned(_))
}

/// A row: its readable fields, and relations where `expand` names them.
fn row(model: &Model, entity: &Entity) -> Value {
    let mut schema = readable(model, entity);
    let reachable = entity.relations.iter().filter(|relation| Face::Rest.shows(model.entity(relation.target)));
    let relations = reachable.map(|relation| {
        let target = reference("schemas", &model.entity(relation.target).name);
        let schema = match relation.kind {
            RelationKind::One { .. } => or_null(target),
            RelationKind::Many { .. } => json!({
                "type": "object",
                "required": ["items", "has_more"],
                "properties": {"items": {"type": "array", "maxItems": 20, "items": target}, "has_more": {"type": "boolean"}},
            }),
        };
        (relation.name.to_string(), described(schema, Some("Shown where `expand` names it.")))
    });
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.extend(relations);
    }
    schema
}

fn list(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["items", "cursor"],
        "properties": {
            "items": {"type": "array", "maxItems": 1000, "items": reference("schemas", name)},
            "next_page_token": {"type": "string", "description": "The next page is asked for by this; absent on the last."},
            "total": {"type": "integer", "minimum": 0, "maximum": 10000, "description": "With `with_total=true`: how many rows match, counted up to 10,000."},
            "total_capped": {"type": "boolean", "description": "True where more than `total` rows match."},
            "cursor": {"type": "string", "description": "The place in the log that this list is of: watch from here."},
        },
    })
}

fn groups() -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {"items": {
            "type": "array",
            "maxItems": 1000,
            "items": {"type": "object", "additionalProperties": true, "description": "The keys of the group by their names, then its measures: `count`, `sum_price`."},
        }},
    })
}

fn add_shared(schemas: &mut Map<String, Value>) {
    schemas.insert("Problem".to_owned(), problem());
    schemas.insert(
        "Batch".to_owned(),
        json!({"type": "object", "required": ["operations"], "additionalProperties": false, "properties": {
            "operations": {"type": "array", "minItems": 1, "maxItems": 1000, "items": reference("schemas", "BatchOperation")},
        }}),
    );
    schemas.insert(
        "BatchOperation".to_owned(),
        json!({
            "type": "object",
            "description": "One of `create`, `update`, `upsert` and `delete`, naming a plural.",
            "additionalProperties": false,
            "properties": {
                "create": {"type": "string"}, "update": {"type": "string"}, "upsert": {"type": "string"}, "delete": {"type": "string"},
                "key": {"type": ["string", "integer"], "description": "The row's key; for all but `create`."},
                "if_revision": {"type": "integer", "format": "int64", "minimum": 1, "description": "The revision that the row must have."},
                "data": {"type": "object", "description": "The members to set; for all but `delete`."},
            },
            "oneOf": [{"required": ["create"]}, {"required": ["update"]}, {"required": ["upsert"]}, {"required": ["delete"]}],
        }),
    );
    schemas.insert(
        "BatchResults".to_owned(),
        json!({"type": "object", "required": ["results"], "properties": {
            "results": {"type": "array", "items": {"type": "object", "description": "The row; for a delete its key, last revision and `deleted`."}},
        }}),
    );
    schemas.insert(
        "IngestSummary".to_owned(),
        json!({"type": "object", "required": ["created", "failed", "errors", "through"], "properties": {
            "created": {"type": "integer", "minimum": 0},
            "updated": {"type": "integer", "minimum": 0, "description": "With `mode=upsert`."},
            "failed": {"type": "integer", "minimum": 0},
            "errors": {"type": "array", "maxItems": 1000, "items": {"type": "object", "required": ["line", "problem"], "properties": {
                "line": {"type": "integer", "minimum": 1}, "problem": reference("schemas", "Problem"),
            }}},
            "through": {"type": "integer", "minimum": 0, "description": "The last line that is covered."},
        }}),
    );
}

pub(super) fn problem() -> Value {
    let codes: Vec<&str> = fourfold_op::error::CODES.iter().map(|row| row.name).collect();
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "A page that explains the code."},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "enum": codes, "description": "Absent where HTTP itself refuses: 405, 406, 415."},
            "detail": {"type": "string", "description": "What was wrong, and what would be right."},
            "errors": {"type": "array", "items": {"type": "object", "required": ["pointer", "detail"], "properties": {
                "pointer": {"type": "string", "description": "A JSON pointer (RFC 6901) into the body, or the name of a parameter."},
                "detail": {"type": "string"},
            }}},
            "limit": {"type": "string"},
            "limit_value": {"type": "integer"},
            "limit_unit": {"type": "string"},
            "operation": {"type": "integer", "minimum": 0, "description": "Which operation of a batch."},
            "request_id": {"type": "string"},
            "retry_after_ms": {"type": "integer", "minimum": 0},
        },
        "examples": [{
            "type": "/problems/revision_mismatch", "title": "The row has changed", "status": 412, "code": "revision_mismatch",
            "detail": "`If-Match` does not name the row's present revision; read the row again", "request_id": "0f3a",
        }],
    })
}
