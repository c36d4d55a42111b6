//! `cargo xtask fuzz`: every target of `fuzz/` for some seconds. A crash leaves its input in `fuzz/artifacts`.

use std::path::PathBuf;
use std::process::Command;

use crate::process;
use crate::workspace::Workspace;

const CARGO_FUZZ: &str = "0.13.2";

/// `[--seconds N] [TARGET…]`; whether no target crashed.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    let (seconds, named) = parse(arguments)?;
    let program = cargo_fuzz(workspace)?;
    let targets = if named.is_empty() { targets(workspace)? } else { named };
    let mut crashed = Vec::new();
    for target in &targets {
        println!("\n== fuzz {target} for {seconds} s");
        if !fuzz(workspace, &program, target, seconds) {
            crashed.push(target.as_str());
        }
    }
    println!("\n{} passed, {} failed", targets.len() - crashed.len(), crashed.len());
    crashed.iter().for_each(|target| println!("failed: {target}"));
    Ok(crashed.is_empty())
}

fn parse(arguments: &[String]) -> Result<(u64, Vec<String>), String> {
    let mut seconds = 60;
    let mut named = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let value = rest.next().and_then(|value| value.parse().ok());
            seconds = value.ok_or("`--seconds` wants a number of seconds")?;
        } else {
            named.push(argument.clone());
        }
    }
    Ok((seconds, named))
}

/// The names of the `[[bin]]`s, from the files.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root.join("fuzz").join("fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

/// libFuzzer needs flags that stable rustc hides; `RUSTC_BOOTSTRAP` shows them. No sanitizer: it would need a std of its own.
fn fuzz(workspace: &Workspace, program: &PathBuf, target: &str, seconds: u64) -> bool {
    let mut command = Command::new(program);
    command.args(["fuzz", "run", "--sanitizer", "none", target]).current_dir(workspace.root.join("fuzz"));
    command.args(["--", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"]).arg(format!("-max_total_time={seconds}"));
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", workspace.target.join("fuzz"));
    process::run(&mut command)
}

fn cargo_fuzz(workspace: &Workspace) -> Result<PathBuf, String> {
    let home = workspace.target.join("tools").join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = home.join("bin").join("cargo-fuzz");
    if !program.is_file() {
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--locked", "--root"]).arg(&home).arg(format!("cargo-fuzz@{CARGO_FUZZ}"));
        if !process::run(&mut cargo) {
            return Err("cargo-fuzz cannot be installed".to_owned());
        }
    }
    Ok(program)
}
