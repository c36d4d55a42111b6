//! Outcomes as JSON: rows, pages, groups and errors, in the form that REST and WebSocket share.

use fourfold_model::{Base, Entity, EntityId, FieldId, KEY, Member, Model, REVISION, SmolStr, Value};

use crate::json::{Dialect, write_string, write_value};
use crate::{Cursor, Error, GroupBy, Joined, Measure, Nested, Page, Record, Written};

/// The members of a row's object, in the order of the model.
#[derive(Debug)]
pub struct RowShape {
    members: Box<[Shown]>,
}

#[derive(Debug)]
enum Shown {
    Field { name: SmolStr, field: FieldId, base: Base },
    Relation { name: SmolStr, place: usize, shape: RowShape },
}

impl RowShape {
    /// The shape of a row that shows these fields and relations.
    pub fn new(model: &Model, entity: EntityId, fields: &[FieldId], nested: &[Nested]) -> RowShape {
        let of = model.entity(entity);
        let fixed = [KEY, REVISION].into_iter().filter(|fixed| !of.members.contains(&Member::Field(*fixed))).map(Member::Field);
        let members = fixed.chain(of.members.iter().copied());
        let members = members.filter_map(|member| match member {
            Member::Field(field) => fields.contains(&field).then(|| field_shown(of, field)),
            Member::Relation(relation) => {
                let place = nested.iter().position(|nested| nested.relation == relation)?;
                let below = nested.get(place)?;
                let target = of.relation(relation).target;
                let shape = RowShape::new(model, target, &below.fields, &below.nested);
                Some(Shown::Relation { name: of.relation(relation).name.clone(), place, shape })
            }
        });
        RowShape { members: members.collect() }
    }

    /// Appends a row as an object.
    pub fn write(&self, out: &mut Vec<u8>, model: &Model, record: &Record) {
        out.push(b'{');
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match member {
                Shown::Field { name, field, base } => {
                    write_name(out, name);
                    write_value(out, model, *base, record.row.value(*field), Dialect::Plain);
                }
                Shown::Relation { name, place, shape } => {
                    write_name(out, name);
                    shape.write_joined(out, model, record.nested.get(*place));
                }
            }
        }
        out.push(b'}');
    }

    fn write_joined(&self, out: &mut Vec<u8>, model: &Model, joined: Option<&Joined>) {
        match joined {
            Some(Joined::One(Some(record))) => self.write(out, model, record),
            Some(Joined::Many(page)) => {
                self.write_items(out, model, page);
                out.extend_from_slice(if page.more { b",\"has_more\":true}" } else { b",\"has_more\":false}" });
            }
            Some(Joined::One(None)) | None => out.extend_from_slice(b"null"),
        }
    }

    /// Appends `{"items":[…]`, not closed.
    fn write_items(&self, out: &mut Vec<u8>, model: &Model, page: &Page) {
        out.extend_from_slice(b"{\"items\":[");
        for (index, record) in page.items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write(out, model, record);
        }
        out.push(b']');
    }

    /// Appends a list's answer: `{"items": […], "next_page_token"?, "total"?, "total_capped"?, "cursor"}`.
    pub fn write_page(&self, out: &mut Vec<u8>, model: &Model, page: &Page, cursor: &Cursor) {
        self.write_items(out, model, page);
        if let Some(token) = &page.next {
            out.extend_from_slice(b",\"next_page_token\":");
            write_string(out, token);
        }
        if let Some(total) = page.total {
            out.extend_from_slice(b",\"total\":");
            out.extend_from_slice(itoa::Buffer::new().format(total).as_bytes());
        }
        if page.total_capped {
            out.extend_from_slice(b",\"total_capped\":true");
        }
        out.extend_from_slice(b",\"cursor\":");
        write_string(out, &cursor.to_string());
        out.push(b'}');
    }

    /// Appends what a write answers: the row, or its key and revision where the row is not asked for or not readable.
    pub fn write_written(&self, out: &mut Vec<u8>, model: &Model, written: &Written) {
        match &written.record {
            Some(record) => self.write(out, model, record),
            None => write_key_and_revision(out, model, written),
        }
    }
}

/// Appends `{"id":…,"revision":…}`, for a delete with `"deleted":true`.
pub fn write_key_and_revision(out: &mut Vec<u8>, model: &Model, written: &Written) {
    out.extend_from_slice(b"{\"id\":");
    write_value(out, model, model.entity(written.entity).key_type(), &written.key, Dialect::Plain);
    out.extend_from_slice(b",\"revision\":");
    out.extend_from_slice(itoa::Buffer::new().format(written.revision).as_bytes());
    out.extend_from_slice(if written.deleted { b",\"deleted\":true}" } else { b"}" });
}

/// Appends a batch's answer: `{"results": […]}`.
pub fn write_results(out: &mut Vec<u8>, model: &Model, shapes: &[std::sync::Arc<RowShape>], written: &[Written]) {
    out.extend_from_slice(b"{\"results\":[");
    for (index, (shape, written)) in shapes.iter().zip(written).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        shape.write_written(out, model, written);
    }
    out.extend_from_slice(b"]}");
}

fn field_shown(entity: &Entity, field: FieldId) -> Shown {
    let of = entity.field(field);
    // The revision is a number everywhere, though it has 64 bits.
    let base = if field == REVISION { Base::Int } else { of.ty.base };
    Shown::Field { name: of.name.clone(), field, base }
}

/// Names are snake case: nothing in them needs an escape.
fn write_name(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The members of a group's object: its keys, then its measures.
#[derive(Clone, Debug)]
pub struct GroupShape {
    columns: Vec<(SmolStr, Base)>,
}

impl GroupShape {
    /// The shape of the groups of an aggregate.
    pub fn new(entity: &Entity, group_by: &[GroupBy], measures: &[Measure]) -> GroupShape {
        let keys = group_by.iter().map(|key| {
            let field = entity.field(key.field);
            (field.name.clone(), if key.field == REVISION { Base::Int } else { field.ty.base })
        });
        let measures = measures.iter().map(|measure| measured(entity, *measure));
        GroupShape { columns: keys.chain(measures).collect() }
    }

    /// A name that two columns would have.
    pub fn name_given_twice(&self) -> Option<&str> {
        let taken = |index: usize, name: &str| self.columns.iter().take(index).any(|(other, _)| other == name);
        self.columns.iter().enumerate().find(|(index, (name, _))| taken(*index, name)).map(|(_, (name, _))| name.as_str())
    }

    /// Appends an aggregate's answer: `{"items": [{"state": "…", "count": 3}]}`.
    pub fn write(&self, out: &mut Vec<u8>, model: &Model, groups: &[Vec<Value>]) {
        out.extend_from_slice(b"{\"items\":[");
        for (index, group) in groups.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
            for (at, ((name, base), value)) in self.columns.iter().zip(group).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_name(out, name);
                write_value(out, model, *base, value, Dialect::Plain);
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
}

/// A measure's name and the type of its result.
pub fn measured(entity: &Entity, measure: Measure) -> (SmolStr, Base) {
    let of = |verb: &str, field: FieldId| SmolStr::from(format!("{verb}_{}", entity.field(field).name));
    let base = |field: FieldId| entity.field(field).ty.base;
    match measure {
        Measure::Count => (SmolStr::new_static("count"), Base::Int),
        Measure::CountOf(field) => (of("count", field), Base::Int),
        Measure::CountDistinct(field) => (of("count_distinct", field), Base::Int),
        Measure::Sum(field) => (of("sum", field), sum_of(base(field))),
        Measure::Average(field) => (of("avg", field), Base::Float),
        Measure::Min(field) => (of("min", field), base(field)),
        Measure::Max(field) => (of("max", field), base(field)),
    }
}

/// Of Int a BigInt; of BigInt and Decimal a Decimal of 18 digits; of Float a Float.
fn sum_of(base: Base) -> Base {
    match base {
        Base::Int => Base::BigInt,
        Base::BigInt => Base::Decimal { precision: 18, scale: 0 },
        Base::Decimal { scale, .. } => Base::Decimal { precision: 18, scale },
        other => other,
    }
}

/// Appends an error as problem details (RFC 9457), with Fourfold's members.
///
/// An empty `request_id` is left out: there was no request to name.
pub fn write_problem(out: &mut Vec<u8>, error: &Error, request_id: &str) {
    let row = error.code.row();
    out.extend_from_slice(b"{\"type\":\"/problems/");
    out.extend_from_slice(row.name.as_bytes());
    out.extend_from_slice(b"\",\"title\":");
    write_string(out, row.title);
    write_number(out, "status", u64::from(error.http_status()));
    write_text(out, "code", row.name);
    write_text(out, "detail", &error.public.message);
    write_field_errors(out, error);
    if let Some(limit) = &error.public.limit {
        write_text(out, "limit", limit.name);
        write_number(out, "limit_value", limit.value);
        write_text(out, "limit_unit", limit.unit);
    }
    if let Some(operation) = error.public.operation {
        write_number(out, "operation", operation as u64);
    }
    if !request_id.is_empty() {
        write_text(out, "request_id", request_id);
    }
    if let Some(after) = error.public.retry_after_ms {
        write_number(out, "retry_after_ms", after);
    }
    out.push(b'}');
}

fn write_field_errors(out: &mut Vec<u8>, error: &Error) {
    if error.public.errors.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"errors\":[");
    for (index, one) in error.public.errors.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"pointer\":" } else { b"{\"pointer\":" });
        write_string(out, &one.pointer);
        write_text(out, "detail", &one.detail);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_text(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b',');
    write_name(out, name);
    write_string(out, text);
}

fn write_number(out: &mut Vec<u8>, name: &str, number: u64) {
    out.push(b',');
    write_name(out, name);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
