//! Tokens to the syntax tree of `ast`. Goes on after an error, so that all are told at once.

mod expr;
mod items;

use smol_str::SmolStr;

use crate::ast::{File, Node, Span, Word};
use crate::diagnostics::Diagnostic;
use crate::lex::{Kind, Lexed, Token, lex};
use crate::names;

/// A failed part; its diagnostic has been pushed.
pub(crate) struct Failed;
pub(crate) type Parsed<T> = Result<T, Failed>;

/// Parses a model file; the tree holds what could be understood.
pub(crate) fn parse_file(text: &str) -> (File, Lexed, Vec<Diagnostic>) {
    let mut parser = Parser::new(text);
    let file = parser.file();
    (file, parser.lexed, parser.diagnostics)
}

/// Parses one expression that is the whole text.
pub(crate) fn parse_expression(text: &str) -> Result<Node, Diagnostic> {
    let mut parser = Parser::new(text);
    let node = parser.expr();
    if node.is_ok() && parser.kind() != Kind::End {
        parser.unexpected("the end, `&&` or `||`");
    }
    match (node, parser.diagnostics.into_iter().next()) {
        (Ok(node), None) => Ok(node),
        (_, Some(diagnostic)) => Err(diagnostic),
        (Err(Failed), None) => Err(Diagnostic::error(0..text.len(), "this is no expression", "expected an expression")),
    }
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    lexed: Lexed,
    at: usize,
    /// Comments before this index are behind the current token, or have been used as documentation.
    comment_at: usize,
    depth: usize,
    nodes: usize,
    diagnostics: Vec<Diagnostic>,
    /// (type, member) that could not be understood.
    broken: Vec<(SmolStr, SmolStr)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser { text, lexed: lex(text), at: 0, comment_at: 0, depth: 0, nodes: 0, diagnostics: Vec::new(), broken: Vec::new() }
    }

    fn token_at(&self, at: usize) -> Token {
        let end = self.text.len();
        self.lexed.tokens.get(at).cloned().unwrap_or(Token { kind: Kind::End, span: end..end, first_on_line: true })
    }

    fn kind_at(&self, at: usize) -> Kind {
        self.lexed.tokens.get(at).map_or(Kind::End, |token| token.kind)
    }

    fn text_at(&self, at: usize) -> &'a str {
        self.lexed.tokens.get(at).and_then(|token| self.text.get(token.span.clone())).unwrap_or("")
    }

    fn kind(&self) -> Kind {
        self.kind_at(self.at)
    }

    fn span(&self) -> Span {
        self.token_at(self.at).span
    }

    fn first_on_line(&self) -> bool {
        self.token_at(self.at).first_on_line
    }

    /// Whether the current token is this operator, bracket or keyword.
    fn is(&self, text: &str) -> bool {
        matches!(self.kind(), Kind::Punct | Kind::Word) && self.text_at(self.at) == text
    }

    fn advance(&mut self) {
        if self.kind() != Kind::End {
            self.at += 1;
        }
    }

    /// The end of the token before the current one.
    fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |before| self.token_at(before).span.end)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.is(text);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, text: &str) -> Parsed<()> {
        if self.take(text) { Ok(()) } else { Err(self.unexpected(&format!("`{text}`"))) }
    }

    /// Tells what was expected in the place of the current token, or at the end of the line before when that is not finished.
    fn unexpected(&mut self, expected: &str) -> Failed {
        let before = self.at.checked_sub(1).map(|before| self.token_at(before).span);
        let anew = self.first_on_line() && (matches!(self.kind(), Kind::Word | Kind::TypeName | Kind::AtAt) || self.is("}"));
        match before.filter(|_| anew) {
            Some(before) => {
                let text = clip(self.text.get(before.clone()).unwrap_or(""));
                self.fail(before, format!("the line ends too early, after `{text}`"), format!("expected {expected}"))
            }
            None => self.unexpected_here(expected),
        }
    }

    /// Tells what was expected in the place of the current token, which begins something.
    fn unexpected_here(&mut self, expected: &str) -> Failed {
        let found = match self.kind() {
            Kind::End => "the text ends too early".to_string(),
            Kind::Bad if self.text_at(self.at).starts_with('"') => "this string does not end on its line".to_string(),
            _ => format!("unexpected `{}`", clip(self.text_at(self.at))),
        };
        self.fail(self.span(), found, format!("expected {expected}"))
    }

    fn fail(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) -> Failed {
        self.diagnostics.push(Diagnostic::error(span, message, label));
        Failed
    }

    fn word(&mut self, expected: &str) -> Parsed<Word> {
        self.named(Kind::Word, expected)
    }

    fn type_name(&mut self, expected: &str) -> Parsed<Word> {
        self.named(Kind::TypeName, expected)
    }

    fn named(&mut self, kind: Kind, expected: &str) -> Parsed<Word> {
        if self.kind() != kind {
            return Err(self.unexpected(expected));
        }
        Ok(self.take_word())
    }

    /// The current token, whatever it is, as a word.
    fn take_word(&mut self) -> Word {
        let word = Word { text: SmolStr::new(self.text_at(self.at)), span: self.span() };
        self.advance();
        word
    }

    /// A string's meaning and place.
    fn string(&mut self, expected: &str) -> Parsed<(String, Span)> {
        if self.kind() != Kind::Text {
            return Err(self.unexpected(expected));
        }
        let (span, quoted) = (self.span(), self.text_at(self.at));
        self.advance();
        // The grammar's strings are JSON's.
        match serde_json::from_str::<String>(quoted) {
            Ok(text) if !text.contains('\0') => Ok((text, span)),
            Ok(_) => Err(self.fail(span, "a string cannot hold NUL", "remove `\\u0000`")),
            Err(_) => Err(self.fail(span, "this string is not well formed", r#"expected JSON's escapes: \" \\ \n \t \u00e9"#)),
        }
    }

    /// The `///` comments between the token before and the current one, as one text.
    fn doc(&mut self) -> Option<String> {
        let (from, to) = (self.end(), self.span().start);
        let mut lines: Vec<&str> = Vec::new();
        while let Some(comment) = self.lexed.comments.get(self.comment_at).filter(|comment| comment.span.start < to) {
            if comment.doc && comment.own_line && comment.span.start >= from {
                let line = self.text.get(comment.span.clone()).unwrap_or("").trim_start_matches('/');
                lines.push(line.strip_prefix(' ').unwrap_or(line));
            }
            self.comment_at += 1;
        }
        let doc = lines.join("\n");
        (!doc.trim().is_empty()).then_some(doc)
    }

    /// Tells of an unknown word, with the nearest known one.
    fn unknown(&mut self, what: &str, expected: &str, among: &[&str]) -> Failed {
        let (span, word) = (self.span(), self.text_at(self.at));
        let near = names::closest(word, among.iter().copied());
        let message = if self.kind() == Kind::End { "the text ends too early".to_string() } else { format!("{what} `{}`", clip(word)) };
        self.diagnostics.push(Diagnostic::error(span, message, expected).suggest(near));
        Failed
    }
}

/// The head of a long token, for a message.
fn clip(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or("")),
        None => line.to_string(),
    }
}
