//! How a connection ends: close codes of the WebSocket (RFC 6455 §7.4.1) and disconnect codes of the Centrifugo protocol.

/// Why a connection ends: a code of the WebSocket, or of the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End(pub(crate) u16, pub(crate) &'static str);

pub(crate) const PROTOCOL_ERROR: End = End(1002, "protocol error");
pub(crate) const NOT_UTF8: End = End(1007, "not UTF-8");
pub(crate) const TOO_LARGE: End = End(1009, "message too large");
pub(crate) const INTERNAL: End = End(1011, "internal error");
pub(crate) const DRAIN: End = End(3001, "shutdown");
pub(crate) const EXPIRED: End = End(3005, "expired");
pub(crate) const SLOW: End = End(3008, "slow");
pub(crate) const NO_PONG: End = End(3012, "no pong");
pub(crate) const INVALID_TOKEN: End = End(3500, "invalid token");
pub(crate) const BAD_REQUEST: End = End(3501, "bad request");
pub(crate) const STALE: End = End(3502, "stale");
