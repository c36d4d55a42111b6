//! Reads the arguments of attributes, and tells what was expected.

use crate::ast::{Arg, ArgValue, Attr, Node, NodeKind, Span};
use crate::diagnostics::Diagnostic;
use crate::names;

/// Arguments by place and by name.
pub(super) struct Split<'a> {
    pub(super) positional: Vec<&'a Arg>,
    pub(super) named: Vec<(&'a str, &'a Arg)>,
}

impl<'a> Split<'a> {
    pub(super) fn named(&self, name: &str) -> Option<&'a Arg> {
        self.named.iter().find(|(known, _)| *known == name).map(|(_, arg)| *arg)
    }
}

/// Parts arguments by place from those by name; a name not in `known` is told.
pub(super) fn split<'a>(attr: &'a Attr, known: &[&str], diagnostics: &mut Vec<Diagnostic>) -> Split<'a> {
    let mut split = Split { positional: Vec::new(), named: Vec::new() };
    for arg in &attr.args {
        let Some(name) = &arg.name else {
            split.positional.push(arg);
            continue;
        };
        let twice = split.named.iter().any(|(other, _)| *other == name.text);
        if !known.contains(&name.text.as_str()) {
            let near = names::closest(&name.text, known.iter().copied());
            let label = if known.is_empty() { "it takes no named argument".to_string() } else { format!("expected {}", quoted(known)) };
            let message = format!("unknown argument `{}` of `{}`", name.text, shown(attr));
            diagnostics.push(Diagnostic::error(name.span.clone(), message, label).suggest(near));
        } else if twice {
            diagnostics.push(Diagnostic::error(name.span.clone(), format!("`{}` is given twice", name.text), "expected it once"));
        } else {
            split.named.push((&name.text, arg));
        }
    }
    split
}

/// The attribute's name as it is written: `@unique` of a field, `@@unique` of an entity.
fn shown(attr: &Attr) -> String {
    let signs = attr.name.span.start.saturating_sub(attr.span.start).clamp(1, 2);
    format!("{}{}", &"@@"[..signs], attr.name.text)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}:`")).collect::<Vec<_>>().join(" or ")
}

fn wrong<T>(span: &Span, attr: &Attr, form: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    let message = format!("`{}` does not read like this", shown(attr));
    diagnostics.push(Diagnostic::error(span.clone(), message, format!("expected {form}")));
    None
}

/// An attribute without arguments.
pub(super) fn nothing(attr: &Attr, diagnostics: &mut Vec<Diagnostic>) -> Option<()> {
    if attr.args.is_empty() && !attr.parens {
        return Some(());
    }
    wrong(&attr.span, attr, &format!("`{}` alone", shown(attr)), diagnostics)
}

/// The one expression of `@x(expr)`.
pub(super) fn expression<'a>(attr: &'a Attr, form: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Node> {
    match attr.args.as_slice() {
        [Arg { name: None, value: ArgValue::Expr(node), .. }] => Some(node),
        _ => wrong(&attr.span, attr, form, diagnostics),
    }
}

/// The one string of `@x("text")`.
pub(super) fn text<'a>(attr: &'a Attr, form: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<(&'a str, Span)> {
    let node = expression(attr, form, diagnostics)?;
    match &node.kind {
        NodeKind::Text(text) => Some((text, node.span.clone())),
        _ => wrong(&node.span, attr, form, diagnostics),
    }
}

/// An argument that is an expression.
pub(super) fn node<'a>(arg: &'a Arg, attr: &Attr, form: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Node> {
    match &arg.value {
        ArgValue::Expr(node) => Some(node),
        _ => wrong(&arg.span, attr, form, diagnostics),
    }
}

/// An argument that is a bare word.
pub(super) fn word<'a>(arg: &'a Arg, attr: &Attr, form: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a str> {
    match &arg.value {
        ArgValue::Expr(Node { kind: NodeKind::Name(name), .. }) => Some(name),
        ArgValue::Expr(Node { kind: NodeKind::Null, .. }) => Some("null"),
        _ => wrong(&arg.span, attr, form, diagnostics),
    }
}

/// An argument that is a string.
pub(super) fn string<'a>(arg: &'a Arg, attr: &Attr, form: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a str> {
    match &arg.value {
        ArgValue::Expr(Node { kind: NodeKind::Text(text), .. }) => Some(text),
        _ => wrong(&arg.span, attr, form, diagnostics),
    }
}

/// An argument that is a duration, in microseconds.
pub(super) fn duration(arg: &Arg, attr: &Attr, diagnostics: &mut Vec<Diagnostic>) -> Option<u64> {
    match &arg.value {
        ArgValue::Expr(Node { kind: NodeKind::Duration(Some(micros)), .. }) => u64::try_from(*micros).ok(),
        _ => wrong(&arg.span, attr, "a duration, as in `60s`, `10m` or `90d`", diagnostics),
    }
}

/// The two bounds of `@length(a..b)`.
pub(super) fn range(attr: &Attr, diagnostics: &mut Vec<Diagnostic>) -> Option<(Option<u32>, Option<u32>)> {
    let form = "a range of whole numbers, as in `1..200`, `1..` or `..200`";
    let [Arg { name: None, value: ArgValue::Range(low, high), .. }] = attr.args.as_slice() else {
        return wrong(&attr.span, attr, form, diagnostics);
    };
    let mut bounds = [None, None];
    for (bound, word) in bounds.iter_mut().zip([low, high]) {
        if let Some(word) = word {
            match word.text.parse::<u32>() {
                Ok(number) => *bound = Some(number),
                Err(_) => return wrong(&word.span, attr, form, diagnostics),
            }
        }
    }
    let [low, high] = bounds;
    let empty = matches!((low, high), (Some(low), Some(high)) if low > high);
    if empty || (low.is_none() && high.is_none()) {
        return wrong(&attr.span, attr, "one bound at least, the lower one first", diagnostics);
    }
    Some((low, high))
}

/// The verbs of `@@allow` and `@@before`.
pub(super) fn verb(arg: &Arg, attr: &Attr, diagnostics: &mut Vec<Diagnostic>) -> Option<crate::model::Verb> {
    use crate::model::Verb;
    let form = "`read`, `create`, `update` or `delete`";
    let name = word(arg, attr, form, diagnostics)?;
    let verb = match name {
        "read" => Verb::Read,
        "create" => Verb::Create,
        "update" => Verb::Update,
        "delete" => Verb::Delete,
        _ => {
            let near = names::closest(name, ["read", "create", "update", "delete"].into_iter());
            diagnostics
                .push(Diagnostic::error(arg.span.clone(), format!("unknown verb `{name}`"), format!("expected {form}")).suggest(near));
            return None;
        }
    };
    Some(verb)
}
