//! How a value lies in a column.

use fourfold_model::{Base, EnumId, Type};

/// The form of a value in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// 0 or 1.
    Boolean,
    /// A whole number.
    Int,
    /// A double.
    Float,
    /// The digits as a whole number, with this many after the point.
    Decimal(u8),
    /// Text.
    Text,
    /// Microseconds since 1970.
    DateTime,
    /// Days since 1970.
    Date,
    /// 16 bytes.
    Uuid,
    /// Bytes.
    Bytes,
    /// The text of a JSON value.
    Json,
    /// The text that the model gives the enum's value.
    Enum(EnumId),
    /// A JSON array of elements in the forms of [`Element`].
    List(Element),
}

/// An element of a scalar list, in the JSON array that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// `true`, `false`.
    Boolean,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// The digits as a whole number, with this many after the point.
    Decimal(u8),
    /// A string.
    Text,
    /// Microseconds since 1970, a whole number.
    DateTime,
    /// Days since 1970, a whole number.
    Date,
    /// 32 hexadecimal digits.
    Uuid,
    /// Hexadecimal digits, two a byte.
    Bytes,
    /// The enum's column text, a string.
    Enum(EnumId),
    /// The JSON value itself.
    Json,
}

impl Codec {
    /// The form of one value of a type; owned types have none, they are rows of a table of their own.
    pub fn of(base: Base) -> Codec {
        match base {
            Base::Boolean => Codec::Boolean,
            Base::Int | Base::BigInt => Codec::Int,
            Base::Float => Codec::Float,
            Base::Decimal { scale, .. } => Codec::Decimal(scale),
            Base::String => Codec::Text,
            Base::DateTime => Codec::DateTime,
            Base::Date => Codec::Date,
            Base::Uuid => Codec::Uuid,
            Base::Bytes => Codec::Bytes,
            Base::Json | Base::Owned(_) => Codec::Json,
            Base::Enum(id) => Codec::Enum(id),
        }
    }

    /// The form of a field's value.
    pub fn of_type(ty: Type) -> Codec {
        if ty.list { Codec::List(Element::of(ty.base)) } else { Codec::of(ty.base) }
    }
}

impl Element {
    /// The form of an element of this type.
    pub fn of(base: Base) -> Element {
        match base {
            Base::Boolean => Element::Boolean,
            Base::Int | Base::BigInt => Element::Int,
            Base::Float => Element::Float,
            Base::Decimal { scale, .. } => Element::Decimal(scale),
            Base::String => Element::Text,
            Base::DateTime => Element::DateTime,
            Base::Date => Element::Date,
            Base::Uuid => Element::Uuid,
            Base::Bytes => Element::Bytes,
            Base::Json | Base::Owned(_) => Element::Json,
            Base::Enum(id) => Element::Enum(id),
        }
    }
}
