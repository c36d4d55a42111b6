//! Requests: one reader for protobuf and ProtoJSON, driven by the tables of parameters.

use std::borrow::Cow;

use fourfold_model::{Entity, Field, FieldId, Model, Row, Type, Value};
use fourfold_op::json::{self, Dialect, did_you_mean};
use fourfold_op::wire::bytes::{Malformed, Reader, WireType};
use fourfold_op::wire::{self, WireError};
use fourfold_op::{Error, Limits};

use smallvec::SmallVec;

use crate::schema::parameters::{Kind, Parameter};

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Protobuf.
    Proto(&'a [u8]),
    /// ProtoJSON.
    Json(&'a str),
}

/// What requests are read by.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub model: &'a Model,
    pub entity: &'a Entity,
    pub limits: &'a Limits,
}

/// The arguments of a request, by their parameters' numbers.
#[derive(Debug, Default)]
pub struct Arguments<'a> {
    given: SmallVec<[(u32, Argument<'a>); 4]>,
}

/// One argument.
#[derive(Debug, Default)]
pub enum Argument<'a> {
    /// Not given.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// Strings, or the paths of a mask.
    Texts(Vec<Cow<'a, str>>),
    /// An int32 or int64.
    Number(i64),
    /// A bool.
    Flag(bool),
    /// A key.
    Key(Value),
    /// Keys.
    Keys(Vec<Value>),
    /// A row, not yet read.
    Row(Part<'a>),
}

impl<'a> Argument<'a> {
    fn into_texts(self) -> Vec<Cow<'a, str>> {
        match self {
            Argument::Texts(texts) => texts,
            _ => Vec::new(),
        }
    }
    fn into_keys(self) -> Vec<Value> {
        match self {
            Argument::Keys(keys) => keys,
            _ => Vec::new(),
        }
    }
}

impl<'a> Part<'a> {
    /// Reads a message of these parameters.
    ///
    /// # Errors
    /// `invalid_argument`, with the parameter that is wrong.
    pub fn arguments(self, reading: Reading<'_>, parameters: &'static [Parameter]) -> Result<Arguments<'a>, Error> {
        match self {
            Part::Proto(message) => proto_arguments(message, reading, parameters),
            Part::Json(message) => json_arguments(message, reading, parameters),
        }
    }

    /// Reads an entity's message: what is set, ascending. What stands under a relation's name is passed over.
    ///
    /// # Errors
    /// `invalid_argument`, with each field that is wrong.
    pub fn row(self, reading: Reading<'_>) -> Result<Vec<(FieldId, Value)>, Error> {
        match self {
            Part::Proto(message) => Ok(wire::decode_set(reading.model, &reading.entity.fields, message)?),
            Part::Json(message) => json_row(message, reading),
        }
    }
}

impl<'a> Arguments<'a> {
    /// A string; empty when it was not given.
    pub fn text(&self, number: u32) -> &str {
        match self.given(number) {
            Some(Argument::Text(text)) => text,
            _ => "",
        }
    }
    /// Strings.
    pub fn texts(&self, number: u32) -> &[Cow<'a, str>] {
        match self.given(number) {
            Some(Argument::Texts(texts)) => texts,
            _ => &[],
        }
    }
    /// A number.
    pub fn number(&self, number: u32) -> Option<i64> {
        match self.given(number) {
            Some(Argument::Number(value)) => Some(*value),
            _ => None,
        }
    }
    /// A bool.
    pub fn flag(&self, number: u32) -> bool {
        matches!(self.given(number), Some(Argument::Flag(true)))
    }
    /// A key.
    pub fn key(&self, number: u32) -> Option<Value> {
        match self.given(number) {
            Some(Argument::Key(key)) => Some(key.clone()),
            _ => None,
        }
    }
    /// Keys.
    pub fn keys(&self, number: u32) -> &[Value] {
        match self.given(number) {
            Some(Argument::Keys(keys)) => keys,
            _ => &[],
        }
    }
    /// A row.
    pub fn row(&self, number: u32) -> Option<Part<'a>> {
        match self.given(number) {
            Some(Argument::Row(row)) => Some(*row),
            _ => None,
        }
    }

    fn given(&self, number: u32) -> Option<&Argument<'a>> {
        self.given.iter().find(|(given, _)| *given == number).map(|(_, argument)| argument)
    }

    /// Where a parameter's argument goes.
    fn slot(&mut self, parameter: &Parameter) -> &mut Argument<'a> {
        let place = self.given.iter().position(|(given, _)| *given == parameter.number).unwrap_or_else(|| {
            self.given.push((parameter.number, Argument::Absent));
            self.given.len() - 1
        });
        &mut self.given[place].1
    }
}

fn proto_arguments<'a>(message: &'a [u8], reading: Reading<'_>, parameters: &'static [Parameter]) -> Result<Arguments<'a>, Error> {
    let mut arguments = Arguments::default();
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag().map_err(malformed)? {
        // The tables count from 1 without a gap.
        let parameter = (number as usize).checked_sub(1).and_then(|index| parameters.get(index));
        let Some(parameter) = parameter else {
            reader.skip(number, wire_type).map_err(malformed)?;
            continue;
        };
        proto_argument(parameter, wire_type, &mut reader, reading, arguments.slot(parameter))
            .map_err(|error| at_parameter(parameter, error))?;
    }
    Ok(arguments)
}

fn malformed(error: Malformed) -> Error {
    WireError::from(error).into()
}

fn at_parameter(parameter: &Parameter, error: WireError) -> Error {
    Error::invalid_at(format!("/{}{}", parameter.name, error.pointer), format!("`{}`: {}", parameter.name, error.detail))
}

fn proto_argument<'a>(
    parameter: &Parameter,
    wire_type: WireType,
    reader: &mut Reader<'a>,
    reading: Reading<'_>,
    slot: &mut Argument<'a>,
) -> Result<(), WireError> {
    let (model, key) = (reading.model, reading.entity.key_type());
    match (parameter.kind, wire_type) {
        (Kind::Key, _) => *slot = wire::read_value(model, key, wire_type, reader)?.map_or(Argument::Absent, Argument::Key),
        (Kind::Keys, _) => {
            let mut keys = std::mem::take(slot).into_keys();
            push_keys(&mut keys, wire_type, reader, reading)?;
            *slot = Argument::Keys(keys);
        }
        (Kind::Row, WireType::Bytes) => *slot = Argument::Row(Part::Proto(reader.bytes()?)),
        (Kind::Mask, WireType::Bytes) => {
            let mut paths = std::mem::take(slot).into_texts();
            push_paths(&mut paths, reader.bytes()?)?;
            *slot = Argument::Texts(paths);
        }
        (Kind::Text, WireType::Bytes) => *slot = Argument::Text(Cow::Borrowed(utf8(reader.bytes()?)?)),
        (Kind::Texts, WireType::Bytes) => {
            let mut texts = std::mem::take(slot).into_texts();
            texts.push(Cow::Borrowed(utf8(reader.bytes()?)?));
            *slot = Argument::Texts(texts);
        }
        (Kind::Int32, WireType::Varint) => *slot = Argument::Number(i64::from(reader.varint()? as i32)),
        (Kind::Int64, WireType::Varint) => *slot = Argument::Number(reader.varint()? as i64),
        (Kind::Flag, WireType::Varint) => *slot = Argument::Flag(reader.varint()? != 0),
        _ => return Err(Malformed.into()),
    }
    Ok(())
}

fn push_keys(keys: &mut Vec<Value>, wire_type: WireType, reader: &mut Reader<'_>, reading: Reading<'_>) -> Result<(), WireError> {
    let key = reading.entity.key_type();
    let packed = wire_type == WireType::Bytes && matches!(key, fourfold_model::Base::Int | fourfold_model::Base::BigInt);
    if !packed {
        keys.extend(wire::read_value(reading.model, key, wire_type, reader)?);
        return Ok(());
    }
    let mut list = Reader::new(reader.bytes()?);
    while !list.is_empty() {
        keys.extend(wire::read_value(reading.model, key, WireType::Varint, &mut list)?);
    }
    Ok(())
}

fn push_paths<'a>(paths: &mut Vec<Cow<'a, str>>, mask: &'a [u8]) -> Result<(), WireError> {
    let mut reader = Reader::new(mask);
    while let Some((number, wire_type)) = reader.tag()? {
        match (number, wire_type) {
            (1, WireType::Bytes) => paths.push(Cow::Borrowed(utf8(reader.bytes()?)?)),
            _ => reader.skip(number, wire_type)?,
        }
    }
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError { pointer: String::new(), detail: "the text is not UTF-8".into() })
}

fn json_arguments<'a>(message: &'a str, reading: Reading<'_>, parameters: &'static [Parameter]) -> Result<Arguments<'a>, Error> {
    let members = json::members(message).map_err(Error::invalid)?;
    let mut arguments = Arguments::default();
    let mut reader = json::Reader::new(reading.model, reading.limits, Dialect::Proto);
    for (name, value) in members.0 {
        let parameter = parameters.iter().find(|parameter| parameter_name(parameter, reading.entity) == name);
        let Some(parameter) = parameter else {
            let names = parameters.iter().map(|parameter| parameter_name(parameter, reading.entity));
            reader.wrong(format!("/{name}"), format!("unknown member `{name}`{}", did_you_mean(&name, names)));
            continue;
        };
        match (arguments.slot(parameter), value.get()) {
            (_, "null") => {}
            (slot @ Argument::Absent, text) => *slot = json_argument(parameter, text, reading, &mut reader),
            _ => reader.wrong(format!("/{name}"), format!("`{name}` is given twice")),
        }
    }
    reader.finish()?;
    Ok(arguments)
}

fn parameter_name<'n>(parameter: &'n Parameter, entity: &'n Entity) -> &'n str {
    if parameter.kind == Kind::Row { &entity.snake } else { parameter.name }
}

fn json_argument<'a>(parameter: &Parameter, text: &'a str, reading: Reading<'_>, reader: &mut json::Reader<'_>) -> Argument<'a> {
    let one = |base| Type { base, nullable: false, list: false };
    let pointer = format!("/{}", parameter.name);
    let argument = match parameter.kind {
        Kind::Row => Some(Argument::Row(Part::Json(text))),
        Kind::Key => reader.value(one(reading.entity.key_type()), text, &pointer).map(Argument::Key),
        Kind::Keys => match reader.value(Type { list: true, ..one(reading.entity.key_type()) }, text, &pointer) {
            Some(Value::List(keys)) => Some(Argument::Keys(keys.to_vec())),
            _ => None,
        },
        Kind::Mask => {
            parsed(text, &pointer, "a text of paths with commas", reader).map(|paths: String| Argument::Texts(json_paths(&paths)))
        }
        Kind::Text => parsed(text, &pointer, "a string", reader).map(|text: String| Argument::Text(Cow::Owned(text))),
        Kind::Texts => parsed(text, &pointer, "an array of strings", reader)
            .map(|texts: Vec<String>| Argument::Texts(texts.into_iter().map(Cow::Owned).collect())),
        Kind::Int32 => json_number(fourfold_model::Base::Int, text, &pointer, reader),
        Kind::Int64 => json_number(fourfold_model::Base::BigInt, text, &pointer, reader),
        Kind::Flag => parsed(text, &pointer, "true or false", reader).map(Argument::Flag),
    };
    argument.unwrap_or_default()
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str, pointer: &str, wanted: &str, reader: &mut json::Reader<'_>) -> Option<T> {
    let value = serde_json::from_str(text).ok();
    if value.is_none() {
        reader.wrong(pointer, format!("expected {wanted}"));
    }
    value
}

fn json_number<'a>(base: fourfold_model::Base, text: &str, pointer: &str, reader: &mut json::Reader<'_>) -> Option<Argument<'a>> {
    match reader.value(Type { base, nullable: false, list: false }, text, pointer) {
        Some(Value::Int(number)) => Some(Argument::Number(number)),
        _ => None,
    }
}

/// The paths of a FieldMask in ProtoJSON: `title,buyerId`. Its names are camelCase there, whatever the fields' JSON names are.
fn json_paths<'a>(paths: &str) -> Vec<Cow<'a, str>> {
    paths.split(',').map(str::trim).filter(|path| !path.is_empty()).map(|path| Cow::Owned(snake(path))).collect()
}

fn snake(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn json_row(message: &str, reading: Reading<'_>) -> Result<Vec<(FieldId, Value)>, Error> {
    let entity = reading.entity;
    let members = json::members(message).map_err(|detail| Error::invalid_at(format!("/{}", entity.snake), detail))?;
    let mut reader = json::Reader::new(reading.model, reading.limits, Dialect::Proto);
    let mut row = Row::nulls(entity.fields.len());
    let mut seen = vec![false; entity.fields.len()];
    for (name, value) in members.0 {
        let pointer = format!("/{}", json::escape_pointer(&name));
        let Some(id) = entity.field_by_name(&name) else {
            if entity.relation_by_name(&name).is_none() {
                reader.wrong(pointer, unknown_field(entity, &name));
            }
            continue;
        };
        if std::mem::replace(&mut seen[usize::from(id.0)], true) {
            reader.wrong(pointer, format!("`{name}` is given twice"));
        } else if let Some(value) = json_field(entity.field(id), value.get(), &pointer, &mut reader) {
            row.set(id, value);
        }
    }
    reader.finish()?;
    let set = row.0.into_vec().into_iter().enumerate().filter(|(_, value)| !value.is_null());
    Ok(set.map(|(index, value)| (FieldId(index as u16), value)).collect())
}

/// In ProtoJSON null is an absent field, but for `google.protobuf.Value`, whose null it is.
fn json_field(field: &Field, text: &str, pointer: &str, reader: &mut json::Reader<'_>) -> Option<Value> {
    if text == "null" {
        let is_json = field.ty.base == fourfold_model::Base::Json && !field.ty.list;
        return is_json.then(|| Value::Json("null".into()));
    }
    // The revision comes back as a number, not as the text that a BigInt is; and it is not written anyway.
    if field.name == "revision" {
        return text.parse().ok().map(Value::Int);
    }
    reader.value(field.ty, text, pointer)
}

/// What to say of a name that is no field.
pub fn unknown_field(entity: &Entity, name: &str) -> String {
    let fields = entity.fields.iter().map(|field| field.name.as_str());
    let names = fields.chain(entity.relations.iter().map(|relation| relation.name.as_str()));
    format!("unknown field {} of `{}`{}", json::quoted(name), entity.name, did_you_mean(name, names))
}
