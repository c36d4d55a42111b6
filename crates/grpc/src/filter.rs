//! `filter`: the model's own expression language.

use fourfold_model::{EntityId, Expr, Model};
use fourfold_op::{Error, Limits, Operand, lift};

use crate::selection::Values;

/// Reads a filter; `None` when there is none.
///
/// # Errors
/// `invalid_argument` for what is no filter of this entity, `limit_exceeded`.
pub fn filter(model: &Model, entity: EntityId, text: &str, limits: &Limits, values: &mut Values) -> Result<Option<Expr>, Error> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if text.len() > limits.filter_bytes_max {
        return Err(Error::limit("filter_bytes_max", limits.filter_bytes_max, "bytes"));
    }
    let expr = fourfold_model::filter(model, entity, text).map_err(|error| Error::invalid_at("/filter", error.message))?;
    let shows = |of: EntityId| !model.entity(of).internal && model.entity(of).expose.grpc;
    lift::check_visible(model, entity, &expr, &shows).map_err(|detail| Error::invalid_at("/filter", detail))?;
    let mut failed = None;
    let lifted = lift::lift(expr, &mut |value| {
        values.push(value).unwrap_or_else(|error| {
            failed = Some(error);
            Operand(0)
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(Some(lifted)),
    }
}
