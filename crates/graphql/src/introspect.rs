//! The schema asked about itself.
//!
//! `__Type.isOneOf` (GraphQL, September 2025) is unknown to the library: it is declared here ([`declare_one_of`]), asked as the
//! type's name under a name of our own, and put right in the answer.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::request::{RequestError, coerce_variable_values};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::{Component, ExtendedType, FieldDefinition};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema, introspection, ty};
use bytes::Bytes;
use fourfold_op::{Error, ErrorCode};
use serde_json::{Map, Value as Json};

use crate::Served;
use crate::error::Fault;
use crate::parse::compile::Compiled;
use crate::parse::document::Document;
use crate::parse::variables::Variables;

/// What `__schema` and `__type` answer, as JSON by response name; kept where no variable can change it.
///
/// # Errors
/// `limit_exceeded` for lists nested more than twice (`fields → type → fields`), `permission_denied` where it is not served.
pub(crate) fn answer(
    served: &Served,
    allowed: bool,
    document: &Document,
    compiled: &Compiled,
    variables: &Variables,
) -> Result<Arc<HashMap<String, Bytes>>, Fault> {
    if !allowed {
        return Err(Error::new(ErrorCode::PermissionDenied, "`__schema` and `__type` are not served here").into());
    }
    if let Some(known) = compiled.introspection.get() {
        return Ok(known.clone());
    }
    let told = |error: RequestError| Fault::invalid(error.message().to_string()).at(error.location(), &document.valid.sources);
    introspection::check_max_depth(&document.valid, &document.operation)
        .map_err(|_| Fault::from(Error::limit("graphql_introspection_lists_max", 2, "nested lists")))?;
    let values = coerce_variable_values(&served.schema, &document.operation, &given(document, variables)).map_err(told)?;
    let asked = renamed(&served.schema, &document.valid);
    let operation = asked.operations.get(document.operation.name.as_deref()).map_err(told)?;
    let response = introspection::partial_execute(&served.schema, &served.implementers, &asked, operation, &values).map_err(told)?;
    let mut members = HashMap::new();
    for (name, value) in response.data.into_iter().flatten() {
        let bytes = serde_json::to_vec(&restored(&served.schema, value)).map_err(|error| Fault::from(Error::internal(error)))?;
        members.insert(name.as_str().to_owned(), Bytes::from(bytes));
    }
    let members = Arc::new(members);
    Ok(if document.variables.is_empty() { compiled.introspection.get_or_init(|| members).clone() } else { members })
}

fn given(document: &Document, variables: &Variables) -> JsonMap {
    let given = document.variables.iter().zip(&variables.values);
    let given: Map<String, Json> = given.filter_map(|(variable, value)| Some((variable.name.clone(), value.clone()?))).collect();
    serde_json::from_value(Json::Object(given)).unwrap_or_default()
}

const ONE_OF: &str = "isOneOf";
/// Begins the names under which a type's name is asked in the place of `isOneOf`.
const STAND_IN: &str = "isOneOf__";

/// The schema with `__Type.isOneOf`.
pub(crate) fn declare_one_of(schema: Valid<Schema>) -> Valid<Schema> {
    let mut schema = schema.into_inner();
    if let (Some(ExtendedType::Object(definition)), Ok(name)) = (schema.types.get_mut("__Type"), Name::new(ONE_OF)) {
        let field = FieldDefinition {
            description: Some("Whether exactly one member of the input object must be given; null for other kinds.".into()),
            name: name.clone(),
            arguments: Vec::new(),
            ty: ty!(Boolean),
            directives: apollo_compiler::ast::DirectiveList::default(),
        };
        definition.make_mut().fields.insert(name, Component::new(field));
    }
    Valid::assume_valid(schema)
}

/// The document with the type's name asked in the place of `isOneOf`.
fn renamed(schema: &Schema, document: &Valid<ExecutableDocument>) -> Valid<ExecutableDocument> {
    let mut document = ExecutableDocument::clone(document);
    if let Some(operation) = &mut document.operations.anonymous {
        rename_in(schema, &mut operation.make_mut().selection_set);
    }
    for operation in document.operations.named.values_mut() {
        rename_in(schema, &mut operation.make_mut().selection_set);
    }
    for fragment in document.fragments.values_mut() {
        rename_in(schema, &mut fragment.make_mut().selection_set);
    }
    Valid::assume_valid(document)
}

fn rename_in(schema: &Schema, set: &mut SelectionSet) {
    let of_type = set.ty == "__Type";
    for selection in &mut set.selections {
        match selection {
            Selection::Field(field) if of_type && field.name == ONE_OF => rename(schema, field.make_mut()),
            Selection::Field(field) => rename_in(schema, &mut field.make_mut().selection_set),
            Selection::InlineFragment(fragment) => rename_in(schema, &mut fragment.make_mut().selection_set),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn rename(schema: &Schema, field: &mut Field) {
    let alias = Name::new(&format!("{STAND_IN}{}", field.response_key()));
    if let (Ok(alias), Ok(definition), Ok(name)) = (alias, schema.type_field("__Type", "name"), Name::new("name")) {
        field.alias = Some(alias);
        field.name = name;
        field.definition = definition.node.clone();
    }
}

/// The answer with `isOneOf` under its own name.
fn restored(schema: &Schema, value: JsonValue) -> JsonValue {
    match value {
        JsonValue::Array(items) => JsonValue::Array(items.into_iter().map(|item| restored(schema, item)).collect()),
        JsonValue::Object(members) => {
            let members = members.into_iter().map(|(name, value)| match name.as_str().strip_prefix(STAND_IN) {
                Some(known) => (known.to_owned().into(), is_one_of(schema, &value)),
                None => (name, restored(schema, value)),
            });
            JsonValue::Object(members.collect())
        }
        other => other,
    }
}

fn is_one_of(schema: &Schema, type_name: &JsonValue) -> JsonValue {
    match type_name.as_str().and_then(|name| schema.types.get(name)) {
        Some(ExtendedType::InputObject(definition)) => JsonValue::Bool(definition.directives.has("oneOf")),
        _ => JsonValue::Null,
    }
}
