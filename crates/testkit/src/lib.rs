//! For tests alone: a server on a port of its own, clients for the four APIs, and the runner of scenarios.
//!
//! A scenario is data: what is there, who asks what, and what they must be told. It runs over every API against every store, so
//! that the APIs cannot drift apart. Read [`scenario`] first.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test kit fails by panicking")]

pub mod client;
pub mod framed;
pub mod graphql;
pub mod grpc;
pub mod ledger;
pub mod random;
pub mod rest;
pub mod scenario;
pub mod served;
pub mod websocket;

pub use client::{Answer, Ask, Client, NO_ANSWER, Refusal};
pub use served::Served;
