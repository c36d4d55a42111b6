//! Aggregates: `group_by=state,at:day&count=*&sum=price`.

use fourfold_model::{Base, EntityId, Field, FieldId};

use super::list::{Grouped, elsewhere};
use super::{Asked, Asking, Pairs, RESERVED, RESERVED_AGGREGATE, Shape};
use crate::json::{did_you_mean, quoted};
use crate::render::GroupShape;
use crate::{Aggregate, GroupBy, Measure, Operation, Select, SelectKind, Truncate};

const TRUNCATIONS: [(&str, Truncate); 5] =
    [("hour", Truncate::Hour), ("day", Truncate::Day), ("week", Truncate::Week), ("month", Truncate::Month), ("year", Truncate::Year)];

impl Asking<'_> {
    /// `GET /v1/products:aggregate?…`: groups of the rows that match, with measures.
    ///
    /// # Errors
    /// `invalid_argument` with everything that is wrong.
    pub fn aggregate(mut self, entity: EntityId, pairs: &Pairs<'_>) -> Result<Asked, crate::Error> {
        let (mut group_by, mut measures, mut terms, mut expression) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (name, values) in Grouped::new(pairs).0 {
            match name {
                "filter" => expression = self.once(name, &values),
                "group_by" => group_by = self.once(name, &values).map(|text| self.group_by(entity, text)).unwrap_or_default(),
                _ if RESERVED_AGGREGATE.contains(&name) => {
                    let text = self.once(name, &values).unwrap_or_default();
                    self.measures(entity, name, text, &mut measures);
                }
                _ if RESERVED.contains(&name) => {
                    self.wrong(name, elsewhere(name).unwrap_or("this parameter is for lists, not for aggregates"))
                }
                _ => terms.push((name, values)),
            }
        }
        let filter = self.filter(entity, &terms, expression);
        if measures.is_empty() && group_by.is_empty() {
            self.wrong("count", "nothing is asked for; expected a measure such as `count=*` or `sum=price`");
        }
        let shape = GroupShape::new(self.entity(entity), &group_by, &measures);
        if let Some(twice) = shape.name_given_twice() {
            self.wrong("group_by", format!("two results would be called `{twice}`"));
        }
        let kind = SelectKind::Aggregate(Aggregate { filter, group_by, measures });
        self.finish(Operation::Read(vec![Select { entity, kind, fields: Vec::new(), nested: Vec::new() }]), Shape::Groups(shape))
    }

    fn group_by(&mut self, entity: EntityId, text: &str) -> Vec<GroupBy> {
        let mut keys = Vec::new();
        for part in text.split(',').map(str::trim) {
            match self.group_key(entity, part) {
                Ok(key) => keys.push(key),
                Err(detail) => self.wrong("group_by", detail),
            }
        }
        keys
    }

    fn group_key(&self, entity: EntityId, text: &str) -> Result<GroupBy, String> {
        let (name, by) = text.split_once(':').map_or((text, None), |(name, by)| (name, Some(by)));
        let (field, of) = self.measured(entity, name)?;
        if of.ty.list || matches!(of.ty.base, Base::Json | Base::Owned(_)) {
            return Err(format!("{} cannot be grouped by: it is a list or Json", quoted(name)));
        }
        let by = by.map(|by| truncation(of, by)).transpose()?;
        Ok(GroupBy { field, by })
    }

    fn measures(&mut self, entity: EntityId, name: &str, text: &str, measures: &mut Vec<Measure>) {
        for part in text.split(',').map(str::trim) {
            match self.measure(entity, name, part) {
                Ok(measure) if measures.contains(&measure) => self.wrong(name, format!("{} is given twice", quoted(part))),
                Ok(measure) => measures.push(measure),
                Err(detail) => self.wrong(name, detail),
            }
        }
    }

    fn measure(&self, entity: EntityId, name: &str, text: &str) -> Result<Measure, String> {
        if text == "*" {
            return if name == "count" { Ok(Measure::Count) } else { Err(format!("`{name}=*` means nothing; expected a field's name")) };
        }
        let (field, of) = self.measured(entity, text)?;
        let plain = !of.ty.list && !matches!(of.ty.base, Base::Json | Base::Owned(_));
        let numeric = plain && matches!(of.ty.base, Base::Int | Base::BigInt | Base::Float | Base::Decimal { .. });
        let ordered = plain && !matches!(of.ty.base, Base::Boolean | Base::Enum(_) | Base::Bytes);
        let (measure, fits, right) = match name {
            "sum" => (Measure::Sum(field), numeric, "a number"),
            "avg" => (Measure::Average(field), numeric, "a number"),
            "min" => (Measure::Min(field), ordered, "a field with an order"),
            "max" => (Measure::Max(field), ordered, "a field with an order"),
            "count_distinct" => (Measure::CountDistinct(field), plain, "a field that can be compared"),
            _ => (Measure::CountOf(field), true, ""),
        };
        if fits { Ok(measure) } else { Err(format!("`{name}` of {} cannot be taken; expected {right}", quoted(text))) }
    }

    fn measured(&self, entity: EntityId, name: &str) -> Result<(FieldId, &Field), String> {
        let of = self.entity(entity);
        let field = self.readable(of, name)?.ok_or_else(|| {
            let known = super::names(self.model, self.face, of);
            format!("unknown field {} of `{}`{}", quoted(name), of.name, did_you_mean(name, known.iter().map(String::as_str)))
        })?;
        Ok((field, of.field(field)))
    }
}

fn truncation(field: &Field, name: &str) -> Result<Truncate, String> {
    let known = TRUNCATIONS.iter().find(|(known, _)| *known == name).map(|(_, by)| *by);
    match (field.ty.base, known) {
        (Base::DateTime, Some(by)) => Ok(by),
        (Base::Date, Some(Truncate::Hour)) => Err(format!("`{}` is a Date: it has no hours", field.name)),
        (Base::Date, Some(by)) => Ok(by),
        (Base::DateTime | Base::Date, None) => Err(format!("unknown unit {}; expected hour, day, week, month or year", quoted(name))),
        _ => Err(format!("`{}` is neither a DateTime nor a Date: it cannot be cut to {}", field.name, quoted(name))),
    }
}
