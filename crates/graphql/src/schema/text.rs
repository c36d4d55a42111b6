//! The text of a schema: definitions, members and descriptions.

use std::fmt::Write as _;

/// A schema as it is written.
#[derive(Debug, Default)]
pub(super) struct Text(pub String);

impl Text {
    /// `type Product {`, the members that `body` adds, and `}`. Nothing when there are no members.
    pub fn block(&mut self, doc: Option<&str>, head: &str, body: impl FnOnce(&mut Text)) {
        let mut inner = Text::default();
        body(&mut inner);
        if inner.0.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.doc(doc, "");
        let _ = write!(self.0, "{head} {{\n{}}}\n", inner.0);
    }

    /// A definition of one line.
    pub fn line(&mut self, doc: Option<&str>, line: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.doc(doc, "");
        let _ = writeln!(self.0, "{line}");
    }

    /// `name: Type` inside a block.
    pub fn member(&mut self, doc: Option<&str>, member: &str) {
        self.doc(doc, "  ");
        let _ = writeln!(self.0, "  {member}");
    }

    fn doc(&mut self, doc: Option<&str>, indent: &str) {
        let Some(doc) = doc.map(str::trim).filter(|doc| !doc.is_empty()) else { return };
        if doc.contains('\n') {
            let _ = writeln!(self.0, "{indent}\"\"\"");
            for line in doc.replace("\"\"\"", "\\\"\"\"").lines() {
                let _ = writeln!(self.0, "{indent}{}", line.trim_end());
            }
            let _ = writeln!(self.0, "{indent}\"\"\"");
        } else {
            let _ = writeln!(self.0, "{indent}{}", quoted(doc));
        }
    }
}

/// A string of GraphQL, which escapes as JSON does.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    fourfold_op::json::write_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

/// ` @deprecated(reason: "…")`, or nothing.
pub(super) fn deprecated(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" @deprecated(reason: {})", quoted(reason))).unwrap_or_default()
}
