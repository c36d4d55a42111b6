//! Writes the file's tokens and comments, in their order, to rows.

use super::layout::{Line, Row, Shape};
use super::spacing::{Joint, Spacing};
use crate::ast::Span;
use crate::lex::{Comment, Kind, Lexed, Token};

/// Which of the file's line breaks a part keeps. A comment always ends its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Those between brackets.
    Joined,
    /// All.
    Kept,
    /// None, and no spaces either: `Decimal(12,2)?`.
    Type,
}

/// What stands before the next token in place of what [`Spacing`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    AsSpaced,
    NewCell,
    Wide,
}

pub(super) struct Pen<'a> {
    text: &'a str,
    tokens: &'a [Token],
    comments: &'a [Comment],
    /// The next token, and the next comment.
    at: usize,
    comment_at: usize,
    lines: Vec<Line>,
    row: Option<Row>,
    /// The indent of the member that the row belongs to.
    indent: usize,
    spacing: Spacing,
    next: Next,
}

impl<'a> Pen<'a> {
    pub(super) fn new(text: &'a str, lexed: &'a Lexed) -> Pen<'a> {
        let (tokens, comments) = (lexed.tokens.as_slice(), lexed.comments.as_slice());
        let (lines, spacing) = (Vec::new(), Spacing::default());
        Pen { text, tokens, comments, at: 0, comment_at: 0, lines, row: None, indent: 0, spacing, next: Next::AsSpaced }
    }

    pub(super) fn finish(mut self) -> Vec<Line> {
        self.end_row();
        self.drop_last_blank();
        self.lines
    }

    /// How many lines are complete.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Begins the first row of a member.
    pub(super) fn start(&mut self, indent: usize, shape: Shape) {
        self.end_row();
        self.row = Some(Row::new(indent, shape));
        (self.indent, self.spacing, self.next) = (indent, Spacing::default(), Next::AsSpaced);
    }

    /// Writes the tokens that begin before `end`.
    pub(super) fn to(&mut self, end: usize, style: Style) {
        while self.tokens.get(self.at).is_some_and(|token| token.span.start < end) {
            self.write(style);
        }
    }

    /// Writes the tokens of a type, that begin before `end`.
    pub(super) fn type_to(&mut self, end: usize) {
        self.token();
        self.to(end, Style::Type);
        self.spacing.end_type();
    }

    /// Writes one token.
    pub(super) fn token(&mut self) {
        self.write(Style::Joined);
    }

    /// The next token begins a new column.
    pub(super) fn next_cell(&mut self) {
        self.next = Next::NewCell;
    }

    /// Two spaces before the next token: it begins another member on this line.
    pub(super) fn widen(&mut self) {
        self.next = Next::Wide;
    }

    pub(super) fn begin_expression(&mut self) {
        self.spacing.begin_expression();
    }

    /// Writes a comma, whether or not the file has one here.
    pub(super) fn comma(&mut self) {
        self.drop_commas();
        self.push(Kind::Punct, ",", Joint::Glued);
    }

    pub(super) fn drop_commas(&mut self) {
        while self.token_text(self.at) == "," {
            self.at += 1;
        }
    }

    /// Whether nothing but commas stands before a closing brace; drops them.
    pub(super) fn at_bare_close(&mut self) -> bool {
        let next = (self.at..).find(|at| self.token_text(*at) != ",").unwrap_or(self.at);
        let bare = self.token_text(next) == "}" && self.peek_comment(self.start_of(next)).is_none();
        if bare {
            self.at = next;
        }
        bare
    }

    /// Whether a body, whose `{` is next and whose last member ends at `last`, stands on one line.
    pub(super) fn on_one_line(&self, last: usize) -> bool {
        let rest = self.tokens.get(self.at..).unwrap_or(&[]);
        let close = rest.iter().find(|token| token.span.start >= last && self.slice(&token.span) != ",");
        close.is_some_and(|close| !self.slice(&(self.start_of(self.at)..close.span.start)).contains('\n'))
    }

    /// Ends a body.
    pub(super) fn close(&mut self, indent: usize) {
        self.drop_last_blank();
        self.start(indent, Shape::Plain);
        self.token();
    }

    /// Between two members: ends the row, with a comment behind it, drops commas, and writes comments and blank lines up to the
    /// next token. Gives the index of the first line after the row.
    pub(super) fn gap(&mut self, indent: usize) -> usize {
        let mut from = self.at.checked_sub(1).map_or(0, |before| self.end_of(before));
        self.drop_commas();
        let (to, bare_from) = (self.start_of(self.at), self.at.checked_sub(1).map_or(0, |before| self.end_of(before)));
        if self.peek_comment(to).is_some_and(|comment| !comment.own_line) {
            from = self.trail();
        }
        let before = self.end_row();
        while let Some(comment) = self.take_comment(to) {
            self.keep_blank(from..comment.span.start);
            from = comment.span.end;
            // Behind what it follows, or before a comma, `///` documents nothing. On a line of its own, without the comma, it would.
            let demoted = comment.doc && (!comment.own_line || comment.span.start < bare_from);
            self.comment_line(comment, indent, demoted);
        }
        self.keep_blank(from..to);
        before
    }

    /// Sees to a blank line at this index.
    pub(super) fn ensure_blank(&mut self, index: usize) {
        if !matches!(self.lines.get(index), Some(Line::Blank)) {
            self.lines.insert(index.min(self.lines.len()), Line::Blank);
        }
    }

    fn write(&mut self, style: Style) {
        let Some(token) = self.tokens.get(self.at) else { return };
        let text = self.slice(&token.span);
        let joint = if style == Style::Type { Joint::Glued } else { self.spacing.joint(text) };
        // A comma never begins a line: comments before it go behind it.
        if text != "," && (self.inner_comments(token.span.start) || self.keeps_break(token, style, joint)) {
            self.break_row(text);
        }
        self.push(token.kind, text, joint);
        self.at += 1;
    }

    fn keeps_break(&self, token: &Token, style: Style, joint: Joint) -> bool {
        let kept = match style {
            Style::Joined => self.spacing.bracket_indent().is_some(),
            Style::Kept => true,
            Style::Type => false,
        };
        let begun = self.row.as_ref().is_some_and(|row| !row.is_empty());
        kept && begun && token.first_on_line && joint != Joint::Glued
    }

    fn push(&mut self, kind: Kind, text: &str, joint: Joint) {
        let next = std::mem::replace(&mut self.next, Next::AsSpaced);
        let Some(row) = &mut self.row else { return };
        match next {
            Next::NewCell if row.shape == Shape::Columns => row.cells.push(text.to_owned()),
            Next::Wide => row.push("  ", text),
            _ if joint == Joint::Spaced => row.push(" ", text),
            _ => row.push("", text),
        }
        self.spacing.wrote(kind, text, row.indent);
    }

    /// Writes the comments before a token inside a member; whether there were any.
    fn inner_comments(&mut self, to: usize) -> bool {
        let indent = self.continued(false);
        let Some(first) = self.peek_comment(to) else { return false };
        if !first.own_line {
            self.trail();
        }
        self.end_row();
        while let Some(comment) = self.take_comment(to) {
            self.comment_line(comment, indent, false);
        }
        true
    }

    /// Goes on with the member on a new line; a closing bracket stands where its line began.
    fn break_row(&mut self, text: &str) {
        let closes = matches!(text, ")" | "]" | "}");
        self.end_row();
        self.row = Some(Row::new(self.continued(closes), Shape::Plain));
    }

    fn continued(&self, closes: bool) -> usize {
        let outer = self.spacing.bracket_indent().unwrap_or(self.indent);
        if closes { outer } else { outer + 1 }
    }

    /// The next comment, when it begins before `to`.
    fn peek_comment(&self, to: usize) -> Option<&'a Comment> {
        self.comments.get(self.comment_at).filter(|comment| comment.span.start < to)
    }

    fn take_comment(&mut self, to: usize) -> Option<&'a Comment> {
        let comment = self.peek_comment(to)?;
        self.comment_at += 1;
        Some(comment)
    }

    /// Puts the next comment behind the row; gives its end.
    fn trail(&mut self) -> usize {
        let Some(comment) = self.take_comment(self.text.len()) else { return self.text.len() };
        let text = self.slice(&comment.span).to_owned();
        if let Some(row) = &mut self.row {
            row.comment = Some(text);
        }
        comment.span.end
    }

    fn comment_line(&mut self, comment: &Comment, indent: usize, demoted: bool) {
        let text = self.slice(&comment.span);
        let text = if demoted { format!("//{}", text.trim_start_matches('/')) } else { text.to_owned() };
        self.lines.push(Line::Comment { indent, text });
    }

    /// Gives the count of complete lines.
    fn end_row(&mut self) -> usize {
        self.lines.extend(self.row.take().map(Line::Row));
        self.lines.len()
    }

    /// A blank line where the file has one or more, but not at the top of the file or of a body.
    fn keep_blank(&mut self, span: Span) {
        let blank = self.slice(&span).split(',').any(|part| part.matches('\n').count() > 1);
        let top = self.lines.last().is_none_or(Line::opens);
        if blank && !top {
            self.lines.push(Line::Blank);
        }
    }

    fn drop_last_blank(&mut self) {
        self.lines.pop_if(|line| matches!(line, Line::Blank));
    }

    fn token_text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| self.slice(&token.span))
    }

    fn start_of(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(self.text.len(), |token| token.span.start)
    }

    fn end_of(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(self.text.len(), |token| token.span.end)
    }

    fn slice(&self, span: &Span) -> &'a str {
        self.text.get(span.clone()).unwrap_or("")
    }
}
