//! From a plan to SQL text: pure, so that it can be read and tested without a database.
//!
//! A [`Statement`] is text with numbered parameters and says where each parameter's value comes from; no value of a request is ever
//! in the text. Rows are `t0`, `t1`, … by their level in the plan. Read [`read`](mod@read) first, then [`node`].
//!
//! There are two dialects. What SQLite lacks (Unicode lower case, checked arithmetic, truncation of moments) are functions named `ff_…` that
//! the store registers; what PostgreSQL lacks are those of [`functions`], which the store creates. The rows that statements bring are put
//! together in [`fetched`], which is the same for both.

pub mod codec;
pub mod dialect;
pub mod diff;
pub mod fetched;
pub mod functions;
pub mod node;
pub mod read;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod write;

pub use codec::Codec;
pub use dialect::Dialect;
pub use diff::{Change, diff};
pub use fetched::Fetched;
pub use node::{NodeWriter, Source, Statement, Table};
pub use read::{ChildSql, FetchSql, GroupColumn, KindSql, Measured, OwnedSql, fetch};
pub use schema::{Column, Schema, TableSchema};
pub use write::{OwnedWrites, TableWrites};

/// Adds an identifier in double quotes.
pub fn put_name(out: &mut String, name: &str) {
    out.push('"');
    for letter in name.chars() {
        if letter == '"' {
            out.push('"');
        }
        out.push(letter);
    }
    out.push('"');
}

/// An identifier in double quotes.
pub fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    put_name(&mut out, name);
    out
}

/// A text literal in single quotes.
pub fn put_text(out: &mut String, text: &str) {
    out.push('\'');
    out.push_str(&text.replace('\'', "''"));
    out.push('\'');
}

/// The number by which a table of owned elements knows the list that they are in: of which entity, and which of its fields.
pub fn owner_number(entity: u32, field: u32) -> i64 {
    (i64::from(entity) << 32) | i64::from(field)
}
