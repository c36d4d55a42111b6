//! What PostgreSQL's types ask for: of each operand its type, of a null its own, of arithmetic the function for it.

use fourfold_model::Base;
use fourfold_model::expr::{Arithmetic, Function};
use fourfold_plan::Node;

use super::{NodeWriter, Table, of_constant, parameter_type};
use crate::sql::{Codec, put_text};

impl NodeWriter<'_> {
    /// `a` is one of what `set` writes, which holds no nulls: an array of them.
    ///
    /// Where more than truth counts, a null in the set (an element that is computed can be one) is no match, and does not make the rest
    /// unknown; and nothing is in an empty set, but a null, of which that is unknown. `a` is written once, however deep an `in` stands in
    /// another.
    pub(super) fn any_of(&mut self, a: &Node, loose: bool, set: impl FnOnce(&mut Self)) {
        self.put(if loose { "(" } else { "ff_in(" });
        self.node(a, false);
        self.put(if loose { " = ANY(" } else { ", " });
        set(self);
        self.put(if loose { "))" } else { ")" });
    }

    /// `ARRAY[…]` of some nodes, at least one.
    pub(super) fn array(&mut self, parts: &[Node]) {
        self.put("ARRAY[");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.put(", ");
            }
            self.node(part, false);
        }
        self.put("]");
    }

    /// Whole numbers have one width, whatever their size.
    pub(super) fn whole(&mut self, number: i64) {
        if !self.is_postgres() {
            return self.put_number(number);
        }
        // In quotes where it is negative: the sign would else be put to a number that is one too large for the type.
        self.put(if number < 0 { "'" } else { "" });
        self.put_number(number);
        self.put(if number < 0 { "'::int8" } else { "::int8" });
    }

    pub(super) fn text(&mut self, text: &str) {
        if !self.is_postgres() {
            return put_text(&mut self.statement.text, text);
        }
        self.put("(");
        put_text(&mut self.statement.text, text);
        self.put("::text COLLATE \"C\")");
    }

    pub(super) fn typed_null(&mut self, base: Base) {
        self.put("NULL");
        if self.is_postgres() {
            self.put("::");
            self.put(parameter_type(base));
        }
    }

    /// Checked arithmetic, null where the result does not fit: of Floats, of moments and microseconds, of Decimals, or of whole numbers.
    pub(super) fn arithmetic(&mut self, by: Arithmetic, a: &Node, b: &Node) {
        let name = match (self.base_of(a), self.base_of(b)) {
            (Some(Base::Float), _) | (_, Some(Base::Float)) => match by {
                Arithmetic::Add => "ff_float_add",
                Arithmetic::Subtract => "ff_float_subtract",
                Arithmetic::Multiply => "ff_float_multiply",
                Arithmetic::Divide => "ff_float_divide",
                Arithmetic::Remainder => return self.typed_null(Base::Float),
            },
            (Some(Base::DateTime), _) => match by {
                Arithmetic::Add => "ff_moment_add",
                Arithmetic::Subtract => "ff_moment_subtract",
                _ => return self.typed_null(Base::DateTime),
            },
            (Some(base @ Base::Decimal { .. }), _) | (_, Some(base @ Base::Decimal { .. })) => match by {
                Arithmetic::Add => "ff_decimal_add",
                Arithmetic::Subtract => "ff_decimal_subtract",
                Arithmetic::Multiply => "ff_decimal_multiply",
                Arithmetic::Divide | Arithmetic::Remainder => return self.typed_null(base),
            },
            _ => match by {
                Arithmetic::Add => "ff_add",
                Arithmetic::Subtract => "ff_subtract",
                Arithmetic::Multiply => "ff_multiply",
                Arithmetic::Divide => "ff_divide",
                Arithmetic::Remainder => "ff_remainder",
            },
        };
        self.function(name, &[a, b]);
    }

    /// A number with more digits after the point.
    pub(super) fn round(&mut self, of: &Node, digits: u8) {
        self.put("ff_round(");
        self.node(of, false);
        self.put(", ");
        self.put_number(i64::from(digits));
        self.put(")");
    }

    /// The form in which a node's value comes from PostgreSQL; `None` for an owned list. A Decimal's scale is the one that it comes with.
    pub fn codec_of(&mut self, node: &Node) -> Option<Codec> {
        match node {
            Node::Column(level, field) => {
                let ty = self.field_type(*level, *field)?;
                (!matches!(ty.base, Base::Owned(_))).then(|| Codec::of_type(ty))
            }
            Node::One { entity, level, value, .. } => {
                self.enter(*level, Table::Entity(*entity));
                self.codec_of(value)
            }
            _ => self.base_of(node).map(Codec::of),
        }
    }

    /// The type of a node's value, where it can be told.
    pub(super) fn base_of(&mut self, node: &Node) -> Option<Base> {
        Some(match node {
            Node::Constant(value, base) => of_constant(value, *base),
            Node::Bind(_, base) => *base,
            Node::Column(level, field) => self.field_type(*level, *field)?.base,
            Node::One { entity, level, value, .. } => {
                self.enter(*level, Table::Entity(*entity));
                return self.base_of(value);
            }
            Node::Conditional(_, a, b) => match (self.base_of(a), self.base_of(b)) {
                (Some(a), Some(b)) => wider(a, b),
                (a, b) => return a.or(b),
            },
            Node::Rescale { to, .. } => Base::Decimal { precision: 18, scale: *to },
            Node::Arithmetic(_, a, b) => wider(self.base_of(a)?, self.base_of(b)?),
            Node::Call(Function::Size, _) => Base::BigInt,
            Node::Call(Function::Lower, _) => Base::String,
            _ => Base::Boolean,
        })
    }
}

/// The type of what comes of two: a Float, a moment or a Decimal makes it one.
fn wider(a: Base, b: Base) -> Base {
    let rank = |base: Base| match base {
        Base::Float => 3,
        Base::DateTime => 2,
        Base::Decimal { .. } => 1,
        _ => 0,
    };
    if rank(a) >= rank(b) { a } else { b }
}
