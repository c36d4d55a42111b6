//! What the two dialects of SQL write differently: markers, types, literals.

use std::fmt::Write as _;

use fourfold_model::{Base, Value};

use super::{put_name, put_text};

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite's, with the functions `ff_…` that the store registers.
    Sqlite,
    /// PostgreSQL's, with the functions of [`POSTGRES_FUNCTIONS`](super::functions::POSTGRES_FUNCTIONS).
    Postgres,
}

impl Dialect {
    /// Adds the marker of a parameter, from 1.
    pub fn put_marker(self, out: &mut String, number: usize) {
        let sign = match self {
            Dialect::Sqlite => '?',
            Dialect::Postgres => '$',
        };
        // Writing into a String cannot fail.
        let _ = write!(out, "{sign}{number}");
    }

    /// The marker of a parameter.
    pub fn marker(self, number: usize) -> String {
        let mut out = String::new();
        self.put_marker(&mut out, number);
        out
    }

    /// The type of a column that holds what the model calls `kind`.
    pub fn storage(self, kind: &str) -> &'static str {
        match self {
            Dialect::Sqlite => sqlite_storage(kind),
            Dialect::Postgres => postgres_storage(kind),
        }
    }

    /// A parent's key as the tables of owned elements keep it: in PostgreSQL, whose columns have one type each, as text.
    pub fn put_parent(self, out: &mut String, key: &str, base: Base) {
        out.push_str(key);
        if self == Dialect::Postgres && base != Base::String {
            out.push_str("::text");
        }
    }

    /// A parameter that holds a key, as the tables of owned elements keep it.
    pub fn parent_marker(self, number: usize, base: Base) -> String {
        let mut out = self.marker(number);
        if self == Dialect::Postgres {
            let _ = write!(out, "::{}", parameter_type(base));
            if base != Base::String {
                out.push_str("::text");
            }
        }
        out
    }

    /// A literal of a value, where the dialect has one; the text of an enum's value is the caller's affair.
    pub fn literal(self, value: &Value) -> Option<String> {
        Some(match value {
            Value::Boolean(value) if self == Dialect::Sqlite => if *value { "1" } else { "0" }.to_owned(),
            Value::Boolean(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => format!("{number:?}"),
            Value::Text(text) => text_literal(text),
            Value::Json(text) => text_literal(text),
            Value::Uuid(bytes) if self == Dialect::Postgres => format!("'{}'::uuid", digits(bytes)),
            Value::Uuid(bytes) => format!("x'{}'", digits(bytes)),
            Value::Bytes(bytes) if self == Dialect::Postgres => format!("'\\x{}'::bytea", digits(bytes)),
            Value::Bytes(bytes) => format!("x'{}'", digits(bytes)),
            Value::Decimal(decimal) if self == Dialect::Sqlite => decimal.unscaled.to_string(),
            Value::Decimal(decimal) => decimal.to_string(),
            Value::DateTime(number) if self == Dialect::Sqlite => number.to_string(),
            // From the two whole numbers, exactly: an interval takes its seconds as a double.
            Value::DateTime(number) => {
                format!("(to_timestamp({}) + interval '{} microseconds')", number.div_euclid(1_000_000), number.rem_euclid(1_000_000))
            }
            Value::Date(days) if self == Dialect::Sqlite => days.to_string(),
            Value::Date(days) => format!("('1970-01-01'::date + {days})"),
            Value::Null | Value::Enum(_) | Value::List(_) | Value::Owned(_) => return None,
        })
    }
}

/// A text in single quotes.
pub fn text_literal(text: &str) -> String {
    let mut out = String::new();
    put_text(&mut out, text);
    out
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SQLite's storage class of a kind.
fn sqlite_storage(kind: &str) -> &'static str {
    match kind {
        _ if kind.ends_with("[]") => "TEXT",
        "Boolean" | "Int" | "BigInt" | "DateTime" | "Date" => "INTEGER",
        "Float" => "REAL",
        "Uuid" | "Bytes" => "BLOB",
        _ if kind.starts_with("Decimal") => "INTEGER",
        _ => "TEXT",
    }
}

/// PostgreSQL's type of a kind. Texts are ordered by code point, whatever the database's collation. A `Json` is `json`, which keeps the text:
/// `jsonb` would give back other digits, another order of members, and refuses U+0000 in a string.
fn postgres_storage(kind: &str) -> &'static str {
    match kind {
        "Boolean" => "boolean",
        "Int" => "int4",
        "BigInt" => "int8",
        "Float" => "float8",
        "DateTime" => "timestamptz",
        "Date" => "date",
        "Uuid" => "uuid",
        "Bytes" => "bytea",
        "Json" => "json",
        "Boolean[]" => "boolean[]",
        "Int[]" => "int4[]",
        "BigInt[]" => "int8[]",
        "Float[]" => "float8[]",
        "DateTime[]" => "timestamptz[]",
        "Date[]" => "date[]",
        "Uuid[]" => "uuid[]",
        "Bytes[]" => "bytea[]",
        "Json[]" => "json[]",
        _ if kind.starts_with("Decimal") && kind.ends_with("[]") => "numeric[]",
        _ if kind.starts_with("Decimal") => "numeric",
        _ if kind.ends_with("[]") => "text[] COLLATE \"C\"",
        _ => "text COLLATE \"C\"",
    }
}

/// PostgreSQL's type of a parameter: whole numbers are wide, so that none is out of range before it is compared.
pub(super) fn parameter_type(base: Base) -> &'static str {
    match base {
        Base::Boolean => "boolean",
        Base::Int | Base::BigInt => "int8",
        Base::Float => "float8",
        Base::Decimal { .. } => "numeric",
        Base::String | Base::Enum(_) => "text",
        Base::DateTime => "timestamptz",
        Base::Date => "date",
        Base::Uuid => "uuid",
        Base::Bytes => "bytea",
        Base::Json | Base::Owned(_) => "json",
    }
}

/// Adds the columns of an index's order: PostgreSQL keeps nulls last ascending, we keep them first.
pub(super) fn put_index_column(dialect: Dialect, out: &mut String, name: &str, descending: bool) {
    put_name(out, name);
    out.push_str(match (dialect, descending) {
        (Dialect::Sqlite, false) => "",
        (Dialect::Sqlite, true) => " DESC",
        (Dialect::Postgres, false) => " NULLS FIRST",
        (Dialect::Postgres, true) => " DESC NULLS LAST",
    });
}
