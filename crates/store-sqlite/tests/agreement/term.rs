//! Expressions as trees of text, so that a part can be put in another's place.

use fourfold_model::Base;

/// How tightly a form binds; an operand that binds less is put in brackets.
pub mod level {
    pub const CONDITIONAL: u8 = 0;
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const RELATION: u8 = 3;
    pub const SUM: u8 = 4;
    pub const PRODUCT: u8 = 5;
    pub const UNARY: u8 = 6;
    pub const PRIMARY: u8 = 7;
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Term {
    /// How tightly it binds.
    pub level: u8,
    /// Its type.
    pub base: Base,
    /// Its text, in pieces.
    pub pieces: Vec<Piece>,
}

/// A piece of an expression's text.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Names, operators, brackets.
    Text(String),
    /// An operand, in brackets where it binds less tightly than this.
    Term(Term, u8),
}

impl Term {
    /// A term that is one word.
    pub fn word(base: Base, text: impl Into<String>) -> Term {
        Term { level: level::PRIMARY, base, pieces: vec![Piece::Text(text.into())] }
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.put(&mut out);
        out
    }

    fn put(&self, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Term(term, least) if term.level < *least => {
                    out.push('(');
                    term.put(out);
                    out.push(')');
                }
                Piece::Term(term, _) => term.put(out),
            }
        }
    }

    /// The smallest expression found for which `differs` still holds: greedily, a part is replaced by a part of it, or by `true` or `false`.
    pub fn shrunk(self, differs: &mut dyn FnMut(&Term) -> bool) -> Term {
        let mut term = self;
        loop {
            let smaller = term.smaller();
            let length = term.text().len();
            match smaller.into_iter().find(|one| one.text().len() < length && differs(one)) {
                Some(found) => term = found,
                None => return term,
            }
        }
    }

    /// Every expression with one part made smaller, the boldest first.
    fn smaller(&self) -> Vec<Term> {
        let mut out: Vec<Term> = self.inner().into_iter().filter(|inner| inner.base == self.base).cloned().collect();
        if self.base == Base::Boolean {
            out.extend(["true", "false"].map(|word| Term::word(Base::Boolean, word)));
        }
        for (place, piece) in self.pieces.iter().enumerate() {
            let Piece::Term(part, least) = piece else { continue };
            for smaller in part.smaller() {
                let mut term = self.clone();
                term.pieces[place] = Piece::Term(smaller, *least);
                out.push(term);
            }
        }
        out
    }

    /// Every term inside this one, outer ones first.
    fn inner(&self) -> Vec<&Term> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            if let Piece::Term(term, _) = piece {
                out.push(term);
                out.extend(term.inner());
            }
        }
        out
    }
}
