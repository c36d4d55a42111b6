//! Watching: what is told, from where, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ends;
mod membership;
mod pull;
mod resume;
mod sharing;
mod told;
mod world;
