//! Limits on documents, before any work is spent on them.
//!
//! Fragments are counted as often as they are spread, yet each is walked once: what a fragment holds is remembered, so that a
//! document whose fragments double each other is refused in time proportional to its text.

use std::collections::HashMap;

use apollo_compiler::ast::{Definition, Document, Field, Selection};
use fourfold_op::{Error, Limits};

/// Whether a document's text is within bounds: bytes, then tokens.
pub(crate) fn check_text(text: &str, limits: &Limits) -> Result<(), Error> {
    if text.len() > limits.graphql_bytes_max {
        return Err(Error::limit("graphql_bytes_max", limits.graphql_bytes_max, "bytes"));
    }
    if tokens(text, limits.graphql_tokens_max) > limits.graphql_tokens_max {
        return Err(Error::limit("graphql_tokens_max", limits.graphql_tokens_max, "tokens"));
    }
    Ok(())
}

/// Whether each operation of a document is within bounds, its fragments counted wherever they are spread.
pub(crate) fn check_document(document: &Document, limits: &Limits) -> Result<(), Error> {
    let mut walk = Walk::default();
    for definition in &document.definitions {
        if let Definition::FragmentDefinition(fragment) = definition {
            walk.fragments.entry(fragment.name.as_str()).or_insert(&fragment.selection_set);
        }
    }
    for definition in &document.definitions {
        if let Definition::OperationDefinition(operation) = definition {
            walk.selections(&operation.selection_set, true).check(limits)?;
        }
    }
    Ok(())
}

/// What selections amount to, with all fragments spread.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    depth: usize,
    aliases: usize,
    roots: usize,
    visits: usize,
}

impl Size {
    fn and(self, other: Size) -> Size {
        Size {
            depth: self.depth.max(other.depth),
            aliases: self.aliases.saturating_add(other.aliases),
            roots: self.roots.saturating_add(other.roots),
            visits: self.visits.saturating_add(other.visits),
        }
    }

    fn check(self, limits: &Limits) -> Result<(), Error> {
        let counted = [
            (self.visits, "graphql_fragment_visits_max", limits.graphql_fragment_visits_max, "fragment visits"),
            (self.depth, "graphql_depth_max", limits.graphql_depth_max, "levels"),
            (self.aliases, "graphql_aliases_max", limits.graphql_aliases_max, "aliases"),
            (self.roots, "graphql_root_fields_max", limits.graphql_root_fields_max, "root fields"),
        ];
        match counted.into_iter().find(|(count, _, limit, _)| count > limit) {
            Some((_, name, limit, unit)) => Err(Error::limit(name, limit, unit)),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Walk<'a> {
    fragments: HashMap<&'a str, &'a [Selection]>,
    /// By fragment, and by whether it stands at the root; `None` while it is being walked, so that a cycle ends.
    sizes: HashMap<(&'a str, bool), Option<Size>>,
}

impl<'a> Walk<'a> {
    fn selections(&mut self, selections: &'a [Selection], root: bool) -> Size {
        let mut size = Size::default();
        for selection in selections {
            size = size.and(match selection {
                Selection::Field(field) => self.field(field, root),
                Selection::InlineFragment(fragment) => self.selections(&fragment.selection_set, root),
                Selection::FragmentSpread(spread) => self.fragment(spread.fragment_name.as_str(), root),
            });
        }
        size
    }

    fn field(&mut self, field: &'a Field, root: bool) -> Size {
        // The schema's own shape is bounded in another way: what the standard introspection query asks is deep by nature.
        let introspects = root && matches!(field.name.as_str(), "__schema" | "__type");
        let inner = if introspects { Size::default() } else { self.selections(&field.selection_set, false) };
        Size {
            depth: inner.depth + 1,
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            roots: usize::from(root),
            visits: inner.visits,
        }
    }

    fn fragment(&mut self, name: &'a str, root: bool) -> Size {
        if let Some(known) = self.sizes.get(&(name, root)) {
            // A cycle is refused by validation; here it only has to end.
            return known.map_or(Size::default(), |size| size.and(Size { visits: 1, ..Size::default() }));
        }
        let Some(selections) = self.fragments.get(name).copied() else { return Size::default() };
        self.sizes.insert((name, root), None);
        let size = self.selections(selections, root);
        self.sizes.insert((name, root), Some(size));
        size.and(Size { visits: 1, ..Size::default() })
    }
}

/// How many tokens a text has, white space, commas and comments apart; counting ends above `enough`.
fn tokens(text: &str, enough: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut count) = (0, 0);
    while let Some(byte) = bytes.get(at).copied() {
        if count > enough {
            break;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        at += match byte {
            b'#' => rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len()),
            b' ' | b'\t' | b'\n' | b'\r' | b',' => 1,
            _ => {
                count += 1;
                token_length(rest)
            }
        };
    }
    count
}

fn token_length(rest: &[u8]) -> usize {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+');
    match rest.first() {
        Some(b'"') if rest.starts_with(b"\"\"\"") => block_string_length(rest),
        Some(b'"') => string_length(rest),
        Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') => rest.iter().take_while(|byte| word(byte)).count(),
        _ if rest.starts_with(b"...") => 3,
        _ => 1,
    }
}

fn string_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            _ => {}
        }
    }
    rest.len()
}

fn block_string_length(rest: &[u8]) -> usize {
    let mut at = 3;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with(b"\"\"\"") {
            return at + 3;
        }
        at += if tail.starts_with(b"\\\"\"\"") { 4 } else { 1 };
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn limit_of(text: &str) -> Option<&'static str> {
        let limits = Limits::default();
        let checked = check_text(text, &limits).and_then(|()| {
            let document = Document::parse(text, "document").unwrap_or_else(|broken| broken.partial);
            check_document(&document, &limits)
        });
        checked.err().and_then(|error| error.public.limit.clone()).map(|limit| limit.name)
    }

    #[test]
    fn tokens_are_those_of_the_language() {
        for (text, count) in [
            ("{ a, b }", 4),
            ("query Q($a: Int = -1.5e+3) { f(x: \"a b \\\" c\") ... on T { x } } # end", 24),
            ("\"\"\" a \\\"\"\" b \"\"\" x", 2),
            ("\"open", 1),
            ("", 0),
        ] {
            assert_eq!(tokens(text, 1_000), count, "{text}");
        }
    }

    #[test]
    fn each_limit_is_named() {
        let nested = |levels: usize| format!("{{{}{}}}", "a{".repeat(levels), "}".repeat(levels));
        let aliases = |count: usize| format!("{{{}}}", (0..count).map(|n| format!("x{n}:a ")).collect::<String>());
        let fields = |count: usize| format!("{{{}}}", "a ".repeat(count));
        assert_eq!(limit_of(&"x".repeat(15_001)), Some("graphql_bytes_max"));
        assert_eq!(limit_of(&fields(1_001)), Some("graphql_tokens_max"));
        assert_eq!((limit_of(&nested(8)), limit_of(&nested(9))), (None, Some("graphql_depth_max")));
        assert_eq!((limit_of(&aliases(30)), limit_of(&aliases(31))), (None, Some("graphql_aliases_max")));
        assert_eq!((limit_of(&fields(50)), limit_of(&fields(51))), (None, Some("graphql_root_fields_max")));
    }

    #[test]
    fn fragments_that_double_each_other_are_refused_at_once() {
        let doubling: String = (0..22).map(|n| format!("fragment F{n} on P{{...F{m} ...F{m}}}", m = n + 1)).collect();
        let text = format!("{{p{{...F0}}}}{doubling}fragment F22 on P{{id}}");
        let begun = std::time::Instant::now();
        assert_eq!(limit_of(&text), Some("graphql_fragment_visits_max"));
        assert!(begun.elapsed().as_millis() < 100, "{:?}", begun.elapsed());
    }

    #[test]
    fn cycles_end_and_introspection_is_counted_apart() {
        assert_eq!(limit_of("{p{...A}} fragment A on P{...B} fragment B on P{...A}"), None);
        assert_eq!(limit_of("{__schema{types{fields{type{ofType{ofType{ofType{ofType{ofType{name}}}}}}}}}}"), None);
    }
}
