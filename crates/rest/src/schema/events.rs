//! The JSON Schema of events: one change as each form tells it, a function of the model alone.
//!
//! A name of the model's own begins upper case and has no dot, so `Product.changed` and `cursor` meet none.

use fourfold_model::{Channel, Entity, Field, Model};
use fourfold_op::params::Face;
use serde_json::{Map, Value, json};

use super::kinds::{described, owned_input, problem, readable, types, writable};
use super::values::{Side, field, or_null, scalar};
use super::{object, reference};

/// Where the definitions of a JSON Schema document stand.
const DEFINITIONS: &str = "#/$defs/";
const COMPONENTS: &str = "#/components/schemas/";

/// The JSON Schema (draft 2020-12) of every event of a model: `$defs` has each form of a change, and each row.
pub fn events(model: &Model) -> String {
    let mut definitions = Value::Object(definitions(model));
    move_references(&mut definitions);
    let every = told(model).map(|entity| json!({"$ref": format!("{DEFINITIONS}{}.change", entity.name)}));
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Events of {}", model.package.name),
        "description": "Each `$defs` of a dotted name is one form in which a change is told; the document itself takes any change as a publication over WebSocket.",
        "$defs": definitions,
    });
    let every: Vec<Value> = every.collect();
    if !every.is_empty() {
        document["anyOf"] = json!(every);
    }
    super::text_of(&document)
}

/// The entities whose changes are told to anybody.
pub(super) fn told(model: &Model) -> impl Iterator<Item = &Entity> {
    model.entities.iter().filter(|entity| is_told(entity))
}

fn is_told(entity: &Entity) -> bool {
    let faces = [Face::Rest, Face::GraphQl, Face::Grpc, Face::WebSocket];
    entity.is_watchable() && faces.iter().any(|face| face.shows(entity))
}

/// The declared channels of which everything that they tell may be told.
pub(super) fn channels(model: &Model) -> impl Iterator<Item = &Channel> {
    model.channels.iter().filter(|channel| channel.stream.as_ref().is_none_or(|(entity, _)| is_told(model.entity(*entity))))
}

/// The schemas of what is told, referring to each other as components.
pub(super) fn definitions(model: &Model) -> Map<String, Value> {
    let mut all = types(model);
    all.insert("bookmark".to_owned(), bookmark(None));
    all.insert("bye".to_owned(), bye());
    all.insert("cursor".to_owned(), cursor());
    all.insert("problem".to_owned(), problem());
    for entity in told(model) {
        let name = &entity.name;
        all.insert(name.to_string(), readable(model, entity));
        all.insert(format!("{name}.entered"), row_told(model, entity, None, &["key", "revision", "item"]));
        all.insert(format!("{name}.changed"), row_told(model, entity, None, &["key", "revision", "at", "item"]));
        all.insert(format!("{name}.left"), left(model, entity, None));
        all.insert(format!("{name}.change"), change(model, entity));
        all.insert(format!("{name}.push"), push(entity));
        all.insert(format!("{name}.items"), items(entity));
        all.insert(format!("{name}.event"), cloud_event(model, entity));
    }
    if channels(model).next().is_some() {
        all.extend(model.owned.iter().map(|one| (format!("{}Input", one.name), owned_input(model, one))));
    }
    for channel in channels(model) {
        of_channel(&mut all, model, channel);
    }
    all
}

/// A row that is now among those watched, or is another: what the stream's `event` does not say, or all with its name.
fn row_told(model: &Model, entity: &Entity, names: Option<&[&str]>, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "required": required, "properties": {
        "key": key(model, entity),
        "revision": {"type": "integer", "format": "int64", "minimum": 1, "description": "The row's revision after the change."},
        "at": moment(),
        "item": reference("schemas", &entity.name),
    }});
    if let Some(names) = names {
        schema["properties"]["change"] = json!({"type": "string", "enum": names});
    }
    schema
}

/// A row that is no longer among those watched: neither revision nor row is told.
fn left(model: &Model, entity: &Entity, name: Option<&str>) -> Value {
    let mut schema = json!({
        "type": "object",
        "required": ["key", "at"],
        "properties": {"key": key(model, entity), "at": moment()},
        "not": {"anyOf": [{"required": ["revision"]}, {"required": ["item"]}]},
    });
    if let Some(name) = name {
        schema["required"] = json!(["change", "key", "at"]);
        schema["properties"]["change"] = json!({"const": name});
    }
    schema
}

fn bookmark(name: Option<&str>) -> Value {
    match name {
        None => json!({"type": "object", "maxProperties": 0, "description": "Nothing happened: only the cursor is newer."}),
        Some(name) => json!({"type": "object", "required": ["change"], "maxProperties": 1, "properties": {"change": {"const": name}}}),
    }
}

/// A publication over WebSocket.
fn change(model: &Model, entity: &Entity) -> Value {
    let row = row_told(model, entity, Some(&["entered", "changed"]), &["change", "key", "revision", "at", "item"]);
    json!({
        "description": format!("One change to a `{}`: `entered`, `changed` and `left` are relative to the channel's filter and to what its reader may see.", entity.name),
        "oneOf": [row, left(model, entity, Some("left")), bookmark(Some("bookmark"))],
    })
}

/// The frame in which a publication comes, in the JSON form of the Centrifugo protocol.
fn push(entity: &Entity) -> Value {
    let publication = json!({"type": "object", "required": ["offset", "data"], "properties": {
        "offset": {"type": "integer", "minimum": 1, "description": "The position of the change; with the channel's `epoch` it is a cursor."},
        "data": reference("schemas", &format!("{}.change", entity.name)),
    }});
    json!({"type": "object", "required": ["push"], "properties": {"push": {
        "type": "object",
        "required": ["channel", "pub"],
        "properties": {"channel": {"type": "string", "maxLength": 512}, "pub": publication},
    }}})
}

/// The rows with which a channel begins where `initial` asks for them: the `data` of the subscribe reply.
fn items(entity: &Entity) -> Value {
    let rows = json!({"type": "array", "items": reference("schemas", &entity.name)});
    json!({"type": "object", "required": ["items"], "properties": {"items": rows}})
}

/// What a sink delivers (CloudEvents 1.0, JSON format).
fn cloud_event(model: &Model, entity: &Entity) -> Value {
    let of = |what: &str| format!("{}.{}.{what}", model.package.name, entity.name);
    let before = entity.fields.iter().filter(|field| !field.secret).map(|one| (one.name.to_string(), old(model, one)));
    let data = json!({"type": "object", "required": ["revision", "commit_last", "changed", "after"], "properties": {
        "revision": {"type": "integer", "format": "int64", "minimum": 1},
        "commit_last": {"type": "integer", "format": "int64", "minimum": 1, "description": "The position of the last event of the same commit."},
        "changed": {"type": "object", "properties": object(before), "description": "The old values of the fields that changed, as far as the sink could see them; none of a row that it could not see before."},
        "after": described(json!({"allOf": [reference("schemas", &entity.name)]}), Some("The row after the change.")),
    }});
    json!({
        "type": "object",
        "description": format!("One event of a `{}`, as CloudEvents 1.0.", entity.name),
        "required": ["specversion", "id", "source", "type", "subject", "sequence"],
        "if": {"properties": {"type": {"const": of("deleted")}}},
        "then": {"description": "The row left what the sink may see: its key is all that is told.", "not": {"required": ["data"]}},
        "else": {"required": ["data"]},
        "properties": {
            "specversion": {"const": "1.0"},
            "id": reference("schemas", "cursor"),
            "source": {"const": format!("/{}", model.package.name)},
            "type": {"type": "string", "enum": [of("created"), of("updated"), of("deleted")]},
            "subject": {"type": "string", "description": "The row's key, as text."},
            "time": moment(),
            "datacontenttype": {"const": "application/json"},
            "sequence": {"type": "string", "pattern": "^[0-9]+$", "description": "The position (CloudEvents, the extension `sequence`)."},
            "data": data,
        },
    })
}

/// The value that a field had: an old null is a null, whether or not the field may still be null.
fn old(model: &Model, one: &Field) -> Value {
    let schema = field(model, one, Side::Out);
    if one.nullable_out() { schema } else { or_null(schema) }
}

/// What a declared channel has beside its rows.
fn of_channel(all: &mut Map<String, Value>, model: &Model, channel: &Channel) {
    let name = &channel.name;
    if !channel.signals.is_empty() {
        let names: Vec<&str> = channel.signals.iter().map(|name| name.as_str()).collect();
        let signal = json!({"type": "object", "required": ["signal"], "maxProperties": 1, "properties": {"signal": {"type": "string", "enum": names}}});
        all.insert(format!("{name}.signal"), signal);
    }
    if !channel.presence.is_empty() {
        let fields = object(channel.presence.iter().map(|one| (one.name.to_string(), field(model, one, Side::In))));
        all.insert(format!("{name}.presence"), json!({"type": "object", "properties": fields}));
    }
    let published = match &channel.stream {
        Some((entity, _)) => {
            let what = "A row to create, as in REST; what the channel's condition sets may be left out.";
            described(writable(model, model.entity(*entity)), Some(what))
        }
        None => json!({"description": "Any one JSON value."}),
    };
    all.insert(format!("{name}.publish"), published);
}

fn bye() -> Value {
    let cursor = described(json!({"allOf": [reference("schemas", "cursor")]}), Some("From where to go on."));
    json!({"type": "object", "required": ["cursor"], "properties": {"cursor": cursor}})
}

fn cursor() -> Value {
    json!({
        "type": "string",
        "pattern": "^[0-9A-Za-z]{1,32}\\.[0-9]+(~.+)?$",
        "description": "A place in the log: `epoch.position`.",
        "examples": ["k3f9a2.18231"],
    })
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time", "description": "When it was committed; absent of a row with which a watch begins."})
}

fn key(model: &Model, entity: &Entity) -> Value {
    scalar(model, entity.key_type(), Side::Out)
}

/// Lets references lead to definitions instead of components.
fn move_references(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(name) = target.strip_prefix(COMPONENTS)
            {
                *target = format!("{DEFINITIONS}{name}");
            }
            members.values_mut().for_each(move_references);
        }
        Value::Array(items) => items.iter_mut().for_each(move_references),
        _ => {}
    }
}
