//! Ids of requests: unique in a server, not to be guessed from one another, and cheap.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fourfold_op::RequestId;
use http::{HeaderMap, HeaderName};

/// What names a request.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where ids come from.
pub(super) struct Ids {
    next: AtomicU64,
    seed: u64,
}

impl Ids {
    pub(super) fn new() -> Ids {
        Ids { next: AtomicU64::new(RandomState::new().hash_one(1)), seed: RandomState::new().hash_one(2) }
    }

    /// The proxy's id where one is trusted, else a new one.
    pub(super) fn of(&self, headers: &HeaderMap, trusted: bool) -> RequestId {
        let given = if trusted { headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()) } else { None };
        match given.filter(|id| is_plain(id)) {
            Some(id) => RequestId(Arc::from(id)),
            None => RequestId(Arc::from(self.text(&mut [0; 16]))),
        }
    }

    /// 16 hexadecimal digits: a counter through a bijection (SplitMix64), so that none comes twice.
    fn text<'a>(&self, digits: &'a mut [u8; 16]) -> &'a str {
        let mut mixed = self.next.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        for (place, digit) in digits.iter_mut().enumerate() {
            let nibble = ((mixed >> (place * 4)) & 15) as u8;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
