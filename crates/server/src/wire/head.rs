//! The head of one request: its lines, its size, its host and how its body is framed.

use fourfold_op::{Error, ErrorCode};
use memchr::memchr;

use super::{HeadLimits, colon, line, malformed, too_large};

/// What the head of a request says about the bytes after it.
#[derive(Debug)]
pub(super) struct Head {
    /// The head's own length, with the empty line.
    pub bytes: usize,
    pub body: Body,
    /// Whether another protocol is asked for.
    pub upgrade: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Sized(u64),
    Chunked,
}

/// Reads a whole head; `None` when it is not all there yet.
pub(super) fn read(bytes: &[u8], limits: &HeadLimits) -> Result<Option<Head>, Error> {
    let Some(end) = request_line(bytes, limits)? else { return Ok(None) };
    let old = bytes[..end].ends_with(b"HTTP/1.0");
    let mut fields = Fields::default();
    let mut at = end + 2;
    loop {
        if at - end > limits.header_bytes_max {
            return Err(too_large("header_bytes_max", limits.header_bytes_max, "bytes", 431));
        }
        let rest = bytes.get(at..).unwrap_or_default();
        match line(rest)? {
            None if bytes.len() - end > limits.header_bytes_max => {
                return Err(too_large("header_bytes_max", limits.header_bytes_max, "bytes", 431));
            }
            None => return Ok(None),
            Some(0) => return fields.finish(at + 2, old).map(Some),
            Some(length) => {
                fields.take(&rest[..length], limits)?;
                at += length + 2;
            }
        }
    }
}

/// The end of the request line.
fn request_line(bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Error> {
    // A method and a version are short: what is beyond that is target.
    const AROUND: usize = 32;
    let Some(end) = line(bytes)? else {
        let over = bytes.len() > limits.uri_bytes_max + AROUND;
        return if over { Err(long_target(limits)) } else { Ok(None) };
    };
    let mut parts = bytes[..end].split(|byte| *byte == b' ');
    let (method, target, version, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, more) else {
        return Err(malformed("the request line is not `METHOD TARGET HTTP/1.1`"));
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(malformed("the method is not a token"));
    }
    if target.len() > limits.uri_bytes_max {
        return Err(long_target(limits));
    }
    check_target(target)?;
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => Ok(Some(end)),
        _ => Err(malformed("the version is not `HTTP/1.1`, `HTTP/1.0` or HTTP/2")),
    }
}

/// Bytes that stand in no target as they are (RFC 3986 §2): the library would answer them with 400 and not a word.
fn check_target(target: &[u8]) -> Result<(), Error> {
    let path = memchr(b'?', target).unwrap_or(target.len());
    let wrong = |at: usize, byte: u8| matches!(byte, 0..=b' ' | b'"' | b'<' | b'>' | 0x7f) || (byte == b'`' && at < path);
    if let Some(byte) = target.iter().enumerate().find_map(|(at, byte)| wrong(at, *byte).then_some(*byte)) {
        let shown = if byte.is_ascii_graphic() { char::from(byte).to_string() } else { byte.escape_ascii().to_string() };
        return Err(malformed(format!("`{shown}` stands in the target as it is; write `%{byte:02X}`")));
    }
    match std::str::from_utf8(target) {
        Ok(_) => Ok(()),
        Err(_) => Err(malformed("the target is not UTF-8; write bytes as `%` and two digits")),
    }
}

fn long_target(limits: &HeadLimits) -> Error {
    too_large("uri_bytes_max", limits.uri_bytes_max, "bytes", 414)
}

/// The fields that decide how a request is read.
#[derive(Default)]
struct Fields {
    count: usize,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl Fields {
    fn take(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Error> {
        self.count += 1;
        if self.count > limits.header_fields_max {
            return Err(too_large("header_fields_max", limits.header_fields_max, "fields", 431));
        }
        let Some(colon) = colon(line) else {
            return Err(malformed("a header line has no colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // A space before the colon, or at the start of the line, is no token either.
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(malformed("a header name is not a token"));
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Error> {
        self.hosts += 1;
        if self.hosts > 1 {
            return Err(malformed("there is more than one `Host`"));
        }
        if !is_host(value) {
            return Err(malformed("`Host` is not a host with an optional port"));
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Error> {
        if self.length.is_some() {
            return Err(malformed("there is more than one `Content-Length`"));
        }
        let digits = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        self.length = Some(length.ok_or_else(|| malformed("`Content-Length` is not a number of bytes"))?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Error> {
        if self.chunked {
            return Err(malformed("there is more than one `Transfer-Encoding`"));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Error::new(ErrorCode::InvalidArgument, "`Transfer-Encoding` is not `chunked`, the only one served"));
        }
        self.chunked = true;
        Ok(())
    }

    fn finish(self, bytes: usize, old: bool) -> Result<Head, Error> {
        if self.hosts == 0 && !old {
            return Err(malformed("there is no `Host`"));
        }
        if self.chunked && old {
            return Err(malformed("HTTP/1.0 has no `Transfer-Encoding`"));
        }
        let body = match (self.chunked, self.length) {
            (true, Some(_)) => return Err(malformed("both `Content-Length` and `Transfer-Encoding` are given")),
            (true, None) => Body::Chunked,
            (false, Some(length)) => Body::Sized(length),
            (false, None) => Body::None,
        };
        Ok(Head { bytes, body, upgrade: self.upgrade && !old })
    }
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// `uri-host [ ":" port ]` of RFC 9110 §7.2: a name, an IPv4 address or `[IPv6]`.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(at) if !value.ends_with(b"]") => (&value[..at], &value[at + 1..]),
        _ => (value, &b""[..]),
    };
    let bracketed = name.starts_with(b"[") && name.ends_with(b"]") && name.len() > 2;
    let inner = if bracketed { &name[1..name.len() - 1] } else { name };
    let allowed = |byte: &u8| match bracketed {
        true => byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'),
        false => {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
                )
        }
    };
    let port_fits = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    !inner.is_empty() && inner.iter().all(allowed) && port_fits
}
