//! Inputs: what a document or its variables give, until it is a value of the model.
//!
//! A literal is read when the document is compiled; what stands in a variable becomes a [`Slot`] that is filled at each request.

use std::sync::Arc;

use apollo_compiler::ast::Value as Literal;
use fourfold_model::{Base, Model, OwnedId, Row, SmolStr, Type, Value};
use fourfold_op::json::{Dialect, Reader, escape_pointer, parse_text};
use fourfold_op::{Error, Limits};
use serde_json::Value as Json;

use super::literal;
use super::variables::Variables;
use crate::catalog::Catalog;

/// An input: a literal of the document, or a place in the variables.
#[derive(Clone, Debug)]
pub(crate) enum Input<'a> {
    Literal(&'a Literal),
    Given(&'a Json, Place),
}

/// A place in the variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    variable: usize,
    path: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

/// Where the inputs of one operation come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    pub names: &'a [super::document::Variable],
    pub variables: &'a Variables,
}

impl<'a> Inputs<'a> {
    /// What a literal stands for; `None` for a variable that was not given.
    pub fn resolve(&self, literal: &'a Literal) -> Option<Input<'a>> {
        let Literal::Variable(name) = literal else { return Some(Input::Literal(literal)) };
        let variable = self.index(name.as_str())?;
        let given = self.variables.values.get(variable)?.as_ref()?;
        Some(Input::Given(given, Place { variable, path: Vec::new() }))
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|variable| variable.name == name)
    }

    /// The members of an object that were given.
    pub fn members(&self, input: &Input<'a>) -> Vec<(&'a str, Input<'a>)> {
        match input {
            Input::Literal(Literal::Object(members)) => {
                members.iter().filter_map(|(name, value)| Some((name.as_str(), self.resolve(value)?))).collect()
            }
            Input::Given(Json::Object(members), place) => {
                members.iter().map(|(name, value)| (name.as_str(), Input::Given(value, place.then(Step::Member(name.clone()))))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The items of a list; one value where a list is expected is a list of it.
    pub fn items(&self, input: &Input<'a>) -> Vec<Input<'a>> {
        match input {
            Input::Literal(Literal::List(items)) => items.iter().filter_map(|item| self.resolve(item)).collect(),
            Input::Given(Json::Array(items), place) => {
                items.iter().enumerate().map(|(index, item)| Input::Given(item, place.then(Step::Item(index)))).collect()
            }
            one => vec![one.clone()],
        }
    }

    /// The slot of an input that is one value of a field.
    pub fn slot(&self, input: &Input<'a>, leaf: Leaf, reading: &Reading<'_>) -> Result<Slot, Error> {
        match input {
            Input::Given(_, place) => Ok(Slot::Given(place.clone(), leaf)),
            Input::Literal(literal) if literal::has_variable(literal) => Ok(Slot::Mixed(self.template(literal), leaf)),
            Input::Literal(literal) => reading.value(&leaf, &exact(literal, leaf.base)).map(Slot::Constant),
        }
    }

    fn template(&self, literal: &Literal) -> Template {
        match literal {
            Literal::Variable(name) => self.index(name.as_str()).map_or(Template::Constant(Json::Null), Template::Variable),
            Literal::List(items) => Template::List(items.iter().map(|item| self.template(item)).collect()),
            Literal::Object(members) => {
                Template::Object(members.iter().map(|(name, value)| (name.to_string(), self.template(value))).collect())
            }
            literal => Template::Constant(literal::json(literal)),
        }
    }
}

/// A literal as JSON; a number for a Decimal or BigInt keeps every digit that was written.
fn exact(literal: &Literal, base: Base) -> Json {
    match (literal, base) {
        (Literal::Int(number), Base::Decimal { .. } | Base::BigInt) => Json::String(number.as_str().to_owned()),
        (Literal::Float(number), Base::Decimal { .. }) => Json::String(number.as_str().to_owned()),
        (Literal::List(items), _) if !matches!(base, Base::Json | Base::Owned(_)) => {
            Json::Array(items.iter().map(|item| exact(item, base)).collect())
        }
        (literal, _) => literal::json(literal),
    }
}

impl<'a> Input<'a> {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Input::Literal(Literal::Null) | Input::Given(Json::Null, _))
    }

    /// A Boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Input::Literal(literal) => literal.to_bool(),
            Input::Given(json, _) => json.as_bool(),
        }
    }

    /// The name of an enum's value.
    pub fn as_name(&self) -> Option<&'a str> {
        match self {
            Input::Literal(Literal::Enum(name)) => Some(name.as_str()),
            Input::Given(json, _) => json.as_str(),
            Input::Literal(_) => None,
        }
    }

    /// A String that decides the shape of an operation.
    pub fn as_text(&self) -> Option<&'a str> {
        match self {
            Input::Literal(literal) => literal.as_str(),
            Input::Given(json, _) => json.as_str(),
        }
    }
}

impl Place {
    fn then(&self, step: Step) -> Place {
        let mut path = self.path.clone();
        path.push(step);
        Place { variable: self.variable, path }
    }

    fn find<'v>(&self, variables: &'v Variables) -> Option<&'v Json> {
        let mut at = variables.values.get(self.variable)?.as_ref()?;
        for step in &self.path {
            at = match step {
                Step::Member(name) => at.get(name)?,
                Step::Item(index) => at.get(index)?,
            };
        }
        Some(at)
    }
}

/// What a value is read as.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub base: Base,
    pub list: bool,
    /// Where it belongs, as a JSON pointer of the model's names: `/price`.
    pub pointer: SmolStr,
    /// Whether it is what an `in` looks in, which has a limit of its own.
    pub within: bool,
}

/// Where a value of an operation comes from.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// It was in the document.
    Constant(Value),
    /// It stands in a variable.
    Given(Place, Leaf),
    /// A literal with variables in it.
    Mixed(Template, Leaf),
}

/// A literal with variables in it.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    Constant(Json),
    Variable(usize),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

impl Template {
    /// `None` for a variable that was not given: the member that it stands for is then absent.
    fn fill(&self, variables: &Variables) -> Option<Json> {
        Some(match self {
            Template::Constant(json) => json.clone(),
            Template::Variable(index) => variables.values.get(*index)?.clone()?,
            Template::List(items) => Json::Array(items.iter().map(|item| item.fill(variables).unwrap_or_default()).collect()),
            Template::Object(members) => {
                Json::Object(members.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(variables)?))).collect())
            }
        })
    }
}

/// Fills slots with the variables of one request.
///
/// # Errors
/// `invalid_argument` for a value that is none of its field's type.
pub(crate) fn fill(slots: &[Slot], variables: &Variables, reading: &Reading<'_>) -> Result<Vec<Value>, Error> {
    let filled = slots.iter().map(|slot| match slot {
        Slot::Constant(value) => Ok(value.clone()),
        Slot::Given(place, leaf) => reading.value(leaf, place.find(variables).unwrap_or(&Json::Null)),
        Slot::Mixed(template, leaf) => reading.value(leaf, &template.fill(variables).unwrap_or_default()),
    });
    filled.collect()
}

/// What is needed to read values.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub model: &'a Model,
    pub catalog: &'a Catalog,
    pub limits: &'a Limits,
}

impl Reading<'_> {
    /// A value from JSON.
    pub fn value(&self, leaf: &Leaf, json: &Json) -> Result<Value, Error> {
        let values_max = self.limits.in_values_max;
        if leaf.within && json.as_array().is_some_and(|items| items.len() > values_max) {
            return Err(Error::limit("in_values_max", values_max, "values"));
        }
        self.typed(leaf.base, leaf.list, json, &leaf.pointer)
    }

    fn typed(&self, base: Base, list: bool, json: &Json, pointer: &str) -> Result<Value, Error> {
        match (base, json) {
            (_, Json::Null) => Ok(Value::Null),
            (Base::Owned(owned), _) => self.owned(owned, json, pointer),
            (_, Json::Array(items)) if list => {
                let items = items.iter().enumerate().map(|(index, item)| self.item(base, item, &format!("{pointer}/{index}")));
                Ok(Value::List(items.collect::<Result<Vec<_>, _>>()?.into()))
            }
            (_, one) if list => Ok(Value::List(Arc::from([self.item(base, one, pointer)?]))),
            (_, one) => self.scalar(base, one, pointer),
        }
    }

    fn item(&self, base: Base, json: &Json, pointer: &str) -> Result<Value, Error> {
        if json.is_null() {
            return Err(Error::invalid_at(pointer, "an element of a list cannot be null"));
        }
        self.scalar(base, json, pointer)
    }

    fn scalar(&self, base: Base, json: &Json, pointer: &str) -> Result<Value, Error> {
        let by_text = !matches!(base, Base::Boolean | Base::Int | Base::Float | Base::Json);
        if let (true, Json::String(text)) = (by_text, json) {
            return parse_text(self.model, base, text).map_err(|detail| Error::invalid_at(pointer, detail));
        }
        if let Some(value) = plain(base, json) {
            return Ok(value);
        }
        let mut reader = Reader::new(self.model, self.limits, Dialect::Plain);
        let value = reader.value(Type { base, nullable: true, list: false }, &json.to_string(), pointer);
        reader.finish()?;
        Ok(value.unwrap_or_default())
    }

    fn owned(&self, owned: OwnedId, json: &Json, pointer: &str) -> Result<Value, Error> {
        let one = [json.clone()];
        let elements = json.as_array().map_or(one.as_slice(), Vec::as_slice);
        let rows = elements.iter().enumerate().map(|(index, element)| self.element(owned, element, &format!("{pointer}/{index}")));
        Ok(Value::Owned(rows.collect::<Result<Vec<_>, _>>()?.into()))
    }

    fn element(&self, owned: OwnedId, json: &Json, pointer: &str) -> Result<Row, Error> {
        let definition = self.model.owned(owned);
        let mut row = Row::nulls(definition.fields.len());
        for (name, value) in json.as_object().into_iter().flatten() {
            let field = self.catalog.owned_field(owned, name);
            let Some((id, field)) = field.and_then(|id| Some((id, definition.fields.get(usize::from(id.0))?))) else {
                return Err(Error::invalid_at(pointer, format!("`{}` has no member `{name}`", definition.name)));
            };
            row.set(id, self.typed(field.ty.base, field.ty.list, value, &format!("{pointer}/{}", escape_pointer(&field.name)))?);
        }
        Ok(row)
    }
}

/// Numbers and booleans as most requests have them; the rest is read from its text, with its own messages.
fn plain(base: Base, json: &Json) -> Option<Value> {
    match (base, json) {
        (Base::Boolean, Json::Bool(value)) => Some(Value::Boolean(*value)),
        (Base::Int, Json::Number(number)) => number.as_i64().filter(|number| i32::try_from(*number).is_ok()).map(Value::Int),
        (Base::Float, Json::Number(number)) => number.as_f64().filter(|number| number.is_finite()).map(Value::Float),
        _ => None,
    }
}
