//! The real binary, as a process: what it prints, how it ends, what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod api;
mod backup;
mod binary;
#[cfg(feature = "postgres")]
mod capture;
mod commands;
mod dev;
mod events;
mod import;
#[cfg(feature = "postgres")]
mod import_postgres;
mod kill;
mod ledger;
mod migrate;
mod odd;
#[cfg(feature = "postgres")]
mod postgres;
mod retention;
mod serve;
mod settings;
