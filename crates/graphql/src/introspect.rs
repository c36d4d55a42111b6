//! The schema asked about itself.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::introspection;
use apollo_compiler::request::{RequestError, coerce_variable_values};
use apollo_compiler::response::JsonMap;
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
    let response = introspection::partial_execute(&served.schema, &served.implementers, &document.valid, &document.operation, &values)
        .map_err(told)?;
    let mut members = HashMap::new();
    for (name, value) in response.data.into_iter().flatten() {
        let bytes = serde_json::to_vec(&value).map_err(|error| Fault::from(Error::internal(error)))?;
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
