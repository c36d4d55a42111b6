//! Create, Update, Upsert, Delete: from their arguments to a write.

use std::borrow::Cow;

use fourfold_model::{Base, Entity, EntityId, Field, FieldId, KEY, REVISION, Value};
use fourfold_op::{Answer, Error, Operand, Write, WriteKind};

use crate::message::{Arguments, Reading, unknown_field};
use crate::schema::service::Verb;
use crate::selection::{Selection, Values, selection};

/// A write that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The write.
    pub write: Write,
    /// What of the row comes back.
    pub selection: Selection,
    /// What is done instead where there is no such row: `allow_missing` with a mask that leaves out some of what is set.
    pub otherwise: Option<Write>,
    /// Whether it is fine when there is no row to delete.
    pub may_be_missing: bool,
    /// The caller's key for this request; empty when there is none.
    pub request_id: String,
}

/// Reads a write.
///
/// # Errors
/// `invalid_argument`, with each field that is wrong.
pub fn asked(verb: Verb, id: EntityId, reading: Reading<'_>, arguments: &Arguments<'_>, values: &mut Values) -> Result<Asked, Error> {
    let writer = Writer { id, reading, arguments };
    match verb {
        Verb::Create => writer.create(values),
        Verb::Update => writer.update(values),
        Verb::Upsert => writer.upsert(values),
        _ => writer.delete(values),
    }
}

struct Writer<'a, 'r> {
    id: EntityId,
    reading: Reading<'a>,
    arguments: &'a Arguments<'r>,
}

/// What is set in a row: its key apart, its revision left out, as the server keeps that.
pub struct SetRow {
    /// The key.
    pub key: Option<Value>,
    /// The rest, ascending.
    pub set: Vec<(FieldId, Value)>,
}

impl SetRow {
    /// Parts a row's values.
    pub fn new(mut set: Vec<(FieldId, Value)>) -> SetRow {
        let mut key = None;
        set.retain_mut(|(field, value)| {
            if *field == KEY {
                key = Some(std::mem::take(value));
            }
            *field != KEY && *field != REVISION
        });
        SetRow { key, set }
    }

    /// Refuses fields that no client sets.
    ///
    /// # Errors
    /// `invalid_argument`, with each of them.
    pub fn check(&self, entity: &Entity) -> Result<(), Error> {
        let wrong = self.set.iter().filter_map(|(field, _)| unwritable(entity.field(*field)));
        refuse(wrong)
    }
}

impl Writer<'_, '_> {
    fn create(&self, values: &mut Values) -> Result<Asked, Error> {
        let row = self.row()?;
        row.check(self.reading.entity)?;
        let key = row.key.map(|key| values.push(key)).transpose()?;
        let set = operands(row.set, values)?;
        let write = Write { entity: self.id, kind: WriteKind::Create, key, set, if_revision: None, answer: Answer::Key };
        self.asked(write, 3, 2, values)
    }

    fn upsert(&self, values: &mut Values) -> Result<Asked, Error> {
        let kind = WriteKind::Upsert { create_only: false, update_only: false };
        let write = self.replace(kind, self.row()?, 2, values)?;
        self.asked(write, 4, 3, values)
    }

    fn replace(&self, kind: WriteKind, row: SetRow, etag: u32, values: &mut Values) -> Result<Write, Error> {
        row.check(self.reading.entity)?;
        let key = Some(values.push(self.required_key(row.key)?)?);
        let set = operands(row.set, values)?;
        Ok(Write { entity: self.id, kind, key, set, if_revision: self.revision(etag, values)?, answer: Answer::Key })
    }

    fn update(&self, values: &mut Values) -> Result<Asked, Error> {
        let row = self.row()?;
        let mask = self.arguments.texts(2);
        let allow_missing = self.arguments.flag(3);
        if mask.iter().any(|path| path == "*") {
            return self.update_all(row, mask, allow_missing, values);
        }
        let entity = self.reading.entity;
        let everything = row.set.clone();
        let set = if mask.is_empty() { row.set } else { masked(entity, mask, &row.set)? };
        let row = SetRow { key: row.key, set };
        row.check(entity)?;
        let narrower = allow_missing && everything.iter().any(|(field, _)| row.set.iter().all(|(of, _)| of != field));
        let kind = if allow_missing && !narrower { WriteKind::Merge } else { WriteKind::Update };
        let key = Some(values.push(self.required_key(row.key)?)?);
        let set = operands(row.set, values)?;
        let if_revision = self.revision(4, values)?;
        let otherwise = if narrower && if_revision.is_none() { Some(self.created(key, everything, values)?) } else { None };
        let write = Write { entity: self.id, kind, key, set, if_revision, answer: Answer::Key };
        let asked = self.asked(write, 6, 5, values)?;
        let otherwise = otherwise.map(|write| Write { answer: asked.selection.answer(), ..write });
        Ok(Asked { otherwise, ..asked })
    }

    fn update_all(&self, row: SetRow, mask: &[Cow<'_, str>], allow_missing: bool, values: &mut Values) -> Result<Asked, Error> {
        if mask.len() > 1 {
            return Err(Error::invalid_at("/update_mask", "`*` in an update mask stands alone: it is all fields"));
        }
        let write = self.replace(WriteKind::Upsert { create_only: false, update_only: !allow_missing }, row, 4, values)?;
        self.asked(write, 6, 5, values)
    }

    fn created(&self, key: Option<Operand>, set: Vec<(FieldId, Value)>, values: &mut Values) -> Result<Write, Error> {
        SetRow { key: None, set: set.clone() }.check(self.reading.entity)?;
        let set = operands(set, values)?;
        Ok(Write { entity: self.id, kind: WriteKind::Create, key, set, if_revision: None, answer: Answer::Key })
    }

    fn delete(&self, values: &mut Values) -> Result<Asked, Error> {
        let key = Some(values.push(self.required_key(self.arguments.key(1))?)?);
        let if_revision = self.revision(2, values)?;
        let write = Write { entity: self.id, kind: WriteKind::Delete, key, set: Vec::new(), if_revision, answer: Answer::Key };
        let selection = Selection { fields: Vec::new(), nested: Vec::new() };
        let request_id = self.arguments.text(4).to_owned();
        Ok(Asked { write, selection, otherwise: None, may_be_missing: self.arguments.flag(3), request_id })
    }

    fn asked(&self, write: Write, read_mask: u32, request_id: u32, values: &mut Values) -> Result<Asked, Error> {
        let Reading { model, limits, .. } = self.reading;
        let selection = selection(model, self.id, self.arguments.texts(read_mask), limits, values)?;
        let write = Write { answer: selection.answer(), ..write };
        let request_id = self.arguments.text(request_id).to_owned();
        Ok(Asked { write, selection, otherwise: None, may_be_missing: false, request_id })
    }

    fn row(&self) -> Result<SetRow, Error> {
        let name = &self.reading.entity.snake;
        let part = self.arguments.row(1).ok_or_else(|| Error::invalid_at(format!("/{name}"), format!("`{name}` is required")))?;
        Ok(SetRow::new(part.row(self.reading)?))
    }

    fn required_key(&self, key: Option<Value>) -> Result<Value, Error> {
        key.ok_or_else(|| Error::invalid_at("/id", "`id` is required: the row's key"))
    }

    fn revision(&self, number: u32, values: &mut Values) -> Result<Option<Operand>, Error> {
        match self.arguments.text(number) {
            "" => Ok(None),
            etag => Ok(Some(values.push(Value::Int(revision_of(etag)?))?)),
        }
    }
}

fn revision_of(etag: &str) -> Result<i64, Error> {
    let digits = etag.trim_matches('"');
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let revision = if plain { digits.parse().ok() } else { None };
    let refused = || {
        let shown = fourfold_op::json::quoted(etag);
        Error::invalid_at("/etag", format!("{shown} is no etag; expected the row's revision, such as `7`"))
    };
    revision.ok_or_else(refused)
}

fn operands(set: Vec<(FieldId, Value)>, values: &mut Values) -> Result<Vec<(FieldId, Operand)>, Error> {
    set.into_iter().map(|(field, value)| Ok((field, values.push(value)?))).collect()
}

/// What an update mask changes: what it names and is set, and what it names and is not: that is cleared.
fn masked(entity: &Entity, mask: &[Cow<'_, str>], set: &[(FieldId, Value)]) -> Result<Vec<(FieldId, Value)>, Error> {
    let mut fields: Vec<FieldId> = mask.iter().map(|path| masked_field(entity, path)).collect::<Result<_, _>>()?;
    fields.sort_unstable();
    fields.dedup();
    // The key says which row; naming it changes nothing.
    fields.retain(|field| *field != KEY);
    let value =
        |field: FieldId| set.iter().find(|(of, _)| *of == field).map_or_else(|| cleared(entity.field(field)), |(_, value)| value.clone());
    Ok(fields.into_iter().map(|field| (field, value(field))).collect())
}

fn masked_field(entity: &Entity, path: &str) -> Result<FieldId, Error> {
    let wrong = |detail: String| Error::invalid_at("/update_mask", format!("update mask `{path}`: {detail}"));
    let name = path.split('.').next().unwrap_or(path);
    match (entity.field_by_name(name), entity.relation_by_name(name)) {
        (Some(field), _) if name == path => Ok(field),
        (Some(_), _) => Err(wrong(format!("`{name}` is written whole"))),
        (None, Some(_)) => Err(wrong(format!("`{name}` is a relation; a to-one relation is written as `{name}_id`"))),
        (None, None) => Err(wrong(unknown_field(entity, name))),
    }
}

fn cleared(field: &Field) -> Value {
    match field.ty.base {
        Base::Owned(_) => Value::Owned(Vec::new().into()),
        _ if field.ty.list => Value::List(Vec::new().into()),
        _ => Value::Null,
    }
}

/// Why no client ever sets a field; the same for every face.
fn unwritable(field: &Field) -> Option<(&str, String)> {
    let name = field.name.as_str();
    let why = match field {
        _ if name == "revision" => "is kept by the server; say which one you mean by `etag`",
        Field { computed: Some(_), .. } => "is computed by the server",
        Field { set: Some(_), .. } => "is set by the server",
        Field { readonly: true, .. } => "is read-only; actions alone change it",
        _ => return None,
    };
    Some((name, format!("`{name}` {why}")))
}

fn refuse<'f>(wrong: impl Iterator<Item = (&'f str, String)>) -> Result<(), Error> {
    let errors: Vec<_> = wrong.map(|(name, detail)| fourfold_op::FieldError { pointer: format!("/{name}"), detail }).collect();
    let Some(first) = errors.first() else { return Ok(()) };
    let mut error = Error::invalid(first.detail.clone());
    error.public.errors = errors;
    Err(error)
}
