//! Literals of a document as JSON.

use apollo_compiler::ast::Value as Literal;
use serde_json::{Map, Number, Value as Json};

/// A literal without variables as JSON; an enum's value is its name.
pub(crate) fn json(literal: &Literal) -> Json {
    match literal {
        Literal::Null | Literal::Variable(_) => Json::Null,
        Literal::Enum(name) => Json::String(name.to_string()),
        Literal::String(text) => Json::String(text.clone()),
        Literal::Boolean(value) => Json::Bool(*value),
        Literal::Int(number) => number_of(number.as_str()),
        Literal::Float(number) => number_of(number.as_str()),
        Literal::List(items) => Json::Array(items.iter().map(|item| json(item)).collect()),
        Literal::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.to_string(), json(value))).collect::<Map<_, _>>())
        }
    }
}

/// A number, or its text where it is beyond what a number can hold: the type it is read as then refuses or takes it.
fn number_of(text: &str) -> Json {
    text.parse::<Number>().map_or_else(|_| Json::String(text.to_owned()), Json::Number)
}

/// Whether a literal has a variable in it.
pub(crate) fn has_variable(literal: &Literal) -> bool {
    match literal {
        Literal::Variable(_) => true,
        Literal::List(items) => items.iter().any(|item| has_variable(item)),
        Literal::Object(members) => members.iter().any(|(_, value)| has_variable(value)),
        _ => false,
    }
}
