//! Paths and their operations.

use fourfold_model::names::camel;
use fourfold_model::{Entity, Model};
use serde_json::{Map, Value, json};

use super::parameters::{filters, key, these};
use super::responses::{bare, responses, with_body};
use super::{reference, shown};

const MORE_FILTERS: &str = "A field of a to-one relation is asked as `relation__field__op`, over at most 3 relations.";

const EVENTS: &str = "With `Accept: text/event-stream` a watch of the rows that match, as server-sent events: `id` is a cursor, `event` is `entered`, `changed`, `left` or `bookmark`, \
    `data` an object of `key`, `revision`, `at` and `item`. At the end `bye`, or `error` with a problem as data.";

pub(super) fn all(model: &Model) -> Value {
    let prefix = format!("/{}", model.package.version);
    let mut paths = Map::new();
    for (_, entity) in shown(model) {
        let base = format!("{prefix}/{}", entity.plural);
        paths.insert(base.clone(), collection(model, entity));
        paths.insert(format!("{base}:aggregate"), json!({"get": aggregate(model, entity)}));
        paths.insert(format!("{base}/{{key}}"), row(model, entity));
    }
    paths.insert(format!("{prefix}/batch"), json!({"post": batch()}));
    Value::Object(paths)
}

struct Operation<'a> {
    id: String,
    summary: String,
    tag: &'a str,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: Value,
}

impl Operation<'_> {
    fn json(self) -> Value {
        let mut operation = json!({
            "operationId": self.id, "summary": self.summary, "description": format!("{}.", self.summary), "tags": [self.tag],
            "parameters": self.parameters, "responses": self.responses,
        });
        if let (Some(body), Some(members)) = (self.body, operation.as_object_mut()) {
            members.insert("requestBody".to_owned(), body);
        }
        operation
    }
}

fn body(contents: &[(&str, Value)]) -> Value {
    let content: Map<String, Value> = contents.iter().map(|(media, schema)| ((*media).to_owned(), json!({"schema": schema}))).collect();
    json!({"required": true, "content": content})
}

fn schema(entity: &Entity, suffix: &str) -> Value {
    reference("schemas", &format!("{}{suffix}", entity.name))
}

fn collection(model: &Model, entity: &Entity) -> Value {
    let mut item = json!({"get": list(model, entity)});
    if let (Some(members), false) = (item.as_object_mut(), entity.readonly) {
        members.insert("post".to_owned(), create(entity));
    }
    item
}

fn list(model: &Model, entity: &Entity) -> Value {
    let shared = these(&["Filter", "OrderBy", "Fields", "Expand", "PageSize", "PageToken", "WithTotal", "After", "Initial", "LastEventId"]);
    // The stream stands in the description: as a second type of the 200 it would make every generated client's answer "this or a string".
    let answer = with_body("A page of the rows that match.", schema(entity, "List"), &["Cache-Control", "Vary", "Link"]);
    let mut operation = Operation {
        id: camel(&format!("list_{}", entity.plural)),
        summary: format!("List rows of {}", entity.name),
        tag: &entity.plural,
        parameters: shared.into_iter().chain(filters(model, entity)).collect(),
        body: None,
        responses: responses(vec![("200", answer)], &[409, 410]),
    }
    .json();
    operation["description"] = json!(format!("{MORE_FILTERS}\n\n{EVENTS}"));
    operation
}

fn create(entity: &Entity) -> Value {
    let created = with_body("The new row.", schema(entity, ""), &["ETag", "Location", "Preference-Applied"]);
    let summary = with_body("What an ingest came to.", reference("schemas", "IngestSummary"), &[]);
    let lines = json!({"type": "string", "description": "A row a line, each standing alone."});
    Operation {
        id: format!("create{}", entity.name),
        summary: format!("Create a {}, or ingest many", entity.name),
        tag: &entity.plural,
        parameters: these(&["Fields", "Expand", "Mode", "Prefer", "IdempotencyKey"]),
        body: Some(body(&[("application/json", schema(entity, "Create")), ("application/x-ndjson", lines)])),
        responses: responses(vec![("201", created), ("200", summary)], &[403, 409, 413, 415, 422, 501, 507]),
    }
    .json()
}

fn row(model: &Model, entity: &Entity) -> Value {
    let mut item = json!({"parameters": [key(model, entity)], "get": get(entity)});
    if let (Some(members), false) = (item.as_object_mut(), entity.readonly) {
        members.insert("patch".to_owned(), patch(entity));
        members.insert("put".to_owned(), put(entity));
        members.insert("delete".to_owned(), delete(entity));
    }
    item
}

fn get(entity: &Entity) -> Value {
    let answer = with_body("The row.", schema(entity, ""), &["ETag", "Cache-Control", "Vary"]);
    let known = bare("The reader has it already.", &["ETag", "Cache-Control", "Vary"]);
    Operation {
        id: format!("get{}", entity.name),
        summary: format!("Get one {}", entity.name),
        tag: &entity.plural,
        parameters: these(&["Fields", "Expand", "IfNoneMatch"]),
        body: None,
        responses: responses(vec![("200", answer), ("304", known)], &[404]),
    }
    .json()
}

fn patch(entity: &Entity) -> Value {
    let answer = with_body("The row after the change.", schema(entity, ""), &["ETag"]);
    let minimal = bare("Changed, with `Prefer: return=minimal`.", &["ETag", "Preference-Applied"]);
    let patch = schema(entity, "Patch");
    Operation {
        id: format!("update{}", entity.name),
        summary: format!("Change a {}: what is absent stays, null clears (RFC 7396)", entity.name),
        tag: &entity.plural,
        parameters: these(&["Fields", "Expand", "IfMatch", "Prefer", "IdempotencyKey"]),
        body: Some(body(&[("application/merge-patch+json", patch.clone()), ("application/json", patch)])),
        responses: responses(vec![("200", answer), ("204", minimal)], &[403, 404, 409, 412, 413, 415, 422, 428, 507]),
    }
    .json()
}

fn put(entity: &Entity) -> Value {
    let replaced = with_body("The row, replaced.", schema(entity, ""), &["ETag"]);
    let created = with_body("The row, new.", schema(entity, ""), &["ETag", "Location"]);
    let minimal = bare("Replaced, with `Prefer: return=minimal`.", &["ETag", "Preference-Applied"]);
    Operation {
        id: format!("upsert{}", entity.name),
        summary: format!("Create a {} or replace all of it", entity.name),
        tag: &entity.plural,
        parameters: these(&["Fields", "Expand", "IfMatch", "IfNoneMatch", "Prefer", "IdempotencyKey"]),
        body: Some(body(&[("application/json", schema(entity, "Replace"))])),
        responses: responses(vec![("200", replaced), ("201", created), ("204", minimal)], &[403, 404, 409, 412, 413, 415, 422, 428, 507]),
    }
    .json()
}

fn delete(entity: &Entity) -> Value {
    Operation {
        id: format!("delete{}", entity.name),
        summary: format!("Delete a {}", entity.name),
        tag: &entity.plural,
        parameters: these(&["IfMatch", "IdempotencyKey"]),
        body: None,
        responses: responses(vec![("204", bare("It is gone.", &[]))], &[403, 404, 409, 412, 422, 428, 507]),
    }
    .json()
}

fn aggregate(model: &Model, entity: &Entity) -> Value {
    let shared = these(&["GroupBy", "Count", "CountDistinct", "Sum", "Avg", "Min", "Max", "Filter"]);
    let answer = with_body("The groups, in the order of their keys; at most 1,000.", schema(entity, "Groups"), &["Cache-Control", "Vary"]);
    Operation {
        id: camel(&format!("aggregate_{}", entity.plural)),
        summary: format!("Group and measure rows of {}", entity.name),
        tag: &entity.plural,
        parameters: shared.into_iter().chain(filters(model, entity)).collect(),
        body: None,
        responses: responses(vec![("200", answer)], &[]),
    }
    .json()
}

fn batch() -> Value {
    Operation {
        id: "batch".to_owned(),
        summary: "Several writes in one commit: all of them, or none".to_owned(),
        tag: "batch",
        parameters: these(&["Prefer", "IdempotencyKey"]),
        body: Some(body(&[("application/json", reference("schemas", "Batch"))])),
        responses: responses(
            vec![("200", with_body("What each came to.", reference("schemas", "BatchResults"), &[]))],
            &[403, 404, 409, 412, 413, 415, 422, 428, 507],
        ),
    }
    .json()
}
