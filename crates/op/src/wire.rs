//! Rows as protobuf messages, by the numbers of the lock: the payload of events and the messages of gRPC.
//!
//! A null is an absent field; any other value is written, zeros too (proto3 `optional`). Lists are repeated (packed where they
//! can be), elements of owned lists are messages of their type. A `changed` payload is `{1: packed numbers of the changed fields,
//! 2: the entity's message with their old values}`: a number without a value was null (or an empty list).
//!
//! Bytes are read in two ways: [`decode_row`] trusts the log and takes what it can, [`decode_set`] checks what a client sent.

pub mod bytes;
mod json_value;

use std::fmt;
use std::sync::Arc;

use ::bytes::Bytes;
use fourfold_model::{Base, Decimal, Entity, Field, FieldId, Model, Row, SmolStr, Type, Value};

use crate::{Error, json};
use bytes::{Malformed, Reader, WireType, put_bytes, put_delimited, put_nested, put_number, put_tag, put_varint};
pub use json_value::{put_json, read_json};

/// Elements of one list that are read before the bytes are refused, whatever the limits are: it bounds memory, not the model.
pub const ELEMENTS_MAX: usize = 10_000;

const CHANGED_NUMBERS: u32 = 1;
const CHANGED_MESSAGE: u32 = 2;
const MICROS: i64 = 1_000_000;
/// Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, between which a `google.protobuf.Timestamp` lies.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Why bytes are not a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// Where, as a JSON pointer: `/lines/0/quantity`; empty where the message itself is malformed.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for WireError {}

impl From<Malformed> for WireError {
    fn from(_: Malformed) -> WireError {
        WireError { pointer: String::new(), detail: "the bytes are not a protobuf message of this type".into() }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Error {
        if error.pointer.is_empty() { Error::invalid(error.detail) } else { Error::invalid_at(error.pointer, error.detail) }
    }
}

impl WireError {
    fn new(detail: impl Into<String>) -> WireError {
        WireError { pointer: String::new(), detail: detail.into() }
    }

    fn at(mut self, place: impl fmt::Display) -> WireError {
        self.pointer = format!("/{place}{}", self.pointer);
        self
    }
}

/// Writes a row as its entity's message.
pub fn encode_row(model: &Model, entity: &Entity, row: &Row, out: &mut Vec<u8>) {
    encode_fields(model, &entity.fields, row, out);
}

/// Writes a row of an entity or an owned type by its fields.
pub fn encode_fields(model: &Model, fields: &[Field], row: &Row, out: &mut Vec<u8>) {
    for (field, value) in fields.iter().zip(row.0.iter()) {
        encode_value(model, field.number, field.ty.base, value, out);
    }
}

/// Writes the old values of `fields` as a `changed` payload.
pub fn encode_changed(model: &Model, entity: &Entity, fields: &[FieldId], before: &Row, out: &mut Vec<u8>) {
    put_nested(out, CHANGED_NUMBERS, |out| {
        for id in fields {
            put_varint(out, u64::from(entity.field(*id).number));
        }
    });
    put_nested(out, CHANGED_MESSAGE, |out| {
        for id in fields {
            let field = entity.field(*id);
            encode_value(model, field.number, field.ty.base, before.value(*id), out);
        }
    });
}

/// Writes one field: nothing for null, and an element each for a list.
pub fn encode_value(model: &Model, number: u32, base: Base, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Boolean(v) => put_number(out, number, u64::from(*v)),
        // int32 and int64 alike: a negative number is sign-extended to ten bytes.
        Value::Int(v) => put_number(out, number, *v as u64),
        Value::Enum(v) => put_number(out, number, i64::from(*v) as u64),
        Value::Float(v) => {
            put_tag(out, number, WireType::Fixed64);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Value::Text(v) => put_bytes(out, number, v.as_bytes()),
        Value::Bytes(v) => put_bytes(out, number, v),
        Value::List(values) => encode_list(model, number, base, values, out),
        Value::Owned(rows) => encode_owned(model, number, base, rows, out),
        Value::Decimal(_) | Value::DateTime(_) | Value::Date(_) | Value::Uuid(_) | Value::Json(_) => {
            put_nested(out, number, |out| put_content(out, base, value));
        }
    }
}

/// The bytes of a value whose form is a text or a message.
fn put_content(out: &mut Vec<u8>, base: Base, value: &Value) {
    match value {
        Value::Decimal(v) => json::write_decimal(out, in_scale_of(base, *v)),
        Value::DateTime(v) => put_timestamp(out, *v),
        Value::Date(v) => json::write_date(out, *v),
        Value::Uuid(v) => json::write_uuid(out, v),
        Value::Json(v) => put_json(out, v),
        _ => {}
    }
}

/// A computed decimal may have another scale than its field: it is written with the field's.
fn in_scale_of(base: Base, decimal: Decimal) -> Decimal {
    match base {
        Base::Decimal { scale, .. } => decimal.rescale(scale).unwrap_or(decimal),
        _ => decimal,
    }
}

fn put_timestamp(out: &mut Vec<u8>, micros: i64) {
    let seconds = micros.div_euclid(MICROS);
    let nanos = micros.rem_euclid(MICROS) * 1_000;
    if seconds != 0 {
        put_number(out, 1, seconds as u64);
    }
    if nanos != 0 {
        put_number(out, 2, nanos as u64);
    }
}

fn encode_list(model: &Model, number: u32, base: Base, values: &[Value], out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    match packed(base) {
        None => values.iter().for_each(|value| encode_value(model, number, base, value, out)),
        Some(_) => put_nested(out, number, |out| values.iter().for_each(|value| put_packed(out, value))),
    }
}

fn put_packed(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Boolean(v) => out.push(u8::from(*v)),
        Value::Int(v) => put_varint(out, *v as u64),
        Value::Enum(v) => put_varint(out, i64::from(*v) as u64),
        Value::Float(v) => out.extend_from_slice(&v.to_le_bytes()),
        _ => {}
    }
}

fn encode_owned(model: &Model, number: u32, base: Base, rows: &[Row], out: &mut Vec<u8>) {
    let Base::Owned(id) = base else { return };
    let fields = &model.owned(id).fields;
    for row in rows {
        put_tag(out, number, WireType::Bytes);
        put_delimited(out, |out| encode_fields(model, fields, row, out));
    }
}

/// The wire type of an element in a packed list; `None` for types that are never packed.
fn packed(base: Base) -> Option<WireType> {
    match base {
        Base::Boolean | Base::Int | Base::BigInt | Base::Enum(_) => Some(WireType::Varint),
        Base::Float => Some(WireType::Fixed64),
        _ => None,
    }
}

/// The old values of a `changed` payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// Which fields changed; those that the model no longer has are left out.
    pub fields: Vec<FieldId>,
    /// Their old values in their slots; every other slot is null.
    pub old: Row,
}

/// Reads a row that [`encode_row`] wrote, perhaps for an older model: unknown numbers are passed over, absent fields are null (lists: empty).
///
/// # Errors
/// When the bytes are no such message.
pub fn decode_row(model: &Model, entity: &Entity, message: &[u8]) -> Result<Row, WireError> {
    let mut row = Decoder { model, strict: false }.row(&entity.fields, message)?;
    fill_lists(&entity.fields, &mut row);
    Ok(row)
}

/// Reads what [`encode_changed`] wrote.
///
/// # Errors
/// When the bytes are no such payload.
pub fn decode_changed(model: &Model, entity: &Entity, payload: &[u8]) -> Result<Changed, WireError> {
    let mut changed = Changed { fields: Vec::new(), old: Row::nulls(entity.fields.len()) };
    let mut reader = Reader::new(payload);
    while let Some((number, wire_type)) = reader.tag()? {
        match (number, wire_type) {
            (CHANGED_NUMBERS, WireType::Bytes) => changed.fields.extend(changed_fields(entity, reader.bytes()?)?),
            (CHANGED_MESSAGE, WireType::Bytes) => changed.old = Decoder { model, strict: false }.row(&entity.fields, reader.bytes()?)?,
            _ => reader.skip(number, wire_type)?,
        }
    }
    for id in &changed.fields {
        if changed.old.value(*id).is_null() {
            changed.old.set(*id, absent(entity.field(*id).ty));
        }
    }
    Ok(changed)
}

fn changed_fields(entity: &Entity, numbers: &[u8]) -> Result<Vec<FieldId>, WireError> {
    let mut fields = Vec::new();
    let mut reader = Reader::new(numbers);
    while !reader.is_empty() {
        let number = reader.varint()?;
        if fields.len() > entity.fields.len() {
            return Err(Malformed.into());
        }
        fields.extend(entity.field_ids().find(|(_, field)| u64::from(field.number) == number).map(|(id, _)| id));
    }
    Ok(fields)
}

/// Reads what a client set in an entity's message: each present field with its value, ascending. Numbers that are no stored field are
/// passed over, and an enum's `_UNSPECIFIED` is not set.
///
/// # Errors
/// When the bytes are no such message, or a value is none of its field's type; the pointer says which field.
pub fn decode_set(model: &Model, fields: &[Field], message: &[u8]) -> Result<Vec<(FieldId, Value)>, WireError> {
    let row = Decoder { model, strict: true }.row(fields, message)?;
    let present = row.0.into_vec().into_iter().enumerate().filter(|(_, value)| !value.is_null());
    Ok(present.map(|(index, value)| (FieldId(index as u16), value)).collect())
}

/// Reads one value that a client sent: a key in a request, say. `None` for an enum's `_UNSPECIFIED`.
///
/// # Errors
/// When the bytes are no value of that type.
pub fn read_value(model: &Model, base: Base, wire_type: WireType, reader: &mut Reader<'_>) -> Result<Option<Value>, WireError> {
    let value = Decoder { model, strict: true }.value(base, wire_type, reader)?;
    Ok((!value.is_null()).then_some(value))
}

fn fill_lists(fields: &[Field], row: &mut Row) {
    for (field, slot) in fields.iter().zip(row.0.iter_mut()) {
        if slot.is_null() {
            *slot = absent(field.ty);
        }
    }
}

fn absent(ty: Type) -> Value {
    match ty.base {
        Base::Owned(_) => Value::Owned(Arc::from([])),
        _ if ty.list => Value::List(Arc::from([])),
        _ => Value::Null,
    }
}

#[derive(Clone, Copy)]
struct Decoder<'m> {
    model: &'m Model,
    /// Whether a client sent it: what is wrong is refused. In the log it is taken as it is.
    strict: bool,
}

/// The elements of repeated fields seen so far; they may stand anywhere in a message.
#[derive(Default)]
struct Lists {
    scalars: Vec<(usize, Vec<Value>)>,
    owned: Vec<(usize, Vec<Row>)>,
}

impl Decoder<'_> {
    fn row(self, fields: &[Field], message: &[u8]) -> Result<Row, WireError> {
        let mut row = Row::nulls(fields.len());
        let mut lists = Lists::default();
        let mut reader = Reader::new(message);
        let mut next = 0;
        while let Some((number, wire_type)) = reader.tag()? {
            let Some((index, field)) = find(fields, number, next) else {
                reader.skip(number, wire_type)?;
                continue;
            };
            next = index + 1;
            self.field(index, field, wire_type, &mut reader, &mut row, &mut lists).map_err(|error| error.at(&field.name))?;
        }
        lists.put_into(&mut row);
        Ok(row)
    }

    fn field(
        self,
        index: usize,
        field: &Field,
        wire_type: WireType,
        reader: &mut Reader<'_>,
        row: &mut Row,
        lists: &mut Lists,
    ) -> Result<(), WireError> {
        if let Base::Owned(id) = field.ty.base {
            let rows = accumulator(&mut lists.owned, index);
            let element = self.owned(&self.model.owned(id).fields, wire_type, reader).map_err(|error| error.at(rows.len()))?;
            rows.push(element);
            return bounded(rows.len());
        }
        if field.ty.list {
            let values = accumulator(&mut lists.scalars, index);
            return self.elements(field.ty.base, wire_type, reader, values);
        }
        let value = self.value(field.ty.base, wire_type, reader)?;
        row.set(FieldId(index as u16), value);
        Ok(())
    }

    fn owned(self, fields: &[Field], wire_type: WireType, reader: &mut Reader<'_>) -> Result<Row, WireError> {
        expect(wire_type, WireType::Bytes)?;
        let mut row = self.row(fields, reader.bytes()?)?;
        fill_lists(fields, &mut row);
        Ok(row)
    }

    fn elements(self, base: Base, wire_type: WireType, reader: &mut Reader<'_>, values: &mut Vec<Value>) -> Result<(), WireError> {
        let (Some(element), WireType::Bytes) = (packed(base), wire_type) else {
            let value = self.value(base, wire_type, reader).map_err(|error| error.at(values.len()))?;
            return push_element(values, value);
        };
        let mut reader = Reader::new(reader.bytes()?);
        while !reader.is_empty() {
            let value = self.value(base, element, &mut reader).map_err(|error| error.at(values.len()))?;
            push_element(values, value)?;
        }
        Ok(())
    }

    fn value(self, base: Base, wire_type: WireType, reader: &mut Reader<'_>) -> Result<Value, WireError> {
        match base {
            Base::Boolean | Base::Int | Base::BigInt | Base::Enum(_) => {
                expect(wire_type, WireType::Varint)?;
                self.varint(base, reader.varint()?)
            }
            Base::Float => {
                expect(wire_type, WireType::Fixed64)?;
                self.float(reader.double()?)
            }
            _ => {
                expect(wire_type, WireType::Bytes)?;
                self.content(base, reader.bytes()?)
            }
        }
    }

    fn varint(self, base: Base, raw: u64) -> Result<Value, WireError> {
        match base {
            Base::Boolean => Ok(Value::Boolean(raw != 0)),
            // As every reader of protobuf does: int32 is the low 32 bits.
            Base::Int => Ok(Value::Int(i64::from(raw as i32))),
            Base::Enum(id) => self.enumeration(self.model.enumeration(id), raw as i32),
            _ => Ok(Value::Int(raw as i64)),
        }
    }

    fn enumeration(self, of: &fourfold_model::EnumType, number: i32) -> Result<Value, WireError> {
        match (self.strict, number) {
            (true, 0) => Ok(Value::Null),
            (true, _) if of.by_number(number).is_none() => Err(WireError::new(format!("`{number}` is no value of `{}`", of.name))),
            _ => Ok(Value::Enum(number)),
        }
    }

    fn float(self, value: f64) -> Result<Value, WireError> {
        if value.is_finite() { Ok(Value::Float(value)) } else { Err(WireError::new(format!("`{value}` is not a finite number"))) }
    }

    fn content(self, base: Base, content: &[u8]) -> Result<Value, WireError> {
        match base {
            Base::Bytes => Ok(Value::Bytes(Bytes::copy_from_slice(content))),
            Base::DateTime => self.timestamp(content),
            Base::Json => Ok(Value::Json(read_json(content).map_err(|_| not_json())?.into())),
            _ => self.text(base, std::str::from_utf8(content).map_err(|_| WireError::new("the text is not UTF-8"))?),
        }
    }

    fn text(self, base: Base, content: &str) -> Result<Value, WireError> {
        match base {
            Base::String if !self.strict => Ok(Value::Text(SmolStr::new(content))),
            Base::Decimal { scale, .. } if !self.strict => logged_decimal(content, scale),
            _ => json::parse_text(self.model, base, content).map_err(WireError::new),
        }
    }

    fn timestamp(self, message: &[u8]) -> Result<Value, WireError> {
        let (mut seconds, mut nanos) = (0i64, 0i32);
        let mut reader = Reader::new(message);
        while let Some((number, wire_type)) = reader.tag()? {
            match (number, wire_type) {
                (1, WireType::Varint) => seconds = reader.varint()? as i64,
                (2, WireType::Varint) => nanos = reader.varint()? as i32,
                _ => reader.skip(number, wire_type)?,
            }
        }
        if !TIMESTAMP_SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
            return Err(WireError::new("a timestamp lies between the years 1 and 9999, with nanos from 0 to 999,999,999"));
        }
        if self.strict && nanos % 1_000 != 0 {
            return Err(WireError::new("a timestamp is precise to microseconds; nanos must be a multiple of 1,000"));
        }
        Ok(Value::DateTime(seconds * MICROS + i64::from(nanos / 1_000)))
    }
}

impl Lists {
    fn put_into(self, row: &mut Row) {
        for (index, values) in self.scalars {
            row.set(FieldId(index as u16), Value::List(values.into()));
        }
        for (index, rows) in self.owned {
            row.set(FieldId(index as u16), Value::Owned(rows.into()));
        }
    }
}

fn find(fields: &[Field], number: u32, next: usize) -> Option<(usize, &Field)> {
    // Messages mostly come in the order of their fields, or repeat the last.
    for index in [next, next.wrapping_sub(1)] {
        if let Some(field) = fields.get(index).filter(|field| field.number == number) {
            return Some((index, field));
        }
    }
    fields.iter().enumerate().find(|(_, field)| field.number == number)
}

fn accumulator<T>(lists: &mut Vec<(usize, Vec<T>)>, index: usize) -> &mut Vec<T> {
    let at = lists.iter().position(|(of, _)| *of == index).unwrap_or_else(|| {
        lists.push((index, Vec::new()));
        lists.len() - 1
    });
    &mut lists[at].1
}

fn push_element(values: &mut Vec<Value>, value: Value) -> Result<(), WireError> {
    // A list holds no nulls: an enum's `_UNSPECIFIED` cannot be an element.
    if value.is_null() {
        return Err(WireError::new("an element of a list cannot be unspecified").at(values.len()));
    }
    values.push(value);
    bounded(values.len())
}

fn bounded(elements: usize) -> Result<(), WireError> {
    if elements > ELEMENTS_MAX { Err(WireError::new(format!("more than {ELEMENTS_MAX} elements"))) } else { Ok(()) }
}

fn expect(found: WireType, expected: WireType) -> Result<(), WireError> {
    if found == expected { Ok(()) } else { Err(WireError::new("the bytes are not of the field's type")) }
}

/// A decimal of the log: of another scale where the model's has changed so that it does not fit.
fn logged_decimal(content: &str, scale: u8) -> Result<Value, WireError> {
    let decimal = Decimal::parse(content).ok_or(Malformed)?;
    Ok(Value::Decimal(decimal.rescale(scale).unwrap_or(decimal)))
}

fn not_json() -> WireError {
    WireError::new("not a JSON value of at most 64 levels with finite numbers and each member once")
}
