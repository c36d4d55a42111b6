//! The WebSocket face: the Centrifugo client protocol in JSON (`SPEC` §5).
//!
//! It serves connect, refresh, ping and rpc; subscriptions, publications and the Protobuf framing are later work and refused by
//! name. It knows the protocol and the engine, no store and no rule. Read `handshake` first, then `connection` and `rpc`.

mod connection;
mod handshake;
mod parse;
mod render;
mod rpc;

pub use handshake::{Body, WebSocket};
