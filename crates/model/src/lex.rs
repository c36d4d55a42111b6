//! Text to tokens. Comments are kept aside, so that `fmt` can put them back.

use std::ops::Range;

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `buyer`: begins with a lower-case letter.
    Word,
    /// `Order`: begins with an upper-case letter.
    TypeName,
    /// `12`
    Int,
    /// `1.50`
    Decimal,
    /// `60s`
    Duration,
    /// `"text"`
    Text,
    /// `@`
    At,
    /// `@@`
    AtAt,
    /// An operator or a bracket.
    Punct,
    /// What no token begins with, or a text that does not end.
    Bad,
    /// The end of the text.
    End,
}

/// One token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
    /// Whether only white space stands before it on its line.
    pub(crate) first_on_line: bool,
}

/// One comment, `//` or `///`, without the end of its line.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) span: Range<usize>,
    /// `///`
    pub(crate) doc: bool,
    /// Whether only white space stands before it on its line.
    pub(crate) own_line: bool,
}

/// What [`lex`] gives: the tokens, the last of them [`Kind::End`], and the comments.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Comment>,
}

/// Cuts the whole text into tokens and comments; never fails.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { text, at: 0, fresh: true, lexed: Lexed::default() };
    while lexer.step() {}
    lexer.lexed
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    fresh: bool,
    lexed: Lexed,
}

/// Longest first.
const PUNCTUATION: [&str; 28] = [
    "==", "!=", "<=", ">=", "&&", "||", "..", "[]", "{", "}", "(", ")", "[", "]", ",", ":", "?", ".", "!", "<", ">", "+", "-", "*", "/",
    "%", "=", ";",
];

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Takes one token, comment or stretch of white space; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest().chars().next() else {
            self.push(Kind::End, 0);
            return false;
        };
        if first.is_whitespace() || first == '\u{feff}' {
            self.fresh |= first == '\n';
            self.at += first.len_utf8();
        } else if self.rest().starts_with("//") {
            self.comment();
        } else {
            let (kind, length) = self.measure(first);
            self.push(kind, length);
        }
        true
    }

    fn comment(&mut self) {
        let rest = self.rest();
        let line = rest.split('\n').next().unwrap_or(rest);
        let doc = line.starts_with("///") && !line.starts_with("////");
        let span = self.at..self.at + line.trim_end().len();
        let end = self.at + line.len();
        self.lexed.comments.push(Comment { span, doc, own_line: self.fresh });
        self.at = end;
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let span = self.at..self.at + length;
        self.lexed.tokens.push(Token { kind, span, first_on_line: self.fresh });
        self.fresh = false;
        self.at += length;
    }

    fn measure(&self, first: char) -> (Kind, usize) {
        let rest = self.rest();
        if first.is_ascii_digit() {
            return number(rest);
        }
        if first.is_ascii_alphabetic() {
            let kind = if first.is_ascii_lowercase() { Kind::Word } else { Kind::TypeName };
            return (kind, word_length(rest));
        }
        if first == '"' {
            return string(rest);
        }
        if first == '@' {
            return if rest.starts_with("@@") { (Kind::AtAt, 2) } else { (Kind::At, 1) };
        }
        match PUNCTUATION.iter().find(|text| rest.starts_with(**text)) {
            Some(text) => (Kind::Punct, text.len()),
            None => (Kind::Bad, first.len_utf8()),
        }
    }
}

fn word_length(rest: &str) -> usize {
    rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

fn digits_length(rest: &str) -> usize {
    rest.bytes().take_while(u8::is_ascii_digit).count()
}

/// `12`, `1.5` (but not the `1.` of `1..2`) or `60s`; `12abc` is bad as a whole.
fn number(rest: &str) -> (Kind, usize) {
    let whole = digits_length(rest);
    let after = rest.get(whole..).unwrap_or("");
    let unit = word_length(after);
    if unit > 0 {
        let known = matches!(after.get(..unit), Some("ms" | "s" | "m" | "h" | "d"));
        return (if known { Kind::Duration } else { Kind::Bad }, whole + unit);
    }
    let fraction = after.strip_prefix('.').map_or(0, digits_length);
    if fraction == 0 {
        return (Kind::Int, whole);
    }
    let tail = word_length(after.get(1 + fraction..).unwrap_or(""));
    (if tail == 0 { Kind::Decimal } else { Kind::Bad }, whole + 1 + fraction + tail)
}

/// A string ends on its own line.
fn string(rest: &str) -> (Kind, usize) {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            b'\n' => return (Kind::Bad, at),
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return (Kind::Text, at + 1),
            _ => {}
        }
    }
    (Kind::Bad, rest.len())
}
