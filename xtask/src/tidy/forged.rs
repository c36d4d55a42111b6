//! Only `plan` can make a plan: a crate that tries from outside must be refused by the compiler, for the right reason.

use std::path::Path;

use super::Fault;
use crate::workspace::Workspace;

/// The plans, and the crate's source that tries to make each. `{plan}` is filled in.
const PLANS: &[&str] = &["Prepared", "ReadPlan", "WritePlan"];
const BY_LITERAL: &str = include_str!("../../compile-fail/forged_by_literal.rs");
const BY_DEFAULT: &str = include_str!("../../compile-fail/forged_by_default.rs");
const TAKEN: &str = include_str!("../../compile-fail/taken.rs");

/// Tries each plan both ways. A control that only *takes* a plan must compile, so that a refusal means what it says.
pub fn check(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    let home = workspace.target.join("xtask").join("forged");
    let mut faults = Vec::new();
    for plan in PLANS {
        if let Err(why) = compile(workspace, &home, &TAKEN.replace("PLAN", plan)) {
            faults.push(format!("a crate that only takes a `{plan}` does not compile: {}", last_lines(&why)));
            continue;
        }
        let literal = format!("cannot construct `{plan}` with struct literal syntax due to private fields");
        faults.extend(refused(workspace, &home, &BY_LITERAL.replace("PLAN", plan), plan, &literal));
        faults.extend(refused(workspace, &home, &BY_DEFAULT.replace("PLAN", plan), plan, "is not satisfied"));
    }
    Ok(faults)
}

fn refused(workspace: &Workspace, home: &Path, source: &str, plan: &str, reason: &str) -> Option<Fault> {
    match compile(workspace, home, source) {
        Ok(()) => Some(format!("anyone can make a `{plan}`: its fields must be private and it must have no `Default`")),
        Err(why) if why.contains(reason) => None,
        Err(why) => Some(format!("making a `{plan}` is refused, but not by `{reason}`: {}", last_lines(&why))),
    }
}

/// Checks a crate of one file that imports `plan`, with the workspace's own lock file.
fn compile(workspace: &Workspace, home: &Path, source: &str) -> Result<(), String> {
    let plan = workspace.root.join("crates/plan");
    let manifest = format!(
        "[package]\nname = \"forged\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nfourfold-plan = {{ path = {:?} }}\n",
        plan.display().to_string()
    );
    write(&home.join("Cargo.toml"), &manifest)?;
    write(&home.join("src/lib.rs"), source)?;
    let lock = std::fs::read_to_string(workspace.root.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    write(&home.join("Cargo.lock"), &lock)?;
    let mut cargo = std::process::Command::new("cargo");
    cargo.args(["check", "--quiet", "--color", "never"]).current_dir(home).env("CARGO_TARGET_DIR", home.join("target"));
    crate::process::output(&mut cargo).map(drop)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(|error| format!("{}: {error}", path.display()))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("error")).take(3).collect();
    if lines.is_empty() { text.lines().last().unwrap_or_default().to_owned() } else { lines.join("; ") }
}
