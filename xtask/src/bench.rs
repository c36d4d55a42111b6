//! `cargo xtask bench`: the binary as it is shipped and the baselines, measured in one run.

use crate::process;
use crate::workspace::Workspace;

/// Builds both in the profile that is shipped (apart, so that the product keeps its own features) and hands over to the bench's own
/// program.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    for package in ["fourfold", "fourfold-bench"] {
        if !process::run(workspace.command("cargo").args(["build", "--profile", "dist", "--locked", "--package", package])) {
            return Err(format!("`{package}` does not build"));
        }
    }
    let built = workspace.target.join("dist");
    let mut bench = workspace.command(built.join("fourfold-bench"));
    bench.arg("run").arg("--binary").arg(built.join("fourfold"));
    bench.arg("--model").arg(workspace.root.join("examples").join("chinook"));
    bench.arg("--out").arg(workspace.target.join("bench")).args(arguments);
    Ok(process::run(&mut bench))
}
