//! `cargo xtask ledger`: what many subscribers are told over every API, against the log, at its whole size; over SQLite, or with
//! `--postgres` over three nodes of one PostgreSQL.

use crate::process;
use crate::workspace::Workspace;

/// What is set unless the environment has it: a minute of writes.
const WHOLE: &[(&str, &str)] = &[
    ("TEST_LEDGER_SUBSCRIBERS", "200"),
    ("TEST_LEDGER_WRITES", "30000"),
    ("TEST_LEDGER_WRITES_PER_S", "500"),
    ("TEST_LEDGER_KILLS", "6"),
    ("TEST_LEDGER_LISTS", "1000"),
];

/// Over three nodes: for how long one is stopped, and for how long two do not hear each other, in seconds.
const NODES: &[(&str, &str)] =
    &[("TEST_LEDGER_KILLS", "3"), ("TEST_LEDGER_STOP_S", "30"), ("TEST_LEDGER_CUTS", "3"), ("TEST_LEDGER_CUT_S", "12")];

/// One test after the other, in the release profile.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    let (features, tests, set): (&[&str], _, _) = match arguments {
        [] => (&[], "ledger::", [WHOLE, &[]].concat()),
        [only] if only == "--postgres" => (&["--features", "postgres"], "ledger::postgres::", [WHOLE, NODES].concat()),
        other => return Err(format!("unknown arguments {other:?}; there is: --postgres")),
    };
    let mut cargo = workspace.command("cargo");
    cargo.args(["test", "--release", "--locked", "--package", "fourfold"]).args(features);
    cargo.args(["--test", "process", "--", tests, "--nocapture", "--test-threads=1"]);
    cargo.envs(set.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()));
    Ok(process::run(&mut cargo))
}
