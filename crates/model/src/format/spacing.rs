//! What stands between two tokens of a row: nothing, a space, or what may become a line break.

use crate::lex::Kind;

/// How a token joins the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// Without a space, and never on a line of its own: `x,` `f(`.
    Glued,
    /// Without a space; a line break in the file is kept: `(x` `x)` `x.f`.
    Tight,
    /// With a space; a line break in the file is kept.
    Spaced,
}

/// What the token before was, as far as it matters to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// An operator, a comma, or the beginning.
    #[default]
    Operator,
    /// A name, which makes a call of the `(` after it.
    Name,
    /// The end of any other operand.
    Value,
    /// `@` `.` `..` or a sign: the next token belongs to it.
    Prefix,
    /// `(` or `[`
    Bracket,
    /// `{`
    Brace,
}

/// Where the row being written stands.
#[derive(Debug, Default)]
pub(super) struct Spacing {
    before: Before,
    open: Vec<Open>,
    /// The conditions outside of brackets whose `:` is still to come.
    conditions: usize,
}

/// An open bracket.
#[derive(Debug)]
struct Open {
    /// The indent of its line.
    indent: usize,
    /// The conditions within it whose `:` is still to come.
    conditions: usize,
}

impl Spacing {
    /// The indent of the line with the innermost open bracket.
    pub(super) fn bracket_indent(&self) -> Option<usize> {
        self.open.last().map(|open| open.indent)
    }

    /// After a keyword, `(` and `-` do not continue an expression but begin one.
    pub(super) fn begin_expression(&mut self) {
        self.before = Before::Operator;
    }

    pub(super) fn joint(&self, text: &str) -> Joint {
        match (text, self.before) {
            (_, Before::Prefix) | (",", _) => Joint::Glued,
            (")" | "]" | ".", _) | ("}", Before::Brace) | (_, Before::Bracket) => Joint::Tight,
            ("(", Before::Name) => Joint::Glued,
            (":", _) if self.conditions() == 0 => Joint::Glued,
            ("..", _) if self.follows_operand() => Joint::Glued,
            _ => Joint::Spaced,
        }
    }

    /// Takes note of a token on a line of this indent.
    pub(super) fn wrote(&mut self, kind: Kind, text: &str, indent: usize) {
        match text {
            "(" | "[" | "{" => self.open.push(Open { indent, conditions: 0 }),
            ")" | "]" | "}" => drop(self.open.pop()),
            "?" => *self.conditions_mut() += 1,
            ":" => *self.conditions_mut() = self.conditions().saturating_sub(1),
            _ => {}
        }
        self.before = self.role(kind, text);
    }

    /// The `?` of a type is no condition.
    pub(super) fn end_type(&mut self) {
        *self.conditions_mut() = 0;
    }

    fn role(&self, kind: Kind, text: &str) -> Before {
        match (kind, text) {
            (Kind::Word, "in") if self.follows_operand() => Before::Operator,
            (Kind::Word | Kind::TypeName, _) => Before::Name,
            (Kind::Int | Kind::Decimal | Kind::Duration | Kind::Text, _) | (_, ")" | "]" | "}" | "[]") => Before::Value,
            (Kind::At | Kind::AtAt, _) | (_, "." | ".." | "!") => Before::Prefix,
            (_, "-") if !self.follows_operand() => Before::Prefix,
            (_, "(" | "[") => Before::Bracket,
            (_, "{") => Before::Brace,
            _ => Before::Operator,
        }
    }

    fn follows_operand(&self) -> bool {
        matches!(self.before, Before::Name | Before::Value)
    }

    fn conditions(&self) -> usize {
        self.open.last().map_or(self.conditions, |open| open.conditions)
    }

    fn conditions_mut(&mut self) -> &mut usize {
        self.open.last_mut().map_or(&mut self.conditions, |open| &mut open.conditions)
    }
}
