//! `cargo xtask bench`: the binary as it is shipped and the baselines, measured in one run.

use std::path::Path;

use crate::process;
use crate::workspace::Workspace;

/// What is measured of requests.
const REQUESTS: &str = "requests";
/// What is measured of events.
const EVENTS: [&str; 4] = ["fanout", "stalled", "lag", "filters"];

/// Builds both in the profile that is shipped (apart, so that the product keeps its own features), hands over to the bench's own
/// program for one part after the other, and saves all tables as one. A part that fails does not keep the others from their turn.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    for package in ["fourfold", "fourfold-bench"] {
        if !process::run(workspace.command("cargo").args(["build", "--profile", "dist", "--locked", "--package", package])) {
            return Err(format!("`{package}` does not build"));
        }
    }
    let (built, out) = (workspace.target.join("dist"), workspace.target.join("bench"));
    let only = arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1)).map(String::as_str);
    let (mut all_passed, mut table) = (true, String::new());
    for name in parts(only) {
        let mut bench = workspace.command(built.join("fourfold-bench"));
        bench.arg(if name == REQUESTS { "run" } else { name }).arg("--binary").arg(built.join("fourfold"));
        bench.arg("--model").arg(workspace.root.join("examples").join("chinook"));
        bench.arg("--out").arg(out.join(name)).args(arguments);
        match process::run(&mut bench) {
            true => table += &section(name, &out.join(name))?,
            false => all_passed = false,
        }
    }
    let file = out.join("table.md");
    std::fs::write(&file, table).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("all saved to {}", file.display());
    Ok(all_passed)
}

/// Which parts are run: `events` means all of that kind, a name that part, and any other text the jobs of requests that hold it.
fn parts(only: Option<&str>) -> Vec<&'static str> {
    match only {
        None => std::iter::once(REQUESTS).chain(EVENTS).collect(),
        Some("events") => EVENTS.to_vec(),
        Some(only) => vec![EVENTS.into_iter().find(|name| *name == only).unwrap_or(REQUESTS)],
    }
}

fn section(name: &str, of: &Path) -> Result<String, String> {
    let file = of.join("table.md");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!("## {name}\n\n{}\n\n", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chooses_a_part_or_jobs_of_requests() {
        for (only, expected) in [
            (None, "requests fanout stalled lag filters"),
            (Some("events"), "fanout stalled lag filters"),
            (Some("lag"), "lag"),
            (Some("get, REST"), "requests"),
        ] {
            assert_eq!(parts(only).join(" "), expected, "{only:?}");
        }
    }
}
