//! Who asks, and how long they will wait.

use std::sync::Arc;
use std::time::Instant;

use fourfold_model::Value;

use crate::Error;

/// A caller: who, and what its token claims, typed by the model's `caller` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token's issuer; empty for an anonymous caller.
    pub issuer: Arc<str>,
    /// The token's subject; empty for an anonymous caller.
    pub subject: Arc<str>,
    /// Its claims.
    pub claims: Claims,
}

impl Principal {
    /// Whether this caller showed no token.
    pub fn is_anonymous(&self) -> bool {
        self.issuer.is_empty() && self.subject.is_empty()
    }

    /// Whether this is the same caller, whatever the tokens claim.
    pub fn is_same(&self, other: &Principal) -> bool {
        (&self.issuer, &self.subject) == (&other.issuer, &other.subject)
    }
}

/// Claims by [`ClaimId`](fourfold_model::ClaimId): a value for each field of the model's `caller` block. Anonymous: nulls, and empty lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claims(pub Box<[Value]>);

impl Claims {
    /// A claim's value; null where it was not given.
    pub fn value(&self, claim: fourfold_model::ClaimId) -> &Value {
        self.0.get(usize::from(claim.0)).unwrap_or(&Value::Null)
    }
}

/// When an answer is no longer wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(pub Option<Instant>);

/// The key of a request that may be sent twice: 1 to 255 visible characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub Arc<str>);

/// The request's id, in `X-Request-Id`, in errors and in logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub Arc<str>);

/// Everything about a request beside what it asks.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who asks.
    pub principal: Arc<Principal>,
    /// Until when.
    pub deadline: Deadline,
    /// The key under which a write is done at most once.
    pub idempotency: Option<IdempotencyKey>,
    /// The request's id.
    pub request: RequestId,
}

/// A token that was accepted.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Whose.
    pub principal: Arc<Principal>,
    /// When it ends: seconds since 1970; `None`: never.
    pub expires_at: Option<i64>,
}

impl Authenticated {
    /// When it ends, as a [`Watch`](crate::Watch) is told: microseconds since 1970, UTC; `None`: never.
    pub fn expires_at_us(&self) -> Option<i64> {
        self.expires_at.map(|seconds| seconds.saturating_mul(1_000_000))
    }
}

/// Tells who shows a token; the server's `auth` is one. Faces that authenticate inside their protocol (WebSocket) use it.
pub trait Authenticate: Send + Sync {
    /// Who this is; without a token the anonymous caller.
    ///
    /// # Errors
    /// `unauthenticated`, `token_expired`.
    fn authenticate(&self, token: Option<&str>) -> Result<Authenticated, Error>;

    /// Who this is, by a token for one channel alone: one that names another channel is refused, where tokens can name one.
    ///
    /// # Errors
    /// As [`Authenticate::authenticate`].
    fn authenticate_for(&self, token: &str, _channel: &str) -> Result<Authenticated, Error> {
        self.authenticate(Some(token))
    }
}
