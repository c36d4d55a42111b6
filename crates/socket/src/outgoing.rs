//! What goes out: framed where it stands, and let go when it is written.

use crate::frame::{CONTROL_BYTES_MAX, Opcode, SENT_HEADER_BYTES_MAX, write_header};

/// A message while it is made: its payload, behind room for its header. An empty one holds nothing.
#[derive(Debug, Default)]
pub struct Draft(Vec<u8>);

impl Draft {
    /// Bytes of the payload so far.
    pub fn len(&self) -> usize {
        self.0.len().saturating_sub(SENT_HEADER_BYTES_MAX)
    }

    /// Whether there is no payload yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload so far.
    pub fn payload(&self) -> &[u8] {
        self.0.get(SENT_HEADER_BYTES_MAX..).unwrap_or_default()
    }

    /// Where to append to the payload; what stands there already, the room before it included, stays.
    pub fn end(&mut self) -> &mut Vec<u8> {
        if self.0.is_empty() {
            self.0.resize(SENT_HEADER_BYTES_MAX, 0);
        }
        &mut self.0
    }
}

impl From<&[u8]> for Draft {
    fn from(payload: &[u8]) -> Draft {
        let mut draft = Draft(Vec::with_capacity(SENT_HEADER_BYTES_MAX + payload.len()));
        draft.end().extend_from_slice(payload);
        draft
    }
}

/// Frames that are not written yet.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    at: usize,
}

impl Outgoing {
    /// Appends a whole message; where nothing waits it is not copied.
    pub(crate) fn push(&mut self, opcode: Opcode, mut draft: Draft) {
        let length = draft.len();
        let Some(room) = draft.end().first_chunk_mut() else { return };
        let at = write_header(room, opcode, length);
        match self.is_empty() {
            true => (self.bytes, self.at) = (draft.0, at),
            false => self.bytes.extend_from_slice(draft.0.get(at..).unwrap_or_default()),
        }
    }

    /// Appends a close with its code and its reason, which is cut where it is too long.
    pub(crate) fn push_close(&mut self, why: Option<(u16, &str)>) {
        let mut draft = Draft::default();
        if let Some((code, reason)) = why {
            draft.end().extend_from_slice(&code.to_be_bytes());
            let fits = reason.floor_char_boundary(CONTROL_BYTES_MAX - 2);
            draft.end().extend_from_slice(reason.get(..fits).unwrap_or_default().as_bytes());
        }
        self.push(Opcode::Close, draft);
    }

    /// What is still to be written.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Notes that so much was written.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at >= self.bytes.len() {
            *self = Outgoing::default();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.rest().len()
    }

    /// Bytes that it holds.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}
