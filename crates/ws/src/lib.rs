//! The WebSocket face: the Centrifugo client protocol, in JSON and in Protobuf (`SPEC` §5).
//!
//! It serves connect, refresh, ping, rpc and subscriptions that watch an entity's rows; declared channels, publishing, history and
//! presence are later work and refused by name. It knows the protocol and the engine, no store and no rule.
//!
//! ```text
//! frame → codec → message::Command → connection → peer (connect, refresh), rpc, watching (subscribe) → message::Reply → codec → frame
//! ```
//!
//! Read `handshake` first, then `connection`, `rpc`, and for watches `channel`, `subscribe`, `start`, `watching` and `watches`.

mod channel;
mod codec;
mod connection;
mod handshake;
mod json;
mod message;
mod peer;
mod publication;
mod renew;
mod rpc;
mod start;
mod subscribe;
mod watches;
mod watching;

pub use handshake::{Body, WebSocket};
