//! Who calls: tokens are verified, and their claims read as the model's `caller` block says.
//!
//! The algorithm is fixed by configuration and never taken from a token; `kid` only tells a dev token from others; no URL in a
//! token is ever followed.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fourfold_model::Model;
use fourfold_op::{Authenticate, Authenticated, Claims, Error, ErrorCode, Principal};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use quick_cache::sync::Cache;

mod claims;
mod dev;
mod keys;

pub use dev::{DEV_AUDIENCE, DEV_ISSUER, DevKey};
pub use keys::{AuthSettings, KeyError, TrustedKey};

/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Tokens that are remembered as verified, and how long one of them may be.
const REMEMBERED_MAX: usize = 10_000;
const REMEMBERED_BYTES_MAX: usize = 2 << 10;

/// Verifies tokens for one model.
pub struct Auth {
    key: Option<TrustedKey>,
    dev: Option<TrustedKey>,
    /// Whether a request without a token is served.
    anonymous: bool,
    nobody: Arc<Principal>,
    model: Arc<Model>,
    verified: Cache<Box<str>, Verified>,
}

#[derive(Clone)]
struct Verified {
    who: Authenticated,
    /// Seconds since 1970 after which the token is not good any more, leeway included.
    until: i64,
}

impl Auth {
    /// Trusts the configured key, and in `dev` the key of the data folder.
    pub fn new(model: Arc<Model>, key: Option<TrustedKey>, dev: Option<&DevKey>, anonymous: bool) -> Auth {
        let nobody = Arc::new(Principal { issuer: "".into(), subject: "".into(), claims: claims::of_nobody(&model) });
        let dev = dev.map(DevKey::trusted);
        Auth { key, dev, anonymous, nobody, model, verified: Cache::new(REMEMBERED_MAX) }
    }

    /// Whether any token can be accepted.
    pub fn accepts_tokens(&self) -> bool {
        self.key.is_some() || self.dev.is_some()
    }

    /// The caller that shows no token, whether or not it is served.
    pub fn nobody(&self) -> Arc<Principal> {
        Arc::clone(&self.nobody)
    }

    fn verify(&self, token: &str) -> Result<Authenticated, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused(format!("the token is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        let now = now_s();
        if let Some(known) = self.verified.get(token) {
            return if now <= known.until { Ok(known.who) } else { Err(expired()) };
        }
        let verified = self.verify_anew(token)?;
        let who = verified.who.clone();
        if token.len() <= REMEMBERED_BYTES_MAX {
            self.verified.insert(token.into(), verified);
        }
        Ok(who)
    }

    fn verify_anew(&self, token: &str) -> Result<Verified, Error> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused("the token is not a JWT"))?;
        if header.crit.is_some() {
            return Err(refused("the token has a `crit` header, which is not understood"));
        }
        let for_dev = header.kid.as_deref() == Some(dev::KEY_ID);
        let key = if for_dev { self.dev.as_ref() } else { self.key.as_ref() };
        let key = key.ok_or_else(|| refused(untrusted(for_dev)))?;
        let payload = decode(token, &key.decoding, &key.validation)?;
        let expires_at = payload.get("exp").and_then(serde_json::Value::as_f64).map(|exp| exp as i64);
        let until = expires_at.map_or(i64::MAX, |exp| exp.saturating_add(key.validation.leeway as i64));
        let principal = Arc::new(self.principal(&payload)?);
        Ok(Verified { who: Authenticated { principal, expires_at }, until })
    }

    fn principal(&self, payload: &Payload) -> Result<Principal, Error> {
        let text = |name: &str| payload.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let subject = text("sub");
        if subject.is_empty() {
            return Err(refused("the token has no `sub`"));
        }
        let claims = claims::read(&self.model, payload).map_err(refused)?;
        Ok(Principal { issuer: text("iss").into(), subject: subject.into(), claims: Claims(claims) })
    }
}

impl Authenticate for Auth {
    fn authenticate(&self, token: Option<&str>) -> Result<Authenticated, Error> {
        match token {
            Some(token) => self.verify(token).map_err(Error::of_bad_token),
            None if self.anonymous => Ok(Authenticated { principal: Arc::clone(&self.nobody), expires_at: None }),
            None => Err(refused("a token is required: send `Authorization: Bearer TOKEN`")),
        }
    }

    fn authenticate_for(&self, token: &str, channel: &str) -> Result<Authenticated, Error> {
        let who = self.authenticate(Some(token))?;
        match claims::channel(token) {
            Some(named) if named == channel => Ok(who),
            _ => Err(refused("its `channel` does not name this channel")),
        }
    }
}

/// The claims of a principal that shows no token: a sink says them in its settings.
///
/// # Errors
/// Which claim is missing or of another type than the model's.
pub(crate) fn claims_of(model: &Model, payload: &Payload) -> Result<Box<[fourfold_op::Value]>, String> {
    claims::read(model, payload)
}

/// A token's claims set.
type Payload = serde_json::Map<String, serde_json::Value>;

fn decode(token: &str, key: &DecodingKey, validation: &Validation) -> Result<Payload, Error> {
    jsonwebtoken::decode::<Payload>(token, key, validation).map(|token| token.claims).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => expired(),
        ErrorKind::ImmatureSignature => refused("the token is not valid yet (`nbf`)"),
        ErrorKind::InvalidIssuer => refused("the token's `iss` is not the one that is trusted"),
        ErrorKind::InvalidAudience => refused("the token's `aud` does not name this server"),
        ErrorKind::InvalidAlgorithm => refused("the token's algorithm is not the configured one"),
        ErrorKind::MissingRequiredClaim(name) => refused(format!("the token has no `{name}`")),
        ErrorKind::InvalidClaimFormat(name) => refused(format!("the token's `{name}` is not a time in seconds")),
        _ => refused("the token's signature is not valid"),
    })
}

fn untrusted(for_dev: bool) -> &'static str {
    if for_dev {
        "dev tokens are accepted by `fourfold dev` alone, with the key of its data folder"
    } else {
        "no key is configured, so no token is accepted (see `[auth]`)"
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Unauthenticated, message)
}

fn expired() -> Error {
    Error::new(ErrorCode::TokenExpired, "the token has expired")
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// The algorithm called `RS256`, of those that are served.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
