//! Model files, locks, filters and the layout of files. The first byte says which; nothing that people write makes any of them panic.
#![no_main]

use std::fmt::Write as _;
use std::sync::LazyLock;

use fourfold_model::{Loaded, Lock, Source, filter, format, load, render_diagnostics};
use libfuzzer_sys::fuzz_target;

const SHOP: &str = include_str!("../../crates/model/tests/models/shop.fourfold");
static LOADED: LazyLock<Loaded> = LazyLock::new(|| load(SHOP, &Lock::default()).expect("the shop loads"));

fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match choice % 4 {
        0 => model(text, &Lock::default()),
        1 => lock(text),
        2 => filters(text),
        _ => changed(text),
    }
});

/// What loads is formatted, and means the same afterwards; what does not is told, every mistake with a place in the text.
fn model(text: &str, old: &Lock) {
    let found = match load(text, old) {
        Ok(loaded) => {
            means_the_same(text, old, &loaded);
            loaded.warnings
        }
        Err(found) => {
            assert!(!found.is_empty(), "refused without a word");
            found
        }
    };
    assert!(found.iter().all(|one| one.span.end <= text.len() && one.line > 0));
    let _ = render_diagnostics(Source { name: "x", text }, &found, false);
}

fn means_the_same(text: &str, old: &Lock, loaded: &Loaded) {
    let locked = loaded.lock.to_text();
    assert_eq!(Lock::parse(&locked).as_ref(), Ok(&loaded.lock), "a lock round-trips");
    let formatted = format(text).expect("what loads has a layout");
    assert_eq!(format(&formatted).as_ref(), Ok(&formatted), "a formatted file stays");
    let again = load(&formatted, old).expect("a formatted file loads");
    assert_eq!(again.lock, loaded.lock);
    assert_eq!(shape(&again), shape(loaded));
    // A model beside its own lock changes nothing.
    assert_eq!(load(text, &loaded.lock).map(|again| again.lock.to_text()).as_ref(), Ok(&locked));
}

/// What the text's layout cannot change: all but rules' texts and lines.
fn shape(loaded: &Loaded) -> String {
    let model = &loaded.model;
    let mut out = format!("{:?} {:?} {:?} {:?} {:?}", model.claims, model.enums, model.owned, model.actions, model.channels);
    for entity in &model.entities {
        let rules: Vec<_> = entity.rules.iter().map(|rule| (&rule.verbs, &rule.expr, &rule.fields)).collect();
        let _ = write!(out, "{} {} {:?} {:?} {rules:?}", entity.name, entity.table, entity.fields, entity.relations);
    }
    out
}

/// A lock that can be read is written and read again, and a model can stand beside it.
fn lock(text: &str) {
    let Ok(lock) = Lock::parse(text) else { return };
    assert_eq!(Lock::parse(&lock.to_text()).as_ref(), Ok(&lock));
    if let Ok(loaded) = load(SHOP, &lock) {
        assert_eq!(Lock::parse(&loaded.lock.to_text()).as_ref(), Ok(&loaded.lock));
    }
}

fn filters(text: &str) {
    for (id, _) in LOADED.model.entity_ids() {
        if let Err(error) = filter(&LOADED.model, id, text) {
            assert!(error.at <= text.len() && !error.message.is_empty());
        }
    }
}

/// The shop with a piece of it replaced: deeper than what random bytes reach.
fn changed(text: &str) {
    let mut bytes = text.bytes();
    let at = bytes.by_ref().take(2).fold(0, |at, byte| at * 128 + usize::from(byte)) % SHOP.len();
    let length = usize::from(bytes.next().unwrap_or(0));
    let (Some(head), Some(tail)) = (SHOP.get(..at), SHOP.get((at + length).min(SHOP.len())..)) else { return };
    let Some(piece) = text.get(3..) else { return };
    model(&format!("{head}{piece}{tail}"), &LOADED.lock);
}
