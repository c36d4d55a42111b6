//! The blocks of an event stream (HTML, "Server-sent events").

use std::time::Duration;

use crate::Cursor;

/// How long a stream is silent before [`COMMENT`] tells proxies that it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// A block that tells a reader nothing.
pub const COMMENT: &[u8] = b":\n\n";

/// Writes one block, whose data are one line of JSON.
///
/// # Example
/// ```
/// let mut out = Vec::new();
/// fourfold_op::sse::write_event(&mut out, None, "next", |out| out.extend_from_slice(b"{\n}"));
/// assert_eq!(out, b"event: next\ndata: { }\n\n");
/// ```
pub fn write_event(out: &mut Vec<u8>, id: Option<&Cursor>, name: &str, data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    let begin = out.len();
    data(out);
    // A Json value is kept as it was sent: between its tokens there may be ends of lines, and inside them there are none.
    out.iter_mut().skip(begin).filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    out.extend_from_slice(b"\n\n");
}
