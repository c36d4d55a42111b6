//! Expressions: one function for each level of the grammar.

use super::{Failed, Parsed, Parser};
use crate::ast::{Node, NodeKind, Operator};
use crate::lex::Kind;

/// How deep brackets, arguments and signs may nest.
const DEPTH_MAX: usize = 16;
/// How many nodes an expression may have.
pub(crate) const NODES_MAX: usize = 100;
/// How many names a path may have.
const PATH_MAX: usize = 16;

const COMPARISONS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("in", Operator::In),
];
const SUMS: [(&str, Operator); 2] = [("+", Operator::Add), ("-", Operator::Subtract)];
const PRODUCTS: [(&str, Operator); 3] = [("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)];

impl Parser<'_> {
    /// A whole expression, its count of nodes begun anew.
    pub(super) fn expr(&mut self) -> Parsed<Node> {
        self.nodes = 0;
        self.depth = 0;
        self.nested()
    }

    fn nested(&mut self) -> Parsed<Node> {
        self.deeper()?;
        let node = self.conditional();
        self.depth = self.depth.saturating_sub(1);
        node
    }

    fn deeper(&mut self) -> Parsed<()> {
        if self.depth >= DEPTH_MAX {
            return Err(self.fail(self.span(), format!("expression nests deeper than {DEPTH_MAX} levels"), "too deep here"));
        }
        self.depth += 1;
        Ok(())
    }

    fn node(&mut self, kind: NodeKind, start: usize) -> Parsed<Node> {
        self.nodes += 1;
        let span = start..self.end();
        if self.nodes > NODES_MAX {
            return Err(self.fail(span, format!("expression has more than {NODES_MAX} nodes"), "too long here"));
        }
        Ok(Node { kind, span })
    }

    fn conditional(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let condition = self.any_of()?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.nested()?;
        self.expect(":")?;
        let no = self.nested()?;
        self.node(NodeKind::Conditional(Box::new(condition), Box::new(yes), Box::new(no)), start)
    }

    fn any_of(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let mut parts = vec![self.all_of()?];
        while self.take("||") {
            parts.push(self.all_of()?);
        }
        self.chain(parts, NodeKind::Or, start)
    }

    fn all_of(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let mut parts = vec![self.relation()?];
        while self.take("&&") {
            parts.push(self.relation()?);
        }
        self.chain(parts, NodeKind::And, start)
    }

    fn chain(&mut self, mut parts: Vec<Node>, kind: fn(Vec<Node>) -> NodeKind, start: usize) -> Parsed<Node> {
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => {
                parts.extend(last);
                self.node(kind(parts), start)
            }
        }
    }

    fn relation(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let left = self.sum()?;
        let Some(operator) = self.operator(&COMPARISONS)? else { return Ok(left) };
        let right = self.sum()?;
        if COMPARISONS.iter().any(|(text, _)| self.is(text)) {
            return Err(self.fail(self.span(), "comparisons do not chain", "expected `&&` or `||` between comparisons"));
        }
        self.node(NodeKind::Binary(operator, Box::new(left), Box::new(right)), start)
    }

    fn sum(&mut self) -> Parsed<Node> {
        self.left_to_right(&SUMS, Parser::product)
    }

    fn product(&mut self) -> Parsed<Node> {
        self.left_to_right(&PRODUCTS, Parser::unary)
    }

    fn left_to_right(&mut self, operators: &[(&str, Operator)], part: fn(&mut Self) -> Parsed<Node>) -> Parsed<Node> {
        let start = self.span().start;
        let mut left = part(self)?;
        while let Some(operator) = self.operator(operators)? {
            let right = part(self)?;
            left = self.node(NodeKind::Binary(operator, Box::new(left), Box::new(right)), start)?;
        }
        Ok(left)
    }

    /// Takes an operator of this level. `=` and `and`, slips of other languages, are told by name.
    fn operator(&mut self, among: &[(&str, Operator)]) -> Parsed<Option<Operator>> {
        if let Some((_, operator)) = among.iter().find(|(text, _)| self.is(text)) {
            self.advance();
            return Ok(Some(*operator));
        }
        let slip = [("=", "=="), ("and", "&&"), ("or", "||"), ("not", "!")].into_iter().find(|(text, _)| self.is(text));
        match slip {
            Some((_, right)) => Err(self.unexpected(&format!("`{right}`"))),
            None => Ok(None),
        }
    }

    fn unary(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let make: fn(Box<Node>) -> NodeKind = match () {
            () if self.is("!") => NodeKind::Not,
            () if self.is("-") => NodeKind::Negate,
            () => return self.postfix(),
        };
        self.advance();
        self.deeper()?;
        let inner = self.unary();
        self.depth = self.depth.saturating_sub(1);
        self.node(make(Box::new(inner?)), start)
    }

    fn postfix(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let mut node = self.primary()?;
        let mut steps = 0;
        while self.take(".") {
            steps += 1;
            if steps > PATH_MAX {
                return Err(self.fail(self.span(), format!("a path has more than {PATH_MAX} names"), "too long here"));
            }
            let name = self.word("a name after `.`")?;
            node = if self.is("(") {
                let args = self.arguments()?;
                self.node(NodeKind::Call(Some(Box::new(node)), name, args), start)?
            } else {
                // A path is one node, whatever its length.
                Node { kind: NodeKind::Member(Box::new(node), name), span: start..self.end() }
            };
        }
        Ok(node)
    }

    fn arguments(&mut self) -> Parsed<Vec<Node>> {
        self.expect("(")?;
        self.listed(")")
    }

    /// Expressions between commas, up to the closing bracket.
    fn listed(&mut self, close: &str) -> Parsed<Vec<Node>> {
        let mut list = Vec::new();
        if self.take(close) {
            return Ok(list);
        }
        loop {
            list.push(self.nested()?);
            if self.take(close) {
                return Ok(list);
            }
            if !self.take(",") {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
        }
    }

    fn primary(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        match self.kind() {
            Kind::Int | Kind::Decimal => {
                let number = self.take_word().text;
                self.node(NodeKind::Number(number), start)
            }
            Kind::Duration => {
                let written = self.take_word().text;
                self.node(NodeKind::Duration(duration_micros(&written)), start)
            }
            Kind::Text => {
                let (text, _) = self.string("a string")?;
                self.node(NodeKind::Text(text), start)
            }
            Kind::Word => self.named_primary(start),
            _ => self.bracketed(start),
        }
    }

    fn named_primary(&mut self, start: usize) -> Parsed<Node> {
        let word = self.take_word();
        if self.is("(") {
            let args = self.arguments()?;
            return self.node(NodeKind::Call(None, word, args), start);
        }
        let kind = match word.text.as_str() {
            "true" => NodeKind::Boolean(true),
            "false" => NodeKind::Boolean(false),
            "null" => NodeKind::Null,
            _ => NodeKind::Name(word.text),
        };
        self.node(kind, start)
    }

    fn bracketed(&mut self, start: usize) -> Parsed<Node> {
        if self.take("(") {
            let inner = self.nested()?;
            self.expect(")")?;
            return Ok(Node { kind: NodeKind::Paren(Box::new(inner)), span: start..self.end() });
        }
        if self.take("[]") {
            return self.node(NodeKind::List(Vec::new()), start);
        }
        if self.take("[") {
            let list = self.listed("]")?;
            return self.node(NodeKind::List(list), start);
        }
        Err(self.expected_expression())
    }

    fn expected_expression(&mut self) -> Failed {
        self.unexpected("an expression")
    }
}

/// `90d` in microseconds; `None` when it does not fit.
fn duration_micros(written: &str) -> Option<i64> {
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = (written.get(..digits)?.parse::<i64>().ok()?, written.get(digits..)?);
    let micros = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => 86_400_000_000,
    };
    count.checked_mul(micros)
}
