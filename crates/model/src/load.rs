//! The whole way from text to a [`Model`].

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::diagnostics::{self, Diagnostic, Severity};
use crate::lock::Lock;
use crate::model::Model;
use crate::parse::parse_file;
use crate::resolve::resolve;

/// A model file may have so many bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A model without errors, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The lock as it should be written beside it.
    pub lock: Lock,
    /// Warnings and notes, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a model from its text and the lock that stands beside it.
///
/// # Errors
/// Every error of the text at once, in its order, warnings among them.
pub fn load(text: &str, lock: &Lock) -> Result<Loaded, Vec<Diagnostic>> {
    if text.len() > TEXT_BYTES_MAX {
        let label = format!("expected at most {TEXT_BYTES_MAX} bytes");
        return Err(diagnostics::settle(text, vec![Diagnostic::error(0..0, format!("a model of {} bytes", text.len()), label)]));
    }
    let (file, _, mut found) = parse_file(text);
    // A file whose package cannot be read is hardly a model: the errors of the rest would mislead.
    if file.package.is_empty() && file.items.is_empty() {
        return Err(diagnostics::settle(text, found));
    }
    let (resolver, lock) = resolve(&file, text, lock);
    found.extend(resolver.diagnostics);
    let found = diagnostics::settle(text, found);
    if found.iter().any(|one| one.severity == Severity::Error) {
        return Err(found);
    }
    let mut model = resolver.model;
    model.fingerprint = fingerprint(text, &lock);
    Ok(Loaded { model, lock, warnings: found })
}

/// A hash of the text and the lock. Two texts that mean the same differ by it, which costs no more than a reload.
fn fingerprint(text: &str, lock: &Lock) -> u64 {
    // `DefaultHasher::new` has fixed keys; the hash is compared within one build alone.
    let mut hasher = DefaultHasher::new();
    (text, lock.to_text()).hash(&mut hasher);
    hasher.finish()
}
