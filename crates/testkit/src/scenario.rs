//! Scenarios: one behaviour each, as data, run over every API.
//!
//! A file of `tests/scenarios` is a JSON list. Each scenario has a `name`, a `setup` (operations that an admin does first) and `steps`: who
//! (`as`), the operation in no API's terms, an idempotency `key`, and what is expected: `row` (these members), `items` (these members of
//! each item, in order), `next` (whether more follow), `total`, `done`, or `error` (the code). `over` limits a scenario or a step to some APIs.
//! `"$token"` stands for the last page's token.

use std::path::Path;

use serde_json::{Map, Value};

use crate::client::{Answer, Ask, Client};
use crate::{Served, framed, graphql, grpc, rest, websocket};

/// The verbs of operations.
const VERBS: [&str; 8] = ["get", "list", "aggregate", "create", "update", "upsert", "delete", "batch"];

/// How a run came out.
#[derive(Debug, Default)]
pub struct Report {
    /// Scenarios times APIs that did as expected.
    pub passed: usize,
    /// Those that were left out because the API does not serve it yet, by name.
    pub unserved: Vec<String>,
    /// Those that did not, with what was seen.
    pub failed: Vec<String>,
}

impl Report {
    /// With what another came to.
    #[must_use]
    pub fn and(mut self, other: Report) -> Report {
        self.passed += other.passed;
        self.unserved.extend(other.unserved);
        self.failed.extend(other.failed);
        self
    }
}

/// Every scenario of a folder, in the order of its files' names.
///
/// # Panics
/// When a file cannot be read or is no list.
pub fn load(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the scenarios").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut scenarios = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let text = std::fs::read_to_string(file).expect("a text");
        let list: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        scenarios.extend(list);
    }
    scenarios
}

/// The clients of every API.
pub fn clients(served: &Served) -> Vec<Box<dyn Client>> {
    let at = served.address;
    vec![
        Box::new(rest::Rest::new(at)),
        Box::new(graphql::GraphQl::new(at)),
        Box::new(grpc::Connect::new(at)),
        Box::new(websocket::WebSocket::new(at)),
        Box::new(framed::Grpc::new(at)),
    ]
}

/// Runs one scenario over one API, against a server of its own.
pub async fn run(scenario: &Value, api: &str, served: &Served, report: &mut Report) {
    let name = format!("{} [{api}]", scenario["name"].as_str().unwrap_or("a scenario without a name"));
    let clients = clients(served);
    for operation in scenario["setup"].as_array().into_iter().flatten() {
        let step = serde_json::json!({ "as": { "sub": "setup", "roles": ["admin"] }, "do": operation });
        if let Err(refusal) = ask(served, clients[0].as_ref(), &step, &mut None).await {
            return report.failed.push(format!("{name}: setup {operation}: {}", refusal.text));
        }
    }
    let mut token = None;
    for (index, step) in scenario["steps"].as_array().into_iter().flatten().enumerate() {
        let api = step["over"].as_str().unwrap_or(api);
        let client = clients.iter().find(|client| client.name() == api).expect("a client");
        let answer = ask(served, client.as_ref(), step, &mut token).await;
        let unserved = answer.as_ref().is_err_and(|refusal| refusal.code == "unimplemented" || refusal.text.contains("not read yet"));
        if unserved && step["expect"]["error"] != "unimplemented" {
            return report.unserved.push(name);
        }
        if let Err(difference) = judge(&step["expect"], &answer) {
            return report.failed.push(format!("{name}: step {index}: {difference}\n    {answer:?}"));
        }
    }
    report.passed += 1;
}

async fn ask(served: &Served, client: &dyn Client, step: &Value, last: &mut Option<String>) -> Answer {
    let mut body = step["do"].as_object().cloned().unwrap_or_default();
    let verb = VERBS.into_iter().find(|verb| body.contains_key(*verb)).expect("an operation has a verb");
    let plural = body[verb].as_str().unwrap_or("people").to_owned();
    if body.get("page_token").is_some_and(|token| token == "$token") {
        body.insert("page_token".into(), Value::String(last.clone().unwrap_or_default()));
    }
    let entity = served.model.entity_by_plural(&plural).unwrap_or_else(|| panic!("no `{plural}`"));
    let token = match &step["as"] {
        Value::Object(claims) => Some(served.token(&claims_of(claims))),
        Value::String(raw) => Some(raw.clone()),
        _ => None,
    };
    let key = step["key"].as_str().map(str::to_owned);
    let ask = Ask { model: &served.model, token, key, verb: verb.to_owned(), entity, body };
    let answer = client.ask(&ask).await;
    if let Ok(page) = &answer {
        *last = page["next_page_token"].as_str().map(str::to_owned).or_else(|| last.take());
    }
    answer
}

fn claims_of(claims: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = claims.clone();
    claims.entry("roles").or_insert_with(|| Value::Array(Vec::new()));
    claims
}

/// Whether an answer is as expected; else what is not.
fn judge(expect: &Value, answer: &Answer) -> Result<(), String> {
    let expect = expect.as_object().cloned().unwrap_or_default();
    if let Some(code) = expect.get("error") {
        let refusal = answer.as_ref().err().ok_or_else(|| format!("expected {code}"))?;
        let pointer = expect.get("pointer").and_then(Value::as_str);
        let pointed = pointer.is_none_or(|pointer| refusal.pointers.is_empty() || refusal.pointers.iter().any(|one| one == pointer));
        return if refusal.code == *code && pointed { Ok(()) } else { Err(format!("expected {code} at {pointer:?}")) };
    }
    let answer = answer.as_ref().map_err(|refusal| format!("refused: {}", refusal.code))?;
    if let Some(row) = expect.get("row") {
        contains(answer, row)?;
    }
    if let Some(items) = expect.get("items").and_then(Value::as_array) {
        let found = answer["items"].as_array().cloned().unwrap_or_default();
        if found.len() != items.len() {
            return Err(format!("expected {} items, not {}", items.len(), found.len()));
        }
        items.iter().zip(&found).try_for_each(|(expect, item)| contains(item, expect))?;
    }
    if let Some(next) = expect.get("next") {
        let more = answer["next_page_token"].is_string();
        if *next != more {
            return Err(format!("expected more: {next}"));
        }
    }
    match expect.get("total") {
        Some(total) if answer["total"] != *total => Err(format!("expected a total of {total}")),
        _ => Ok(()),
    }
}

/// Whether all members of `expect` are in `found`; an absent one is null, and of an owned list all elements are looked at.
fn contains(found: &Value, expect: &Value) -> Result<(), String> {
    match (expect, found) {
        (Value::Object(members), _) => members.iter().try_for_each(|(name, value)| {
            contains(found.get(name).unwrap_or(&Value::Null), value).map_err(|difference| format!("`{name}`: {difference}"))
        }),
        (Value::Array(values), Value::Array(elements)) if values.len() == elements.len() => {
            values.iter().zip(elements).try_for_each(|(value, element)| contains(element, value))
        }
        (Value::Array(values), Value::Null) if values.is_empty() => Ok(()),
        _ if expect == found => Ok(()),
        _ => Err(format!("expected {expect}, found {found}")),
    }
}
