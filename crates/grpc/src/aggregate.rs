//! Aggregate: groups and measures.

use fourfold_model::{Base, Entity, EntityId, Field, FieldId, Model, Value};
use fourfold_op::json::{self, Dialect, write_value};
use fourfold_op::wire::bytes::{put_nested, put_number};
use fourfold_op::wire::encode_value;
use fourfold_op::{Aggregate, Answered, Context, Error, GroupBy, Measure, Operation, Outcome, Select, SelectKind, Truncate};

use crate::face::Face;
use crate::filter::filter;
use crate::message::{Arguments, Reading, unknown_field};
use crate::render::{Object, json_list};
use crate::schema::aggregate::group;
use crate::selection::Values;
use crate::transport::Format;

/// Answers Aggregate.
///
/// # Errors
/// `invalid_argument` for what cannot be grouped by or measured, `limit_exceeded` for more than 1,000 groups.
pub async fn aggregate(
    face: &Face,
    context: &Context,
    id: EntityId,
    reading: Reading<'_>,
    arguments: &Arguments<'_>,
    format: Format,
) -> Result<Vec<u8>, Error> {
    if !arguments.text(2).is_empty() {
        return Err(crate::error::unimplemented("`search`"));
    }
    let Reading { model, entity, limits } = reading;
    let mut values = Values::default();
    let filter = filter(model, id, arguments.text(1), limits, &mut values)?;
    let group_by = group_by(entity, arguments)?;
    let measures = measures(entity, arguments, group_by.is_empty())?;
    let shape = Groups { model, entity, group_by: &group_by, measures: &measures };
    let kind = SelectKind::Aggregate(Aggregate { filter, group_by: group_by.clone(), measures: measures.clone() });
    let operation = Operation::Read(vec![Select { entity: id, kind, fields: Vec::new(), nested: Vec::new() }]);
    let outcome = face.engine.execute(context, &operation, &values.0).await?.outcome;
    let Outcome::Read(mut answers, _) = outcome else { return Err(Error::internal("an aggregate was answered as a write")) };
    let Some(Answered::Groups(groups)) = answers.pop() else { return Err(Error::internal("an aggregate was answered without groups")) };
    Ok(match format {
        Format::Proto => shape.proto(&groups),
        Format::Json => shape.json(&groups),
    })
}

fn group_by(entity: &Entity, arguments: &Arguments<'_>) -> Result<Vec<GroupBy>, Error> {
    let mut keys: Vec<GroupBy> = Vec::new();
    for text in arguments.texts(3) {
        let key = group_key(entity, text)?;
        if keys.iter().any(|other| other.field == key.field) {
            return Err(Error::invalid_at("/group_by", format!("`{text}`: the field is grouped by twice")));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn group_key(entity: &Entity, text: &str) -> Result<GroupBy, Error> {
    let (name, by) = text.split_once(':').map_or((text, None), |(name, by)| (name, Some(by)));
    let wrong = |detail: String| Error::invalid_at("/group_by", format!("{}: {detail}", json::quoted(text)));
    let field = entity.field_by_name(name).ok_or_else(|| wrong(unknown_field(entity, name)))?;
    let by = match by {
        None => None,
        Some("hour") => Some(Truncate::Hour),
        Some("day") => Some(Truncate::Day),
        Some("week") => Some(Truncate::Week),
        Some("month") => Some(Truncate::Month),
        Some("year") => Some(Truncate::Year),
        Some(_) => return Err(wrong("expected `hour`, `day`, `week`, `month` or `year` after the colon".into())),
    };
    Ok(GroupBy { field, by })
}

/// The measures of a request; a group of all rows without any is counted.
fn measures(entity: &Entity, arguments: &Arguments<'_>, of_all: bool) -> Result<Vec<Measure>, Error> {
    type Make = fn(FieldId) -> Measure;
    let mut measures = Vec::new();
    let kinds: [(u32, &str, Make); 6] = [
        (4, "count", Measure::CountOf),
        (9, "count_distinct", Measure::CountDistinct),
        (5, "sum", Measure::Sum),
        (6, "avg", Measure::Average),
        (7, "min", Measure::Min),
        (8, "max", Measure::Max),
    ];
    for (number, parameter, make) in kinds {
        for name in arguments.texts(number) {
            let measure = match name.as_ref() {
                "*" if number == 4 => Measure::Count,
                name => make(entity.field_by_name(name).ok_or_else(|| {
                    Error::invalid_at(format!("/{parameter}"), format!("`{parameter}`: {}", unknown_field(entity, name)))
                })?),
            };
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
    }
    if measures.is_empty() && of_all {
        measures.push(Measure::Count);
    }
    Ok(measures)
}

struct Groups<'a> {
    model: &'a Model,
    entity: &'a Entity,
    group_by: &'a [GroupBy],
    measures: &'a [Measure],
}

/// A value of a group: the `Group`'s field that holds it, its own field there (none for the count of rows), and its type.
struct Cell<'a> {
    within: (u32, &'static str),
    field: Option<&'a Field>,
    base: Base,
    value: &'a Value,
}

impl<'a> Groups<'a> {
    /// A group's values by the messages that hold them, in the order of their numbers.
    fn cells(&self, group: &'a [Value]) -> Vec<Cell<'a>> {
        let (keys, measured) = group.split_at(self.group_by.len().min(group.len()));
        let entity = self.entity;
        let mut cells: Vec<Cell<'a>> = Vec::with_capacity(group.len());
        for (key, value) in self.group_by.iter().zip(keys) {
            cells.push(cell_of(entity, key.field, (group::GROUP, "group"), None, value));
        }
        for (measure, value) in self.measures.iter().zip(measured) {
            cells.push(measure_cell(entity, *measure, value));
        }
        cells.sort_by_key(|cell| cell.within.0);
        cells
    }

    fn proto(&self, groups: &[Vec<Value>]) -> Vec<u8> {
        let mut out = Vec::new();
        for group in groups {
            put_nested(&mut out, 1, |out| self.put_group(out, group));
        }
        out
    }

    fn put_group(&self, out: &mut Vec<u8>, group: &[Value]) {
        for cells in self.cells(group).chunk_by(|a, b| a.within.0 == b.within.0) {
            match cells {
                [Cell { field: None, value: Value::Int(count), within, .. }] => put_number(out, within.0, *count as u64),
                [first, ..] => put_nested(out, first.within.0, |out| {
                    for cell in cells {
                        let number = cell.field.map_or(0, |field| field.number);
                        encode_value(self.model, number, cell.base, cell.value, out);
                    }
                }),
                [] => {}
            }
        }
    }

    fn json(&self, groups: &[Vec<Value>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        json_list(object.member("groups"), groups.iter(), |out, group| self.json_group(out, group));
        object.end();
        out
    }

    fn json_group(&self, out: &mut Vec<u8>, group: &[Value]) {
        let mut object = Object::new(out);
        for cells in self.cells(group).chunk_by(|a, b| a.within.0 == b.within.0) {
            let Some(first) = cells.first() else { continue };
            let member = object.member(first.within.1);
            if first.field.is_none() {
                write_value(member, self.model, Base::Int, first.value, Dialect::Proto);
                continue;
            }
            let mut within = Object::new(member);
            for (cell, field) in cells.iter().filter_map(|cell| cell.field.map(|field| (cell, field))) {
                if !cell.value.is_null() {
                    within.value(&field.name, self.model, cell.base, cell.value);
                }
            }
            within.end();
        }
        object.end();
    }
}

fn cell_of<'a>(entity: &'a Entity, field: FieldId, within: (u32, &'static str), base: Option<Base>, value: &'a Value) -> Cell<'a> {
    let field = entity.field(field);
    Cell { within, field: Some(field), base: base.unwrap_or(field.ty.base), value }
}

fn measure_cell<'a>(entity: &'a Entity, measure: Measure, value: &'a Value) -> Cell<'a> {
    match measure {
        Measure::Count => Cell { within: (group::COUNT, "count"), field: None, base: Base::Int, value },
        Measure::CountOf(field) => cell_of(entity, field, (group::COUNT_OF, "count_of"), Some(Base::Int), value),
        Measure::CountDistinct(field) => cell_of(entity, field, (group::COUNT_DISTINCT, "count_distinct"), Some(Base::Int), value),
        Measure::Sum(field) => cell_of(entity, field, (group::SUM, "sum"), Some(sum_base(entity.field(field))), value),
        Measure::Average(field) => cell_of(entity, field, (group::AVG, "avg"), Some(Base::Float), value),
        Measure::Min(field) => cell_of(entity, field, (group::MIN, "min"), None, value),
        Measure::Max(field) => cell_of(entity, field, (group::MAX, "max"), None, value),
    }
}

/// Of Int a BigInt, of BigInt a Decimal.
fn sum_base(field: &Field) -> Base {
    match field.ty.base {
        Base::Int => Base::BigInt,
        Base::BigInt => Base::Decimal { precision: 18, scale: 0 },
        base => base,
    }
}
