//! Random conditions: every one is well typed, so that what is refused is a fault.

use fourfold_model::{Base, Field, Model};

use crate::random::Random;
use crate::scope::{Place, RowKind};
use crate::term::{Piece, Term, level};
use crate::world::THING;

/// A name that an expression takes a value from, by the steps to it from the expression's row.
pub struct Use {
    pub steps: Vec<String>,
    /// Whether it is an operand of arithmetic.
    pub calculated: bool,
}

/// Makes expressions.
pub struct Generator<'a> {
    pub model: &'a Model,
    pub random: &'a mut Random,
    /// Only what CEL gives the same meaning to.
    pub shared: bool,
    /// What can be named, the expression's own row first.
    pub places: Vec<Place>,
    /// What was taken a value from.
    pub uses: Vec<Use>,
    /// Whether some part turns an unknown operand into a known result: then CEL's error need not be our unknown.
    pub tolerant: bool,
    /// How many arithmetic operators surround what is being made.
    pub calculating: usize,
}

/// Elements are called so, by how deep they are.
const VARIABLES: [&str; 4] = ["x", "el", "t0", "value_2"];

impl<'a> Generator<'a> {
    pub fn new(model: &'a Model, shared: bool, random: &'a mut Random) -> Generator<'a> {
        let row = Place { prefix: String::new(), kind: RowKind::Entity(THING), steps: Vec::new() };
        Generator { model, random, shared, places: vec![row], uses: Vec::new(), tolerant: false, calculating: 0 }
    }

    /// A condition with about so many levels.
    pub fn condition(&mut self, depth: usize) -> Term {
        let nested = if depth == 0 { 0 } else { 1 };
        let weights = [24, 9 * nested, 9 * nested, 6 * nested, 6, 12, 9, 12 * nested, 4 * nested, 4, 1, 3 * nested];
        let inner = depth.saturating_sub(1);
        match self.random.weighed(&weights) {
            0 => self.comparison(inner),
            1 => self.connected(" && ", level::AND, inner),
            2 => self.connected(" || ", level::OR, inner),
            3 => self.not(inner),
            4 => self.null_test(inner),
            5 => self.membership(inner),
            6 => self.text_test(inner),
            7 => self.quantified(inner),
            8 => self.conditional(Base::Boolean, inner),
            9 => self.path(Base::Boolean).unwrap_or_else(|| self.comparison(inner)),
            10 => Term::word(Base::Boolean, if self.random.chance(50) { "true" } else { "false" }),
            _ => self.truths(inner),
        }
    }

    /// `a < b` and its kin.
    fn comparison(&mut self, depth: usize) -> Term {
        let base = self.comparable();
        let (a, b) = match base {
            Base::Int | Base::BigInt | Base::Decimal { .. } => (self.exact(depth, true), self.exact(depth, true)),
            base => self.pair(base, depth),
        };
        let ordered = !matches!(base, Base::Boolean | Base::Enum(_));
        let operators: &[&str] = if ordered { &["==", "!=", "<", "<=", ">", ">="] } else { &["==", "!="] };
        let operator = *self.random.pick(operators);
        self.binary(Base::Boolean, level::RELATION, (a, level::SUM), operator, (b, level::SUM))
    }

    /// Two conditions with `==` between them.
    fn truths(&mut self, depth: usize) -> Term {
        let (a, b) = (self.condition(depth), self.condition(depth));
        let operator = if self.random.chance(50) { "==" } else { "!=" };
        self.binary(Base::Boolean, level::RELATION, (a, level::SUM), operator, (b, level::SUM))
    }

    fn connected(&mut self, operator: &str, level: u8, depth: usize) -> Term {
        let count = 2 + self.random.below(2);
        let mut pieces = vec![Piece::Term(self.condition(depth), level + 1)];
        for _ in 1..count {
            pieces.push(Piece::Text(self.spaced(operator.trim())));
            pieces.push(Piece::Term(self.condition(depth), level + 1));
        }
        Term { level, base: Base::Boolean, pieces }
    }

    fn not(&mut self, depth: usize) -> Term {
        let of = self.condition(depth);
        Term { level: level::UNARY, base: Base::Boolean, pieces: vec![Piece::Text("!".to_owned()), Piece::Term(of, level::UNARY)] }
    }

    /// `a == null`, `null != a`, `has(a)`.
    fn null_test(&mut self, depth: usize) -> Term {
        self.tolerant = true;
        let tested = self.tested(depth);
        if !self.shared && self.random.chance(20) && tested.level == level::PRIMARY {
            return self.call(Base::Boolean, "has", vec![tested]);
        }
        let operator = if self.random.chance(50) { "==" } else { "!=" };
        let null = Term::word(Base::Boolean, "null");
        let (a, b) = if self.random.chance(80) { (tested, null) } else { (null, tested) };
        self.binary(Base::Boolean, level::RELATION, (a, level::SUM), operator, (b, level::SUM))
    }

    /// What a null test is about: a field of any type, a relation, or a calculation.
    fn tested(&mut self, depth: usize) -> Term {
        let place = self.place();
        let names: Vec<String> = match self.random.below(if self.shared { 1 } else { 5 }) {
            0..=2 => {
                let fields = place.kind.fields(self.model).iter();
                let fields = fields.filter(|field| !matches!(field.ty.base, Base::Owned(_)) && (!self.shared || plain(field)));
                fields.map(|field| field.name.to_string()).collect()
            }
            3 => place.to_one(self.model).iter().map(|relation| relation.name.to_string()).collect(),
            _ => Vec::new(),
        };
        if names.is_empty() {
            return if self.random.chance(50) { self.exact(depth, true) } else { self.condition(depth) };
        }
        if !place.steps.is_empty() {
            self.uses.push(Use { steps: place.steps.clone(), calculated: false });
        }
        let name = self.random.pick(&names);
        Term::word(Base::Boolean, format!("{}{name}", place.prefix))
    }

    /// `a.contains(b)` and its kin.
    fn text_test(&mut self, depth: usize) -> Term {
        let (a, b) = (self.value(Base::String, depth), self.value(Base::String, depth.min(1)));
        let name = *self.random.pick(&["contains", "startsWith", "endsWith"]);
        if !self.shared && self.random.chance(15) {
            return self.call(Base::Boolean, name, vec![a, b]);
        }
        self.method(Base::Boolean, a, name, vec![b])
    }

    /// `parts.exists(x, …)`, `lines.all(x, …)`.
    fn quantified(&mut self, depth: usize) -> Term {
        let variable = VARIABLES.get(self.places.len() - 1).copied();
        let place = self.place();
        let found = place.collection(self.model, self.shared, self.random);
        let (Some(variable), Some((list, kind))) = (variable, found) else { return self.comparison(depth) };
        // What CEL sees is a tree of few levels; the read rule hides rows from relations to people alone.
        if self.shared && place.steps.len() > 1 {
            return self.comparison(depth);
        }
        self.tolerant = true;
        if !place.steps.is_empty() {
            self.uses.push(Use { steps: place.steps.clone(), calculated: false });
        }
        self.places.push(place.element(&list, kind, variable));
        let body = self.condition(depth);
        self.places.pop();
        let name = if self.random.chance(60) { "exists" } else { "all" };
        let head = format!("{}{list}.{name}({variable}, ", place.prefix);
        Term {
            level: level::PRIMARY,
            base: Base::Boolean,
            pieces: vec![Piece::Text(head), Piece::Term(body, 0), Piece::Text(")".to_owned())],
        }
    }

    /// `a in [b, c]`, `a in list`.
    fn membership(&mut self, depth: usize) -> Term {
        let base = self.comparable();
        let exact = matches!(base, Base::Int | Base::BigInt | Base::Decimal { .. });
        let one = match self.path(base) {
            Some(path) if exact || depth == 0 => path,
            _ if exact => self.literal(base),
            _ => self.typed(base, depth),
        };
        let list = if self.random.chance(40) { self.list_path(base) } else { None };
        let one = if list.is_some() && self.random.chance(40) { self.literal(base) } else { one };
        let list = list.unwrap_or_else(|| self.list(base));
        self.binary(Base::Boolean, level::RELATION, (one, level::SUM), "in", (list, level::SUM))
    }

    fn list(&mut self, base: Base) -> Term {
        let count = self.random.below(4);
        let mut pieces = vec![Piece::Text("[".to_owned())];
        for place in 0..count {
            if place > 0 {
                pieces.push(Piece::Text(", ".to_owned()));
            }
            let item = if self.random.chance(25) { self.path(base) } else { None };
            self.tolerant |= item.is_some();
            pieces.push(Piece::Term(item.unwrap_or_else(|| self.literal(base)), 0));
        }
        pieces.push(Piece::Text("]".to_owned()));
        Term { level: level::PRIMARY, base, pieces }
    }

    /// A scalar list of a row that the expression names, not beyond relations: `in` takes no others.
    pub fn list_path(&mut self, base: Base) -> Option<Term> {
        let place = self.random.pick(&self.places).clone();
        let field = place.field(self.model, &|field| field.ty.list && field.ty.base == base, self.random)?;
        Some(self.named(&place, field))
    }

    /// A row to take something from: the innermost variable's rather often.
    pub fn place(&mut self) -> Place {
        let at = if self.random.chance(60) { self.places.len() - 1 } else { self.random.below(self.places.len()) };
        let steps_max = if self.shared { self.places[at].steps.len() + 1 } else { 6 };
        self.places[at].clone().wander(self.model, steps_max, self.random)
    }

    /// A field of this type; the expression's own row has one of each.
    pub fn path(&mut self, base: Base) -> Option<Term> {
        let shared = self.shared;
        let wanted = move |field: &Field| !field.ty.list && field.ty.base == base && (!shared || plain(field));
        for _ in 0..4 {
            let place = self.place();
            if let Some(field) = place.field(self.model, &wanted, self.random) {
                return Some(self.named(&place, field));
            }
        }
        let place = self.places[0].clone();
        let field = place.field(self.model, &wanted, self.random)?;
        Some(self.named(&place, field))
    }

    /// Names a field, and remembers it.
    pub fn named(&mut self, place: &Place, field: &Field) -> Term {
        self.uses.push(Use { steps: place.steps_to(&field.name), calculated: self.calculating > 0 });
        Term::word(field.ty.base, format!("{}{}", place.prefix, field.name))
    }
}

/// Whether CEL's tree has the field: no mask, and a type that CEL knows.
pub fn plain(field: &Field) -> bool {
    let known = matches!(field.ty.base, Base::String | Base::Boolean | Base::Int | Base::BigInt | Base::Float | Base::Enum(_));
    known && field.read_rule.is_none()
}
