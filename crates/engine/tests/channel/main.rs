//! Channels that a model declares: who may take part, what is told, what is kept.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod free;
mod joining;
mod limits;
mod nodes;
mod present;
mod streams;
mod world;
