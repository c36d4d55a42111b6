//! Variables: checked against their types, and their skeleton.
//!
//! The skeleton is what of the variables decides the shape of an operation: which members an object has, which are null, booleans,
//! directions. Two requests with one document and equal skeletons share one compiled plan; their scalars are bound to it.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use serde_json::{Map, Value as Json};

use super::document::Document;
use crate::catalog::Catalog;
use crate::error::Fault;

/// The variables of one request.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// By the order in which the operation declares them; `None` where none was given.
    pub values: Vec<Option<Json>>,
    /// What of them decides the shape.
    pub skeleton: Vec<u8>,
}

/// Checks the variables of a request against what the operation declares.
///
/// Scalars of our own (Uuid, DateTime, …) are read when they are bound.
///
/// # Errors
/// `invalid_argument`: the first variable that does not fit, and where.
pub(crate) fn coerce(schema: &Schema, catalog: &Catalog, document: &Document, mut given: Map<String, Json>) -> Result<Variables, Fault> {
    let mut variables = Variables::default();
    for (variable, definition) in document.variables.iter().zip(&document.operation.variables) {
        let value = given.remove(&variable.name).or_else(|| variable.default.clone());
        let mut check = Check { schema, catalog, skeleton: &mut variables.skeleton, path: format!("${}", variable.name) };
        let checked = match &value {
            None if variable.ty.is_non_null() => Err(format!("`{}` of type `{}` is required", check.path, variable.ty)),
            None => {
                check.skeleton.push(b'a');
                Ok(())
            }
            Some(value) => check.value(&variable.ty, value, true),
        };
        checked.map_err(|message| Fault::invalid(message).at(definition.location(), &document.valid.sources))?;
        variables.values.push(value);
    }
    Ok(variables)
}

struct Check<'a> {
    schema: &'a Schema,
    catalog: &'a Catalog,
    skeleton: &'a mut Vec<u8>,
    /// Where in the variables: `$input.lines`.
    path: String,
}

impl Check<'_> {
    /// Checks a value; where `shapes` is false, it is one value of a field and nothing of it goes into the skeleton.
    fn value(&mut self, ty: &Type, value: &Json, shapes: bool) -> Result<(), String> {
        if value.is_null() {
            self.mark(b'n', shapes);
            return if ty.is_non_null() { Err(format!("`{}` of type `{ty}` cannot be null", self.path)) } else { Ok(()) };
        }
        match ty {
            Type::List(item) | Type::NonNullList(item) => self.list(item, value, shapes),
            Type::Named(name) | Type::NonNullNamed(name) => self.named(name.as_str(), value, shapes),
        }
    }

    fn mark(&mut self, mark: u8, shapes: bool) {
        if shapes {
            self.skeleton.push(mark);
        }
    }

    fn list(&mut self, item: &Type, value: &Json, shapes: bool) -> Result<(), String> {
        // A list of scalars is one value, whatever its length.
        let shapes_items = shapes && self.is_shape(item);
        self.mark(if shapes_items { b'[' } else { b'?' }, shapes);
        match value {
            Json::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.under(&index.to_string(), |check| check.value(item, value, shapes_items))?;
                }
            }
            // One value where a list is expected is a list of it (GraphQL, "List", input coercion).
            one => self.value(item, one, shapes_items)?,
        }
        self.mark(b']', shapes_items);
        Ok(())
    }

    fn is_shape(&self, ty: &Type) -> bool {
        let name = ty.inner_named_type().as_str();
        matches!(self.schema.types.get(name), Some(ExtendedType::InputObject(_))) && !self.catalog.value_inputs.contains(name)
    }

    fn under<T>(&mut self, step: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(step);
        let checked = check(self);
        self.path.truncate(length);
        checked
    }

    fn named(&mut self, name: &str, value: &Json, shapes: bool) -> Result<(), String> {
        match self.schema.types.get(name) {
            Some(ExtendedType::InputObject(definition)) => self.object(definition, value, shapes),
            Some(ExtendedType::Enum(definition)) => match value.as_str().filter(|name| definition.values.contains_key(*name)) {
                Some(value) => {
                    if shapes {
                        self.skeleton.extend_from_slice(value.as_bytes());
                        self.skeleton.push(b'?');
                    }
                    Ok(())
                }
                None => Err(format!("`{}` is not a value of `{name}`", self.path)),
            },
            _ => self.scalar(name, value, shapes),
        }
    }

    fn scalar(&mut self, name: &str, value: &Json, shapes: bool) -> Result<(), String> {
        let (fits, wanted) = match name {
            "Int" => (value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) || whole(value), "a whole number of 32 bits"),
            "Float" => (value.is_number(), "a number"),
            "String" => (value.is_string(), "a string"),
            "ID" => (value.is_string() || value.is_i64(), "a string"),
            "Boolean" => (value.is_boolean(), "true or false"),
            _ => (true, ""),
        };
        if !fits {
            return Err(format!("`{}` is not {wanted} (`{name}`)", self.path));
        }
        match value {
            Json::Bool(true) => self.mark(b't', shapes),
            Json::Bool(false) => self.mark(b'f', shapes),
            _ => self.mark(b'?', shapes),
        }
        Ok(())
    }

    fn object(&mut self, definition: &InputObjectType, value: &Json, shapes: bool) -> Result<(), String> {
        let Some(members) = value.as_object() else {
            return Err(format!("`{}` is not an object (`{}`)", self.path, definition.name));
        };
        let shapes_members = shapes && !self.catalog.value_inputs.contains(definition.name.as_str());
        self.mark(if shapes_members { b'{' } else { b'?' }, shapes);
        for (name, value) in members {
            let Some(member) = definition.fields.get(name.as_str()) else {
                let near = fourfold_op::json::did_you_mean(name, definition.fields.keys().map(|name| name.as_str()));
                return Err(format!("`{}` has no member `{name}` (`{}`){near}", self.path, definition.name));
            };
            if shapes_members {
                self.skeleton.extend_from_slice(name.as_bytes());
                self.skeleton.push(b':');
            }
            self.under(name, |check| check.value(&member.ty, value, shapes_members))?;
        }
        self.mark(b'}', shapes_members);
        let missing = definition.fields.values().find(|member| member.is_required() && !members.contains_key(member.name.as_str()));
        if let Some(missing) = missing {
            return Err(format!("`{}` lacks `{}`, which `{}` requires", self.path, missing.name, definition.name));
        }
        if definition.directives.has("oneOf") && (members.len() != 1 || members.values().any(Json::is_null)) {
            return Err(format!("`{}` must have exactly one member that is not null (`{}`)", self.path, definition.name));
        }
        Ok(())
    }
}

/// `794.0` is the integer 794.
fn whole(value: &Json) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX))
}
