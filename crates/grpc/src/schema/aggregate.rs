//! The response of an aggregate: groups and measures, typed by the fields that they are of.

use fourfold_model::{Base, Entity, Field as ModelField, Model};

use super::{Field, Message, Ty, full_name};

/// The numbers of a `Group`'s fields.
pub mod group {
    #![allow(missing_docs)]
    pub const GROUP: u32 = 1;
    pub const COUNT: u32 = 2;
    pub const COUNT_OF: u32 = 3;
    pub const COUNT_DISTINCT: u32 = 4;
    pub const SUM: u32 = 5;
    pub const AVG: u32 = 6;
    pub const MIN: u32 = 7;
    pub const MAX: u32 = 8;
}

/// `AggregateProductsResponse`.
pub fn response(model: &Model, entity: &Entity, method: &str) -> Message {
    let name = format!("{method}Response");
    let nested = |nested: &str| Ty::Message(full_name(model, &format!("{name}.{nested}")));
    let row = || Ty::Message(full_name(model, &entity.name));
    let mut fields = vec![
        Field::optional(group::GROUP, "group", row()).doc("The values of the fields grouped by."),
        Field::optional(group::COUNT, "count", Ty::Int64).doc("How many rows."),
        Field::optional(group::COUNT_OF, "count_of", nested("Counts")).doc("How many rows have each field."),
        Field::optional(group::COUNT_DISTINCT, "count_distinct", nested("Counts")).doc("How many different values each field has."),
    ];
    let numbers = entity.fields.iter().any(|field| sum_type(field).is_some());
    if numbers {
        fields.push(Field::optional(group::SUM, "sum", nested("Sums")).doc("The sum of each field."));
        fields.push(Field::optional(group::AVG, "avg", nested("Averages")).doc("The average of each field."));
    }
    fields.push(Field::optional(group::MIN, "min", row()).doc("The least value of each field."));
    fields.push(Field::optional(group::MAX, "max", row()).doc("The greatest value of each field."));
    let mut messages =
        vec![Message::new("Group", "One group.", fields), measures(entity, "Counts", |field| countable(field).then_some(Ty::Int64))];
    if numbers {
        messages.push(measures(entity, "Sums", sum_type));
        messages.push(measures(entity, "Averages", |field| sum_type(field).map(|_| Ty::Double)));
    }
    let groups = Field::repeated(1, "groups", nested("Group")).doc("The groups, in the order of what they are grouped by.");
    Message { nested: messages, ..Message::new(name, format!("What {method} answers."), vec![groups]) }
}

fn measures(entity: &Entity, name: &str, of: impl Fn(&ModelField) -> Option<Ty>) -> Message {
    let fields = entity.fields.iter().filter_map(|field| of(field).map(|ty| Field::optional(field.number, field.name.as_str(), ty)));
    Message::new(name, "One number for each field that was asked for.", fields.collect())
}

/// Whether a field's values can be counted.
pub fn countable(field: &ModelField) -> bool {
    !matches!(field.ty.base, Base::Owned(_) | Base::Json) && !field.ty.list && field.name != "revision"
}

/// The type of a field's sum; `None` where it has none.
pub fn sum_type(field: &ModelField) -> Option<Ty> {
    match field.ty.base {
        _ if !countable(field) => None,
        Base::Int => Some(Ty::Int64),
        Base::BigInt | Base::Decimal { .. } => Some(Ty::String),
        Base::Float => Some(Ty::Double),
        _ => None,
    }
}
