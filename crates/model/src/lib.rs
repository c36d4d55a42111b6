//! The model: from the text of a `.fourfold` file to a [`Model`], or to diagnostics.
//!
//! Pure: no I/O, no clock. It knows nothing of operations, stores or protocols. Read [`model`] first, then [`expr`].

#[allow(dead_code, reason = "whole model files will use the rest")]
mod ast;
#[allow(dead_code, reason = "whole model files will use the rest")]
mod diagnostics;
pub mod expr;
mod filter;
#[allow(dead_code, reason = "whole model files will use the rest")]
mod lex;
pub mod literal;
pub mod model;
pub mod names;
#[allow(dead_code, reason = "whole model files will use the rest")]
mod parse;
#[allow(dead_code, reason = "whole model files will use the rest")]
mod typing;
pub mod value;

pub use diagnostics::{Diagnostic, Severity, render_diagnostics};
pub use expr::{Expr, ExprKind, ExprType};
pub use filter::{FilterError, filter};
pub use model::*;
pub use value::{Decimal, Row, SmolStr, Value};

/// A model file: its name, for diagnostics, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}
