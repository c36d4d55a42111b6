//! Models that load: each of `tests/models/*.fourfold`, as it was understood, with its lock and its warnings.

#![allow(clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use fourfold_model::{Loaded, Lock, load};

#[test]
fn models_mean_what_they_say() {
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    files.iter().for_each(|file| check(file));
}

fn check(file: &Path) {
    let text = std::fs::read_to_string(file).expect("readable");
    let Loaded { model, lock, warnings } = load(&text, &Lock::default()).unwrap_or_else(|found| panic!("{}: {found:?}", file.display()));
    let warnings: Vec<String> = warnings.iter().map(|one| format!("{}: {}\n", one.line, one.message)).collect();
    let printed = format!("{}\n{}\n{}", common::print(&model), lock.to_text(), warnings.concat());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("models");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    settings.bind(|| insta::assert_snapshot!(stem, printed));
    // Beside its own lock a model is the same, and the lock stays.
    let again = load(&text, &Lock::parse(&lock.to_text()).expect("a lock")).expect("loads again");
    assert_eq!(again.lock, lock, "{stem}");
    assert_eq!(common::print(&again.model), common::print(&model), "{stem}");
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")).expect("a folder");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "fourfold"));
    files.sort();
    files
}
