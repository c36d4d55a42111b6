//! A client of GraphQL: each question is a document with its values written out.

use std::net::SocketAddr;

use fourfold_model::{Base, Entity, Field, Model};
use fourfold_store::Later;
use serde_json::{Map, Value, json as object};

use crate::client::{Answer, Ask, Client, Refusal, Wire, camel, enum_of, json, plain, renamed, request, snake};

/// A client of GraphQL.
pub struct GraphQl {
    address: SocketAddr,
    wire: Wire,
}

impl GraphQl {
    /// For a server.
    pub fn new(address: SocketAddr) -> GraphQl {
        GraphQl { address, wire: Wire::default() }
    }

    async fn call(&self, ask: &Ask<'_>) -> Answer {
        let body = object!({ "query": document(ask) }).to_string();
        let request = request(ask, "POST", format!("http://{}/graphql", self.address))
            .header("content-type", "application/json")
            .header("accept", "application/graphql-response+json");
        let answer = self.wire.send(request, body.into()).await;
        let body = json(&answer.body);
        if let Some(error) = body["errors"].as_array().and_then(|errors| errors.first()) {
            let code = error["extensions"]["code"].as_str().unwrap_or_default().to_lowercase();
            return Err(Refusal { code, pointers: Vec::new(), text: body.to_string() });
        }
        let field = body["data"].as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
        shaped(ask, &field, &body)
    }
}

/// The field's answer as REST would have it.
fn shaped(ask: &Ask<'_>, field: &Value, body: &Value) -> Answer {
    let field = renamed(field, snake);
    match ask.verb.as_str() {
        "get" if field.is_null() => Err(Refusal { code: "not_found".into(), pointers: Vec::new(), text: body.to_string() }),
        "get" => Ok(field),
        "list" => {
            let more = field["page_info"]["has_next_page"] == true;
            let mut page = object!({ "items": field["nodes"], "total": field["total_count"] });
            if more {
                page["next_page_token"] = field["page_info"]["end_cursor"].clone();
            }
            Ok(page)
        }
        "delete" => Ok(Value::Null),
        _ => Ok(field[ask.of().snake.as_str()].clone()),
    }
}

fn document(ask: &Ask<'_>) -> String {
    let entity = ask.of();
    let (one, all) = (camel(&entity.snake), camel(&entity.plural));
    let shown = shown(ask.model, entity);
    let key = || literal(entity.fields.first(), ask.model, &ask.body["key"]);
    let expected = ask.text("if_revision").map_or(String::new(), |revision| format!(", expectedRevision: {revision}"));
    let data = || input(ask.model, &entity.fields, &ask.data());
    let name = &entity.name;
    match ask.verb.as_str() {
        "get" => format!("{{ {one}(id: {}) {{ {shown} }} }}", key()),
        "list" => format!("{{ {all}{} {{ nodes {{ {shown} }} pageInfo {{ hasNextPage endCursor }}{} }} }}", arguments(ask), total(ask)),
        "create" => {
            let mut data = ask.data();
            data.extend(ask.body.get("key").map(|key| ("id".to_owned(), key.clone())));
            format!("mutation {{ create{name}(input: {}) {{ {one} {{ {shown} }} }} }}", input(ask.model, &entity.fields, &data))
        }
        "update" => format!("mutation {{ update{name}(id: {}, input: {}{expected}) {{ {one} {{ {shown} }} }} }}", key(), data()),
        "upsert" => format!("mutation {{ upsert{name}(id: {}, input: {}{expected}) {{ {one} {{ {shown} }} }} }}", key(), data()),
        "delete" => format!("mutation {{ delete{name}(id: {}{expected}) {{ {one} {{ id }} }} }}", key()),
        other => panic!("GraphQL is not asked to `{other}`"),
    }
}

fn total(ask: &Ask<'_>) -> &'static str {
    if ask.body.contains_key("with_total") { " totalCount" } else { "" }
}

/// All fields; owned lists with theirs.
fn shown(model: &Model, entity: &Entity) -> String {
    let field = |field: &Field| match field.ty.base {
        Base::Owned(id) => {
            let names: Vec<String> = model.owned(id).fields.iter().map(|field| camel(&field.name)).collect();
            format!("{} {{ {} }}", camel(&field.name), names.join(" "))
        }
        _ => camel(&field.name),
    };
    entity.fields.iter().filter(|field| !field.secret).map(field).collect::<Vec<_>>().join(" ")
}

fn arguments(ask: &Ask<'_>) -> String {
    let entity = ask.of();
    let mut arguments = Vec::new();
    let terms: Vec<String> = ask.terms().iter().map(|(field, operator, value)| term(ask.model, entity, field, operator, value)).collect();
    if !terms.is_empty() {
        arguments.push(format!("where: {{ and: [{}] }}", terms.join(", ")));
    }
    if let Some(order) = ask.text("order_by") {
        let key = |key: &str| match key.strip_prefix('-') {
            Some(field) => format!("{{ {}: DESC }}", camel(field)),
            None => format!("{{ {}: ASC }}", camel(key)),
        };
        arguments.push(format!("orderBy: [{}]", order.split(',').map(key).collect::<Vec<_>>().join(", ")));
    }
    arguments.extend(ask.text("page_size").map(|size| format!("first: {size}")));
    arguments.extend(ask.text("page_token").map(|token| format!("after: {}", Value::String(token))));
    if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) }
}

fn term(model: &Model, entity: &Entity, name: &str, operator: &str, value: &Value) -> String {
    let operator = match operator {
        "not_in" => "notIn",
        "isnull" => "isNull",
        "startswith" => "startsWith",
        "endswith" => "endsWith",
        other => other,
    };
    let field = entity.fields.iter().find(|field| field.name == name);
    let text = match operator {
        "isNull" => plain(value),
        _ => literal(field, model, value),
    };
    format!("{{ {}: {{ {operator}: {text} }} }}", camel(name))
}

fn input(model: &Model, fields: &[Field], data: &Map<String, Value>) -> String {
    let member = |(name, value): (&String, &Value)| {
        let field = fields.iter().find(|field| field.name == name.as_str());
        format!("{}: {}", camel(name), literal(field, model, value))
    };
    format!("{{ {} }}", data.iter().map(member).collect::<Vec<_>>().join(", "))
}

/// A value as a document writes it: enums bare, owned elements as input objects.
fn literal(field: Option<&Field>, model: &Model, value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(|value| literal(field, model, value)).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => match field.map(|field| field.ty.base) {
            Some(Base::Owned(id)) => input(model, &model.owned(id).fields, members),
            _ => input(model, &[], members),
        },
        Value::String(text) if field.is_some_and(|field| enum_of(model, field).is_some()) => text.clone(),
        other => other.to_string(),
    }
}

impl Client for GraphQl {
    fn name(&self) -> &'static str {
        "graphql"
    }
    fn ask<'a>(&'a self, ask: &'a Ask<'a>) -> Later<'a, Answer> {
        Box::pin(self.call(ask))
    }
}
