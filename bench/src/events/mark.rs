//! A number in a text, to be found among bytes that are not decoded.

use memchr::memmem::Finder;

const MARK: &[u8] = b"~at~";
const DIGITS: usize = 15;

/// The text that holds a number of at most 15 digits: the same bytes in JSON and in protobuf.
pub fn mark(number: u64) -> String {
    format!("~at~{number:015}")
}

/// Looks for marks in a stream of bytes; one may come in two reads.
pub struct Marks {
    finder: Finder<'static>,
    /// What may be the beginning of a mark.
    rest: Vec<u8>,
}

impl Default for Marks {
    fn default() -> Marks {
        Marks { finder: Finder::new(MARK), rest: Vec::new() }
    }
}

impl Marks {
    /// Each number in what came next.
    pub fn look(&mut self, bytes: &[u8], heard: &mut dyn FnMut(u64)) {
        if self.rest.is_empty() {
            let kept = self.find(bytes, heard);
            self.rest.extend_from_slice(&bytes[kept..]);
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(bytes);
            let kept = self.find(&rest, heard);
            self.rest.extend_from_slice(&rest[kept..]);
        }
    }

    /// From where on the bytes are to be looked through again.
    fn find(&self, bytes: &[u8], heard: &mut dyn FnMut(u64)) -> usize {
        let mut from = 0;
        while let Some(at) = self.finder.find(&bytes[from..]) {
            let digits = from + at + MARK.len();
            let Some(number) = bytes.get(digits..digits + DIGITS) else { return from + at };
            heard(number.iter().fold(0, |number, digit| number * 10 + u64::from(digit.wrapping_sub(b'0'))));
            from = digits + DIGITS;
        }
        let tail = from.max(bytes.len().saturating_sub(MARK.len() - 1));
        bytes[tail..].iter().position(|byte| *byte == MARK[0]).map_or(bytes.len(), |at| tail + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_found_once_however_it_is_cut() {
        let text = format!("~{}{}~~ {}~", mark(7), mark(123_456_789_012_345), mark(0));
        for size in 1..=text.len() {
            let (mut marks, mut heard) = (Marks::default(), Vec::new());
            text.as_bytes().chunks(size).for_each(|chunk| marks.look(chunk, &mut |number| heard.push(number)));
            assert_eq!(heard, [7, 123_456_789_012_345, 0], "in pieces of {size}");
        }
    }
}
