//! Under what the bytes of a delivery are shared.

use std::sync::Arc;

use fourfold_model::FieldId;

/// What the bytes of a delivery depend on, beside the event, the change and the mask.
///
/// The revision, the moment, the key and the cursor are the event's own, so they may be among the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncodingKey {
    /// The form: `sse`, `graphql`, `grpc`, …
    pub format: &'static str,
    /// What is shown and under which names: any text that is equal for equal projections, and for no others.
    pub shape: Arc<str>,
}

impl EncodingKey {
    /// The key of a form that shows these fields under their own names.
    pub fn of(format: &'static str, fields: &[FieldId]) -> EncodingKey {
        let mut numbers: Vec<u16> = fields.iter().map(|field| field.0).collect();
        numbers.sort_unstable();
        EncodingKey { format, shape: numbers.iter().map(|number| format!("{number},")).collect::<String>().into() }
    }
}
