//! The parameters and bodies of REST, as operations. WebSocket's `rpc` speaks the same.
//!
//! An [`Asking`] reads one request: names become ids, texts become typed values that stand in a list of their own, and everything
//! that is wrong is told at once. It gives an [`Asked`]: the operation, its values, and the [`Shape`] in which it is to be rendered.

mod aggregate;
mod fields;
mod filter;
mod list;
mod query;
mod write;

use std::borrow::Cow;
use std::sync::Arc;

use fourfold_model::{Base, Entity, EntityId, Field, FieldId, KEY, Model, Value};

use crate::json::{self, Dialect, Reader};
use crate::render::{GroupShape, RowShape};
use crate::{Error, Limits, Operand, Operation};

pub use fields::{default_fields, default_read};
pub use list::{RESERVED, RESERVED_AGGREGATE};
pub use query::{Pairs, percent_decode, query};
pub use write::{Body, WriteAsked, batch_error, split_key};

/// Which face asks; an entity may be shown on some alone (`@@expose`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Face {
    Rest,
    GraphQl,
    Grpc,
    WebSocket,
}

impl Face {
    /// Whether this face shows an entity.
    pub fn shows(self, entity: &Entity) -> bool {
        let exposed = match self {
            Face::Rest => entity.expose.rest,
            Face::GraphQl => entity.expose.graphql,
            Face::Grpc => entity.expose.grpc,
            Face::WebSocket => entity.expose.websocket,
        };
        exposed && !entity.internal
    }
}

/// A request that was read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is asked.
    pub operation: Operation,
    /// The values that its operands name.
    pub values: Vec<Value>,
    /// How the answer is rendered.
    pub shape: Shape,
}

impl Asked {
    /// An error of this request: of a batch it says which operation, of one alone too.
    pub fn of_batch(&self, error: Error) -> Error {
        match &self.shape {
            Shape::Batch(shapes) if shapes.len() == 1 => error.of_one_operation(),
            _ => error,
        }
    }
}

/// How an answer is rendered.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Rows: one, or a page of them.
    Rows(Arc<RowShape>),
    /// Groups.
    Groups(GroupShape),
    /// One for each write of a batch.
    Batch(Vec<Arc<RowShape>>),
}

/// Reads one request.
#[derive(Debug)]
pub struct Asking<'a> {
    model: &'a Model,
    limits: &'a Limits,
    face: Face,
    reader: Reader<'a>,
    values: Vec<Value>,
}

impl<'a> Asking<'a> {
    /// A request to this model on this face.
    pub fn new(model: &'a Model, limits: &'a Limits, face: Face) -> Asking<'a> {
        Asking { model, limits, face, reader: Reader::new(model, limits, Dialect::Plain), values: Vec::new() }
    }

    /// Puts a value into the request's list.
    fn lift(&mut self, value: Value) -> Operand {
        // Above the limit the request ends as `limit_exceeded` in `finish`, so a repeated index is never used.
        let index = u16::try_from(self.values.len()).unwrap_or(u16::MAX);
        self.values.push(value);
        Operand(index)
    }

    /// Notes that a parameter is wrong.
    fn wrong(&mut self, parameter: &str, detail: impl Into<String>) {
        self.reader.wrong(format!("/{}", json::escape_pointer(parameter)), detail);
    }

    /// Notes that a parameter holds more than a limit allows.
    fn exceeded(&mut self, parameter: &str, limit: &'static str, value: usize, unit: &'static str) {
        let pointer = if parameter.is_empty() { String::new() } else { format!("/{}", json::escape_pointer(parameter)) };
        self.reader.exceeded(pointer, limit, value, unit);
    }

    /// Notes why a parameter is refused.
    fn refused(&mut self, parameter: &str, wrong: Wrong) {
        match wrong {
            Wrong::Detail(detail) => self.wrong(parameter, detail),
            Wrong::TooFar => self.exceeded(parameter, "expand_depth_max", self.limits.expand_depth_max, "levels"),
        }
    }

    fn finish(self, operation: Operation, shape: Shape) -> Result<Asked, Error> {
        self.reader.finish()?;
        if self.values.len() > usize::from(u16::MAX) {
            return Err(Error::limit("operation_values_max", usize::from(u16::MAX), "values"));
        }
        Ok(Asked { operation, values: self.values, shape })
    }

    fn entity(&self, id: EntityId) -> &'a Entity {
        self.model.entity(id)
    }

    /// A field that a reader may name; a secret one is told apart.
    fn readable(&self, entity: &Entity, name: &str) -> Result<Option<FieldId>, String> {
        match entity.field_by_name(name) {
            Some(id) if entity.field(id).secret => Err(format!("`{name}` is secret: it is never read back")),
            found => Ok(found),
        }
    }
}

/// Why a parameter is refused.
#[derive(Debug)]
enum Wrong {
    /// It is not right in itself.
    Detail(String),
    /// A path goes over more relations than one may.
    TooFar,
}

impl From<String> for Wrong {
    fn from(detail: String) -> Wrong {
        Wrong::Detail(detail)
    }
}

/// The key of an entity, from its text in a path.
///
/// # Errors
/// `invalid_argument`.
pub fn parse_key(model: &Model, entity: EntityId, text: &str) -> Result<Value, Error> {
    let entity = model.entity(entity);
    json::parse_text(model, entity.key_type(), text)
        .map_err(|detail| Error::invalid_at("/id", format!("the key of `{}`: {detail}", entity.name)))
}

/// The key of an entity, from JSON: in its own form, or as text.
///
/// # Errors
/// What is wrong with it.
pub fn key_from_json(model: &Model, entity: EntityId, text: &str) -> Result<Value, String> {
    let base = model.entity(entity).key_type();
    let is_text_of_number = matches!(base, Base::Int) && text.starts_with('"');
    if is_text_of_number {
        let unquoted = serde_json::from_str::<Cow<'_, str>>(text).map_err(|error| error.to_string())?;
        return json::parse_text(model, base, &unquoted);
    }
    match json::read_scalar(model, base, text) {
        Ok(Value::Null) => Err("a key cannot be null".to_owned()),
        other => other,
    }
}

/// What a reader may see of an entity: everything but its secrets.
fn visible_fields(entity: &Entity) -> impl Iterator<Item = (FieldId, &Field)> {
    entity.field_ids().filter(|(_, field)| !field.secret)
}

/// The names that a reader may use of an entity, for "did you mean".
fn names(model: &Model, face: Face, entity: &Entity) -> Vec<String> {
    let fields = visible_fields(entity).map(|(_, field)| field.name.to_string());
    let shown = entity.relations.iter().filter(|relation| face.shows(model.entity(relation.target)));
    fields.chain(shown.map(|relation| relation.name.to_string())).collect()
}

/// Whether a field is the key of its entity.
fn is_key(field: FieldId) -> bool {
    field == KEY
}
