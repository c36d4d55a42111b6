//! Query strings: `application/x-www-form-urlencoded` as the URL standard reads it, but strict.

use std::borrow::Cow;

use crate::Error;

/// Parameters in their order: names and values, decoded.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters of a query string (without its `?`). A name without `=` has an empty value.
///
/// # Errors
/// `invalid_argument` for a broken percent-encoding, and for what is not UTF-8.
///
/// ```
/// let pairs = fourfold_op::params::query("title__contains=a+b%26c&with_total=true").unwrap();
/// assert_eq!(pairs[0], ("title__contains".into(), "a b&c".into()));
/// ```
pub fn query(text: &str) -> Result<Pairs<'_>, Error> {
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn pair(part: &str) -> Result<(Cow<'_, str>, Cow<'_, str>), Error> {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    Ok((decode(name, true)?, decode(value, true)?))
}

/// A segment of a path, decoded; `+` is itself.
///
/// # Errors
/// As [`query`].
pub fn percent_decode(text: &str) -> Result<Cow<'_, str>, Error> {
    decode(text, false)
}

fn decode(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, Error> {
    let plain = !(text.contains('%') || (plus_is_space && text.contains('+')));
    if plain {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => bytes.push(hex(&mut rest).ok_or_else(|| broken(text))?),
            b'+' if plus_is_space => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Error::invalid(format!("{} is not UTF-8 when decoded", crate::json::quoted(text))))
}

fn hex(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high * 16 + low).ok()
}

fn broken(text: &str) -> Error {
    Error::invalid(format!(
        "{} has a `%` without two hexadecimal digits after it; a percent sign itself is `%25`",
        crate::json::quoted(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_once() {
        let pairs = query("a=1&b%5F=%25+%2B&&c&d=").unwrap();
        let expected = [("a", "1"), ("b_", "% +"), ("c", ""), ("d", "")];
        assert!(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).eq(expected));
        assert_eq!(percent_decode("a+b%2F").unwrap(), "a+b/");
    }

    #[test]
    fn broken_encodings_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "%=1", "a=%+1"] {
            assert!(query(text).is_err(), "{text}");
        }
    }
}
