//! AsyncAPI 3.0: where changes are told, and as what messages; a function of the model alone.
//!
//! A channel and its operation have one name: `products` over WebSocket, `products.row`, `products.events` over REST,
//! `products.sink`, and `channel.chat` as the model declares it.

use fourfold_model::{Channel, Entity, Model};
use fourfold_op::params::Face;
use serde_json::{Map, Value, json};

use super::events::{channels, definitions, told};
use super::parameters::filters;
use super::{object, reference, text_of};

/// Whose actions the document tells: each operation is sent by one and received by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// What the application does.
    Server,
    /// What a client does, for generators of clients.
    Client,
}

/// The AsyncAPI 3.0 document of a model, as JSON.
pub fn asyncapi(model: &Model, view: View) -> String {
    let mut parts = Parts { view, channels: Map::new(), operations: Map::new(), messages: shared_messages(), schemas: definitions(model) };
    for entity in told(model) {
        parts.add_entity(model, entity);
    }
    for channel in channels(model) {
        parts.add_channel(model, channel);
    }
    let whose = match view {
        View::Server => "The actions are those of the server.",
        View::Client => "The actions are those of a client.",
    };
    let what = model.doc.as_deref().unwrap_or("Generated from the model; the model is the contract's only source.");
    let bearer = json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token of the configured issuer; without one the caller is nobody."});
    text_of(&json!({
        "asyncapi": "3.0.0",
        "info": {"title": model.package.base.as_str(), "version": model.package.version.as_str(), "description": format!("{what}\n\n{whose}")},
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"schemas": parts.schemas, "messages": parts.messages, "securitySchemes": {"bearer": bearer}},
    }))
}

fn servers() -> Value {
    let bearer = json!([reference("securitySchemes", "bearer")]);
    let address = |default: &str, what: &str| json!({"address": {"default": default, "description": what}});
    let here = || address("127.0.0.1:8080", "Host and port of the server.");
    json!({
        "rest": {"host": "{address}", "protocol": "http", "security": bearer, "variables": here(),
            "description": "Server-sent events: `GET` with `Accept: text/event-stream`."},
        "websocket": {"host": "{address}", "pathname": "/connection/websocket", "protocol": "ws", "security": bearer, "variables": here(),
            "description": "The Centrifugo client protocol: many channels over one connection. A payload is the `data` of a publication. The token goes into `connect`, or with the upgrade."},
        "sink": {"host": "{address}", "protocol": "kafka", "variables": address("127.0.0.1:9092", "Where a sink of the settings delivers."),
            "description": "Topics to which a `[[sink]]` delivers, where the settings have one: CloudEvents 1.0 in structured mode, keyed by entity and key (`Order/7`); a record without a value is of a row that left."},
    })
}

/// What the document is made of.
struct Parts {
    view: View,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// A channel with its operation.
struct Place<'a> {
    name: String,
    address: String,
    server: &'a str,
    summary: String,
    /// Names of components.
    messages: Vec<String>,
    /// What else the channel has.
    more: Value,
    /// The bindings of the operation.
    bindings: Option<Value>,
}

impl Parts {
    fn add_entity(&mut self, model: &Model, entity: &Entity) {
        let name = &entity.name;
        let query = format!("{name}.query");
        if Face::Rest.shows(entity) || Face::WebSocket.shows(entity) {
            self.schemas.insert(query.clone(), query_of(model, entity));
        }
        if Face::Rest.shows(entity) {
            let changes = ["entered", "changed", "left"];
            self.messages.extend(changes.map(|change| (format!("{name}.{change}"), event_message(entity, change))));
            let messages = changes.map(|change| format!("{name}.{change}"));
            let bindings = json!({"http": {"method": "GET", "query": reference("schemas", &query), "bindingVersion": "0.3.0"}});
            self.add(Place {
                name: format!("{}.events", entity.plural),
                address: format!("/{}/{}", model.package.version, entity.plural),
                server: "rest",
                summary: format!("Every change to rows of `{name}`, as an event stream. `Last-Event-ID` resumes without gap or repeat."),
                messages: messages.into_iter().chain(["bookmark", "bye", "error"].map(str::to_owned)).collect(),
                more: json!({}),
                bindings: Some(bindings),
            });
        }
        if Face::WebSocket.shows(entity) {
            let message = format!("{name}.change");
            self.messages.insert(message.clone(), message_of(&message, "A publication.", json!({})));
            self.add(Place {
                name: entity.plural.to_string(),
                address: entity.plural.to_string(),
                server: "websocket",
                summary: format!(
                    "Every change to rows of `{name}`. The channel's name may go on with a query, `{}?…`, as `x-query` has it.",
                    entity.plural
                ),
                messages: vec![message.clone()],
                more: json!({"x-query": reference("schemas", &query)}),
                bindings: None,
            });
            self.add(Place {
                name: format!("{}.row", entity.plural),
                address: format!("{}/{{id}}", entity.plural),
                server: "websocket",
                summary: format!("Every change to one row of `{name}`."),
                messages: vec![message],
                more: json!({"parameters": {"id": {"description": "The key of the row, percent-encoded."}}}),
                bindings: None,
            });
        }
        self.add_topic(model, entity);
    }

    fn add_topic(&mut self, model: &Model, entity: &Entity) {
        let message = format!("{}.event", entity.name);
        let cloud = json!({"contentType": "application/cloudevents+json"});
        self.messages.insert(message.clone(), message_of(&message, "A CloudEvent.", cloud));
        self.add(Place {
            name: format!("{}.sink", entity.plural),
            address: format!("{}.{}", model.package.base, entity.snake),
            server: "sink",
            summary: format!("Every change to rows of `{}` that a sink may see.", entity.name),
            messages: vec![message, "tombstone".to_owned()],
            more: json!({}),
            bindings: None,
        });
    }

    /// A channel that the model declares: what it tells, and what may be published on it.
    fn add_channel(&mut self, model: &Model, channel: &Channel) {
        let name = format!("channel.{}", channel.name);
        let rows = channel.stream.as_ref().map(|(entity, _)| format!("{}.change", model.entity(*entity).name));
        let publish = format!("{}.publish", channel.name);
        let signal = (!channel.signals.is_empty()).then(|| format!("{}.signal", channel.name));
        if let Some(rows) = &rows {
            self.messages.insert(rows.clone(), message_of(rows, "A publication.", json!({})));
        }
        self.messages.insert(publish.clone(), message_of(&publish, "What is published.", json!({})));
        self.messages.extend(
            signal.iter().map(|of| (of.clone(), message_of(of, "A signal: a publication that has no place and is not kept.", json!({})))),
        );
        let said: Vec<String> = [rows.unwrap_or_else(|| publish.clone())].into_iter().chain(signal.clone()).collect();
        let published: Vec<String> = [publish].into_iter().chain(signal).collect();
        let parameter = &channel.param.name;
        let default = format!("The channel `{}` of each `{parameter}`.", channel.name);
        let all: Vec<String> = said.iter().chain(&published).cloned().collect();
        let mut more = json!({"parameters": {parameter.as_str(): {"description": "Which one."}}});
        if !channel.presence.is_empty() {
            more["x-presence"] = reference("schemas", &format!("{}.presence", channel.name));
        }
        let operation = self.operation(&name, true, "What the channel tells.", &said, None);
        let to_publish = self.operation(&name, false, "What a subscriber publishes.", &published, None);
        self.operations.insert(name.clone(), operation);
        self.operations.insert(format!("{name}.publish"), to_publish);
        self.channels.insert(
            name,
            channel_of(format!("{}:{{{parameter}}}", channel.name), "websocket", channel.doc.clone().unwrap_or(default), &all, more),
        );
    }

    fn add(&mut self, place: Place<'_>) {
        let Place { name, address, server, summary, messages, more, bindings } = place;
        self.operations.insert(name.clone(), self.operation(&name, true, &summary, &messages, bindings));
        self.channels.insert(name, channel_of(address, server, summary, &messages, more));
    }

    fn operation(&self, channel: &str, is_told: bool, summary: &str, messages: &[String], bindings: Option<Value>) -> Value {
        let action = if is_told == (self.view == View::Server) { "send" } else { "receive" };
        let messages: Vec<Value> = messages.iter().map(|name| json!({"$ref": format!("#/channels/{channel}/messages/{name}")})).collect();
        let mut operation =
            json!({"action": action, "channel": {"$ref": format!("#/channels/{channel}")}, "summary": summary, "messages": messages});
        if let Some(bindings) = bindings {
            operation["bindings"] = bindings;
        }
        operation
    }
}

fn channel_of(address: String, server: &str, description: String, messages: &[String], more: Value) -> Value {
    let messages = object(messages.iter().map(|name| (name.clone(), reference("messages", name))));
    let mut channel = json!({
        "address": address, "description": description, "messages": messages,
        "servers": [{"$ref": format!("#/servers/{server}")}],
    });
    if let (Some(members), Value::Object(more)) = (channel.as_object_mut(), more) {
        members.extend(more);
    }
    channel
}

/// A message whose payload is the definition of its name.
fn message_of(name: &str, summary: &str, more: Value) -> Value {
    let mut message = json!({"name": name, "summary": summary, "payload": reference("schemas", name)});
    if let (Some(members), Value::Object(more)) = (message.as_object_mut(), more) {
        members.extend(more);
    }
    message
}

/// A block of an event stream: its `event` and `id` are told as headers, its `data` as the payload.
fn event_message(entity: &Entity, change: &str) -> Value {
    let summary = match change {
        "entered" => "The row is now among those watched, or was when the watch began; then it has no `id`.",
        "changed" => "The row was and is among those watched, with another revision.",
        _ => "The row is no longer among those watched.",
    };
    message_of(&format!("{}.{change}", entity.name), summary, json!({"headers": block(change, change != "entered")}))
}

fn block(event: &str, has_id: bool) -> Value {
    let required = if has_id { json!(["event", "id"]) } else { json!(["event"]) };
    let properties = json!({"event": {"const": event}, "id": reference("schemas", "cursor")});
    json!({"type": "object", "description": "Fields of the block.", "required": required, "properties": properties})
}

fn ending(event: &str) -> Value {
    json!({"type": "object", "description": "Fields of the block.", "required": ["event"], "properties": {"event": {"const": event}}})
}

/// Messages that are of no entity.
fn shared_messages() -> Map<String, Value> {
    let bookmark = json!({"headers": block("bookmark", true)});
    let bye = json!({"headers": ending("bye")});
    let mut error = message_of("problem", "The stream ends, and why.", json!({"headers": ending("error")}));
    error["name"] = json!("error");
    let tombstone = json!({"name": "tombstone", "summary": "A record without a value: the row left what the sink may see.", "payload": {"type": "null"}});
    let all = [
        ("bookmark", message_of("bookmark", "Nothing happened: only the cursor is newer.", bookmark)),
        ("bye", message_of("bye", "The server ends the stream; go on from the cursor.", bye)),
        ("error", error),
        ("tombstone", tombstone),
    ];
    all.into_iter().map(|(name, message)| (name.to_owned(), message)).collect()
}

/// The query of a watch.
fn query_of(model: &Model, entity: &Entity) -> Value {
    let filters = filters(model, entity).into_iter().filter_map(|parameter| {
        let name = parameter["name"].as_str()?.to_owned();
        Some((name, parameter["schema"].clone()))
    });
    let own = [
        ("filter", "string", "An expression in the model's language, over the row's own fields."),
        ("fields", "string", "Which members `item` has, with commas between."),
        ("after", "string", "Over REST: the cursor after which the watch begins; without it, now."),
        ("initial", "boolean", "Over REST: whether the watch begins with the rows as they are."),
    ];
    let own = own.map(|(name, ty, description)| (name.to_owned(), json!({"type": ty, "description": description})));
    json!({"type": "object", "properties": object(filters.chain(own))})
}
