//! Parameters: the shared ones, and each field's filters.

use fourfold_model::{Base, Entity, Field, Model};
use fourfold_op::params::{RESERVED, RESERVED_AGGREGATE};
use serde_json::{Value, json};

use super::reference;
use super::values::{Side, scalar};

pub(super) fn shared() -> Value {
    json!({
        "Fields": query("fields", "string", "Which members the answer shows, with commas between; of an expanded relation as `artist.name`."),
        "Expand": query("expand", "string", "Relations whose rows are shown: at most 5 paths of at most 3 relations, `category,albums.artist`. A to-many relation shows 20 rows."),
        "OrderBy": query("order_by", "string", "At most 3 keys with commas between, `-price,title`; a minus descends. Nulls come first ascending and last descending."),
        "Filter": query("filter", "string", "An expression in the model's language: `price >= 5 && artist.name.startsWith(\"A\")`."),
        "WithTotal": query("with_total", "boolean", "Whether to count all rows that match, up to 10,000."),
        "PageToken": query("page_token", "string", "The `next_page_token` of the page before; with the same other parameters."),
        "PageSize": {"name": "page_size", "in": "query", "description": "Rows a page: 50 unless told, at most 1,000 (more is taken as 1,000).", "schema": {"type": "integer", "minimum": 0}},
        "After": query("after", "string", "For `text/event-stream`: the cursor after which the watch begins; without it, now."),
        "Initial": query("initial", "boolean", "For `text/event-stream`: whether the watch begins with the rows as they are."),
        "LastEventId": header("Last-Event-ID", "For `text/event-stream`: the last `id` that the reader has; it wins over `after` and `initial`."),
        "GroupBy": query("group_by", "string", "Fields with commas between; a moment may be cut to `hour`, `day`, `week`, `month` or `year`: `state,at:day`."),
        "Count": query("count", "string", "`*` for rows, or fields whose values are counted, null apart."),
        "CountDistinct": query("count_distinct", "string", "Fields whose different values are counted."),
        "Sum": query("sum", "string", "Fields to sum. Of Int the sum is a BigInt, of BigInt and Decimal a Decimal."),
        "Avg": query("avg", "string", "Fields to average."),
        "Min": query("min", "string", "Fields whose least value is told."),
        "Max": query("max", "string", "Fields whose greatest value is told."),
        "Mode": {"name": "mode", "in": "query", "description": "For `application/x-ndjson`: whether rows that exist are replaced.", "schema": {"type": "string", "enum": ["create", "upsert"]}},
        "IfMatch": header("If-Match", "The revision that the row must have, `\"7\"`; else 412."),
        "IfNoneMatch": header("If-None-Match", "The tags that the reader has; 304 where the answer would be the same. With PUT `*` asks only to create."),
        "Prefer": header("Prefer", "`return=minimal` for an answer without a body (RFC 7240)."),
        "IdempotencyKey": header("Idempotency-Key", "A write with the same key is done once; 1 to 255 visible characters, kept for 24 hours."),
    })
}

fn query(name: &str, ty: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": ty}})
}

fn header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}})
}

/// References to shared parameters.
pub(super) fn these(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| reference("parameters", name)).collect()
}

/// The parameter `{key}` of a path.
pub(super) fn key(model: &Model, entity: &Entity) -> Value {
    json!({"name": "key", "in": "path", "required": true, "description": format!("The `id` of the `{}`.", entity.name), "schema": one(model, entity.key_type())})
}

/// A value as text: a BigInt is its digits.
fn one(model: &Model, base: Base) -> Value {
    scalar(model, base, if matches!(base, Base::BigInt) { Side::Out } else { Side::In })
}

/// The filters of an entity's own fields.
pub(super) fn filters(model: &Model, entity: &Entity) -> Vec<Value> {
    entity.fields.iter().filter(|field| !field.secret).flat_map(|field| of_field(model, field)).collect()
}

fn of_field(model: &Model, field: &Field) -> Vec<Value> {
    let base = if field.name == "revision" { Base::Int } else { field.ty.base };
    let name = &field.name;
    let plain = || one(model, base);
    let many = || json!({"type": "array", "items": one(model, base)});
    let make = |op: &str, schema: Value| {
        let full = if op.is_empty() { name.to_string() } else { format!("{name}__{op}") };
        let mut parameter = json!({"name": full, "in": "query", "schema": schema});
        if let (Some(members), "in" | "not_in") = (parameter.as_object_mut(), op) {
            members.extend([("style".to_owned(), json!("form")), ("explode".to_owned(), json!(false))]);
        }
        parameter
    };
    let null = || make("isnull", json!({"type": "boolean"}));
    match base {
        Base::Owned(_) => return Vec::new(),
        Base::Json if field.ty.list => return Vec::new(),
        Base::Json => return vec![null()],
        _ if field.ty.list => return vec![make("has", plain())],
        _ => {}
    }
    let mut all = Vec::new();
    if !RESERVED.contains(&name.as_str()) && !RESERVED_AGGREGATE.contains(&name.as_str()) {
        all.push(make("", plain()));
    }
    all.extend(["eq", "ne"].map(|op| make(op, plain())));
    if !matches!(base, Base::Boolean | Base::Enum(_) | Base::Bytes) {
        all.extend(["gt", "gte", "lt", "lte"].map(|op| make(op, plain())));
    }
    all.extend(["in", "not_in"].map(|op| make(op, many())));
    if base == Base::String {
        all.extend(["contains", "icontains", "startswith"].map(|op| make(op, plain())));
    }
    all.push(null());
    all
}
