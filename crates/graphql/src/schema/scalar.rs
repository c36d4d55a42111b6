//! Scalars, and the filters over them. Only those that the schema names are in it.

use fourfold_model::Model;

use super::text::Text;

/// A scalar: its name, what it is, and the standard that says how it is written.
const SCALARS: [(&str, &str, Option<&str>); 8] = [
    ("BigInt", "A whole number of 64 bits, as a string (a number up to 2^53 is accepted).", None),
    ("Bytes", "Bytes, as base64 with padding.", Some("https://www.rfc-editor.org/rfc/rfc4648")),
    ("Date", "A day: `2026-11-22`.", Some("https://www.rfc-editor.org/rfc/rfc3339")),
    (
        "DateTime",
        "A moment in UTC with six digits: `2026-11-22T10:00:00.000000Z`. Any offset is accepted.",
        Some("https://www.rfc-editor.org/rfc/rfc3339"),
    ),
    ("Decimal", "A decimal number, as a string with exactly its field's digits after the point.", None),
    ("JSON", "Any JSON value.", Some("https://www.rfc-editor.org/rfc/rfc8259")),
    ("Revision", "A whole number, from 1, that grows with each change of a row.", None),
    ("UUID", "A UUID, lower-case and hyphened.", Some("https://www.rfc-editor.org/rfc/rfc9562")),
];

const COMPARED: &[&str] = &["String", "Int", "BigInt", "Float", "Decimal", "DateTime", "Date", "UUID", "Revision"];

/// The scalars and filters that the rest of the schema names.
pub(super) fn shared(text: &mut Text, model: &Model) {
    let schema = text.0.clone();
    let mut names: Vec<String> = ["Boolean", "Bytes"].iter().chain(COMPARED).map(|name| (*name).to_owned()).collect();
    names.extend(model.enums.iter().map(|enumeration| enumeration.name.to_string()));
    for name in names {
        filter(text, &schema, &name);
        list_filter(text, &schema, &name);
    }
    let schema = text.0.clone();
    for (name, doc, standard) in SCALARS {
        if names_type(&schema, name) {
            let specified = standard.map(|url| format!(" @specifiedBy(url: \"{url}\")")).unwrap_or_default();
            text.line(Some(doc), &format!("scalar {name}{specified}"));
        }
    }
}

fn filter(text: &mut Text, schema: &str, name: &str) {
    if !names_type(schema, &format!("{name}Filter")) {
        return;
    }
    text.block(
        Some(&format!("What must hold of the `{name}`: all that is given. With null, only `isNull` can hold.")),
        &format!("input {name}Filter"),
        |text| {
            operators(text, name);
        },
    );
}

fn operators(text: &mut Text, name: &str) {
    let ordered: &[&str] = if COMPARED.contains(&name) { &["gt", "gte", "lt", "lte"] } else { &[] };
    for operator in ["eq", "ne"].iter().chain(ordered) {
        text.member(None, &format!("{operator}: {name}"));
    }
    text.member(Some("One of these; of none: never."), &format!("in: [{name}!]"));
    text.member(Some("None of these."), &format!("notIn: [{name}!]"));
    text.member(None, "isNull: Boolean");
    if name == "String" {
        text.member(None, "contains: String");
        text.member(Some("Contains it, whatever the case of the letters."), "icontains: String");
        text.member(None, "startsWith: String");
        text.member(None, "endsWith: String");
    }
}

fn list_filter(text: &mut Text, schema: &str, name: &str) {
    if !names_type(schema, &format!("{name}ListFilter")) {
        return;
    }
    text.block(Some(&format!("What must hold of a list of `{name}`.")), &format!("input {name}ListFilter"), |text| {
        text.member(Some("Holds this value."), &format!("has: {name}"));
        text.member(None, "isEmpty: Boolean");
    });
}

/// Whether a schema's text names a type: after a colon or a bracket, as a whole word.
fn names_type(schema: &str, name: &str) -> bool {
    schema.match_indices(name).any(|(at, _)| {
        let before = schema.get(..at).and_then(|text| text.chars().next_back());
        let after = schema.get(at + name.len()..).and_then(|text| text.chars().next());
        matches!(before, Some(' ' | '[')) && !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}
