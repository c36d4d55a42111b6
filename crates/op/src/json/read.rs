//! JSON bodies to typed values: every wrong member at once, each with its JSON pointer (RFC 6901).

use std::borrow::Cow;
use std::sync::Arc;

use fourfold_model::{Base, EntityId, Field, FieldId, Model, Relation, Row, Type, Value};
use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};

use super::object::{Name, each_member, escape_pointer, is_within, kind};
use super::{Dialect, did_you_mean, proto_enum_name, text};
use crate::{Error, FieldError, Limits};

/// Reads one JSON object as the members of an entity that a write sets: in the order of the model, nulls as
/// [`Value::Null`]. Constraints and rules are not asked here.
///
/// # Errors
/// `invalid_argument` with an entry for each wrong place; `limit_exceeded` for a text of more levels than `json_depth_max`.
pub fn read_entity(model: &Model, entity: EntityId, body: &[u8], limits: &Limits) -> Result<Vec<(FieldId, Value)>, Error> {
    let mut reader = Reader::new(model, limits, Dialect::Plain);
    let text = reader.check_text(body)?;
    let set = reader.entity(entity, text, "");
    reader.finish()?;
    Ok(set)
}

/// Reads JSON and collects what is wrong with it.
#[derive(Debug)]
pub struct Reader<'a> {
    model: &'a Model,
    limits: &'a Limits,
    dialect: Dialect,
    /// Whether `@readonly` fields may be set.
    sets_readonly: bool,
    errors: Vec<FieldError>,
    /// The first limit that was exceeded.
    exceeded: Option<Error>,
}

/// Errors beyond these are not listed: a body of nothing but errors must not make a larger answer.
const ERRORS_MAX: usize = 100;

impl<'a> Reader<'a> {
    /// A reader of this model's JSON.
    pub fn new(model: &'a Model, limits: &'a Limits, dialect: Dialect) -> Reader<'a> {
        Reader { model, limits, dialect, sets_readonly: false, errors: Vec::new(), exceeded: None }
    }

    /// A reader of what a source sends: it may set `@readonly` fields.
    pub fn for_source(model: &'a Model, limits: &'a Limits) -> Reader<'a> {
        Reader { sets_readonly: true, ..Reader::new(model, limits, Dialect::Plain) }
    }

    /// A body as text: UTF-8, not too deep.
    ///
    /// # Errors
    /// `invalid_argument`, `limit_exceeded`.
    pub fn check_text<'b>(&self, body: &'b [u8]) -> Result<&'b str, Error> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Error::invalid(format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to())))?;
        if !is_within(text, self.limits.json_depth_max) {
            return Err(Error::limit("json_depth_max", self.limits.json_depth_max, "levels"));
        }
        Ok(text)
    }

    /// Notes that something is wrong at a place.
    pub fn wrong(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// Notes that a place holds more than a limit allows: the whole is then `limit_exceeded`.
    pub fn exceeded(&mut self, pointer: impl Into<String>, limit: &'static str, value: usize, unit: &'static str) {
        self.wrong(pointer, format!("more than {value} {unit} (limit `{limit}`)"));
        self.exceeded.get_or_insert_with(|| Error::limit(limit, value, unit));
    }

    /// Whether nothing was wrong so far.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `invalid_argument` with everything that was wrong.
    pub fn finish(self) -> Result<(), Error> {
        let Some(invalid) = Error::invalid_places(self.errors) else { return Ok(()) };
        let Some(mut exceeded) = self.exceeded else { return Err(invalid) };
        exceeded.public.errors = invalid.public.errors;
        Err(exceeded)
    }

    /// The members of an entity in an object that stands at `pointer`.
    pub fn entity(&mut self, entity: EntityId, object: &str, pointer: &str) -> Vec<(FieldId, Value)> {
        let model = self.model;
        let entity = model.entity(entity);
        let kind = Kind { name: &entity.name, fields: &entity.fields, relations: &entity.relations };
        let mut set = self.object(&kind, object, pointer);
        set.sort_by_key(|(field, _)| *field);
        set
    }

    fn object(&mut self, kind: &Kind<'_>, object: &str, pointer: &str) -> Vec<(FieldId, Value)> {
        let mut set: Vec<(FieldId, Value)> = Vec::new();
        let mut seen: SmallVec<[bool; 32]> = smallvec![false; kind.fields.len()];
        let before = self.errors.len();
        let read = each_member(object, |name, value| {
            // A pointer is for errors, so it is made where there is one.
            let at = || format!("{pointer}/{}", escape_pointer(&name));
            let Some((field, definition)) = kind.field(&name) else { return self.wrong(at(), kind.unknown(&name)) };
            match seen.get_mut(usize::from(field.0)) {
                Some(seen) if !*seen => *seen = true,
                _ => return self.wrong(at(), format!("`{name}` is given twice")),
            }
            if let Some(value) = self.member(definition, value, at) {
                set.push((field, value));
            }
        });
        if let Err(detail) = read {
            // Of a text that is no JSON, its members say nothing.
            self.errors.truncate(before);
            self.wrong(pointer, detail);
            set.clear();
        }
        set
    }

    fn member(&mut self, field: &Field, value: &RawValue, at: impl Fn() -> String) -> Option<Value> {
        if let Some(why) = unwritable(field, self.sets_readonly) {
            self.wrong(at(), why);
            return None;
        }
        if field.ty.list || value.get() == "null" || matches!(field.ty.base, Base::Owned(_)) {
            return self.value(field.ty, value.get(), &at());
        }
        let read = scalar(self.model, field.ty.base, value.get(), self.dialect);
        read.map_err(|detail| self.wrong(at(), detail)).ok()
    }

    /// A value of a type that stands at `pointer`; `None` when it is wrong (and noted).
    pub fn value(&mut self, ty: Type, text: &str, pointer: &str) -> Option<Value> {
        if text == "null" {
            return Some(Value::Null);
        }
        match ty.base {
            Base::Owned(owned) => self.owned(owned, text, pointer),
            _ if ty.list => self.list(ty.base, text, pointer),
            _ => self.scalar(ty.base, text, pointer),
        }
    }

    fn scalar(&mut self, base: Base, text: &str, pointer: &str) -> Option<Value> {
        match scalar(self.model, base, text, self.dialect) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.wrong(pointer, detail);
                None
            }
        }
    }

    fn elements<'b>(&mut self, text: &'b str, pointer: &str) -> Option<Vec<&'b RawValue>> {
        if !text.starts_with('[') {
            self.wrong(pointer, format!("expected an array, found {}", kind(text)));
            return None;
        }
        serde_json::from_str(text).map_err(|error| self.wrong(pointer, error.to_string())).ok()
    }

    fn list(&mut self, base: Base, text: &str, pointer: &str) -> Option<Value> {
        let mut values = Vec::new();
        for (index, element) in self.elements(text, pointer)?.into_iter().enumerate() {
            let at = format!("{pointer}/{index}");
            if element.get() == "null" {
                self.wrong(at, "an element of a list cannot be null");
            } else {
                values.extend(self.scalar(base, element.get(), &at));
            }
        }
        Some(Value::List(values.into()))
    }

    fn owned(&mut self, owned: fourfold_model::OwnedId, text: &str, pointer: &str) -> Option<Value> {
        let model = self.model;
        let owned = model.owned(owned);
        let kind = Kind { name: &owned.name, fields: &owned.fields, relations: &owned.relations };
        let mut rows = Vec::new();
        for (index, element) in self.elements(text, pointer)?.into_iter().enumerate() {
            let mut row = Row::nulls(owned.fields.len());
            for (field, value) in self.object(&kind, element.get(), &format!("{pointer}/{index}")) {
                row.set(field, value);
            }
            rows.push(row);
        }
        Some(Value::Owned(Arc::from(rows)))
    }
}

/// What an object is of: an entity or an owned type.
struct Kind<'a> {
    name: &'a str,
    fields: &'a [Field],
    relations: &'a [Relation],
}

impl Kind<'_> {
    fn field(&self, name: &str) -> Option<(FieldId, &Field)> {
        let index = self.fields.iter().position(|field| field.name == name)?;
        Some((FieldId(index as u16), self.fields.get(index)?))
    }

    fn unknown(&self, name: &str) -> String {
        if let Some(relation) = self.relations.iter().find(|relation| relation.name == name) {
            return match relation.kind {
                fourfold_model::RelationKind::One { .. } => format!("`{name}` is written as `{name}_id`, the key of the row it leads to"),
                fourfold_model::RelationKind::Many { .. } => format!("`{name}` is a view of other rows, and is not written here"),
            };
        }
        let writable = self.fields.iter().filter(|field| field.writable()).map(|field| field.name.as_str());
        format!("unknown member {} of `{}`{}", text::quoted(name), self.name, did_you_mean(name, writable))
    }
}

/// Why no client ever sets this field.
fn unwritable(field: &Field, sets_readonly: bool) -> Option<String> {
    let name = &field.name;
    match field {
        _ if name == "revision" => Some("`revision` is kept by the server; say which one you mean by If-Match or if_revision".to_owned()),
        Field { computed: Some(_), .. } => Some(format!("`{name}` is computed by the server")),
        Field { set: Some(_), .. } => Some(format!("`{name}` is set by the server")),
        Field { readonly: true, .. } if !sets_readonly => Some(format!("`{name}` is read-only; actions alone change it")),
        _ => None,
    }
}

/// One JSON value as a scalar or enum; `null` is [`Value::Null`].
///
/// # Errors
/// What is wrong with it.
pub fn read_scalar(model: &Model, base: Base, text: &str) -> Result<Value, String> {
    if text == "null" { Ok(Value::Null) } else { scalar(model, base, text, Dialect::Plain) }
}

fn scalar(model: &Model, base: Base, text: &str, dialect: Dialect) -> Result<Value, String> {
    let found = || format!("expected {}, found {}", wanted(model, base), kind(text));
    match (base, text.bytes().next()) {
        (Base::Json, _) => json(text),
        (Base::Boolean, Some(b't')) => Ok(Value::Boolean(true)),
        (Base::Boolean, Some(b'f')) => Ok(Value::Boolean(false)),
        (Base::Int, Some(b'-' | b'0'..=b'9')) => int(text),
        (Base::BigInt, Some(b'-' | b'0'..=b'9')) => big_int(text),
        (Base::Float, Some(b'-' | b'0'..=b'9')) => float(text),
        (Base::Enum(id), Some(b'-' | b'0'..=b'9')) if dialect == Dialect::Proto => enum_number(model, id, text),
        (Base::Int | Base::Float, Some(b'"')) if dialect == Dialect::Proto => text::parse_text(model, base, &unescape(text)?),
        (Base::Boolean | Base::Int | Base::Float, _) => Err(found()),
        (_, Some(b'"')) => string_form(model, base, &unescape(text)?, dialect),
        _ => Err(found()),
    }
}

fn string_form(model: &Model, base: Base, text: &str, dialect: Dialect) -> Result<Value, String> {
    match base {
        Base::Enum(id) if dialect == Dialect::Proto => {
            let enumeration = model.enumeration(id);
            let named = enumeration.values.iter().find(|value| proto_enum_name(enumeration, &value.name) == text);
            named.map_or_else(|| text::enumeration(model, id, text), |value| Ok(Value::Enum(value.number)))
        }
        _ => text::parse_text(model, base, text),
    }
}

fn enum_number(model: &Model, id: fourfold_model::EnumId, text: &str) -> Result<Value, String> {
    let enumeration = model.enumeration(id);
    let known = text.parse().ok().and_then(|number| enumeration.by_number(number));
    known.map(|value| Value::Enum(value.number)).ok_or_else(|| format!("`{text}` is not a number of `{}`", enumeration.name))
}

fn unescape(text: &str) -> Result<Cow<'_, str>, String> {
    // Read as JSON already: without an escape, a string is what stands between its quotes.
    if let Some(plain) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|plain| !plain.contains('\\')) {
        return Ok(Cow::Borrowed(plain));
    }
    serde_json::from_str::<Name<'_>>(text).map(|name| name.0).map_err(|error| format!("not a valid string: {error}"))
}

/// An integer, also where it is written `794.0` or `8e2`.
fn integer(text: &str) -> Option<i64> {
    if let Some(whole) = text::whole(text) {
        return Some(whole);
    }
    // Below 2^53 a double holds every integer exactly, so nothing is rounded on the way.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number = text.parse::<f64>().ok()?;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

fn int(text: &str) -> Result<Value, String> {
    let number = integer(text).and_then(|number| i32::try_from(number).ok());
    number.map(|number| Value::Int(i64::from(number))).ok_or_else(|| text::not_an_int(text))
}

fn big_int(text: &str) -> Result<Value, String> {
    const EXACT_MAX: u64 = 1 << 53;
    match integer(text) {
        Some(number) if number.unsigned_abs() <= EXACT_MAX => Ok(Value::Int(number)),
        Some(_) => Err(format!("`{text}` is above 2^53, where JSON numbers lose digits; send it as the string \"{text}\"")),
        None => text::big_int(text),
    }
}

fn float(text: &str) -> Result<Value, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Value::Float).ok_or_else(|| format!("{} does not fit a Float of 64 bits", text::quoted(text)))
}

fn json(text: &str) -> Result<Value, String> {
    // Read whole once: lone surrogates and numbers out of range are refused here, not by the next reader.
    serde_json::from_str::<serde_json::Value>(text).map_err(|error| format!("not valid JSON: {error}"))?;
    Ok(Value::Json(Arc::from(compact(text))))
}

/// The same JSON without the white space between its tokens; numbers and member order stay as they are.
fn compact(text: &str) -> String {
    let (mut compact, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            ' ' | '\t' | '\n' | '\r' if !in_string => continue,
            _ => {}
        }
        compact.push(letter);
    }
    compact
}

fn wanted(model: &Model, base: Base) -> String {
    match base {
        Base::String => "a string".to_owned(),
        Base::Boolean => "true or false".to_owned(),
        Base::Int => "a whole number".to_owned(),
        Base::BigInt => "a whole number, as a string or a number".to_owned(),
        Base::Float => "a number".to_owned(),
        Base::Decimal { scale, .. } => format!("a decimal as a string, such as \"{}\"", fourfold_model::Decimal { unscaled: 0, scale }),
        Base::DateTime => "a moment as a string, such as \"2026-11-22T10:00:00Z\"".to_owned(),
        Base::Date => "a day as a string, such as \"2026-11-22\"".to_owned(),
        Base::Uuid => "a Uuid as a string".to_owned(),
        Base::Bytes => "base64 as a string".to_owned(),
        Base::Json => "any JSON".to_owned(),
        Base::Enum(id) => format!("a value of `{}` as a string", model.enumeration(id).name),
        Base::Owned(id) => format!("an array of `{}`", model.owned(id).name),
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
