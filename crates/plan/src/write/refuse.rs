//! Why a settling stops, and the refusals that name what was wrong.

use fourfold_model::{EntityId, FieldId, Model};
use fourfold_op::{Error, ErrorCode, FieldError};

use super::probe::Probe;
use super::settled::Reference;

/// Why a settling stops.
pub(crate) enum Halt {
    Ask(Box<Probe>),
    Refuse(Error),
}

impl From<Box<Probe>> for Halt {
    fn from(probe: Box<Probe>) -> Halt {
        Halt::Ask(probe)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Refuse(error)
    }
}

/// One error of all that is wrong; nothing where nothing is.
pub(crate) fn refuse(errors: Vec<FieldError>) -> Result<(), Error> {
    if errors.is_empty() { Ok(()) } else { Error::invalid_places(errors).map_or(Ok(()), Err) }
}

/// A row that is still referenced.
pub(crate) fn still_referenced(model: &Model, entity: EntityId, by: Reference) -> Error {
    let referrer = model.entity(by.entity);
    let (entity, field) = (&model.entity(entity).name, &referrer.field(by.field).name);
    Error::new(ErrorCode::FailedPrecondition, format!("this `{entity}` is still referenced by `{}.{field}`", referrer.name))
}

/// A value of unique fields that another row has; names the fields only.
pub(crate) fn not_unique(model: &Model, entity: EntityId, fields: &[FieldId]) -> Error {
    let definition = model.entity(entity);
    let names: Vec<&str> = fields.iter().map(|field| definition.field(*field).name.as_str()).collect();
    let mut error = Error::new(ErrorCode::AlreadyExists, format!("another `{}` has the same `{}`", definition.name, names.join("`, `")));
    for name in names {
        error.public.errors.push(FieldError { pointer: format!("/{name}"), detail: "is taken".to_owned() });
    }
    error
}

/// Fields that the caller may not set.
pub(crate) fn fields_denied(model: &Model, entity: EntityId, fields: &[FieldId]) -> Error {
    let entity = model.entity(entity);
    let names: Vec<&str> = fields.iter().map(|field| entity.field(*field).name.as_str()).collect();
    let message = format!("this caller may not set `{}` of `{}`", names.join("`, `"), entity.name);
    let mut error = Error::new(ErrorCode::PermissionDenied, message);
    let denied = |name: &str| FieldError { pointer: format!("/{name}"), detail: "may not be set by this caller".to_owned() };
    error.public.errors = names.into_iter().map(denied).collect();
    error
}

/// Whether an error is the rules' refusal, with no field named.
pub(crate) fn names_nothing(error: &Error) -> bool {
    error.code == ErrorCode::PermissionDenied && error.public.errors.is_empty()
}
