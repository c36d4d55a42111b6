//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! `test` is the gate: everything a change must pass, one step after the other (`gate.rs` lists them). The other commands
//! are its parts, to be run alone. Nothing here is needed to build or to run Fourfold.

mod bench;
mod fuzz;
mod gate;
mod ledger;
mod outside;
mod process;
mod selection;
mod server;
mod services;
mod tally;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
cargo xtask COMMAND

  test [STEP…]           the gate, or only the named steps of it: fmt clippy doc tidy deny release tests outside
  tidy                   crate edges, purity, file lengths, words, links, forged plans
  outside [SUITE…]       other people's clients and linters against the release binary (or FOURFOLD_BIN)
  bench [ARGUMENT…]      the benchmarks, of requests and of events, saved to target/bench
  ledger [--postgres]    what 200 subscribers are told over every API and across cuts, against the log; over three nodes of PostgreSQL
  services up|down|restart|kill|status|remove [NAME…]   PostgreSQL and Kafka for tests, in target/services
  fuzz [--seconds N] [TARGET…]   each fuzz target for N seconds (60)

A tool that is not there (node, python3, java, mvn) is a printed skip, and a failure when CI=true.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match run(command, rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: &str, rest: &[String]) -> Result<bool, String> {
    let workspace = Workspace::find()?;
    match command {
        "test" => gate::run(&workspace, rest),
        "tidy" => Ok(gate::alone("tidy", tidy::run(&workspace))),
        "outside" => Ok(gate::alone("outside", outside::run(&workspace, rest))),
        "bench" => bench::run(&workspace, rest),
        "ledger" => ledger::run(&workspace, rest),
        "services" => services::run(&workspace, rest),
        "fuzz" => fuzz::run(&workspace, rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(true)
        }
        unknown => Err(format!("unknown command `{unknown}`\n\n{USAGE}")),
    }
}
