//! The library facade: settings, the listener and its limits, identity, and one stack of the four APIs over one engine.
//!
//! It knows every crate and holds no rule of its own. Read `stack.rs` first: it is the path of a request.

pub mod admin;
pub mod auth;
pub mod body;
pub mod config;
pub mod contract;
pub mod control;
pub mod drain;
pub mod guard;
pub mod listen;
pub mod log;
pub mod open;
mod page;
pub mod problem;
pub mod retain;
mod rewind;
pub mod seats;
pub mod sinks;
pub mod sources;
pub mod stack;
pub mod tls;
pub mod wire;
