//! Claims: a token's members as values of the model's `caller` block.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fourfold_model::{Base, Claim, Model, Type, Value};
use fourfold_op::json::{Dialect, Reader, parse_text};
use fourfold_op::{Claims, Limits};
use serde_json::{Map, Value as Json};

/// The claims of an anonymous caller: nulls, and empty lists.
pub(super) fn of_nobody(model: &Model) -> Claims {
    Claims(model.claims.iter().map(|claim| absent(claim.ty)).collect())
}

fn absent(ty: Type) -> Value {
    if ty.list { Value::List(Arc::new([])) } else { Value::Null }
}

/// Reads every claim; the error says which one is missing or of the wrong type.
pub(super) fn read(model: &Model, payload: &Map<String, Json>) -> Result<Box<[Value]>, String> {
    model.claims.iter().map(|claim| one(model, claim, payload)).collect()
}

fn one(model: &Model, claim: &Claim, payload: &Map<String, Json>) -> Result<Value, String> {
    match find(payload, &claim.path) {
        None | Some(Json::Null) if claim.ty.nullable || claim.ty.list => Ok(absent(claim.ty)),
        None | Some(Json::Null) => Err(format!("the token has no claim `{}`", claim.path)),
        Some(json) => {
            typed(model, claim.ty, json).ok_or_else(|| format!("the token's claim `{}` is not a {}", claim.path, name(model, claim.ty)))
        }
    }
}

/// The channel that a token is for; the token has been verified.
pub(super) fn channel(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let payload: Map<String, Json> = serde_json::from_slice(&payload).ok()?;
    payload.get("channel")?.as_str().map(str::to_owned)
}

/// A member by its name, or by a path of names; `https://…` names may hold dots themselves.
fn find<'a>(payload: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    if let Some(json) = payload.get(path) {
        return Some(json);
    }
    let (first, rest) = path.split_once('.')?;
    find(payload.get(first)?.as_object()?, rest)
}

fn typed(model: &Model, ty: Type, json: &Json) -> Option<Value> {
    if ty.list {
        let items = json.as_array().filter(|items| items.len() <= 100)?;
        let item = Type { list: false, ..ty };
        return items.iter().map(|json| typed(model, item, json)).collect::<Option<Vec<_>>>().map(|items| Value::List(items.into()));
    }
    match (ty.base, json) {
        // Identity providers write ids as numbers and as texts (`sub` is always a text), and times as seconds.
        (Base::Int | Base::BigInt, Json::String(text)) => parse_text(model, ty.base, text).ok(),
        (Base::DateTime, Json::Number(seconds)) => seconds.as_i64()?.checked_mul(1_000_000).map(Value::DateTime),
        (_, Json::Null) => None,
        _ => Reader::new(model, &Limits::default(), Dialect::Plain).value(ty, &json.to_string(), ""),
    }
}

fn name(model: &Model, ty: Type) -> String {
    let base = match ty.base {
        Base::Enum(id) => model.enumeration(id).name.to_string(),
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        other => format!("{other:?}"),
    };
    if ty.list { format!("list of {base}") } else { base }
}
