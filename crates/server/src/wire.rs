//! What HTTP/1.1 allows on the wire, checked before the HTTP library sees it (RFC 9112).
//!
//! The library accepts forms by which two readers of one stream can disagree about where a request ends: a bare line
//! feed, `Content-Length` beside `Transfer-Encoding`, two `Host` fields. [`Wire`] reads the same bytes and refuses those.
//! It is pure: bytes in, a verdict out; the reading is done in [`guard`](crate::guard).

use fourfold_op::{Error, ErrorCode, LimitHit};
use memchr::{memchr, memchr2};

mod chunk;
mod head;

use chunk::Chunk;
use head::{Body, Head};

/// How large the head of a request may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the request target.
    pub uri_bytes_max: usize,
    /// Bytes of all header fields.
    pub header_bytes_max: usize,
    /// Header fields.
    pub header_fields_max: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits { uri_bytes_max: 8 << 10, header_bytes_max: 16 << 10, header_fields_max: 64 }
    }
}

/// What may be done with bytes that were read.
#[derive(Debug)]
pub enum Verdict {
    /// The first so many are good; the rest must wait for more.
    Pass(usize),
    /// The first so many are good; then a head begins that is refused.
    RefuseHead(usize, Error),
    /// The body that is being read is malformed: the connection cannot go on.
    RefuseBody,
}

/// Where a connection stands in its stream of requests.
#[derive(Debug)]
pub struct Wire {
    limits: HeadLimits,
    state: State,
}

#[derive(Debug)]
enum State {
    Head,
    Sized(u64),
    Chunked(Chunk),
    /// An upgrade was asked for; what follows depends on the answer.
    Undecided,
    /// Another protocol now.
    Tunnel,
}

impl Wire {
    /// A connection that has read nothing yet.
    pub fn new(limits: HeadLimits) -> Wire {
        Wire { limits, state: State::Head }
    }

    /// Whether the next byte is one of a head.
    pub fn expects_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Whether the answer to an upgrade is awaited.
    pub fn is_undecided(&self) -> bool {
        matches!(self.state, State::Undecided)
    }

    /// Looks at what is being answered: `101` makes the connection a tunnel.
    pub fn answered(&mut self, written: &[u8]) {
        if self.is_undecided() && !written.is_empty() {
            let switched = written.starts_with(b"HTTP/1.1 101");
            self.state = if switched { State::Tunnel } else { State::Head };
        }
    }

    /// Judges bytes, given from the first one that has not passed yet.
    pub fn check(&mut self, bytes: &[u8]) -> Verdict {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.step(rest) {
                Ok(0) => break,
                Ok(passed) => at += passed,
                Err(Stop::Head(error)) => return Verdict::RefuseHead(at, *error),
                Err(Stop::Body) => return Verdict::RefuseBody,
            }
        }
        Verdict::Pass(at)
    }

    /// How many of the bytes pass in the present state; 0 when more are needed.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        match &mut self.state {
            State::Tunnel => Ok(bytes.len()),
            State::Undecided => Ok(0),
            State::Sized(left) => {
                let passed = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= passed as u64;
                if *left == 0 {
                    self.state = State::Head;
                }
                Ok(passed)
            }
            State::Chunked(chunk) => {
                let passed = chunk.step(bytes).map_err(|()| Stop::Body)?;
                if chunk.is_done() {
                    self.state = State::Head;
                }
                Ok(passed)
            }
            State::Head => self.head(bytes),
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        // An empty line before a request is allowed (RFC 9112 §2.2).
        if bytes.starts_with(b"\r\n") {
            return Ok(2);
        }
        let Some(head) = head::read(bytes, &self.limits).map_err(|error| Stop::Head(Box::new(error)))? else {
            return Ok(0);
        };
        self.state = after(&head);
        Ok(head.bytes)
    }
}

enum Stop {
    Head(Box<Error>),
    Body,
}

fn after(head: &Head) -> State {
    match head.body {
        Body::None if head.upgrade => State::Undecided,
        Body::None | Body::Sized(0) => State::Head,
        Body::Sized(bytes) => State::Sized(bytes),
        Body::Chunked => State::Chunked(Chunk::start()),
    }
}

/// The end of the line that starts here, its CR and LF apart; `None` when it is not there yet.
fn line(bytes: &[u8]) -> Result<Option<usize>, Error> {
    match memchr2(b'\r', b'\n', bytes) {
        None => Ok(None),
        Some(at) if bytes[at] == b'\n' => Err(malformed("a line ends with a bare LF; lines end with CR LF")),
        Some(at) => match bytes.get(at + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(at)),
            Some(_) => Err(malformed("a bare CR stands in the head; lines end with CR LF")),
        },
    }
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

pub(crate) fn too_large(name: &'static str, value: usize, unit: &'static str, http: u16) -> Error {
    let mut error = Error::limit(name, value, unit);
    error.public.limit = Some(LimitHit { name, value: value as u64, unit, http });
    error
}

fn colon(line: &[u8]) -> Option<usize> {
    memchr(b':', line)
}

#[cfg(test)]
mod tests;
