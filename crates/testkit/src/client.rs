//! What a client of any API is asked, and what it says.

use bytes::Bytes;
use fourfold_model::{Base, Entity, EntityId, Field, Model};
use fourfold_store::Later;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value};

/// One question, in no API's terms.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The model.
    pub model: &'a Model,
    /// The caller's token.
    pub token: Option<String>,
    /// The idempotency key.
    pub key: Option<String>,
    /// `get`, `list`, `aggregate`, `create`, `update`, `upsert`, `delete`.
    pub verb: String,
    /// Of which entity.
    pub entity: EntityId,
    /// The operation, as the scenario has it.
    pub body: Map<String, Value>,
}

/// A refusal: its code, and the places that it points at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `not_found`.
    pub code: String,
    /// `/price`, where the API tells.
    pub pointers: Vec<String>,
    /// The whole answer, for people.
    pub text: String,
}

/// What was answered: a row, `{"items": […]}`, or null of a delete.
pub type Answer = Result<Value, Refusal>;

/// A client of one API.
pub trait Client: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Asks.
    fn ask<'a>(&'a self, ask: &'a Ask<'a>) -> Later<'a, Answer>;
}

impl Ask<'_> {
    /// The entity.
    pub fn of(&self) -> &Entity {
        self.model.entity(self.entity)
    }
    /// The row's key, as text.
    pub fn row_key(&self) -> String {
        plain(self.body.get("key").unwrap_or(&Value::Null))
    }
    /// What is written.
    pub fn data(&self) -> Map<String, Value> {
        self.body.get("data").and_then(Value::as_object).cloned().unwrap_or_default()
    }
    /// A member that is a text or a number, as text.
    pub fn text(&self, member: &str) -> Option<String> {
        self.body.get(member).map(plain)
    }
    /// `where`: a field, an operator and a value each.
    pub fn terms(&self) -> Vec<(String, String, Value)> {
        let terms = self.body.get("where").and_then(Value::as_array).cloned().unwrap_or_default();
        let term = |term: &Value| Some((term.get(0)?.as_str()?.to_owned(), term.get(1)?.as_str()?.to_owned(), term.get(2)?.clone()));
        terms.iter().map(|one| term(one).expect("a term is [field, operator, value]")).collect()
    }
    /// The REST parameters of a list or an aggregate.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = Vec::new();
        for (field, operator, value) in self.terms() {
            let text = match &value {
                Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
                value => plain(value),
            };
            parameters.push((format!("{field}__{operator}"), text));
        }
        for name in ["order_by", "page_size", "page_token", "with_total", "group_by", "count", "sum", "avg", "min", "max"] {
            parameters.extend(self.text(name).map(|value| (name.to_owned(), value)));
        }
        parameters
    }
}

/// A text without its quotes, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `owner_id` → `ownerId`.
pub fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut name, part| {
        let mut letters = part.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// `ownerId` → `owner_id`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The enum of a field, if it has one.
pub fn enum_of<'m>(model: &'m Model, field: &Field) -> Option<&'m fourfold_model::EnumType> {
    match field.ty.base {
        Base::Enum(id) => Some(model.enumeration(id)),
        _ => None,
    }
}

/// Every member's name, at every depth, by a function.
pub fn renamed(value: &Value, rename: fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (rename(name), renamed(value, rename))).collect(),
        Value::Array(values) => values.iter().map(|value| renamed(value, rename)).collect(),
        other => other.clone(),
    }
}

/// An HTTP answer.
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// A client of HTTP/1.1.
pub struct Wire(Http<HttpConnector, Full<Bytes>>);

impl Default for Wire {
    fn default() -> Wire {
        Wire(Http::builder(TokioExecutor::new()).build(connector()))
    }
}

/// Connections that send at once: else each gRPC call waits 40 ms for an acknowledgement that the other side delays.
pub(crate) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

impl Wire {
    /// Sends a request; where no whole answer comes, [`no_answer`].
    pub async fn send(&self, request: http::request::Builder, body: Vec<u8>) -> HttpAnswer {
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let response = match self.0.request(request).await {
            Ok(response) => response,
            Err(error) => return no_answer(&error).into(),
        };
        let status = response.status().as_u16();
        match response.into_body().collect().await {
            Ok(body) => HttpAnswer { status, body: body.to_bytes() },
            Err(error) => no_answer(&error).into(),
        }
    }
}

/// The code of a refusal that no server said: it may have done what was asked, or not.
pub const NO_ANSWER: &str = "no_answer";

/// A server that is gone, or went before its answer was whole.
pub fn no_answer(error: &dyn std::fmt::Display) -> Refusal {
    Refusal { code: NO_ANSWER.to_owned(), pointers: Vec::new(), text: error.to_string() }
}

impl From<Refusal> for HttpAnswer {
    /// In the form of every API at once.
    fn from(refusal: Refusal) -> HttpAnswer {
        let errors = serde_json::json!([{ "message": refusal.text, "extensions": { "code": refusal.code.to_uppercase() } }]);
        let body = serde_json::json!({ "code": refusal.code, "errors": errors });
        HttpAnswer { status: 599, body: body.to_string().into() }
    }
}

/// A request with what every API takes in headers.
pub fn request(ask: &Ask<'_>, method: &str, uri: String) -> http::request::Builder {
    let mut request = http::Request::builder().method(method).uri(uri);
    if let Some(token) = &ask.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(key) = &ask.key {
        request = request.header("idempotency-key", key);
    }
    request
}

/// A body as JSON; null when it is none.
pub fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}

/// Letters that stand for themselves in a URI; all else by its bytes.
pub fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
