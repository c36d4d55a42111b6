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

/// One test after the other, in the release profile.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    let (features, tests): (&[&str], _) = match arguments {
        [] => (&[], "ledger::"),
        [only] if only == "--postgres" => (&["--features", "postgres"], "ledger::postgres::"),
        other => return Err(format!("unknown arguments {other:?}; there is: --postgres")),
    };
    let mut cargo = workspace.command("cargo");
    cargo.args(["test", "--release", "--locked", "--package", "fourfold"]).args(features);
    cargo.args(["--test", "process", "--", tests, "--nocapture", "--test-threads=1"]);
    cargo.envs(WHOLE.iter().filter(|(name, _)| std::env::var_os(name).is_none()).copied());
    Ok(process::run(&mut cargo))
}
