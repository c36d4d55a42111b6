//! Models that are cut, doubled and mixed: none of them panics, and what is refused is refused with a word and a place.

#![allow(clippy::expect_used)]

use std::path::Path;

use fourfold_model::{Lock, Source, format, load, render_diagnostics};

#[test]
fn a_model_cut_anywhere_is_told() {
    let text = model("shop");
    let cuts = text.char_indices().map(|(at, _)| at).step_by(23);
    cuts.for_each(|at| check(text.get(..at).unwrap_or_default()));
}

#[test]
fn a_model_without_any_one_of_its_lines_is_told() {
    for name in ["shop", "attributes"] {
        let text = model(name);
        let lines: Vec<&str> = text.lines().collect();
        for gone in 0..lines.len() {
            let rest: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line).collect();
            check(&rest.join("\n"));
        }
    }
}

#[test]
fn a_model_with_a_stray_sign_is_told() {
    let text = model("attributes");
    for sign in ["{", "}", "(", ")", "[", "\"", "@", "@@", "?", ".", "..", "é", "\0", "///", "-", "60s", "null"] {
        for at in text.char_indices().map(|(at, _)| at).step_by(499) {
            let (head, tail) = text.split_at(at);
            check(&format!("{head}{sign}{tail}"));
        }
    }
}

/// Loads, formats and renders; what loads is the same after it is formatted.
fn check(text: &str) {
    let found = match load(text, &Lock::default()) {
        Ok(loaded) => {
            let formatted = format(text).expect("what loads has a layout");
            let again = load(&formatted, &Lock::default()).expect("and loads again");
            assert_eq!(again.lock, loaded.lock, "{text}");
            loaded.warnings
        }
        Err(found) => {
            assert!(!found.is_empty(), "refused without a word: {text}");
            found
        }
    };
    assert!(found.iter().all(|one| one.line > 0 && text.is_char_boundary(one.span.start) && one.span.end <= text.len()), "{text}");
    let _ = render_diagnostics(Source { name: "x", text }, found.get(..3).unwrap_or(&found), false);
}

fn model(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    std::fs::read_to_string(folder.join(name).with_extension("fourfold")).expect("readable")
}
