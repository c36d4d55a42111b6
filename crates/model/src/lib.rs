//! The model: from the text of a `.fourfold` file to a [`Model`], or to diagnostics.
//!
//! Pure: no I/O, no clock. It knows nothing of operations, stores or protocols. Read [`model`] first, then [`expr`].

mod ast;
mod classes;
mod diagnostics;
pub mod expr;
mod filter;
mod format;
mod ids;
mod lex;
pub mod literal;
mod load;
mod lock;
pub mod model;
pub mod names;
mod parse;
mod resolve;
mod types;
mod typing;
pub mod value;

pub use diagnostics::{Diagnostic, Severity, render_diagnostics};
pub use expr::{Expr, ExprKind, ExprType};
pub use filter::{FilterError, filter};
pub use format::format;
pub use load::{Loaded, load};
pub use lock::{Lock, LockedEnum, LockedMember, LockedType};
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
