//! Fourfold against bare servers that do the same work by hand, in one run on one machine.
//!
//! `run` starts the release binary and the baselines, drives each with the same load generator, and prints and saves a
//! table. `fanout`, `stalled`, `lag` and `filters` do so for events, `postgres` over PostgreSQL. `baseline` is one of the bare servers; the others start them
//! themselves. Server and generator get a core each where `taskset` is there, because the steady figure is the server's CPU
//! time a request, not its requests a second.

mod baseline;
mod events;
mod fanout;
mod filters;
mod lag;
mod load;
mod measure;
mod postgres;
mod server;
mod stalled;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What went wrong, for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
fourfold-bench run --binary PATH --model DIR --out DIR [--seconds N] [--rounds N] [--rows N] [--only TEXT]
fourfold-bench fanout --binary PATH --out DIR [--subscribers N] [--window N] [--seconds N] [--rounds N]
fourfold-bench stalled --binary PATH --out DIR [--stalled N] [--healthy N] [--seconds N] [--rounds N]
fourfold-bench lag --binary PATH --out DIR [--subscribers N] [--seconds N]
fourfold-bench postgres --binary PATH --model DIR --out DIR --database URL [--pgbench PATH] [--kafka HOST:PORT --kafka-jars DIR]
                        [--seconds N] [--rounds N] [--rows N]
fourfold-bench filters --binary PATH --out DIR [--filters N] [--seconds N] [--rounds N]
fourfold-bench baseline bytes|fanout|sql|tonic --source CHINOOK.sqlite --data DIR
fourfold-bench baseline postgres --database URL
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["run", rest @ ..] => measure::run(rest),
        ["fanout", rest @ ..] => fanout::run(rest),
        ["stalled", rest @ ..] => stalled::run(rest),
        ["lag", rest @ ..] => lag::run(rest),
        ["postgres", rest @ ..] => postgres::run(rest),
        ["filters", rest @ ..] => filters::run(rest),
        ["baseline", kind, rest @ ..] => baseline::run(kind, rest),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("fourfold-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The value after `--name`.
pub fn option<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| *argument == name)?;
    arguments.get(at + 1).copied()
}

/// The value after `--name`, which must be there.
pub fn required<'a>(arguments: &[&'a str], name: &str) -> Result<&'a str, Failure> {
    option(arguments, name).ok_or_else(|| format!("`{name}` is missing\n\n{USAGE}").into())
}

/// The number after `--name`, or a default.
pub fn number(arguments: &[&str], name: &str, default: u64) -> Result<u64, Failure> {
    match option(arguments, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("`{name}` wants a number, not `{text}`").into()),
    }
}
