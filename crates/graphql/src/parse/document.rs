//! Documents: parsed and validated once, then kept.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use apollo_compiler::ast::Type;
use apollo_compiler::diagnostic::{Diagnostic, ToCliReport as _};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Node, Schema};
use fourfold_op::json::did_you_mean;
use fourfold_op::{Error, Limits};
use quick_cache::Equivalent;
use serde_json::Value as Json;

use super::{limits, literal};
use crate::error::Fault;

/// Levels of nesting that the parser follows: selections, lists and objects alike.
const NESTING_MAX: usize = 64;

/// One operation of a valid document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Tells documents apart in the cache of what was compiled from them.
    pub id: u64,
    pub valid: Valid<ExecutableDocument>,
    pub operation: Node<Operation>,
    pub variables: Vec<Variable>,
}

/// A variable that an operation declares.
#[derive(Debug)]
pub(crate) struct Variable {
    pub name: String,
    pub ty: Type,
    pub default: Option<Json>,
}

/// Reads a document and takes one of its operations; `hints` says whether a wrong name is told the nearest.
///
/// # Errors
/// What is wrong with the text, one fault for each place; `limit_exceeded`.
pub(crate) fn parse(schema: &Valid<Schema>, asked: DocumentRef<'_>, limits: &Limits, hints: bool) -> Result<Document, Vec<Fault>> {
    let DocumentRef { text, operation } = asked;
    limits::check_text(text, limits).map_err(|error| vec![error.into()])?;
    let mut parser = Parser::new().recursion_limit(NESTING_MAX);
    let ast = parser.parse_ast(text, "document.graphql");
    if parser.recursion_reached() > NESTING_MAX {
        return Err(vec![Error::limit("graphql_nesting_max", NESTING_MAX, "levels").into()]);
    }
    let ast = ast.map_err(|broken| faults(&broken.errors, text, None))?;
    limits::check_document(&ast, limits).map_err(|error| vec![error.into()])?;
    let hints = hints.then_some(&**schema);
    let valid = ast.to_executable_validate(schema).map_err(|broken| faults(&broken.errors, text, hints))?;
    let operation = valid.operations.get(operation).map_err(|error| vec![Fault::invalid(error.message().to_string())])?.clone();
    let variables = operation.variables.iter().map(|variable| Variable {
        name: variable.name.to_string(),
        ty: (*variable.ty).clone(),
        default: variable.default_value.as_deref().map(literal::json),
    });
    let variables = variables.collect();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Ok(Document { id: NEXT.fetch_add(1, Ordering::Relaxed), valid, operation, variables })
}

/// At most so many errors of one document are told.
const FAULTS_MAX: usize = 20;

fn faults(diagnostics: &DiagnosticList, text: &str, hints: Option<&Schema>) -> Vec<Fault> {
    let told = diagnostics.iter().filter(|diagnostic| !follows(diagnostic, text)).take(FAULTS_MAX);
    let each = told.map(|diagnostic| {
        let near = hints.filter(|_| diagnostic.error.unstable_error_name() == Some(UNDEFINED_FIELD));
        let told = diagnostic.to_json();
        let near = near.map(|schema| nearest(schema, &told.message)).unwrap_or_default();
        let mut fault = Fault::invalid(told.message + &near);
        fault.locations = told.locations;
        fault
    });
    each.collect()
}

const UNDEFINED_FIELD: &str = "UndefinedField";
const MISSING_SUBSELECTION: &str = "MissingSubselection";

/// Whether an error is only the wake of another: a selection is found empty where all that it names is unknown, which was told.
fn follows(diagnostic: &Diagnostic<'_, DiagnosticData>, text: &str) -> bool {
    if diagnostic.error.unstable_error_name() != Some(MISSING_SUBSELECTION) {
        return false;
    }
    let field = diagnostic.error.location().and_then(|at| text.get(at.offset()..at.end_offset()));
    field.is_some_and(|field| field.trim_end().ends_with('}'))
}

/// The field that may have been meant, by the parser's own sentence: it names the type and the field in backticks.
fn nearest(schema: &Schema, message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let (Some(ty), Some(name)) = (names.next(), names.next()) else { return String::new() };
    match schema.get_object(ty) {
        Some(object) => did_you_mean(name, object.fields.keys().map(|field| field.as_str())),
        None => String::new(),
    }
}

/// What a document is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentKey {
    text: Arc<str>,
    operation: Option<Arc<str>>,
}

/// The same, to look it up without copying.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentRef<'a> {
    pub text: &'a str,
    pub operation: Option<&'a str>,
}

impl DocumentRef<'_> {
    pub fn to_key(self) -> DocumentKey {
        DocumentKey { text: Arc::from(self.text), operation: self.operation.map(Arc::from) }
    }
}

impl DocumentKey {
    /// Bytes that a document takes in memory, roughly: its text, and what the parser makes of it.
    pub fn weight(&self) -> u64 {
        4_096 + self.text.len() as u64 * 40
    }
}

impl Hash for DocumentKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        DocumentRef { text: &self.text, operation: self.operation.as_deref() }.hash(state);
    }
}

impl Hash for DocumentRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        self.operation.hash(state);
    }
}

impl Equivalent<DocumentKey> for DocumentRef<'_> {
    fn equivalent(&self, key: &DocumentKey) -> bool {
        *self.text == *key.text && self.operation == key.operation.as_deref()
    }
}
