//! The model: from the text of a `.fourfold` file to a [`Model`], or to diagnostics.
//!
//! Pure: no I/O, no clock. It knows nothing of operations, stores or protocols. Read [`model`] first, then [`expr`].

pub mod expr;
pub mod literal;
pub mod model;
pub mod names;
pub mod value;

pub use expr::{Expr, ExprKind, ExprType};
pub use model::*;
pub use value::{Decimal, Row, SmolStr, Value};
