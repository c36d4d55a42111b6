//! The chunked coding (RFC 9112 §7.1), read only to know where it ends.

/// Bytes of all trailer fields, and of one chunk's extensions.
const TRAILER_BYTES_MAX: u32 = 16 << 10;
const EXTENSION_BYTES_MAX: u32 = 256;
/// A chunk is at most so large: 16 GiB.
const CHUNK_BYTES_MAX: u64 = 1 << 34;

/// Where in a chunked body the next byte stands.
#[derive(Debug)]
pub(super) struct Chunk {
    at: At,
    /// Bytes of this chunk that are still to come, or its size while that is being read.
    left: u64,
    digits: u8,
    extension: u32,
    trailer: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeLf,
    Payload,
    PayloadCr,
    PayloadLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunk {
    pub(super) fn start() -> Chunk {
        Chunk { at: At::Size, left: 0, digits: 0, extension: 0, trailer: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// How many bytes belong to this body; the error is a malformed one.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let mut at = 0;
        while self.at != At::Done {
            let Some(byte) = bytes.get(at) else { break };
            if self.at == At::Payload {
                at += self.skip(bytes.len() - at);
            } else {
                self.byte(*byte)?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn skip(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(available, |left| left.min(available));
        self.left -= taken as u64;
        if self.left == 0 {
            self.at = At::PayloadCr;
        }
        taken
    }

    fn byte(&mut self, byte: u8) -> Result<(), ()> {
        self.at = match (self.at, byte) {
            (At::Size, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Size, b';') if self.digits > 0 => At::Extension,
            (At::Size, _) => self.digit(byte)?,
            (At::Extension, b'\r') => At::SizeLf,
            (At::Extension, b'\n') => return Err(()),
            (At::Extension, _) => counted(&mut self.extension, EXTENSION_BYTES_MAX, At::Extension)?,
            (At::SizeLf, b'\n') if self.left == 0 => At::TrailerStart,
            (At::SizeLf, b'\n') => At::Payload,
            (At::PayloadCr, b'\r') => At::PayloadLf,
            (At::PayloadLf, b'\n') => {
                (self.left, self.digits, self.extension) = (0, 0, 0);
                At::Size
            }
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::TrailerStart | At::Trailer, b'\n') => return Err(()),
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerStart | At::Trailer, _) => counted(&mut self.trailer, TRAILER_BYTES_MAX, At::Trailer)?,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            (At::LastLf, b'\n') => At::Done,
            _ => return Err(()),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<At, ()> {
        let digit = char::from(byte).to_digit(16).ok_or(())?;
        self.left = self.left.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit))).ok_or(())?;
        self.digits += 1;
        let fits = self.digits <= 16 && self.left <= CHUNK_BYTES_MAX;
        if fits { Ok(At::Size) } else { Err(()) }
    }
}

fn counted(count: &mut u32, max: u32, next: At) -> Result<At, ()> {
    *count += 1;
    if *count > max { Err(()) } else { Ok(next) }
}
