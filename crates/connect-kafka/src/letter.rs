//! Dead letters: a JSON object with why, and the event where it fits.

use fourfold_connect::DeadLetter;
use serde_json::{Value, json};

/// The value of a dead letter; without the event where that is what makes it too large.
pub(crate) fn write(letter: &DeadLetter<'_>, with_event: bool) -> Vec<u8> {
    let delivery = letter.delivery;
    let mut value = json!({
        "sink": letter.sink, "reason": letter.why, "id": delivery.id, "type": &*delivery.kind, "subject": delivery.key, "time": delivery.time,
    });
    match &delivery.body {
        Some(body) if with_event => value["event"] = serde_json::from_slice(body).unwrap_or(Value::Null),
        // The log has it, at the position that `id` tells.
        Some(body) => value["event_bytes"] = json!(body.len()),
        None => value["event"] = Value::Null,
    }
    value.to_string().into_bytes()
}
