//! What comes: bytes into frames, frames into messages. Pure; it holds no more than what is incomplete, and what was read beyond the last message.

use crate::frame::{Header, Opcode, Sound, unmask};

const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// With the code that is to be answered: its own, or what is wrong with it; none where it gave none.
    Close(Option<u16>),
}

/// Why no message comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Protocol,
    NotUtf8,
    TooLarge,
}

/// What was read and not told yet.
#[derive(Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    /// Up to here they were told.
    at: usize,
    /// A message of which not all fragments are here.
    begun: Option<Box<Fragments>>,
    /// Bytes of a frame that is read over.
    over: u64,
}

struct Fragments {
    is_text: bool,
    payload: Vec<u8>,
    /// Up to here a text is UTF-8.
    checked: usize,
}

impl Incoming {
    /// Takes what was read.
    pub(crate) fn take(&mut self, read: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(read);
    }

    /// The next message or control frame; `None` where more is to be read first. `bytes_max` is of a message.
    pub(crate) fn next(&mut self, bytes_max: usize) -> Result<Option<Received>, Fault> {
        while let Some(header) = Header::read(self.rest()) {
            let header = header.sound().ok_or(Fault::Protocol)?;
            let before = self.begun.as_ref().map_or(0, |begun| begun.payload.len());
            let length = usize::try_from(header.length).ok().filter(|length| *length <= bytes_max - before.min(bytes_max));
            let length = match (length, header.opcode.is_control()) {
                (Some(length), _) => length,
                (None, true) => header.length as usize,
                (None, false) => return Err(Fault::TooLarge),
            };
            let (from, to) = (self.at + header.bytes, self.at + header.bytes + length);
            let Some(payload) = self.bytes.get_mut(from..to) else { return Ok(None) };
            unmask(payload, header.mask);
            let payload = payload.to_vec();
            self.at = to;
            self.let_go();
            if let Some(received) = self.frame(&header, payload)? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    /// Reads over what still comes once we have closed; whether the other side's close was among it.
    pub(crate) fn skim(&mut self) -> bool {
        loop {
            let skipped = self.over.min(self.rest().len() as u64);
            self.at += skipped as usize;
            self.over -= skipped;
            match Header::read(self.rest()).filter(|_| self.over == 0) {
                Some(header) if header.is_close() => return true,
                Some(header) => {
                    self.at += header.bytes;
                    self.over = header.length;
                }
                None => {
                    self.let_go();
                    return false;
                }
            }
        }
    }

    /// Bytes that it holds.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity() + self.begun.as_ref().map_or(0, |begun| begun.payload.capacity())
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn let_go(&mut self) {
        if self.at >= self.bytes.len() {
            (self.bytes, self.at) = (Vec::new(), 0);
        }
    }

    fn frame(&mut self, header: &Sound, payload: Vec<u8>) -> Result<Option<Received>, Fault> {
        match (header.opcode, &mut self.begun) {
            (Opcode::Ping, _) => Ok(Some(Received::Ping(payload))),
            (Opcode::Pong, _) => Ok(Some(Received::Pong)),
            (Opcode::Close, _) => Ok(Some(Received::Close(answer_to_close(&payload)))),
            (Opcode::Continuation, None) | (Opcode::Text | Opcode::Binary, Some(_)) => Err(Fault::Protocol),
            (Opcode::Continuation, Some(begun)) => {
                begun.extend(&payload)?;
                if !header.is_final {
                    return Ok(None);
                }
                self.begun.take().map(|begun| message(begun.is_text, begun.payload)).transpose()
            }
            (opcode, None) if header.is_final => message(opcode == Opcode::Text, payload).map(Some),
            (opcode, None) => {
                let mut begun = Fragments { is_text: opcode == Opcode::Text, payload: Vec::new(), checked: 0 };
                begun.extend(&payload)?;
                self.begun = Some(Box::new(begun));
                Ok(None)
            }
        }
    }
}

impl Fragments {
    /// A text that is none is refused with the fragment that shows it (RFC 6455 §8.1).
    fn extend(&mut self, payload: &[u8]) -> Result<(), Fault> {
        self.payload.extend_from_slice(payload);
        if self.is_text {
            let new = self.payload.get(self.checked..).unwrap_or_default();
            self.checked += match std::str::from_utf8(new) {
                Ok(text) => text.len(),
                // The end of a fragment may stand within a character.
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(Fault::NotUtf8),
            };
        }
        Ok(())
    }
}

fn message(is_text: bool, payload: Vec<u8>) -> Result<Received, Fault> {
    match is_text {
        true => String::from_utf8(payload).map(Received::Text).map_err(|_| Fault::NotUtf8),
        false => Ok(Received::Binary(payload)),
    }
}

/// The answer to a close, which is nothing, or a code and a reason (RFC 6455 §5.5.1, §7.4).
fn answer_to_close(payload: &[u8]) -> Option<u16> {
    let Some((code, reason)) = payload.split_first_chunk() else { return (!payload.is_empty()).then_some(PROTOCOL_ERROR) };
    match u16::from_be_bytes(*code) {
        _ if std::str::from_utf8(reason).is_err() => Some(NOT_UTF8),
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Some(code),
        _ => Some(PROTOCOL_ERROR),
    }
}

#[cfg(test)]
mod tests;
