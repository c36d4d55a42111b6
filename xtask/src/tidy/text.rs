//! Lengths of files, and words that have no place in the repository.

use std::path::Path;

use super::Fault;
use crate::workspace::Workspace;

const LENGTH_TO_TELL: usize = 400;
const LENGTH_MAX: usize = 800;

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// Words that name somebody's machine, or something left undone. This file alone may hold them.
const WORDS: &[(&str, &str)] = &[
    (concat!("/", "work", "/"), "a path of one machine"),
    (concat!("/", "root", "/"), "a path of one machine"),
    (concat!("/", "home", "/"), "a path of one machine"),
    (concat!("/", "Users", "/"), "a path of one machine"),
    ("registry.npmjs", "a registry's address"),
    ("pypi.org", "a registry's address"),
    ("files.pythonhosted", "a registry's address"),
    ("proxy.golang", "a registry's address"),
    ("repo.maven", "a registry's address"),
    ("static.crates.io", "a registry's address"),
    (concat!("SPE", "C` §"), "a document that is not in the repository"),
    (concat!("DESIG", "N` §"), "a document that is not in the repository"),
];

/// Words that say of Rust code that it is not done.
const UNDONE: &[&str] = &["todo!(", "unimplemented!(", "FIXME", "XXX", "#[ignore"];

/// No source over 800 lines; over 400 it is told.
pub fn lengths(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for (file, text) in sources(workspace, &["rs"])? {
        let lines = text.lines().count();
        if lines > LENGTH_MAX && !LONG.iter().any(|(name, _)| *name == file) {
            faults
                .push(format!("{file}: {lines} lines, at most {LENGTH_MAX}: split it, or say in xtask/src/tidy/text.rs why it is a table"));
        } else if lines > LENGTH_TO_TELL {
            println!("note {file}: {lines} lines; {LENGTH_TO_TELL} is what one reads at once");
        }
    }
    Ok(faults)
}

/// No forbidden word in any text file.
pub fn words(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    const TEXTS: &[&str] = &[
        "rs", "md", "toml", "json", "js", "mjs", "ts", "py", "sh", "html", "css", "fourfold", "lock", "txt", "yaml", "yml", "proto",
        "graphql", "run",
    ];
    let mut faults = Vec::new();
    for (file, text) in sources(workspace, TEXTS)? {
        if file == "xtask/src/tidy/text.rs" {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            faults.extend(in_line(&file, line).map(|why| format!("{file}:{}: {why}", at + 1)));
        }
    }
    Ok(faults)
}

fn in_line(file: &str, line: &str) -> Option<String> {
    let named = WORDS.iter().find(|(word, _)| line.contains(word)).map(|(word, why)| format!("`{word}`: {why}"));
    let undone =
        || UNDONE.iter().find(|word| file.ends_with(".rs") && line.contains(**word)).map(|word| format!("`{word}`: something undone"));
    named.or_else(undone)
}

/// The text files with one of these endings (a file without one counts by its name), as (name, text).
fn sources(workspace: &Workspace, endings: &[&str]) -> Result<Vec<(String, String)>, String> {
    let chosen = workspace.files()?.into_iter().filter(|file| ending(file).is_some_and(|ending| endings.contains(&ending)));
    chosen
        .map(|file| {
            let text = std::fs::read(workspace.root.join(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
            Ok((file.to_string_lossy().into_owned(), String::from_utf8_lossy(&text).into_owned()))
        })
        .collect()
}

fn ending(file: &Path) -> Option<&str> {
    file.extension().or_else(|| file.file_name()).and_then(|name| name.to_str())
}

#[cfg(test)]
mod tests {
    use super::in_line;

    #[test]
    fn words_of_a_machine_and_undone_code_are_told() {
        assert!(in_line("docs/a.md", concat!("see /", "root", "/x")).is_some());
        assert!(in_line("a.rs", "    todo!()").is_some());
        assert!(in_line("a.md", "`todo!()` is refused").is_none());
        assert!(in_line("a.rs", "let root = \"/\";").is_none());
    }
}
