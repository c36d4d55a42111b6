//! The pure crates (`model`, `op`, `plan`, and `store`'s `sql`) do no I/O, read no clock, use no randomness and spawn nothing.

use std::path::Path;

use super::{Fault, code};
use crate::workspace::Workspace;

const PURE: &[&str] = &["crates/model/src", "crates/op/src", "crates/plan/src", "crates/store/src/sql"];

/// What such a crate may not name, and whose work it is.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::fs", "files are read by the binary"),
    ("std::net", "sockets belong to the server"),
    ("std::process", "processes belong to the binary"),
    ("std::env", "settings are read by the server"),
    ("std::thread", "threads belong to the stores and the engine"),
    ("std::io::std", "output belongs to the binary"),
    ("Instant::now", "take a `Moment`, or a `Deadline`"),
    (".elapsed()", "take a `Moment`, or a `Deadline`"),
    ("SystemTime", "take a `Moment`"),
    ("Timestamp::now", "take a `Moment`"),
    ("Zoned::now", "take a `Moment`"),
    ("now_v7", "take a `Moment`"),
    ("new_v4", "take a `Moment`"),
    ("getrandom", "take a `Moment`"),
    ("rand::", "take a `Moment`"),
    ("tokio", "a pure crate is not asynchronous"),
    ("println!", "output belongs to the binary"),
    ("eprintln!", "output belongs to the binary"),
    ("dbg!", "output belongs to the binary"),
];

/// All sources of the pure crates.
pub fn check(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for file in workspace.files()?.iter().filter(|file| is_pure(file)) {
        let source = std::fs::read_to_string(workspace.root.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
        faults.extend(in_source(&source).into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.display())));
    }
    Ok(faults)
}

fn is_pure(file: &Path) -> bool {
    let is_test = file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
    file.extension().is_some_and(|extension| extension == "rs") && PURE.iter().any(|folder| file.starts_with(folder)) && !is_test
}

fn in_source(source: &str) -> Vec<(usize, String)> {
    let code = code::only(source);
    let lines = code.lines().enumerate();
    lines.flat_map(|(at, line)| named(line).map(move |(what, whose)| (at + 1, format!("`{what}` in a pure crate; {whose}")))).collect()
}

fn named(line: &str) -> impl Iterator<Item = &(&'static str, &'static str)> {
    FORBIDDEN.iter().filter(move |(what, _)| line.match_indices(what).any(|(at, _)| !ends_a_word(&line[..at]) && !goes_on(line, at, what)))
}

fn ends_a_word(before: &str) -> bool {
    before.ends_with(|last: char| last.is_alphanumeric() || last == '_')
}

fn goes_on(line: &str, at: usize, what: &str) -> bool {
    let is_type = what.starts_with(char::is_uppercase) && !what.contains(':');
    is_type && line[at + what.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
}

#[cfg(test)]
mod tests {
    use super::in_source;

    #[test]
    fn a_clock_is_seen_and_a_word_like_it_is_not() {
        assert_eq!(in_source("let at = Instant::now();")[0].0, 1);
        assert_eq!(in_source("\nuse std::fs::File; println!(\"x\");").len(), 2);
        assert_eq!(in_source("fn Instantaneous() {} // std::fs\n#[cfg(test)]\nmod tests { use std::fs; }\nlet operand::X = 1;"), []);
    }
}
