//! Errors as GraphQL shows them.

use apollo_compiler::parser::{LineColumn, SourceMap, SourceSpan};
use fourfold_model::names::camel;
use fourfold_op::json::write_string;
use fourfold_op::{Context, Error, SmolStr};

/// An error with its place in the document and in the answer.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub error: Error,
    pub locations: Vec<LineColumn>,
    pub path: Vec<Segment>,
}

/// A step of a path into the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(SmolStr),
    Index(usize),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault { error, locations: Vec::new(), path: Vec::new() }
    }
}

impl Fault {
    /// `invalid_argument`, with a message.
    pub fn invalid(message: impl Into<String>) -> Fault {
        Error::invalid(message).into()
    }

    /// The same fault, at a place of the document.
    pub fn at(mut self, location: Option<SourceSpan>, sources: &SourceMap) -> Fault {
        if self.locations.is_empty() {
            self.locations.extend(location.and_then(|location| location.line_column(sources)));
        }
        self
    }

    /// The same fault, at a place of the answer.
    pub fn under(mut self, key: &SmolStr) -> Fault {
        self.path = vec![Segment::Key(key.clone())];
        self
    }
}

/// `{"errors":[…]}`: the answer where nothing was executed.
pub(crate) fn errors(faults: &[Fault], context: &Context) -> Vec<u8> {
    let mut out = b"{".to_vec();
    write_errors(&mut out, faults, context);
    out.push(b'}');
    out
}

/// Appends `"errors":[…]`.
pub(crate) fn write_errors(out: &mut Vec<u8>, faults: &[Fault], context: &Context) {
    out.extend_from_slice(b"\"errors\":");
    write_list(out, faults, context);
}

/// Appends `[…]`. Each wrong place of the input is an error of its own, with the path of the field it was given to.
pub(crate) fn write_list(out: &mut Vec<u8>, faults: &[Fault], context: &Context) {
    out.push(b'[');
    let mut first = true;
    for fault in faults {
        let places = &fault.error.public.errors;
        let several = places.len() > 1;
        for index in 0..places.len().max(1) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_error(out, fault, places.get(index), several, context);
        }
    }
    out.push(b']');
}

fn write_error(out: &mut Vec<u8>, fault: &Fault, place: Option<&fourfold_op::FieldError>, several: bool, context: &Context) {
    let public = &fault.error.public;
    out.extend_from_slice(b"{\"message\":");
    match place {
        Some(place) if several => write_string(out, &place.detail),
        _ => write_string(out, &public.message),
    }
    write_locations(out, &fault.locations);
    write_path(out, &fault.path);
    out.extend_from_slice(b",\"extensions\":{\"code\":");
    write_string(out, &fault.error.code.name().to_uppercase());
    if let Some(place) = place {
        out.extend_from_slice(b",\"field\":");
        write_string(out, &field_of(&place.pointer));
    }
    if let Some(limit) = &public.limit {
        out.extend_from_slice(b",\"limit\":");
        write_string(out, limit.name);
    }
    if let Some(retry) = public.retry_after_ms {
        out.extend_from_slice(format!(",\"retry_after_ms\":{retry}").as_bytes());
    }
    // What is told to many is of no one's request.
    if !context.request.0.is_empty() {
        out.extend_from_slice(b",\"request_id\":");
        write_string(out, &context.request.0);
    }
    out.extend_from_slice(b"}}");
}

fn write_locations(out: &mut Vec<u8>, locations: &[LineColumn]) {
    if locations.is_empty() {
        return;
    }
    let each: Vec<String> = locations.iter().map(|at| format!("{{\"line\":{},\"column\":{}}}", at.line, at.column)).collect();
    out.extend_from_slice(format!(",\"locations\":[{}]", each.join(",")).as_bytes());
}

fn write_path(out: &mut Vec<u8>, path: &[Segment]) {
    if path.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"path\":[");
    for (index, segment) in path.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match segment {
            Segment::Key(key) => write_string(out, key),
            Segment::Index(index) => out.extend_from_slice(index.to_string().as_bytes()),
        }
    }
    out.push(b']');
}

/// A JSON pointer of the model's names as a path of this face's: `/lines/0/product_id` is `lines.0.productId`.
fn field_of(pointer: &str) -> String {
    let steps = pointer.trim_start_matches('/').split('/').map(|step| camel(&step.replace("~1", "/").replace("~0", "~")));
    steps.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_become_dotted_names() {
        assert_eq!(field_of("/lines/0/product_id"), "lines.0.productId");
        assert_eq!(field_of("/price"), "price");
    }
}
