//! The pages about models: each block marked as a model loads, without an error.

#![allow(clippy::expect_used)]

use std::path::Path;

use fourfold_model::{Lock, Source, load, render_diagnostics};

#[test]
fn every_model_of_the_pages_loads() {
    let counts: Vec<usize> = ["model.md", "rules.md"].into_iter().map(check).collect();
    assert_eq!(counts, [6, 2], "blocks that begin with ```text model");
}

/// The count of the page's models.
fn check(page: &str) -> usize {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)).expect("readable");
    let blocks = text.split("```text model\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks
        .inspect(|block| {
            if let Err(found) = load(block, &Lock::default()) {
                panic!("{}", render_diagnostics(Source { name: page, text: block }, &found, false));
            }
        })
        .count()
}
