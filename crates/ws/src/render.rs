//! Replies, one JSON object a line.

use fourfold_op::{Error, json};

/// Appends the reply to a connect or refresh.
pub(crate) fn connected(out: &mut Vec<u8>, id: u32, name: &str, client: &str, ping_seconds: u64, ttl: Option<u32>) {
    begin(out, id);
    out.extend_from_slice(
        format!("\"{name}\":{{\"client\":\"{client}\",\"version\":\"fourfold {}\"", env!("CARGO_PKG_VERSION")).as_bytes(),
    );
    if let Some(ttl) = ttl {
        out.extend_from_slice(format!(",\"expires\":true,\"ttl\":{ttl}").as_bytes());
    }
    if name == "connect" {
        out.extend_from_slice(format!(",\"ping\":{ping_seconds},\"pong\":true").as_bytes());
    }
    out.extend_from_slice(b"}}");
}

/// Appends the reply to an rpc: its data is JSON already.
pub(crate) fn answered(out: &mut Vec<u8>, id: u32, data: &[u8]) {
    begin(out, id);
    out.extend_from_slice(b"\"rpc\":{\"data\":");
    out.extend_from_slice(data);
    out.extend_from_slice(b"}}");
}

/// Appends an empty reply.
pub(crate) fn empty(out: &mut Vec<u8>, id: u32, name: &str) {
    begin(out, id);
    out.extend_from_slice(format!("\"{name}\":{{}}}}").as_bytes());
}

/// Appends an error: `{"id":7,"error":{"code":1412,"message":"revision_mismatch: …","temporary":false}}` (`SPEC` §7).
pub(crate) fn error(out: &mut Vec<u8>, id: u32, error: &Error) {
    let row = error.code.row();
    begin(out, id);
    out.extend_from_slice(format!("\"error\":{{\"code\":{},\"message\":", row.websocket).as_bytes());
    json::write_string(out, &message(error));
    out.extend_from_slice(if row.temporary { b",\"temporary\":true}}" } else { b",\"temporary\":false}}" });
}

/// The protocol has room for one sentence; which operation of a batch it was belongs into it.
fn message(error: &Error) -> String {
    match error.public.operation {
        Some(operation) => format!("{}: operation {operation}: {}", error.code.name(), error.public.message),
        None => error.to_string(),
    }
}

fn begin(out: &mut Vec<u8>, id: u32) {
    if !out.is_empty() {
        out.push(b'\n');
    }
    out.extend_from_slice(format!("{{\"id\":{id},").as_bytes());
}
