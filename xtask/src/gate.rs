//! The gate: what a change must pass. Every step runs, whatever became of those before it, and all failures are listed.

use std::time::{Duration, Instant};

use crate::process::{Ended, lines, run as execute};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{outside, selection, tidy, tools};

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Workspace) -> Tally,
}

/// In this order: what is quick to tell comes first, and each build serves the steps after it (clippy's checks of the
/// dependencies are `doc`'s, the dev build is the tests', the release build is measured and tried from outside).
const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the format is rustfmt's", run: fmt },
    Step { name: "tidy", what: "edges, purity, lengths, words, links", run: tidy::run },
    Step { name: "deny", what: "licences, bans and sources of dependencies", run: tools::deny },
    Step { name: "clippy", what: "no warning in any target", run: clippy },
    Step { name: "doc", what: "no warning in the documentation", run: doc },
    Step { name: "release", what: "the release binaries", run: release },
    Step { name: "tests", what: "cargo test", run: tests },
    Step { name: "outside", what: "other people's clients and linters", run: |workspace| outside::run(workspace, &[]) },
];

/// Runs all steps, or the named ones; whether nothing failed.
pub fn run(workspace: &Workspace, only: &[String]) -> Result<bool, String> {
    if let Some(unknown) = only.iter().find(|name| !STEPS.iter().any(|step| step.name == name.as_str())) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(format!("unknown step `{unknown}`; there are: {}", known.join(" ")));
    }
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect();
    let mut early = chosen.iter().any(|step| step.name == "outside").then(|| outside::install_early(workspace));
    let start = Instant::now();
    let mut total = Tally::default();
    let mut table = Vec::new();
    for step in chosen {
        if step.name == "outside"
            && let Some(install) = early.take()
        {
            let _ = install.join();
        }
        let (tally, seconds) = timed(step, workspace);
        table.push(format!("{:<8} {:>7.1} s  {}", step.name, seconds, tally.line()));
        total.add(tally);
    }
    println!("\n== summary ({:.0} s)\n{}", start.elapsed().as_secs_f64(), table.join("\n"));
    finish(&total);
    Ok(total.ok())
}

/// Prints the result of one part that was run alone; whether nothing failed.
pub fn alone(name: &str, tally: Tally) -> bool {
    println!("\n== {name}");
    finish(&tally);
    tally.ok()
}

fn timed(step: &Step, workspace: &Workspace) -> (Tally, f64) {
    println!("\n== {}: {}", step.name, step.what);
    let start = Instant::now();
    let tally = (step.run)(workspace);
    let seconds = start.elapsed().as_secs_f64();
    println!("== {}: {} in {seconds:.1} s", step.name, tally.line());
    (tally, seconds)
}

fn finish(total: &Tally) {
    for skip in &total.skips {
        println!("skipped: {skip}");
    }
    for failure in &total.failures {
        println!("failed: {failure}");
    }
    println!("{}", total.line());
}

fn fmt(workspace: &Workspace) -> Tally {
    Tally::of(execute(workspace.command("cargo").args(["fmt", "--all", "--check"])), "fmt: run `cargo fmt --all`")
}

/// As it is built, and the binary with all that it can be built with.
fn clippy(workspace: &Workspace) -> Tally {
    let mut tally = Tally::default();
    for (features, what) in [(&[][..], "clippy"), (selection::features(), "clippy with features")] {
        let mut cargo = workspace.command("cargo");
        cargo.arg("clippy").args(selection::packages()).args(features).args(["--all-targets", "--locked", "--", "-D", "warnings"]);
        tally.add(Tally::of(execute(&mut cargo), &format!("{what}: see the warnings above")));
    }
    tally
}

fn doc(workspace: &Workspace) -> Tally {
    let mut cargo = workspace.command("cargo");
    cargo.arg("doc").args(selection::packages()).args(["--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings");
    Tally::of(execute(&mut cargo), "doc: see the warnings above")
}

fn release(workspace: &Workspace) -> Tally {
    Tally::of(execute(&mut selection::release(workspace)), "release: the binaries do not build")
}

/// `cargo test` of the whole workspace, its tests counted one by one. Process tests find the release binary by
/// `FOURFOLD_BIN`.
fn tests(workspace: &Workspace) -> Tally {
    let mut tally = cargo_test(workspace, &[], &[]);
    if let Some(why) = tools::missing_for_librdkafka() {
        tally.add(Tally::skip(format!("tests: fourfold-connect-kafka: {why}")));
    }
    // Over the other stores, and with sinks: what needs a binary that is built with them.
    tally.add(cargo_test(workspace, &[selection::features(), &["--test", "process"]].concat(), &["postgres::"]));
    tally
}

fn cargo_test(workspace: &Workspace, of: &[&str], filter: &[&str]) -> Tally {
    let mut cargo = workspace.command("cargo");
    cargo.arg("test").args(selection::packages()).args(of).args(["--locked", "--no-fail-fast", "--"]).args(filter);
    if workspace.binary().is_file() {
        cargo.env("FOURFOLD_BIN", workspace.binary());
    }
    let mut tally = Tally::default();
    let ended = lines(&mut cargo, Duration::from_secs(40 * 60), |line| {
        println!("{line}");
        count(line, &mut tally);
    });
    match ended {
        Ended::Ok => {}
        Ended::TimedOut => tally.add(Tally::fail("tests: longer than 40 minutes")),
        Ended::Failed if tally.ok() => tally.add(Tally::fail("tests: cargo test failed; see above")),
        Ended::Failed => {}
    }
    tally
}

/// Reads one line of libtest: `test NAME ... FAILED`, or `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(line: &str, tally: &mut Tally) {
    if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
        tally.failures.push(format!("tests: {name}"));
    }
    if let Some(rest) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored")) {
        tally.skips.push(format!("tests: {} is ignored{}", rest.0, rest.1));
    }
    if let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
        tally.passed += counts.split(' ').next().and_then(|passed| passed.parse().ok()).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_lines_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test a::d ... ignored, needs a server",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            count(line, &mut tally);
        }
        assert_eq!(tally.line(), "13 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["tests: a::c"]);
        assert_eq!(tally.skips, ["tests: a::d is ignored, needs a server"]);
    }
}
