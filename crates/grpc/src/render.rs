//! Rows as messages: protobuf by lock numbers, or ProtoJSON with the model's names.

use fourfold_model::{Base, Entity, FieldId, KEY, Model, REVISION, Value};
use fourfold_op::json::{Dialect, write_string, write_value};
use fourfold_op::wire::bytes::{WireType, put_delimited, put_number, put_tag};
use fourfold_op::wire::encode_value;
use fourfold_op::{Joined, Nested, Page, Record};

use crate::transport::Format;

/// What of a row is shown. A row may hold more: what its relations hang on was read too.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// Fields, ascending.
    pub fields: &'a [FieldId],
    /// Relations.
    pub nested: &'a [Nested],
}

impl<'a> Shown<'a> {
    /// The key and the revision.
    pub const BARE: Shown<'static> = Shown { fields: &[KEY, REVISION], nested: &[] };

    fn of(nested: &'a Nested) -> Shown<'a> {
        Shown { fields: &nested.fields, nested: &nested.nested }
    }
}

/// Writes a record as its entity's message; in protobuf its fields alone, without a length before them.
pub fn record(out: &mut Vec<u8>, model: &Model, entity: &Entity, shown: Shown<'_>, record: &Record, format: Format) {
    match format {
        Format::Proto => proto_record(out, model, entity, shown, record),
        Format::Json => json_record(out, model, entity, shown, record),
    }
}

/// Writes a record as field `number` of the message around it.
pub fn put_record(out: &mut Vec<u8>, number: u32, model: &Model, entity: &Entity, shown: Shown<'_>, record: &Record) {
    put_tag(out, number, WireType::Bytes);
    put_delimited(out, |out| proto_record(out, model, entity, shown, record));
}

fn proto_record(out: &mut Vec<u8>, model: &Model, entity: &Entity, shown: Shown<'_>, record: &Record) {
    for id in shown.fields {
        let field = entity.field(*id);
        encode_value(model, field.number, field.ty.base, record.row.value(*id), out);
    }
    for (shape, joined) in shown.nested.iter().zip(&record.nested) {
        let relation = entity.relation(shape.relation);
        let target = model.entity(relation.target);
        match joined {
            Joined::One(None) => {}
            Joined::One(Some(row)) => put_record(out, relation.number, model, target, Shown::of(shape), row),
            Joined::Many(page) => {
                put_tag(out, relation.number, WireType::Bytes);
                put_delimited(out, |out| proto_page(out, model, target, Shown::of(shape), page));
            }
        }
    }
}

fn proto_page(out: &mut Vec<u8>, model: &Model, entity: &Entity, shown: Shown<'_>, page: &Page) {
    for item in &page.items {
        put_record(out, 1, model, entity, shown, item);
    }
    put_number(out, 2, u64::from(page.more));
}

fn json_record(out: &mut Vec<u8>, model: &Model, entity: &Entity, shown: Shown<'_>, record: &Record) {
    let mut object = Object::new(out);
    for id in shown.fields {
        let (field, value) = (entity.field(*id), record.row.value(*id));
        if !value.is_null() {
            // The revision is a number below 2^53, not the text that a BigInt is.
            let base = if *id == REVISION { Base::Int } else { field.ty.base };
            object.value(&field.name, model, base, value);
        }
    }
    for (shape, joined) in shown.nested.iter().zip(&record.nested) {
        let relation = entity.relation(shape.relation);
        let target = model.entity(relation.target);
        match joined {
            Joined::One(None) => {}
            Joined::One(Some(row)) => json_record(object.member(&relation.name), model, target, Shown::of(shape), row),
            Joined::Many(page) => json_page(object.member(&relation.name), model, target, Shown::of(shape), page),
        }
    }
    object.end();
}

fn json_page(out: &mut Vec<u8>, model: &Model, entity: &Entity, shown: Shown<'_>, page: &Page) {
    let mut object = Object::new(out);
    json_list(object.member("items"), page.items.iter(), |out, item| json_record(out, model, entity, shown, item));
    object.value("has_more", model, Base::Boolean, &Value::Boolean(page.more));
    object.end();
}

/// Writes an array.
pub fn json_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A JSON object on its way out.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    /// Begins one.
    pub fn new(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, first: true }
    }
    /// Begins a member; its value is to be written next.
    pub fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }
    /// A member.
    pub fn value(&mut self, name: &str, model: &Model, base: Base, value: &Value) {
        write_value(self.member(name), model, base, value, Dialect::Proto);
    }
    /// A member that is a string.
    pub fn text(&mut self, name: &str, text: &str) {
        write_string(self.member(name), text);
    }
    /// A member that is a number.
    pub fn number(&mut self, name: &str, number: i64) {
        let out = self.member(name);
        out.extend_from_slice(number.to_string().as_bytes());
    }
    /// Ends it.
    pub fn end(self) {
        self.out.push(b'}');
    }
}
