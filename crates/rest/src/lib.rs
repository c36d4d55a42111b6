//! The REST face over an [`Engine`](fourfold_engine::Engine).
//!
//! It knows HTTP and the engine, no store and no rule. A request takes five steps: `route` finds what is addressed, `parse` reads
//! conditions and media types (`op::params` reads the rest), the engine executes, `render` answers. Read `serve` first;
//! [`openapi`] is the contract; [`asyncapi`] and [`events`] are those of what is told of changes, on whichever face, and stand here
//! because their rows have the same schemas.

mod body;
mod error;
mod exchange;
mod ingest;
mod parse;
mod read;
mod render;
mod route;
mod schema;
mod serve;
mod watch;
mod write;

pub use body::Body;
pub use schema::{View, asyncapi, events, openapi};
pub use serve::Rest;
