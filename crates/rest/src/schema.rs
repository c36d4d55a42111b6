//! The contracts: OpenAPI 3.1, AsyncAPI 3.0 and the JSON Schema of events, functions of the model alone.

mod asyncapi;
mod events;
mod kinds;
mod parameters;
mod paths;
mod responses;
mod values;

use fourfold_model::{Entity, EntityId, Model};
use fourfold_op::params::Face;
use serde_json::{Map, Value, json};

pub use asyncapi::{View, asyncapi};
pub use events::events;

/// The OpenAPI 3.1 document of a model, as JSON: every path, parameter, schema and problem of this face.
pub fn openapi(model: &Model) -> String {
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": model.package.base.as_str(),
            "version": model.package.version.as_str(),
            "description": model.doc.as_deref().unwrap_or("Generated from the model; the model is the contract's only source."),
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}],
        "tags": tags(model),
        "paths": paths::all(model),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token of the configured issuer."}},
            "schemas": kinds::all(model),
            "parameters": parameters::shared(),
            "headers": responses::headers(),
            "responses": responses::problems(),
        },
    });
    text_of(&document)
}

fn text_of(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// The entities of this contract.
fn shown(model: &Model) -> impl Iterator<Item = (EntityId, &Entity)> {
    model.entity_ids().filter(|(_, entity)| Face::Rest.shows(entity))
}

fn tags(model: &Model) -> Vec<Value> {
    let entities = shown(model).map(|(_, entity)| {
        let description = entity.doc.clone().unwrap_or_else(|| format!("Rows of `{}`.", entity.name));
        json!({"name": entity.plural.as_str(), "description": description})
    });
    entities.chain([json!({"name": "batch", "description": "Several writes in one commit."})]).collect()
}

/// A reference to a component.
fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// An object of these members.
fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<String, Value>>())
}
