//! Answers: header fields and problems.

use serde_json::{Value, json};

use super::{object, reference};

/// Each status with a problem, and when it comes.
const PROBLEMS: [(u16, &str); 19] = [
    (400, "The request is not valid; each wrong place is named."),
    (401, "No valid credential."),
    (403, "The model's rules do not allow it."),
    (404, "There is no such row, or none that the caller may see."),
    (405, "The method is not served here."),
    (406, "What is accepted is not served."),
    (409, "It conflicts with other rows, or with a request that is still running."),
    (410, "The cursor is too old or of another log; list again."),
    (412, "The row has another revision."),
    (413, "The body is too large."),
    (415, "The media type is not understood."),
    (422, "The idempotency key was used for another request."),
    (428, "A revision is required: `If-Match`."),
    (429, "Too many requests."),
    (500, "An error of the server, or an outcome that is not known."),
    (501, "Not served yet."),
    (503, "Too much to do; come back as `Retry-After` says."),
    (504, "It took too long."),
    (507, "The store is full."),
];

pub(super) fn problems() -> Value {
    object(PROBLEMS.map(|(status, description)| {
        let mut headers = json!({"X-Request-Id": reference("headers", "XRequestId")});
        let extra = match status {
            401 => Some("WWW-Authenticate"),
            405 => Some("Allow"),
            429 | 503 => Some("Retry-After"),
            _ => None,
        };
        if let (Some(name), Some(members)) = (extra, headers.as_object_mut()) {
            members.insert(name.to_owned(), reference("headers", &name.replace('-', "")));
        }
        let content = json!({"application/problem+json": {"schema": reference("schemas", "Problem")}});
        (format!("Problem{status}"), json!({"description": description, "headers": headers, "content": content}))
    }))
}

pub(super) fn headers() -> Value {
    let header = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "ETag": {"description": "The row's revision and a variant of its representation.", "schema": {"type": "string", "examples": ["\"7-5f3a9c1b20\""]}},
        "Location": header("Where the new row is."),
        "Link": header("The next page: `rel=\"next\"` (RFC 8288)."),
        "CacheControl": header("As the model says; `private, no-cache` otherwise."),
        "Vary": header("What the answer depends on."),
        "XRequestId": header("The request's id, as the log has it."),
        "ServerTiming": header("`parse`, `plan`, `store` and `render`, in milliseconds."),
        "PreferenceApplied": header("`return=minimal` where it was asked."),
        "WWWAuthenticate": header("`Bearer` (RFC 6750)."),
        "Allow": header("The methods that are served."),
        "RetryAfter": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}},
    })
}

/// An answer with a body.
pub(super) fn with_body(description: &str, schema: Value, headers: &[&str]) -> Value {
    json!({"description": description, "headers": named(headers), "content": {"application/json": {"schema": schema}}})
}

/// An answer without one.
pub(super) fn bare(description: &str, headers: &[&str]) -> Value {
    json!({"description": description, "headers": named(headers)})
}

fn named(headers: &[&str]) -> Value {
    let all = ["X-Request-Id", "Server-Timing"].into_iter().chain(headers.iter().copied());
    object(all.map(|name| (name.to_owned(), reference("headers", &name.replace('-', "")))))
}

/// These answers, with the problems of these statuses and of every request.
pub(super) fn responses(fine: Vec<(&str, Value)>, problems: &[u16]) -> Value {
    let always = [400, 401, 405, 406, 429, 500, 503, 504];
    let problems = always.iter().chain(problems).map(|status| (status.to_string(), reference("responses", &format!("Problem{status}"))));
    object(fine.into_iter().map(|(status, answer)| (status.to_owned(), answer)).chain(problems))
}
