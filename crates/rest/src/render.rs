//! Answers: status, header fields and body.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use fourfold_engine::Timing;
use fourfold_model::{Cache, Entity, EntityId, Model};
use fourfold_op::{Nested, Operation};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, VARY};
use http::{Response, StatusCode};

use crate::body::{Body, empty, full};

/// How long the steps of one request took.
pub(crate) struct Steps {
    begun: Instant,
    /// When the request was parsed, where it was not the engine that went on.
    parsed: Option<Instant>,
    timing: Option<Timing>,
}

impl Steps {
    pub(crate) fn begin() -> Steps {
        Steps { begun: Instant::now(), parsed: None, timing: None }
    }
    pub(crate) fn parsed(&mut self) {
        self.parsed = Some(Instant::now());
    }
    pub(crate) fn executed(&mut self, timing: Timing) {
        self.timing = Some(timing);
    }

    /// `Server-Timing` (W3C), in milliseconds.
    fn header(&self) -> HeaderValue {
        let now = Instant::now();
        let us = |from: Instant, to: Instant| to.saturating_duration_since(from).as_micros() as u64;
        let parsed = self.parsed.or(self.timing.map(|timing| timing.begun)).unwrap_or(now);
        let (plan, store) = self.timing.map_or((0, 0), |timing| (timing.plan_us(), timing.store_us()));
        let rendered = self.timing.map_or(0, |timing| us(timing.ended, now));
        let mut text = BytesMut::with_capacity(80);
        for (name, us) in [
            (&b"parse;dur="[..], us(self.begun, parsed)),
            (b", plan;dur=", u64::from(plan)),
            (b", store;dur=", u64::from(store)),
            (b", render;dur=", rendered),
        ] {
            text.extend_from_slice(name);
            write_ms(&mut text, us);
        }
        HeaderValue::from_maybe_shared(text.freeze()).unwrap_or(HeaderValue::from_static("parse;dur=0"))
    }

    /// Puts the field that every answer of this face has.
    pub(crate) fn finish(&self, response: &mut Response<Body>) {
        response.headers_mut().insert(HeaderName::from_static("server-timing"), self.header());
    }
}

fn write_ms(out: &mut BytesMut, us: u64) {
    write_whole(out, us / 1000);
    out.extend_from_slice(&[b'.', digit(us / 100), digit(us / 10), digit(us)]);
}

fn write_whole(out: &mut BytesMut, number: u64) {
    if number >= 10 {
        write_whole(out, number / 10);
    }
    out.extend_from_slice(&[digit(number)]);
}

/// The last digit of a number.
fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// The tag of a representation, without quotes: its revision, and a variant that differs whenever the bytes do. So it covers the
/// model's generation, what is masked and what `expand` embeds.
pub(crate) fn tag(revision: u64, bytes: &[u8]) -> String {
    format!("{revision}-{:010x}", variant(bytes) & 0xff_ffff_ffff)
}

/// A hash that is the same on every machine and in every version.
fn variant(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(MULTIPLIER);
        mixed ^ (mixed >> 29)
    };
    let mut hash = bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        hash = mix(hash, word.try_into().map(u64::from_le_bytes).unwrap_or_default());
    }
    let last = words.remainder().iter().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
    mix(mix(hash, last), 1)
}

/// Puts `ETag`.
pub(crate) fn put_tag(response: &mut Response<Body>, tag: &str) {
    let quoted = ["\"", tag, "\""].concat();
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(quoted)) {
        response.headers_mut().insert(ETAG, value);
    }
}

/// How long an answer may be kept, and by whom: `Cache-Control` and `Vary`.
pub(crate) struct Caching {
    control: HeaderValue,
    public: bool,
}

impl Caching {
    /// For an answer that shows rows of this entity, and those of an operation's relations.
    pub(crate) fn of(model: &Model, operation: Option<&Operation>, entity: EntityId) -> Caching {
        let (text, public) = cache_control(policy(model, operation, entity));
        let control = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("private, no-cache"));
        Caching { control, public }
    }

    /// Puts both fields.
    pub(crate) fn put(&self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, self.control.clone());
        headers.insert(VARY, HeaderValue::from_static(if self.public { "Accept" } else { "Accept, Authorization" }));
    }
}

/// The strictest policy of all entities that are shown.
fn policy(model: &Model, operation: Option<&Operation>, entity: EntityId) -> Option<Cache> {
    let mut shown = vec![model.entity(entity)];
    if let Some(Operation::Read(selects)) = operation {
        selects.iter().for_each(|select| below(model, model.entity(select.entity), &select.nested, &mut shown));
    }
    let mut policies = shown.into_iter().map(|entity| entity.cache);
    let first = policies.next().flatten()?;
    policies.try_fold(first, |all, one| {
        let one = one?;
        let stale = all.stale.zip(one.stale).map(|(a, b)| a.min(b));
        Some(Cache { public: all.public && one.public, max_age: all.max_age.min(one.max_age), stale })
    })
}

fn below<'m>(model: &'m Model, entity: &'m Entity, nested: &[Nested], shown: &mut Vec<&'m Entity>) {
    for one in nested {
        let target = model.entity(entity.relation(one.relation).target);
        shown.push(target);
        below(model, target, &one.nested, shown);
    }
}

fn cache_control(cache: Option<Cache>) -> (String, bool) {
    let Some(cache) = cache else { return ("private, no-cache".to_owned(), false) };
    let scope = if cache.public { "public" } else { "private" };
    let stale = cache.stale.map(|seconds| format!(", stale-while-revalidate={seconds}")).unwrap_or_default();
    (format!("{scope}, max-age={}{stale}", cache.max_age), cache.public)
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_differs_when_any_byte_does() {
        let bytes: Vec<u8> = (0..50).collect();
        let first = tag(7, &bytes);
        assert!(first.starts_with("7-"));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(tag(7, &other), first, "{at}");
        }
        assert_ne!(tag(7, &bytes[..49]), first);
        assert_eq!(tag(7, b"{\"id\":1}"), tag(7, b"{\"id\":1}"));
    }

    #[test]
    fn times_and_texts_are_written_plainly() {
        let mut out = BytesMut::new();
        write_ms(&mut out, 12_034);
        assert_eq!(&out[..], b"12.034");
        assert_eq!(percent_encode("a/b c~é"), "a%2Fb%20c~%C3%A9");
    }
}
