//! Aggregates.

use apollo_compiler::Node;
use apollo_compiler::executable::{Field, SelectionSet};
use fourfold_model::{Base, EntityId, FieldId};
use fourfold_op::{Aggregate, Error, GroupBy, Measure, Truncate};

use super::{Compiler, Group};
use crate::error::Fault;
use crate::parse::input::Input;
use crate::shape::{Entry, GroupPart, Shape, text};
use crate::shown;

impl<'a> Compiler<'a> {
    /// An aggregate, and the selection of its groups.
    pub(super) fn aggregate(&mut self, entity: EntityId, group: &Group<'a>) -> Result<(Aggregate, Shape<GroupPart>), Fault> {
        let filter = self.filters(entity, group.field)?;
        let group_by = self.group_by(entity, group.field)?;
        let mut aggregate = Aggregate { filter, group_by, measures: Vec::new() };
        let mut shape = Vec::new();
        for group in self.collect(&group.sets)? {
            let part = self.group_part(entity, &group, &mut aggregate)?;
            shape.push(Entry::new(group.key, part));
        }
        Ok((aggregate, shape))
    }

    fn group_by(&mut self, entity: EntityId, field: &'a Node<Field>) -> Result<Vec<GroupBy>, Fault> {
        let Some(given) = self.some_argument(field, "groupBy") else { return Ok(Vec::new()) };
        let mut group_by: Vec<GroupBy> = Vec::new();
        for item in self.inputs.items(&given) {
            let one = self.group_key(entity, &item)?;
            if group_by.iter().any(|known| known.field == one.field) {
                let name = &self.reading.model.entity(entity).field(one.field).name;
                return Err(Fault::invalid(format!("`groupBy` names `{name}` twice")));
            }
            group_by.push(one);
        }
        Ok(group_by)
    }

    fn group_key(&mut self, entity: EntityId, input: &Input<'a>) -> Result<GroupBy, Fault> {
        let members = self.inputs.members(input);
        let member = |name: &str| members.iter().find(|(known, _)| *known == name).and_then(|(_, input)| input.as_name());
        let field = member("field").and_then(|name| self.reading.catalog.field(entity, name));
        let field = field.ok_or_else(|| Fault::invalid("`field` of `groupBy` is required"))?;
        let by = match member("by") {
            Some("HOUR") => Some(Truncate::Hour),
            Some("DAY") => Some(Truncate::Day),
            Some("WEEK") => Some(Truncate::Week),
            Some("MONTH") => Some(Truncate::Month),
            Some("YEAR") => Some(Truncate::Year),
            _ => None,
        };
        Ok(GroupBy { field, by })
    }

    fn group_part(&mut self, entity: EntityId, group: &Group<'a>, aggregate: &mut Aggregate) -> Result<GroupPart, Fault> {
        let Some(suffix) = suffix(group.field.name.as_str()) else {
            return Ok(match group.field.name.as_str() {
                "count" => GroupPart::Value { place: Some(measured(aggregate, Measure::Count)), base: Base::Int },
                _ => GroupPart::Text(text(&format!("{}Aggregate", self.reading.model.entity(entity).name))),
            });
        };
        self.members(entity, suffix, &group.sets, aggregate).map(GroupPart::Object)
    }

    fn members(
        &mut self,
        entity: EntityId,
        of: &str,
        sets: &[&'a SelectionSet],
        aggregate: &mut Aggregate,
    ) -> Result<Shape<GroupPart>, Fault> {
        let definition = self.reading.model.entity(entity);
        let mut shape = Vec::new();
        for group in self.collect(sets)? {
            let name = group.field.name.as_str();
            let part = if name == "__typename" {
                GroupPart::Text(text(&format!("{}{of}", definition.name)))
            } else {
                let field = self.reading.catalog.field(entity, name);
                let field = field.ok_or_else(|| Error::internal(format!("`{name}` is in the schema and not in the catalog")))?;
                measure_part(of, field, definition.field(field).ty.base, aggregate)
            };
            shape.push(Entry::new(group.key, part));
        }
        Ok(shape)
    }
}

/// The end of the name of a member's type.
fn suffix(member: &str) -> Option<&'static str> {
    match member {
        "keys" => Some("GroupKeys"),
        "countDistinct" => Some("CountDistinct"),
        "sum" => Some("Sum"),
        "avg" => Some("Average"),
        "min" => Some("Min"),
        "max" => Some("Max"),
        _ => None,
    }
}

fn measure_part(of: &str, field: FieldId, base: Base, aggregate: &mut Aggregate) -> GroupPart {
    let (measure, base) = match of {
        "GroupKeys" => {
            let place = aggregate.group_by.iter().position(|key| key.field == field);
            return GroupPart::Value { place, base };
        }
        "CountDistinct" => (Measure::CountDistinct(field), Base::Int),
        "Sum" => (Measure::Sum(field), shown::sum_base(base)),
        "Average" => (Measure::Average(field), Base::Float),
        "Min" => (Measure::Min(field), base),
        _ => (Measure::Max(field), base),
    };
    GroupPart::Value { place: Some(measured(aggregate, measure)), base }
}

/// Where a measure stands in each group: behind the keys, once.
fn measured(aggregate: &mut Aggregate, measure: Measure) -> usize {
    let known = aggregate.measures.iter().position(|other| *other == measure);
    let place = known.unwrap_or_else(|| {
        aggregate.measures.push(measure);
        aggregate.measures.len() - 1
    });
    aggregate.group_by.len() + place
}
