//! The WebSocket: graphql-transport-ws, many operations at once on one connection.
//!
//! The protocol is that of graphql-ws (its `PROTOCOL.md`). Read `connection.rs` first.

mod connection;
mod message;
mod operation;

use fourfold_op::{Authenticate, Context};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::GraphQl;

/// The subprotocol (RFC 6455 §1.9) that [`GraphQl::socket`] speaks.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// How a WebSocket was opened.
pub struct Opening {
    /// Everything about the request that opened it; each operation has its deadline anew, and nobody is known until the init.
    pub context: Context,
    /// The token of its `Authorization`, for clients that can send it.
    pub bearer: Option<String>,
    /// Whether [`SUBPROTOCOL`] was among the protocols that the client speaks.
    pub acceptable: bool,
}

impl GraphQl {
    /// Serves an upgraded connection to its end; tokens are shown to `authenticate`.
    pub async fn socket<S>(&self, stream: S, opening: Opening, authenticate: &dyn Authenticate)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        connection::run(self, stream, opening, authenticate).await;
    }
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Close {
    code: u16,
    reason: String,
}

/// Bytes of a reason: with its code it is a control frame's payload (RFC 6455 §5.5).
const REASON_BYTES_MAX: usize = 123;

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Close {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Close { code, reason }
    }

    fn bad(detail: impl std::fmt::Display) -> Close {
        Close::new(4400, format!("Invalid message: {detail}"))
    }

    fn forbidden(detail: &str) -> Close {
        Close::new(4403, format!("Forbidden: {detail}"))
    }

    /// The server ends, or serves another model now: a client comes back at once.
    fn restart() -> Close {
        Close::new(1012, "Service restart: connect again, and go on after the last cursor")
    }

    /// More waited for the reader than the limits allow, or it took nothing.
    fn slow() -> Close {
        Close::new(1013, "Try again later: the reader was too slow; go on after the last cursor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_control_frame_and_stays_text() {
        let close = Close::new(4409, "é".repeat(100));
        assert_eq!(close.reason, "é".repeat(61));
    }
}
