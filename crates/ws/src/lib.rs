//! The WebSocket face: the Centrifugo client protocol, in JSON and in Protobuf.
//!
//! It serves connect, refresh, ping, rpc, subscriptions that watch an entity's rows, and the channels that the model declares with their
//! publishing, history and presence. It knows the protocol and the engine, no store and no rule.
//!
//! ```text
//! frame → codec → message::Command → connection → peer (connect, refresh), rpc, watching (subscribe) → message::Reply → codec → frame
//! ```
//!
//! Read `handshake` first, then `socket`, `connection`, `rpc`, and for watches `channel`, `subscribe`, `start`, `watching` and `watches`; for declared
//! channels `channel_named`, `channel_commands`, `channel_told` and `channels`.

mod channel;
mod channel_commands;
mod channel_named;
mod channel_told;
mod channels;
mod codec;
mod connection;
mod echo;
mod ending;
mod fixture;
mod handshake;
mod json;
mod message;
mod peer;
mod publication;
mod renew;
mod rpc;
mod socket;
mod start;
mod sub_refresh;
mod subscribe;
mod watches;
mod watching;

pub use echo::echo;
pub use fixture::Fixture;
pub use handshake::{Body, WebSocket};
