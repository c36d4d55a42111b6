//! The REST face: `SPEC` §2 over an [`Engine`].
//!
//! It knows HTTP and the engine, no store and no rule. A request takes five steps: [`route`] finds what is addressed, [`parse`]
//! reads conditions and media types (`op::params` reads the rest), the engine executes, [`render`] answers. Read [`serve`] first.


mod body;
mod error;
mod ingest;
mod parse;
mod read;
mod render;
mod route;
mod serve;
mod write;

pub use body::Body;
pub use serve::Rest;
