//! Groups and measures.

use fourfold_model::names::camel;
use fourfold_model::{Entity, Field, Model};

use super::text::Text;
use crate::shown;

/// The types of an entity's aggregates.
pub(super) fn aggregate(text: &mut Text, model: &Model, entity: &Entity) {
    let name = &entity.name;
    group_by(text, entity);
    text.block(Some(&format!("A group of `{name}` rows.")), &format!("type {name}Aggregate"), |text| {
        text.member(Some("What the rows of the group share; null for what was not grouped by."), &format!("keys: {name}GroupKeys!"));
        text.member(Some("How many rows."), "count: Int!");
        text.member(Some("How many different values, null apart."), &format!("countDistinct: {name}CountDistinct!"));
        if entity.fields.iter().any(shown::summable) {
            text.member(Some("Sums; null where nothing was to be summed."), &format!("sum: {name}Sum!"));
            text.member(Some("Averages; null where there was nothing."), &format!("avg: {name}Average!"));
        }
        if entity.fields.iter().any(shown::bounded) {
            text.member(Some("The least values."), &format!("min: {name}Min!"));
            text.member(Some("The greatest values."), &format!("max: {name}Max!"));
        }
    });
    let kind = |field: &Field| shown::type_name(model, field.ty.base);
    members(text, entity, "GroupKeys", shown::orderable, kind);
    members(text, entity, "CountDistinct", shown::orderable, |_| "Int!".to_owned());
    members(text, entity, "Sum", shown::summable, |field| shown::type_name(model, shown::sum_base(field.ty.base)));
    members(text, entity, "Average", shown::summable, |_| "Float".to_owned());
    members(text, entity, "Min", shown::bounded, kind);
    members(text, entity, "Max", shown::bounded, kind);
}

fn group_by(text: &mut Text, entity: &Entity) {
    let name = &entity.name;
    text.block(Some(&format!("What `{name}` rows are grouped by.")), &format!("input {name}GroupBy"), |text| {
        text.member(Some("The field."), &format!("field: {name}GroupField!"));
        text.member(Some("Truncates a moment or a day, in UTC."), "by: Truncation");
    });
    text.block(None, &format!("enum {name}GroupField"), |text| {
        for field in entity.fields.iter().filter(|field| shown::orderable(field)) {
            text.member(None, &camel(&field.name));
        }
    });
}

fn members(text: &mut Text, entity: &Entity, suffix: &str, test: impl Fn(&Field) -> bool, kind: impl Fn(&Field) -> String) {
    text.block(None, &format!("type {}{suffix}", entity.name), |text| {
        for field in entity.fields.iter().filter(|field| test(field)) {
            text.member(None, &format!("{}: {}", camel(&field.name), kind(field)));
        }
    });
}

/// What all aggregates share.
pub(super) fn shared(text: &mut Text) {
    text.block(Some("How a moment or a day is truncated."), "enum Truncation", |text| {
        text.member(None, "HOUR");
        text.member(None, "DAY");
        text.member(Some("Weeks begin on Monday."), "WEEK");
        text.member(None, "MONTH");
        text.member(None, "YEAR");
    });
}
