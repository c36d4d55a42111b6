//! The `fourfold` command: one model, four APIs.
//!
//! One file a command, in `command/`; what they share is beside this file.

#[macro_use]
mod say;

mod command;
mod connectors;
mod failure;
mod import;
mod load;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use command::Command;

/// Long-lived small allocations from many threads are what it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One model, four APIs: REST, GraphQL, gRPC and WebSocket from one model file.
#[derive(Parser)]
#[command(name = "fourfold", version, about, max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Line::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}
