//! A server for the conformance suites of others: the listener and the faces of Fourfold, with the endpoints that those suites ask for.
//!
//! It is no way to serve a model; `fourfold serve` is. Read `http` first, then `centrifuge`.

mod centrifuge;
mod http;

pub use http::Conformance;
