//! A client of the gRPC services over the Connect protocol, in ProtoJSON.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use fourfold_model::Base;
use fourfold_store::Later;
use serde_json::{Map, Value, json as object};

use crate::client::{Answer, Ask, Client, HttpAnswer, Refusal, Wire, camel, enum_of, json, plain, request};

/// A client of Connect.
pub struct Connect {
    address: SocketAddr,
    wire: Wire,
}

impl Connect {
    /// For a server.
    pub fn new(address: SocketAddr) -> Connect {
        Connect { address, wire: Wire::default() }
    }

    async fn call(&self, ask: &Ask<'_>) -> Answer {
        let (path, body) = called(ask);
        let request = request(ask, "POST", format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("connect-protocol-version", "1");
        answer(ask, self.wire.send(request, body.to_string().into()).await)
    }
}

/// The method's path, and the request in ProtoJSON.
pub(crate) fn called(ask: &Ask<'_>) -> (String, Value) {
    let entity = ask.of();
    let plural = upper(&camel(&entity.plural));
    let (method, body) = match ask.verb.as_str() {
        "get" => (format!("Get{}", entity.name), object!({ "id": ask.body["key"] })),
        "list" => (format!("List{plural}"), list(ask)),
        "create" => (format!("Create{}", entity.name), object!({ (entity.snake.as_str()): row(ask, false) })),
        "update" => (format!("Update{}", entity.name), update(ask)),
        "upsert" => (format!("Upsert{}", entity.name), object!({ (entity.snake.as_str()): row(ask, true) })),
        "delete" => (format!("Delete{}", entity.name), object!({ "id": ask.body["key"] })),
        other => panic!("gRPC is not asked to `{other}`"),
    };
    (format!("/{}.{}Service/{method}", ask.model.package.name, entity.name), conditioned(ask, body))
}

/// With the revision that is expected, and the request's id.
fn conditioned(ask: &Ask<'_>, mut body: Value) -> Value {
    if let Some(revision) = ask.text("if_revision") {
        body["etag"] = Value::String(revision);
    }
    if let Some(key) = &ask.key {
        body["request_id"] = Value::String(key.clone());
    }
    body
}

/// A row in ProtoJSON: enums as `STATE_LIVE`, what is null left out.
fn row(ask: &Ask<'_>, with_key: bool) -> Value {
    let mut row: Map<String, Value> = ask.data().into_iter().filter(|(_, value)| !value.is_null()).collect();
    if with_key || ask.body.contains_key("key") {
        row.insert("id".into(), ask.body["key"].clone());
    }
    Value::Object(row)
}

/// `update_mask` names what is set and what is cleared.
fn update(ask: &Ask<'_>) -> Value {
    let mask: Vec<String> = ask.data().keys().cloned().collect();
    object!({ (ask.of().snake.as_str()): row(ask, true), "update_mask": mask.join(",") })
}

fn list(ask: &Ask<'_>) -> Value {
    let mut body = Map::new();
    let filter: Vec<String> =
        ask.terms().iter().map(|(field, operator, value)| expression(field, operator, &literal(ask, field, value))).collect();
    if !filter.is_empty() {
        body.insert("filter".into(), Value::String(filter.join(" && ")));
    }
    body.extend(ask.text("order_by").map(|order| ("order_by".to_owned(), Value::String(order))));
    body.extend(ask.text("page_token").map(|token| ("page_token".to_owned(), Value::String(token))));
    body.extend(ask.body.get("page_size").map(|size| ("page_size".to_owned(), size.clone())));
    body.extend(ask.body.get("with_total").map(|total| ("with_total".to_owned(), total.clone())));
    Value::Object(body)
}

/// A term in the model's own language.
/// A value as expressions write it: exact numbers are texts in JSON, and bare there.
fn literal(ask: &Ask<'_>, field: &str, value: &Value) -> Value {
    let base = ask.of().field_by_name(field).map(|id| ask.of().field(id).ty.base);
    match (base, value) {
        (Some(Base::Decimal { .. } | Base::BigInt), Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        _ => value.clone(),
    }
}

fn expression(field: &str, operator: &str, value: &Value) -> String {
    let compare = match operator {
        "eq" => "==",
        "ne" => "!=",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        "in" => return format!("{field} in {value}"),
        "not_in" => return format!("!({field} in {value})"),
        "has" => return format!("{value} in {field}"),
        "contains" => return format!("{field}.contains({value})"),
        "icontains" => return format!("lower({field}).contains({})", Value::String(plain(value).to_lowercase())),
        "startswith" => return format!("{field}.startsWith({value})"),
        "isnull" if *value == true => return format!("{field} == null"),
        "isnull" => return format!("!({field} == null)"),
        other => panic!("unknown operator `{other}`"),
    };
    format!("{field} {compare} {value}")
}

fn answer(ask: &Ask<'_>, answer: HttpAnswer) -> Answer {
    let body = json(&answer.body);
    if answer.status >= 400 {
        return Err(refusal(&body, answer.status));
    }
    Ok(shaped(ask, &body))
}

/// A message as REST would have it.
pub(crate) fn shaped(ask: &Ask<'_>, body: &Value) -> Value {
    let entity = ask.of();
    match ask.verb.as_str() {
        "list" => {
            let items = body[entity.plural.as_str()].as_array().cloned().unwrap_or_default();
            let mut page = object!({ "items": items.iter().map(|row| neutral(ask, row)).collect::<Vec<_>>() });
            if let Some(total) = body.get("total_size") {
                page["total"] = total.clone();
            }
            if let Some(token) = body["next_page_token"].as_str().filter(|token| !token.is_empty()) {
                page["next_page_token"] = Value::String(token.to_owned());
            }
            page
        }
        "delete" => Value::Null,
        _ => neutral(ask, body),
    }
}

/// A row with its enums as the model names them.
fn neutral(ask: &Ask<'_>, row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(revision) = row.get("revision").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok()) {
        row["revision"] = Value::from(revision);
    }
    for field in &ask.of().fields {
        let Some(found) = enum_of(ask.model, field) else { continue };
        if let Some(text) = row.get(field.name.as_str()).and_then(Value::as_str) {
            let ends = |name: &str| text.to_lowercase() == name || text.to_lowercase().ends_with(&format!("_{name}"));
            let name = found.values.iter().map(|value| value.name.as_str()).find(|name| ends(name)).unwrap_or(text).to_owned();
            row[field.name.as_str()] = Value::String(name);
        }
    }
    row
}

fn refusal(body: &Value, status: u16) -> Refusal {
    let info = body["details"].as_array().into_iter().flatten().find(|detail| detail["type"] == "google.rpc.ErrorInfo");
    let reason = info.and_then(|info| reason(info["value"].as_str()?));
    let code = reason.unwrap_or_else(|| body["code"].as_str().unwrap_or_default().to_owned());
    Refusal { code: code.to_lowercase(), pointers: Vec::new(), text: format!("{status} {body}") }
}

/// `ErrorInfo.reason`: field 1, a text.
fn reason(value: &str) -> Option<String> {
    let bytes = STANDARD.decode(value).or_else(|_| STANDARD_NO_PAD.decode(value)).ok()?;
    let [0x0a, length, rest @ ..] = bytes.as_slice() else { return None };
    String::from_utf8(rest.get(..usize::from(*length))?.to_vec()).ok()
}

fn upper(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter().collect::<String>() + letters.as_str()
}

impl Client for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }
    fn ask<'a>(&'a self, ask: &'a Ask<'a>) -> Later<'a, Answer> {
        Box::pin(self.call(ask))
    }
}
