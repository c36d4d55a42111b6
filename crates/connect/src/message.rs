//! A message as a write: JSON to typed values, by the model.

use fourfold_engine::IntakeRow;
use fourfold_model::{EntityId, KEY, Model, Value};
use fourfold_op::json::Reader;
use fourfold_op::params::{parse_key, split_key};
use fourfold_op::{Error, Limits, WriteKind};

use crate::source::Message;

/// How messages are read as writes.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Of which entity.
    pub entity: EntityId,
    /// What a message does.
    pub mode: Mode,
    /// Where the row's key stands.
    pub key: KeyFrom,
    /// What stands before it in the message's key: `Order/`.
    pub key_prefix: String,
}

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its value is a new row.
    Create,
    /// Its value is what changes in a row that is there.
    Update,
    /// Its value is the whole row; without a value the row goes.
    Upsert,
    /// Its value is what changes, in a new row where there is none; without a value the row goes.
    Merge,
    /// The row goes.
    Delete,
}

/// Where a row's key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrom {
    /// In the value, as the key's field; where there is no value, in the message's key.
    Value,
    /// In the message's key.
    Message,
}

impl Mode {
    fn write(self) -> WriteKind {
        match self {
            Mode::Create => WriteKind::Create,
            Mode::Update => WriteKind::Update,
            Mode::Upsert => WriteKind::Upsert { create_only: false, update_only: false },
            Mode::Merge => WriteKind::Merge,
            Mode::Delete => WriteKind::Delete,
        }
    }

    fn takes_no_value(self) -> bool {
        matches!(self, Mode::Upsert | Mode::Merge | Mode::Delete)
    }
}

impl Reading {
    /// A message as a write.
    ///
    /// # Errors
    /// `invalid_argument` with every wrong place; `limit_exceeded` for one that is too large or too deep.
    pub fn read(&self, model: &Model, limits: &Limits, message: &Message) -> Result<IntakeRow, Error> {
        let Some(value) = &message.value else { return self.without_value(model, message) };
        if value.len() > limits.row_bytes_max {
            return Err(Error::limit("row_bytes_max", limits.row_bytes_max, "bytes"));
        }
        let mut reader = Reader::for_source(model, limits);
        let text = reader.check_text(value)?;
        let read = reader.entity(self.entity, text, "");
        reader.finish()?;
        let (named, set) = split_key(read);
        let key = self.key(model, message, named)?;
        let kind = self.mode.write();
        let set = if kind == WriteKind::Delete { Vec::new() } else { set };
        if key.is_none() && kind != WriteKind::Create {
            let field = &model.entity(self.entity).field(KEY).name;
            return Err(Error::invalid_at(format!("/{field}"), format!("the row's key is missing; expected `{field}` in the value")));
        }
        Ok(IntakeRow { entity: self.entity, kind, key, set })
    }

    fn key(&self, model: &Model, message: &Message, named: Option<Value>) -> Result<Option<Value>, Error> {
        if self.key == KeyFrom::Value {
            return Ok(named);
        }
        let key = self.message_key(model, message)?;
        match named {
            Some(named) if named != key => {
                let field = &model.entity(self.entity).field(KEY).name;
                Err(Error::invalid_at(format!("/{field}"), format!("`{field}` is another than the message's key")))
            }
            _ => Ok(Some(key)),
        }
    }

    fn without_value(&self, model: &Model, message: &Message) -> Result<IntakeRow, Error> {
        if !self.mode.takes_no_value() {
            return Err(Error::invalid("the message has no value; expected a JSON object"));
        }
        let key = Some(self.message_key(model, message)?);
        Ok(IntakeRow { entity: self.entity, kind: WriteKind::Delete, key, set: Vec::new() })
    }

    fn message_key(&self, model: &Model, message: &Message) -> Result<Value, Error> {
        let bytes = message.key.as_deref().ok_or_else(|| Error::invalid("the message has no key; expected the row's key as text"))?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| Error::invalid("the message's key is not UTF-8; expected the row's key as text"))?;
        let prefix = &self.key_prefix;
        let text = text.strip_prefix(prefix).ok_or_else(|| Error::invalid(format!("the message's key does not begin with `{prefix}`")))?;
        parse_key(model, self.entity, text)
    }
}

/// An error of a message as one line: what was wrong, with every place.
pub(crate) fn reason(error: &Error) -> String {
    let places = error.public.errors.iter().map(|place| format!("`{}`: {}", place.pointer, place.detail));
    match error.public.errors.len() {
        0 | 1 => error.public.message.clone(),
        _ => format!("{}: {}", error.public.message, places.collect::<Vec<_>>().join("; ")),
    }
}
