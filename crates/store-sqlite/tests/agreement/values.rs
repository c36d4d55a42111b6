//! Random values of a type, and the forms that operators and calls have.

use fourfold_model::{Base, EnumId, Field};

use crate::generate::Generator;
use crate::literals;
use crate::term::{Piece, Term, level};

const EXACT: [Base; 5] = [
    Base::Int,
    Base::BigInt,
    Base::Decimal { precision: 12, scale: 2 },
    Base::Decimal { precision: 18, scale: 6 },
    Base::Decimal { precision: 18, scale: 0 },
];
const OTHERS: [Base; 7] = [Base::String, Base::Boolean, Base::Float, Base::DateTime, Base::Date, Base::Uuid, Base::Enum(EnumId(0))];
const SHARED: [Base; 6] = [Base::String, Base::Boolean, Base::Int, Base::BigInt, Base::Float, Base::Enum(EnumId(0))];

impl Generator<'_> {
    /// A type that can be compared.
    pub fn comparable(&mut self) -> Base {
        match self.shared {
            true => *self.random.pick(&SHARED),
            false if self.random.chance(40) => *self.random.pick(&EXACT),
            false => *self.random.pick(&OTHERS),
        }
    }

    /// A literal of this type.
    pub fn literal(&mut self, base: Base) -> Term {
        let text = literals::text_of(base, self.random);
        let text = if literals::quoted(base) { literals::quote(&text, !self.shared, self.random) } else { text };
        // A sign is an operator, though the literal that it makes is one.
        let level = if text.starts_with('-') { level::UNARY } else { level::PRIMARY };
        Term { level, base, pieces: vec![Piece::Text(text)] }
    }

    /// Two values of one type, at least one of which is no literal and so has the type by itself.
    pub fn pair(&mut self, base: Base, depth: usize) -> (Term, Term) {
        let (a, b) = (self.typed(base, depth), self.value(base, depth));
        if self.random.chance(50) { (a, b) } else { (b, a) }
    }

    /// A value of this type, perhaps a literal.
    pub fn value(&mut self, base: Base, depth: usize) -> Term {
        if self.random.chance(40) { self.literal(base) } else { self.typed(base, depth) }
    }

    /// A value of this type that is no literal.
    pub fn typed(&mut self, base: Base, depth: usize) -> Term {
        if depth > 0 && self.random.chance(35) {
            let inner = depth - 1;
            match base {
                Base::Boolean => return self.condition(inner),
                Base::Float if self.random.chance(75) => return self.float(inner),
                Base::String if !self.shared && self.random.chance(60) => {
                    let of = self.value(Base::String, inner);
                    return if self.random.chance(50) {
                        self.call(base, "lower", vec![of])
                    } else {
                        self.method(base, of, "lower", vec![])
                    };
                }
                Base::DateTime if self.random.chance(70) => return self.moment(inner),
                _ => return self.conditional(base, inner),
            }
        }
        self.path(base).expect("the expression's own row has a field of each type")
    }

    /// `a ? b : c`, perhaps with a null branch.
    pub fn conditional(&mut self, base: Base, depth: usize) -> Term {
        self.tolerant = true;
        let condition = self.condition(depth);
        let (a, mut b) = (self.typed(base, depth), self.value(base, depth));
        if !self.shared && self.random.chance(15) {
            b = Term::word(base, "null");
        }
        self.choose(base, condition, a, b)
    }

    fn choose(&mut self, base: Base, condition: Term, a: Term, b: Term) -> Term {
        let (a, b) = if self.random.chance(50) { (a, b) } else { (b, a) };
        let (question, colon) = (self.spaced("?"), self.spaced(":"));
        let pieces =
            vec![Piece::Term(condition, level::OR), Piece::Text(question), Piece::Term(a, 0), Piece::Text(colon), Piece::Term(b, 0)];
        Term { level: level::CONDITIONAL, base, pieces }
    }

    /// `a + b` and its kin, of Floats. CEL's quotient may be infinite, ours is null.
    fn float(&mut self, depth: usize) -> Term {
        self.calculating += 1;
        let (a, b) = self.pair(Base::Float, depth);
        let made = match self.random.below(if self.shared { 4 } else { 5 }) {
            0 => self.sum(Base::Float, a, "+", b),
            1 => self.sum(Base::Float, a, "-", b),
            2 => self.product(Base::Float, a, "*", b),
            3 => {
                let of = self.typed(Base::Float, depth);
                self.negated(of)
            }
            _ => self.product(Base::Float, a, "/", b),
        };
        self.calculating -= 1;
        made
    }

    /// A moment and a duration.
    fn moment(&mut self, depth: usize) -> Term {
        let at = self.typed(Base::DateTime, depth);
        let duration = *self.random.pick(&["0s", "1ms", "90s", "5m", "36h", "7d", "365d", "100000000d"]);
        let operator = if self.random.chance(50) { "+" } else { "-" };
        self.sum(Base::DateTime, at, operator, Term::word(Base::DateTime, duration))
    }

    /// An exact number: of Int or BigInt, or with `decimals` also of Decimal. Its `base` is what the model's types give it.
    pub fn exact(&mut self, depth: usize, decimals: bool) -> Term {
        let decimals = decimals && !self.shared;
        let base = if decimals { *self.random.pick(&EXACT) } else { *self.random.pick(&EXACT[..2]) };
        let inner = depth.saturating_sub(1);
        match self.random.weighed(if depth > 0 { &[20, 40, 25, 5, 5, 8] } else { &[25, 60, 0, 0, 0, 8] }) {
            0 => self.number(base),
            2 => self.calculated(inner, decimals),
            3 => {
                let of = self.exact(inner, decimals);
                self.negated(of)
            }
            4 => {
                self.tolerant = true;
                let (condition, a, b) = (self.condition(inner), self.exact(inner, decimals), self.exact(inner, decimals));
                let base = widest(a.base, b.base);
                self.choose(base, condition, a, b)
            }
            5 => self.size(inner),
            _ => self.path(base).expect("the expression's own row has a field of each type"),
        }
    }

    /// A number literal: of the narrowest type that holds it.
    fn number(&mut self, base: Base) -> Term {
        let term = self.literal(base);
        let text = term.text();
        let base = match text.split_once('.') {
            Some((_, fraction)) => Base::Decimal { precision: 18, scale: fraction.len() as u8 },
            None if text.parse::<i32>().is_ok() => Base::Int,
            None => Base::BigInt,
        };
        Term { base, ..term }
    }

    fn calculated(&mut self, depth: usize, decimals: bool) -> Term {
        self.calculating += 1;
        let whole = self.random.chance(20);
        let (a, b) = (self.exact(depth, decimals && !whole), self.exact(depth, decimals && !whole));
        self.calculating -= 1;
        let base = widest(a.base, b.base);
        match self.random.below(4) {
            0 | 1 if whole => {
                let operator = if self.random.chance(50) { "/" } else { "%" };
                self.product(base, a, operator, b)
            }
            0 => match scale_of(a.base) + scale_of(b.base) {
                0 => self.product(base, a, "*", b),
                scale @ 1..=18 => self.product(Base::Decimal { precision: 18, scale }, a, "*", b),
                _ => self.sum(base, a, "+", b),
            },
            1 => self.sum(base, a, "+", b),
            _ => self.sum(base, a, "-", b),
        }
    }

    /// `size(s)`, `list.size()`.
    fn size(&mut self, depth: usize) -> Term {
        let of = if self.random.chance(60) { self.value(Base::String, depth) } else { self.any_list() };
        if self.random.chance(50) { self.call(Base::Int, "size", vec![of]) } else { self.method(Base::Int, of, "size", vec![]) }
    }

    /// A scalar list, also beyond relations.
    fn any_list(&mut self) -> Term {
        if !self.shared && self.random.chance(15) {
            let (condition, base) = (self.condition(0), self.comparable());
            if let Some(list) = self.list_path(base) {
                let other = self.list_path(base).unwrap_or_else(|| Term::word(base, "[]"));
                return self.choose(base, condition, list, other);
            }
        }
        let place = self.place();
        let shared = self.shared;
        let wanted =
            |field: &Field| field.ty.list && !matches!(field.ty.base, Base::Owned(_)) && (!shared || crate::generate::plain(field));
        match place.field(self.model, &wanted, self.random) {
            Some(field) => self.named(&place, field),
            None => self.value(Base::String, 0),
        }
    }

    fn negated(&mut self, of: Term) -> Term {
        let base = of.base;
        // CEL reads two signs as one operator, and then has no literal for the least whole number.
        let least = if self.shared { level::PRIMARY } else { level::UNARY };
        Term { level: level::UNARY, base, pieces: vec![Piece::Text("-".to_owned()), Piece::Term(of, least)] }
    }

    fn sum(&mut self, base: Base, a: Term, operator: &str, b: Term) -> Term {
        self.binary(base, level::SUM, (a, level::SUM), operator, (b, level::PRODUCT))
    }

    fn product(&mut self, base: Base, a: Term, operator: &str, b: Term) -> Term {
        self.binary(base, level::PRODUCT, (a, level::PRODUCT), operator, (b, level::UNARY))
    }

    /// An operator between two operands, each with the least level that needs no brackets.
    pub fn binary(&mut self, base: Base, level: u8, a: (Term, u8), operator: &str, b: (Term, u8)) -> Term {
        let operator = self.spaced(operator);
        Term { level, base, pieces: vec![Piece::Term(a.0, a.1), Piece::Text(operator), Piece::Term(b.0, b.1)] }
    }

    /// `f(a, b)`.
    pub fn call(&mut self, base: Base, name: &str, operands: Vec<Term>) -> Term {
        let mut pieces = vec![Piece::Text(format!("{name}("))];
        put_operands(&mut pieces, operands);
        Term { level: level::PRIMARY, base, pieces }
    }

    /// `a.f(b)`.
    pub fn method(&mut self, base: Base, of: Term, name: &str, operands: Vec<Term>) -> Term {
        let mut pieces = vec![Piece::Term(of, level::PRIMARY), Piece::Text(format!(".{name}("))];
        put_operands(&mut pieces, operands);
        Term { level: level::PRIMARY, base, pieces }
    }

    /// An operator with some white space, sometimes with a comment in it.
    pub fn spaced(&mut self, operator: &str) -> String {
        match self.random.below(20) {
            0 if operator != "in" => operator.to_owned(),
            1 => format!("\n\t{operator} // {operator} \"\n "),
            _ => format!(" {operator} "),
        }
    }
}

fn put_operands(pieces: &mut Vec<Piece>, operands: Vec<Term>) {
    for (place, operand) in operands.into_iter().enumerate() {
        if place > 0 {
            pieces.push(Piece::Text(", ".to_owned()));
        }
        pieces.push(Piece::Term(operand, 0));
    }
    pieces.push(Piece::Text(")".to_owned()));
}

fn scale_of(base: Base) -> u8 {
    match base {
        Base::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

fn widest(a: Base, b: Base) -> Base {
    match (a, b) {
        (Base::Int, Base::Int) => Base::Int,
        (Base::Int | Base::BigInt, Base::Int | Base::BigInt) => Base::BigInt,
        _ => Base::Decimal { precision: 18, scale: scale_of(a).max(scale_of(b)) },
    }
}
