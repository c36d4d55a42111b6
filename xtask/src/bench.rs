//! `cargo xtask bench`: the release binary and the baselines, measured in one run.

use crate::process;
use crate::workspace::Workspace;

/// Builds both (apart, so that the product keeps its own features) and hands over to the bench's own program.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    for package in ["fourfold", "fourfold-bench"] {
        if !process::run(workspace.command("cargo").args(["build", "--release", "--locked", "--package", package])) {
            return Err(format!("`{package}` does not build"));
        }
    }
    let mut bench = workspace.command(workspace.target.join("release").join("fourfold-bench"));
    bench.arg("run").arg("--binary").arg(workspace.binary());
    bench.arg("--model").arg(workspace.root.join("examples").join("chinook"));
    bench.arg("--out").arg(workspace.target.join("bench")).args(arguments);
    Ok(process::run(&mut bench))
}
