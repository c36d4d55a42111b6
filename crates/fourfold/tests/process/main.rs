//! The real binary, as a process: what it prints, how it ends, what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod binary;
mod commands;
mod dev;
mod import;
mod kill;
mod ledger;
mod migrate;
mod odd;
mod serve;
mod settings;
