//! The server's side of a WebSocket after its handshake: messages in and out, under limits (RFC 6455 §5 to §8).
//!
//! While nothing is said it holds no buffer: what is read passes over the stack, and only what is incomplete is kept; what is written is let go when
//! it is out. It knows neither the handshake nor what is spoken, and speaks no extension.
//!
//! ```text
//! stream → Incoming (frames → messages) → Socket::next      Draft → Outgoing (framed) → stream
//! ```
//!
//! Read `socket` first, then `incoming`, `frame` and `outgoing`.

mod frame;
mod incoming;
mod outgoing;
mod socket;

pub use outgoing::Draft;
pub use socket::{Ended, Kind, Limits, Message, Socket};
