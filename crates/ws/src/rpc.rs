//! `rpc`: `<plural>.<verb>` and `batch`, with REST's parameters and bodies.

use std::borrow::Cow;
use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_model::{EntityId, Value};
use fourfold_op::params::{Asked, Asking, Body, Face, Pairs, Shape, WriteAsked, key_from_json};
use fourfold_op::{Answered, Context, Error, ErrorCode, IdempotencyKey, Limits, Outcome, WriteKind, json, render};
use serde_json::value::RawValue;

/// One call: who, and over which engine.
pub(crate) struct Call {
    pub(crate) engine: Arc<Engine>,
    pub(crate) context: Context,
}

/// The members of `data` for one row.
#[derive(Default)]
struct Given<'a> {
    id: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    if_revision: Option<u64>,
    rest: Pairs<'a>,
}

impl Call {
    /// Answers a call with what REST would answer as its body.
    pub(crate) async fn answer(mut self, method: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
        let (asked, entity) = self.asked(method, text(data, self.engine.limits())?)?;
        let executed = self.engine.execute(&self.context, &asked.operation, &asked.values).await;
        let executed = executed.map_err(|error| asked.of_batch(error))?;
        self.render(entity, &asked.shape, executed.outcome)
    }

    fn asking(&self) -> Asking<'_> {
        Asking::new(self.engine.model(), self.engine.limits(), Face::WebSocket)
    }

    fn asked(&mut self, method: &str, text: &str) -> Result<(Asked, Option<EntityId>), Error> {
        if method == "batch" {
            return Ok((self.batch(text)?, None));
        }
        let Some((plural, verb)) = method.split_once('.') else { return Err(self.unknown(method)) };
        let entity = self.entity(plural).ok_or_else(|| self.unknown(method))?;
        let asked = match verb {
            "list" => self.asking().list(entity, &parameters(text)?)?,
            "aggregate" => self.asking().aggregate(entity, &parameters(text)?)?,
            "get" => {
                let given = self.given(text, &["id"])?;
                let key = self.key(entity, &given)?.ok_or_else(|| missing("id"))?;
                self.asking().get(entity, key, &given.rest)?
            }
            "create" => self.write(entity, WriteKind::Create, text, &["data", "request_id"])?,
            "update" => self.write(entity, WriteKind::Update, text, &["id", "data", "if_revision", "request_id"])?,
            "upsert" => {
                let kind = WriteKind::Upsert { create_only: false, update_only: false };
                self.write(entity, kind, text, &["id", "data", "if_revision", "request_id"])?
            }
            "delete" => self.write(entity, WriteKind::Delete, text, &["id", "if_revision", "request_id"])?,
            _ => return Err(self.unknown(method)),
        };
        Ok((asked, Some(entity)))
    }

    fn entity(&self, plural: &str) -> Option<EntityId> {
        let model = self.engine.model();
        model.entity_by_plural(plural).filter(|id| Face::WebSocket.shows(model.entity(*id)))
    }

    /// An unknown rpc is 104, as the protocol has it.
    fn unknown(&self, method: &str) -> Error {
        const VERBS: [&str; 7] = ["get", "list", "aggregate", "create", "update", "upsert", "delete"];
        let shown = self.engine.model().entities.iter().filter(|entity| Face::WebSocket.shows(entity));
        let methods: Vec<String> = shown.flat_map(|entity| VERBS.map(|verb| format!("{}.{verb}", entity.plural))).collect();
        let known = methods.iter().map(String::as_str).chain(["batch"]);
        let action = self.engine.model().actions.iter().any(|action| action.name == method);
        let message = match action {
            true => format!("the action `{method}` is not served yet"),
            false => format!("unknown rpc {}{}", json::quoted(method), json::did_you_mean(method, known)),
        };
        Error::new(ErrorCode::Unimplemented, message)
    }

    fn given<'t>(&mut self, text: &'t str, allowed: &[&str]) -> Result<Given<'t>, Error> {
        let mut given = Given::default();
        let mut seen: Vec<Cow<'t, str>> = Vec::new();
        for (name, value) in json::members(text).map_err(|detail| Error::invalid_at("", detail))?.0 {
            let at = format!("/{}", json::escape_pointer(&name));
            if seen.contains(&name) {
                return Err(Error::invalid_at(at, format!("`{name}` is given twice")));
            }
            match name.as_ref() {
                "fields" | "expand" => given.rest.push((name.clone(), text_of(value).map_err(|detail| Error::invalid_at(at, detail))?)),
                other if !allowed.contains(&other) => {
                    let known = allowed.iter().copied().chain(["fields", "expand"]);
                    let list = known.clone().collect::<Vec<_>>().join(", ");
                    let detail = format!("unknown member {}; expected {list}{}", json::quoted(other), json::did_you_mean(other, known));
                    return Err(Error::invalid_at(at, detail));
                }
                "id" => given.id = Some(value),
                "data" => given.data = Some(value),
                "request_id" => self.request_id(value)?,
                _ => given.if_revision = Some(revision(value)?),
            }
            seen.push(name);
        }
        Ok(given)
    }

    fn request_id(&mut self, value: &RawValue) -> Result<(), Error> {
        let max = self.engine.limits().idempotency_key_max;
        let text: Option<String> = serde_json::from_str(value.get()).ok();
        let fits = |text: &String| (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.as_ref().is_some_and(|text| text.len() > max) {
            return Err(Error::limit("idempotency_key_max", max, "characters"));
        }
        let text = text.filter(fits);
        let text = text.ok_or_else(|| Error::invalid_at("/request_id", format!("expected a string of 1 to {max} visible characters")))?;
        self.context.idempotency = Some(IdempotencyKey(text.into()));
        Ok(())
    }

    fn key(&self, entity: EntityId, given: &Given<'_>) -> Result<Option<Value>, Error> {
        let key = given.id.map(|id| key_from_json(self.engine.model(), entity, id.get())).transpose();
        key.map_err(|detail| Error::invalid_at("/id", detail))
    }

    fn write(&mut self, entity: EntityId, kind: WriteKind, text: &str, allowed: &[&str]) -> Result<Asked, Error> {
        let given = self.given(text, allowed)?;
        let key = self.key(entity, &given)?;
        if key.is_none() && kind != WriteKind::Create {
            return Err(missing("id"));
        }
        let body = match (given.data, kind) {
            (_, WriteKind::Delete) => Body::None,
            (Some(data), _) => Body::Object(data.get(), "/data"),
            (None, _) => return Err(missing("data")),
        };
        let asked = WriteAsked { kind, key: key.as_ref(), body, if_revision: given.if_revision, minimal: false };
        self.asking().write(entity, asked, &given.rest)
    }

    fn batch(&mut self, text: &str) -> Result<Asked, Error> {
        let mut body = String::from("{");
        for (name, value) in json::members(text).map_err(|detail| Error::invalid_at("", detail))?.0 {
            if name == "request_id" {
                self.request_id(value)?;
                continue;
            }
            if body.len() > 1 {
                body.push(',');
            }
            let mut quoted = Vec::new();
            json::write_string(&mut quoted, &name);
            body.push_str(&String::from_utf8_lossy(&quoted));
            body.push(':');
            body.push_str(value.get());
        }
        body.push('}');
        self.asking().batch(body.as_bytes(), false)
    }

    fn render(&self, entity: Option<EntityId>, shape: &Shape, outcome: Outcome) -> Result<Vec<u8>, Error> {
        let model = self.engine.model();
        let mut out = Vec::with_capacity(512);
        match (outcome, shape) {
            (Outcome::Read(mut answers, cursor), shape) => match (answers.pop(), shape, cursor) {
                (Some(Answered::Row(Some(record))), Shape::Rows(shape), _) => shape.write(&mut out, model, &record),
                (Some(Answered::Row(None)), ..) => {
                    return Err(Error::not_found(entity.map_or("row", |entity| model.entity(entity).name.as_str())));
                }
                (Some(Answered::Page(page)), Shape::Rows(shape), Some(cursor)) => shape.write_page(&mut out, model, &page, &cursor),
                (Some(Answered::Groups(groups)), Shape::Groups(shape), _) => shape.write(&mut out, model, &groups),
                _ => return Err(Error::internal("the engine answered another kind of read")),
            },
            (Outcome::Written(written, _), Shape::Batch(shapes)) => render::write_results(&mut out, model, shapes, &written),
            (Outcome::Written(mut written, _), Shape::Rows(shape)) => match written.pop() {
                Some(written) if written.deleted => render::write_key_and_revision(&mut out, model, &written),
                Some(written) => shape.write_written(&mut out, model, &written),
                None => return Err(Error::internal("the engine answered no write")),
            },
            (Outcome::Written(..), Shape::Groups(_)) => return Err(Error::internal("the engine answered a write with groups")),
        }
        Ok(out)
    }
}

fn missing(name: &str) -> Error {
    Error::invalid_at(format!("/{name}"), format!("`{name}` is missing"))
}

fn revision(value: &RawValue) -> Result<u64, Error> {
    let read = value.get().parse().ok().filter(|revision| *revision > 0);
    read.ok_or_else(|| {
        Error::invalid_at("/if_revision", format!("{} is not a revision; expected a whole number from 1", json::quoted(value.get())))
    })
}

/// An object of REST's parameters: a string, number or boolean each; an array is a parameter given repeatedly.
fn parameters(text: &str) -> Result<Pairs<'_>, Error> {
    let mut pairs = Pairs::new();
    for (name, value) in json::members(text).map_err(|detail| Error::invalid_at("", detail))?.0 {
        let wrong = |detail: String| Error::invalid_at(format!("/{}", json::escape_pointer(&name)), detail);
        if value.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|error| wrong(error.to_string()))?;
            for item in items {
                pairs.push((name.clone(), text_of(item).map_err(wrong)?));
            }
        } else {
            pairs.push((name.clone(), text_of(value).map_err(wrong)?));
        }
    }
    Ok(pairs)
}

/// What `data` holds: an object's text; without any, an empty one.
pub(crate) fn text<'a>(data: &'a [u8], limits: &Limits) -> Result<&'a str, Error> {
    let text = std::str::from_utf8(data).map_err(|_| Error::invalid_at("/data", "not UTF-8; expected a JSON object"))?;
    if json::depth(text) > limits.json_depth_max {
        return Err(Error::limit("json_depth_max", limits.json_depth_max, "levels"));
    }
    Ok(if matches!(text, "" | "null") { "{}" } else { text })
}

/// A parameter's text.
pub(crate) fn text_of(value: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = value.get();
    match text.bytes().next() {
        Some(b'"') => serde_json::from_str::<String>(text).map(Cow::Owned).map_err(|error| error.to_string()),
        Some(b'{' | b'[' | b'n') => Err("expected a string, a number or a boolean".to_owned()),
        _ => Ok(Cow::Borrowed(text)),
    }
}
