//! Values and rows as JSON, one form for REST, WebSocket and server-sent events.
//!
//! [`write_value`] gives bytes, [`Reader`] and [`read_entity`] take them, [`parse_text`] and [`write_value_text`] are the
//! forms of a value in a URL. [`Dialect::Proto`] is the same for ProtoJSON, which differs in the names of enum values.

mod object;
mod read;
mod text;
mod write;

use fourfold_model::names;

pub use object::{Members, depth, escape_pointer, members};
pub use read::{Reader, read_entity, read_scalar};
pub use text::{parse_text, quoted, write_value_text};
pub use write::{write_date, write_date_time, write_decimal, write_string, write_uuid, write_value};

/// Which JSON is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// REST's, WebSocket's and server-sent events': enums by their names in the model.
    #[default]
    Plain,
    /// ProtoJSON, for Connect: `ORDER_STATE_CART`. Reading takes the model's name and the number too.
    Proto,
}

/// The name of an enum's value in ProtoJSON: `ORDER_STATE_CART`.
pub fn proto_enum_name(enumeration: &fourfold_model::EnumType, value: &str) -> String {
    format!("{}_{}", names::screaming_snake(&enumeration.name), value.to_uppercase())
}

/// `; did you mean \`total\`?`, or nothing when no name is near.
pub fn did_you_mean<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> String {
    names::closest(name, among).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}
