//! Writes: one, or a batch in one commit.

use std::sync::Arc;

use fourfold_model::{EntityId, FieldId, Value};
use serde_json::value::RawValue;

use super::{Asked, Asking, Pairs, Shape, is_key, key_from_json};
use crate::json::{did_you_mean, members, quoted};
use crate::render::RowShape;
use crate::{Answer, Error, Operand, Operation, Write, WriteKind};

/// One write, as a face has it.
#[derive(Clone, Copy, Debug)]
pub struct WriteAsked<'a> {
    /// What is done.
    pub kind: WriteKind,
    /// The key, from a path; a body may repeat it.
    pub key: Option<&'a Value>,
    /// The members that are set.
    pub body: Body<'a>,
    /// The revision that the row must have.
    pub if_revision: Option<u64>,
    /// Whether only the key and revision come back (`Prefer: return=minimal`).
    pub minimal: bool,
}

/// Where the members of a write stand.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Nowhere: a delete.
    None,
    /// In this JSON object; its pointers begin with this.
    Object(&'a str, &'a str),
}

/// Takes the key out of the members that a body sets.
pub fn split_key(mut set: Vec<(FieldId, Value)>) -> (Option<Value>, Vec<(FieldId, Value)>) {
    let place = set.iter().position(|(field, _)| is_key(*field));
    let key = place.map(|place| set.remove(place).1).filter(|key| !key.is_null());
    (key, set)
}

/// Says which operation of a batch an error of its parsing is about, by its first pointer.
pub fn batch_error(mut error: Error) -> Error {
    let first = error.public.errors.first().and_then(|first| first.pointer.strip_prefix("/operations/"));
    let index = first.and_then(|rest| rest.split('/').next()).and_then(|index| index.parse().ok());
    error.public.operation = error.public.operation.or(index);
    error
}

impl Asking<'_> {
    /// One write of an entity, with `fields` and `expand` for what comes back.
    ///
    /// # Errors
    /// `invalid_argument` with everything that is wrong, `limit_exceeded`.
    pub fn write(mut self, entity: EntityId, asked: WriteAsked<'_>, pairs: &Pairs<'_>) -> Result<Asked, Error> {
        if let Body::Object(text, _) = asked.body {
            self.reader.check_text(text.as_bytes())?;
        }
        let (fields, expand) = self.row_parameters(pairs, "a write");
        let shown = self.shown(entity, fields, expand);
        let answer = match asked.kind {
            WriteKind::Delete => Answer::Key,
            _ if asked.minimal => Answer::Key,
            _ => Answer::Row { fields: shown.fields, nested: shown.nested },
        };
        let write = self.one(entity, asked, answer);
        self.finish(Operation::Write(vec![write]), Shape::Rows(shown.shape))
    }

    fn one(&mut self, entity: EntityId, asked: WriteAsked<'_>, answer: Answer) -> Write {
        let (given, set) = match asked.body {
            Body::None => (None, Vec::new()),
            Body::Object(text, pointer) => {
                let (given, set) = split_key(self.reader.entity(entity, text, pointer));
                if let (Some(given), Some(key)) = (&given, asked.key)
                    && given != key
                {
                    self.reader.wrong(format!("{pointer}/id"), "a key never changes, and this is not the key of the row that is addressed");
                }
                (given, set)
            }
        };
        let key = asked.key.cloned().or(given).map(|key| self.lift(key));
        let set: Vec<(FieldId, Operand)> = set.into_iter().map(|(field, value)| (field, self.lift(value))).collect();
        let if_revision = asked.if_revision.map(|revision| self.lift(Value::Int(i64::try_from(revision).unwrap_or(i64::MAX))));
        Write { entity, kind: asked.kind, key, set, if_revision, answer }
    }

    /// `{"operations": [{"create": "products", "data": {…}}, …]}`: all in one commit, or none.
    ///
    /// # Errors
    /// `invalid_argument` that names the operation, `limit_exceeded`.
    pub fn batch(mut self, body: &[u8], minimal: bool) -> Result<Asked, Error> {
        let text = self.reader.check_text(body)?;
        let operations = operations(text)?;
        let count_max = self.limits.commit_events_max;
        if operations.len() > count_max {
            return Err(Error::limit("commit_events_max", count_max, "operations"));
        }
        let (mut writes, mut shapes) = (Vec::with_capacity(operations.len()), Vec::new());
        for (index, operation) in operations.iter().enumerate() {
            let pointer = format!("/operations/{index}");
            match self.batched(operation.get(), &pointer, minimal) {
                Ok((write, shape)) => {
                    writes.push(write);
                    shapes.push(shape);
                }
                Err((member, detail)) => self.reader.wrong(format!("{pointer}{member}"), detail),
            }
        }
        self.finish(Operation::Write(writes), Shape::Batch(shapes)).map_err(batch_error)
    }

    fn batched(&mut self, text: &str, pointer: &str, minimal: bool) -> Result<(Write, Arc<RowShape>), (String, String)> {
        let members = Batched::read(text)?;
        let (verb, plural) =
            members.verb.ok_or_else(|| (String::new(), format!("nothing is done here; expected one of {}", VERBS.join(", "))))?;
        let entity = self.entity_named(&plural).map_err(|detail| (format!("/{verb}"), detail))?;
        let key = members
            .key
            .map(|key| key_from_json(self.model, entity, key.get()))
            .transpose()
            .map_err(|detail| ("/key".to_owned(), detail))?;
        let (kind, needs_key, needs_data) = match verb {
            "create" => (WriteKind::Create, false, true),
            "update" => (WriteKind::Update, true, true),
            "upsert" => (WriteKind::Upsert { create_only: false, update_only: false }, true, true),
            _ => (WriteKind::Delete, true, false),
        };
        if needs_key && key.is_none() {
            return Err((String::new(), format!("`{verb}` needs a `key`")));
        }
        if needs_data != members.data.is_some() {
            return Err((String::new(), format!("`{verb}` {} `data`", if needs_data { "needs" } else { "takes no" })));
        }
        let at = format!("{pointer}/data");
        let body = members.data.map_or(Body::None, |data| Body::Object(data.get(), &at));
        let (fields, shape) = super::default_read(self.model, entity);
        let keyed = minimal || kind == WriteKind::Delete;
        let answer = if keyed { Answer::Key } else { Answer::Row { fields, nested: Vec::new() } };
        let asked = WriteAsked { kind, key: key.as_ref(), body, if_revision: members.if_revision, minimal };
        Ok((self.one(entity, asked, answer), shape))
    }

    /// The entity of a plural that this face shows.
    fn entity_named(&self, plural: &str) -> Result<EntityId, String> {
        let shown = |id: &EntityId| self.face.shows(self.model.entity(*id));
        self.model.entity_by_plural(plural).filter(shown).ok_or_else(|| {
            let plurals = self.model.entities.iter().filter(|entity| self.face.shows(entity)).map(|entity| entity.plural.as_str());
            format!("unknown entity {}{}", quoted(plural), did_you_mean(plural, plurals))
        })
    }
}

const VERBS: [&str; 4] = ["create", "update", "upsert", "delete"];

/// The members of one operation of a batch.
#[derive(Default)]
struct Batched<'a> {
    verb: Option<(&'static str, String)>,
    key: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    if_revision: Option<u64>,
}

impl<'a> Batched<'a> {
    fn read(text: &'a str) -> Result<Batched<'a>, (String, String)> {
        let mut batched = Batched::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in members(text).map_err(|detail| (String::new(), detail))?.0 {
            let at = format!("/{}", crate::json::escape_pointer(&name));
            if seen.iter().any(|known| *known == name) {
                return Err((at, format!("`{name}` is given twice")));
            }
            batched.member(&name, value).map_err(|detail| (at, detail))?;
            seen.push(name.into_owned());
        }
        Ok(batched)
    }

    fn member(&mut self, name: &str, value: &'a RawValue) -> Result<(), String> {
        match name {
            "key" => self.key = Some(value),
            "data" => self.data = Some(value),
            "if_revision" => self.if_revision = Some(revision(value)?),
            _ => {
                let verb = VERBS.iter().find(|verb| **verb == name).ok_or_else(|| unknown_member(name))?;
                if let Some((other, _)) = &self.verb {
                    return Err(format!("one operation does one thing: `{other}` or `{name}`"));
                }
                let plural = serde_json::from_str(value.get())
                    .map_err(|_| format!("expected the plural of an entity, such as {{\"{name}\": \"products\"}}"))?;
                self.verb = Some((verb, plural));
            }
        }
        Ok(())
    }
}

fn unknown_member(name: &str) -> String {
    let known = VERBS.into_iter().chain(["key", "data", "if_revision"]);
    format!("unknown member {}; expected {}, key, data or if_revision{}", quoted(name), VERBS.join(", "), did_you_mean(name, known))
}

fn revision(value: &RawValue) -> Result<u64, String> {
    value
        .get()
        .parse()
        .ok()
        .filter(|revision| *revision > 0)
        .ok_or_else(|| format!("{} is not a revision; expected a whole number from 1", quoted(value.get())))
}

fn operations(text: &str) -> Result<Vec<&RawValue>, Error> {
    let mut found = None;
    for (name, value) in members(text).map_err(|detail| Error::invalid_at("", detail))?.0 {
        if name != "operations" || found.is_some() {
            let detail = if found.is_some() { "is given twice".to_owned() } else { "is unknown; expected `operations`".to_owned() };
            return Err(Error::invalid_at(format!("/{}", crate::json::escape_pointer(&name)), format!("{} {detail}", quoted(&name))));
        }
        found = Some(value);
    }
    let list = found.ok_or_else(|| {
        Error::invalid_at("", "`operations` is missing; expected {\"operations\": [{\"create\": \"products\", \"data\": {…}}]}")
    })?;
    let operations: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|_| Error::invalid_at("/operations", "expected an array of operations"))?;
    if operations.is_empty() {
        return Err(Error::invalid_at("/operations", "there is no operation; expected at least one"));
    }
    Ok(operations)
}
