//! `filter`: the model's own expression language.

use fourfold_model::{EntityId, Expr, Model};
use fourfold_op::{Error, Limits};

use crate::selection::Values;

/// Reads a filter; `None` when there is none.
///
/// # Errors
/// `invalid_argument` for what is no filter of this entity, `limit_exceeded`.
pub fn filter(model: &Model, entity: EntityId, text: &str, limits: &Limits, values: &mut Values) -> Result<Option<Expr>, Error> {
    let _ = (model, entity, limits, values);
    if text.trim().is_empty() {
        return Ok(None);
    }
    Err(crate::error::unimplemented("`filter`"))
}
