//! What cargo is asked to build. Features of dependencies come together from all that is selected, and other features are another build of all that
//! stands on them: so there are few selections, and each adds no more than a crate or two to one that came before.

use std::process::Command;

use crate::tools;
use crate::workspace::Workspace;

/// Builds the release binaries: ours, and the server that conformance suites drive.
pub fn release(workspace: &Workspace) -> Command {
    let mut cargo = workspace.command("cargo");
    cargo.args(["build", "--release", "--locked", "--package", "fourfold", "--package", "fourfold-conformance-server"]);
    cargo
}

/// All packages, but for the crate that librdkafka is built for where its builder is not there.
pub fn packages() -> &'static [&'static str] {
    match tools::missing_for_librdkafka() {
        Some(_) => &["--workspace", "--exclude", "fourfold-connect-kafka"],
        None => &["--workspace"],
    }
}

/// All features of the binary that can be built here, beside a selection that holds it.
pub fn features() -> &'static [&'static str] {
    match tools::missing_for_librdkafka() {
        Some(_) => &["--features", "fourfold/postgres"],
        None => &["--features", "fourfold/kafka,fourfold/postgres"],
    }
}
