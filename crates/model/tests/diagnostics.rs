//! What is told of models with mistakes, as people read it. A line of `tests/diagnostics/*.fourfold` that ends in `//~` has one error,
//! `//~w` one warning, `//~n` one note; no other line has any, so that one mistake is told once.

#![allow(clippy::expect_used)]

use std::path::{Path, PathBuf};

use fourfold_model::{Diagnostic, Lock, Severity, Source, load, render_diagnostics};

#[test]
fn each_mistake_is_told_once_in_its_line() {
    let files = files("tests/diagnostics");
    assert!(files.len() > 10, "{files:?}");
    let faults: Vec<String> = files.iter().flat_map(|file| check(file)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Renders against the snapshot beside the file; gives the lines whose marks are not what was told.
fn check(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("readable");
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let lock = std::fs::read_to_string(file.with_extension("lock")).unwrap_or_default();
    let found = match load(&text, &Lock::parse(&lock).expect("a lock")) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    };
    let rendered = render_diagnostics(Source { name, text: &text }, &found, false);
    let rendered: Vec<&str> = rendered.lines().map(str::trim_end).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("diagnostics");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let stem = name.trim_end_matches(".fourfold");
    settings.bind(|| insta::assert_snapshot!(stem, rendered.join("\n")));
    (1..).zip(text.lines()).filter_map(|(line, text)| marks(name, line, text, &found)).collect()
}

fn marks(name: &str, line: u32, text: &str, found: &[Diagnostic]) -> Option<String> {
    let expected: Vec<Severity> = match text.split_once("//~") {
        None => Vec::new(),
        Some((_, marks)) => marks.trim().split(' ').map(severity).collect(),
    };
    let here: Vec<&Diagnostic> = found.iter().filter(|one| one.line == line).collect();
    let told: Vec<Severity> = here.iter().map(|one| one.severity).collect();
    let messages: Vec<&str> = here.iter().map(|one| one.message.as_str()).collect();
    (told != expected).then(|| format!("{name}:{line}: `{}`: {messages:?}", text.trim()))
}

fn severity(mark: &str) -> Severity {
    match mark {
        "w" => Severity::Warning,
        "n" => Severity::Note,
        _ => Severity::Error,
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "fourfold"));
    files.sort();
    files
}
