//! `cargo xtask bench`: the binary as it is shipped and the baselines, measured in one run.

use std::path::Path;

use crate::workspace::Workspace;
use crate::{process, selection, services};

/// What is measured of requests.
const REQUESTS: &str = "requests";
/// What is measured of events.
const EVENTS: [&str; 4] = ["fanout", "stalled", "lag", "filters"];

/// What is measured over PostgreSQL, with a binary that has its store.
const POSTGRES: &str = "postgres";
/// That binary, beside the shipped one.
const WHOLE: &str = "fourfold-whole";

/// Builds both in the profile that is shipped (apart, so that the product keeps its own features), hands over to the bench's own
/// program for one part after the other, and saves all tables as one. A part that fails does not keep the others from their turn.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    let (built, out) = (workspace.target.join("dist"), workspace.target.join("bench"));
    let only = arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1)).map(String::as_str);
    let parts = parts(only);
    let is_postgres = |name: &&str| *name == POSTGRES;
    build(workspace, &["--package", "fourfold-bench"])?;
    if parts.iter().any(is_postgres) && services::missing(POSTGRES).is_none() {
        build(workspace, &[&["--package", "fourfold"], selection::features()].concat())?;
        // Cargo gives the shipped one the same name.
        std::fs::copy(built.join("fourfold"), built.join(WHOLE)).map_err(|error| format!("`{WHOLE}`: {error}"))?;
    }
    if !parts.iter().all(is_postgres) {
        build(workspace, &["--package", "fourfold"])?;
    }
    let (mut all_passed, mut table) = (true, String::new());
    for name in parts {
        if name == POSTGRES {
            match postgres(workspace, arguments)? {
                Some(true) => table += &section(name, &out.join(name))?,
                Some(false) => all_passed = false,
                None => {}
            }
            continue;
        }
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

fn build(workspace: &Workspace, package: &[&str]) -> Result<(), String> {
    match process::run(workspace.command("cargo").args(["build", "--profile", "dist", "--locked"]).args(package)) {
        true => Ok(()),
        false => Err(format!("`{}` does not build", package.join(" "))),
    }
}

/// The part over PostgreSQL, with the services that it needs brought up for it; `None` where PostgreSQL is not there.
fn postgres(workspace: &Workspace, arguments: &[String]) -> Result<Option<bool>, String> {
    if let Some(why) = services::missing(POSTGRES) {
        println!("skipped: {POSTGRES}: {why}");
        return Ok(None);
    }
    let (database, database_is_ours) = services::needed(workspace, POSTGRES)?;
    let built = workspace.target.join("dist");
    let mut bench = workspace.command(built.join("fourfold-bench"));
    bench.arg(POSTGRES).arg("--binary").arg(built.join(WHOLE)).arg("--model").arg(workspace.root.join("examples").join("chinook"));
    bench.arg("--out").arg(workspace.target.join("bench").join(POSTGRES)).args(["--database", &database]);
    if let Some(program) = services::pgbench() {
        bench.arg("--pgbench").arg(program);
    }
    let mut broker_is_ours = false;
    match services::missing("kafka") {
        Some(why) => println!("skipped: the sink over {POSTGRES}: {why}"),
        None => {
            let (broker, is_ours) = services::needed(workspace, "kafka")?;
            broker_is_ours = is_ours;
            bench.args(["--kafka", &broker]).arg("--kafka-jars").arg(services::kafka_jars(workspace));
        }
    }
    let passed = process::run(bench.args(arguments));
    for (name, is_ours) in [(POSTGRES, database_is_ours), ("kafka", broker_is_ours)] {
        if is_ours {
            services::run(workspace, &["down".to_owned(), name.to_owned()])?;
        }
    }
    Ok(Some(passed))
}

/// Which parts are run: `events` means all of that kind, a name that part, and any other text the jobs of requests that hold it.
fn parts(only: Option<&str>) -> Vec<&'static str> {
    let beside = || EVENTS.into_iter().chain([POSTGRES]);
    match only {
        None => std::iter::once(REQUESTS).chain(beside()).collect(),
        Some("events") => EVENTS.to_vec(),
        Some(only) => vec![beside().find(|name| *name == only).unwrap_or(REQUESTS)],
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
            (None, "requests fanout stalled lag filters postgres"),
            (Some("postgres"), "postgres"),
            (Some("events"), "fanout stalled lag filters"),
            (Some("lag"), "lag"),
            (Some("get, REST"), "requests"),
        ] {
            assert_eq!(parts(only).join(" "), expected, "{only:?}");
        }
    }
}
