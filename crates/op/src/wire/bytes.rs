//! The protobuf wire: tags, varints and length-delimited stretches, written to a `Vec` and read from a slice.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

/// How a number's value stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// A base-128 integer.
    Varint,
    /// Eight bytes, little-endian.
    Fixed64,
    /// A length and so many bytes.
    Bytes,
    /// The start of a group (deprecated; it can only be skipped).
    GroupStart,
    /// The end of a group.
    GroupEnd,
    /// Four bytes, little-endian.
    Fixed32,
}

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

const GROUPS_NESTED_MAX: usize = 32;

/// Writes a base-128 integer.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a field's number and wire type.
pub fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(out, u64::from(number) << 3 | wire_type.code());
}

/// Writes a number with a varint value.
pub fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, WireType::Varint);
    put_varint(out, value);
}

/// Writes a number with bytes (a string, bytes or a finished message).
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, WireType::Bytes);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a number with a message or packed list that `write` appends; its length is put before it afterwards.
pub fn put_nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_tag(out, number, WireType::Bytes);
    put_delimited(out, write);
}

/// Writes a length and then what `write` appends.
pub fn put_delimited(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if length < 0x80 {
        if let Some(slot) = out.get_mut(at) {
            *slot = length as u8;
        }
        return;
    }
    // One byte was kept for the length, as most messages need no more; a longer one is moved along.
    let mut prefix = Vec::with_capacity(5);
    put_varint(&mut prefix, length as u64);
    out.splice(at..=at, prefix);
}

impl WireType {
    fn code(self) -> u64 {
        match self {
            WireType::Varint => 0,
            WireType::Fixed64 => 1,
            WireType::Bytes => 2,
            WireType::GroupStart => 3,
            WireType::GroupEnd => 4,
            WireType::Fixed32 => 5,
        }
    }

    fn from_code(code: u64) -> Result<WireType, Malformed> {
        Ok(match code {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            3 => WireType::GroupStart,
            4 => WireType::GroupEnd,
            5 => WireType::Fixed32,
            _ => return Err(Malformed),
        })
    }
}

/// Reads a message from a slice. Whatever the bytes are, it ends with an answer or [`Malformed`].
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the start of a message.
    pub fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    /// Whether the message is at its end.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field's number and wire type; `None` at the end.
    ///
    /// # Errors
    /// When there is no valid tag.
    pub fn tag(&mut self) -> Result<Option<(u32, WireType)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
        if number == 0 || number > 0x1fff_ffff {
            return Err(Malformed);
        }
        Ok(Some((number, WireType::from_code(tag & 7)?)))
    }

    /// A base-128 integer of at most ten bytes.
    ///
    /// # Errors
    /// When the message ends within it, or it is longer.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A length and so many bytes.
    ///
    /// # Errors
    /// When the message ends before them.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Eight bytes as a double.
    ///
    /// # Errors
    /// When the message ends before them.
    pub fn double(&mut self) -> Result<f64, Malformed> {
        self.fixed::<8>().map(f64::from_le_bytes)
    }

    /// Passes over the value of a field.
    ///
    /// # Errors
    /// When the message ends within it, or groups do not match.
    pub fn skip(&mut self, number: u32, wire_type: WireType) -> Result<(), Malformed> {
        self.skip_nested(number, wire_type, 0)
    }

    fn skip_nested(&mut self, number: u32, wire_type: WireType, depth: usize) -> Result<(), Malformed> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed::<8>().map(drop),
            WireType::Fixed32 => self.fixed::<4>().map(drop),
            WireType::Bytes => self.bytes().map(drop),
            WireType::GroupStart => self.skip_group(number, depth + 1),
            WireType::GroupEnd => Err(Malformed),
        }
    }

    fn skip_group(&mut self, group: u32, depth: usize) -> Result<(), Malformed> {
        if depth > GROUPS_NESTED_MAX {
            return Err(Malformed);
        }
        loop {
            match self.tag()? {
                None => return Err(Malformed),
                Some((number, WireType::GroupEnd)) => return if number == group { Ok(()) } else { Err(Malformed) },
                Some((number, wire_type)) => self.skip_nested(number, wire_type, depth)?,
            }
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// When the message ends before them.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }
}
