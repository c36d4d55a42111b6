//! Types of values, and enums.

use smol_str::SmolStr;

use crate::ids::{EnumId, OwnedId};

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// The scalar, enum or owned type.
    pub base: Base,
    /// `?`: may be null.
    pub nullable: bool,
    /// `[]`.
    pub list: bool,
}

/// A scalar type, an enum or an owned type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Base {
    String,
    Boolean,
    Int,
    BigInt,
    Float,
    /// Digits in all (1 to 18), digits after the point (0 to `precision`).
    Decimal {
        precision: u8,
        scale: u8,
    },
    DateTime,
    Date,
    Uuid,
    Bytes,
    Json,
    Enum(EnumId),
    Owned(OwnedId),
}

/// An enum.
#[derive(Clone, Debug)]
pub struct EnumType {
    /// `OrderState`.
    pub name: SmolStr,
    /// Documentation.
    pub doc: Option<String>,
    /// Its values, in the file's order.
    pub values: Vec<EnumValue>,
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Its name in JSON and GraphQL: `placed`.
    pub name: SmolStr,
    /// Its number, from 1, for ever the same.
    pub number: i32,
    /// Its text in a store's column.
    pub column: SmolStr,
    /// Documentation.
    pub doc: Option<String>,
}

impl EnumType {
    /// The value with this name.
    pub fn by_name(&self, name: &str) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.name == name)
    }
    /// The value with this number.
    pub fn by_number(&self, number: i32) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.number == number)
    }
    /// The value that a store's column holds as this text.
    pub fn by_column(&self, column: &str) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.column == column)
    }
}
