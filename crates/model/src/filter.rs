//! `filter=`: the model's expressions as clients send them, without `old`, `new`, `caller` and `now`.

use crate::diagnostics::Diagnostic;
use crate::expr::Expr;
use crate::model::{EntityId, Model};
use crate::parse::parse_expression;
use crate::typing::Place;

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// What is wrong, and what was expected.
    pub message: String,
    /// Where: a byte of the text.
    pub at: usize,
}

/// Reads a client's filter of rows of `entity`, with its names resolved and its types checked.
///
/// # Errors
/// The first thing that is wrong: the text is no expression, names what `entity` has not, or is no condition.
pub fn filter(model: &Model, entity: EntityId, text: &str) -> Result<Expr, FilterError> {
    let node = parse_expression(text).map_err(told)?;
    let mut diagnostics = Vec::new();
    let expr = Place::filter(model, entity).condition(&node, &mut diagnostics);
    match (expr, diagnostics.into_iter().next()) {
        (Some(expr), None) => Ok(expr),
        (_, Some(first)) => Err(told(first)),
        (None, None) => Err(FilterError { message: "this is no filter".to_owned(), at: 0 }),
    }
}

fn told(diagnostic: Diagnostic) -> FilterError {
    let Diagnostic { message, label, help, span, .. } = diagnostic;
    let message = match help {
        Some(help) => format!("{message}: {label}; {help}"),
        None => format!("{message}: {label}"),
    };
    FilterError { message, at: span.start }
}
