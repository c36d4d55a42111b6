//! Frames: the header in front of each payload, and the mask of what a client sends (RFC 6455 §5.2, §5.3).

/// Bytes of a header that a server sends, at most: no mask.
pub(crate) const SENT_HEADER_BYTES_MAX: usize = 10;
/// Bytes of a control frame's payload, at most.
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    fn of(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// A header as it stands on the wire, right or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    first: u8,
    mask: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub(crate) length: u64,
    /// Bytes of this header.
    pub(crate) bytes: usize,
}

/// A header that a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    pub(crate) opcode: Opcode,
    pub(crate) is_final: bool,
    pub(crate) mask: [u8; 4],
    pub(crate) length: u64,
    pub(crate) bytes: usize,
}

impl Header {
    /// Reads a header; `None` where it is not whole yet.
    pub(crate) fn read(bytes: &[u8]) -> Option<Header> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length, at) = match second & 0x7F {
            126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        match second & 0x80 {
            0 => Some(Header { first, mask: None, length, bytes: at }),
            _ => Some(Header { first, mask: Some(*bytes.get(at..)?.first_chunk()?), length, bytes: at + 4 }),
        }
    }

    /// Whether the other side closes, whatever else is wrong with it.
    pub(crate) fn is_close(&self) -> bool {
        self.first & 0x0F == Opcode::Close as u8
    }

    /// `None` where it breaks the protocol: a reserved bit or opcode, no mask, a control frame that is long or a fragment, a length beyond 63 bits.
    pub(crate) fn sound(&self) -> Option<Sound> {
        let opcode = Opcode::of(self.first & 0x0F)?;
        let is_final = self.first & 0x80 != 0;
        let reserved = self.first & 0x70 != 0 || self.length >> 63 != 0;
        let control_fits = !opcode.is_control() || (is_final && self.length <= CONTROL_BYTES_MAX as u64);
        let mask = self.mask.filter(|_| !reserved && control_fits)?;
        Some(Sound { opcode, is_final, mask, length: self.length, bytes: self.bytes })
    }
}

/// Writes the header of a whole message at the end of its room, and tells where in the room it begins.
pub(crate) fn write_header(room: &mut [u8; SENT_HEADER_BYTES_MAX], opcode: Opcode, length: usize) -> usize {
    let first = 0x80 | opcode as u8;
    let wide = (length as u64).to_be_bytes();
    let [.., high, low] = wide;
    match length {
        0..126 => {
            room[8..].copy_from_slice(&[first, low]);
            8
        }
        126..=0xFFFF => {
            room[6..].copy_from_slice(&[first, 126, high, low]);
            6
        }
        _ => {
            room[..2].copy_from_slice(&[first, 127]);
            room[2..].copy_from_slice(&wide);
            0
        }
    }
}

/// Takes the mask off.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_header_says_the_length_in_the_fewest_bytes() {
        for (length, expected) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0xFFFF, &[0x82, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut room = [0; SENT_HEADER_BYTES_MAX];
            let at = write_header(&mut room, Opcode::Binary, length);
            assert_eq!(&room[at..], expected);
            let read = Header::read(expected).unwrap();
            assert_eq!((read.length, read.bytes, read.sound()), (length as u64, expected.len(), None), "a client must mask");
            assert_eq!(Header::read(&expected[..expected.len() - 1]), None);
        }
    }

    #[test]
    fn a_mask_is_taken_off_whatever_the_length() {
        let mask = [1, 2, 3, 4];
        for length in 0..20 {
            let mut payload: Vec<u8> = (0..length).map(|at: u8| at ^ mask[usize::from(at) % 4]).collect();
            unmask(&mut payload, mask);
            assert_eq!(payload, (0..length).collect::<Vec<u8>>());
        }
    }
}
