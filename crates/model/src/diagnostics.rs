//! Diagnostics: what is wrong with a model, where, and what would be right.

use std::ops::Range;

use ariadne::{Config, IndexType, Label, Report, ReportKind};

use crate::Source;

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The model cannot be used.
    Error,
    /// The model works, but perhaps not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// One finding about a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, lower case, names in backticks.
    pub message: String,
    /// At the caret: what was expected.
    pub label: String,
    /// "did you mean `total`?", or what to write instead.
    pub help: Option<String>,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// No model file needs more; beyond it, the rest is counted.
const DIAGNOSTICS_MAX: usize = 200;

impl Diagnostic {
    pub(crate) fn error(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        let (message, label) = (message.into(), label.into());
        Diagnostic { severity: Severity::Error, message, label, help: None, span, line: 0, column: 0 }
    }

    pub(crate) fn warning(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(span, message, label) }
    }

    pub(crate) fn note(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Note, ..Diagnostic::error(span, message, label) }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Diagnostic {
        Diagnostic { help: Some(help.into()), ..self }
    }

    /// Adds "did you mean" when there is a near name.
    pub(crate) fn suggest(self, near: Option<&str>) -> Diagnostic {
        match near {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// Sorts by place, drops doubles, fills lines and columns in, and cuts a flood.
pub(crate) fn settle(text: &str, mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    list.sort_by_key(|one| (one.span.start, one.span.end));
    list.dedup_by(|a, b| a.span == b.span && a.message == b.message);
    let beyond = list.len().saturating_sub(DIAGNOSTICS_MAX);
    list.truncate(DIAGNOSTICS_MAX);
    if beyond > 0 {
        list.push(Diagnostic::error(text.len()..text.len(), format!("and {beyond} more"), "only the first 200 are shown"));
    }
    for one in &mut list {
        (one.line, one.column) = place(text, one.span.start);
    }
    list
}

/// Line and column, both from 1, of a byte of the text.
pub(crate) fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// The diagnostics as people read them: file, line, the line itself with a caret, what was expected, and a suggestion.
pub fn render_diagnostics(source: Source<'_>, list: &[Diagnostic], colour: bool) -> String {
    let mut out = Vec::new();
    let mut cache = (source.name, ariadne::Source::from(source.text));
    for one in list {
        render_one(source, &mut cache, one, colour, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

type Cache<'a> = (&'a str, ariadne::Source<&'a str>);

fn render_one<'a>(source: Source<'a>, cache: &mut Cache<'a>, one: &Diagnostic, colour: bool, out: &mut Vec<u8>) {
    let kind = match one.severity {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
        Severity::Note => ReportKind::Advice,
    };
    let place = || (source.name, one.span.clone());
    let config = Config::default().with_color(colour).with_index_type(IndexType::Byte);
    let mut report = Report::build(kind, place()).with_config(config).with_message(&one.message);
    report = report.with_label(Label::new(place()).with_message(&one.label));
    if let Some(help) = &one.help {
        report = report.with_help(help);
    }
    // Writing into a `Vec` does not fail; a report that ariadne cannot draw is told without its picture.
    if report.finish().write(cache, &mut *out).is_err() {
        out.extend_from_slice(format!("{}:{}:{}: {}\n", source.name, one.line, one.column, one.message).as_bytes());
    }
}
