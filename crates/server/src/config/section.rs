//! Sections that may stand several times: `[[sink]]` and `[[source]]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::setting::{Setting, duration, size};

/// The texts of one such section.
#[derive(Clone, Debug)]
pub struct SectionTexts {
    settings: &'static [Setting],
    /// By key; what is absent has its default.
    pub given: BTreeMap<&'static str, String>,
}

impl SectionTexts {
    /// Nothing is given of these settings.
    pub(super) fn new(settings: &'static [Setting]) -> SectionTexts {
        SectionTexts { settings, given: BTreeMap::new() }
    }

    /// A setting's text, and whether the file has it.
    pub fn text(&self, name: &str) -> (&str, bool) {
        match self.given.get(name) {
            Some(text) => (text, true),
            None => (self.settings.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default), false),
        }
    }

    pub(super) fn of(&self, name: &str) -> &str {
        self.text(name).0
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        Some(self.of(name).to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn path(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        Some(self.of(name)).filter(|text| !text.is_empty()).map(|file| folder.join(file))
    }

    pub(super) fn time(&self, name: &str) -> Duration {
        duration(self.of(name)).unwrap_or_default()
    }

    pub(super) fn bytes(&self, name: &str) -> usize {
        size(self.of(name)).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default()
    }

    /// At least one.
    pub(super) fn count(&self, name: &str) -> usize {
        self.of(name).parse::<usize>().unwrap_or_default().max(1)
    }

    /// The name of the section, which metrics and records bear.
    pub(super) fn name(&self, section: &str) -> Result<String, String> {
        let name = self.of("name");
        let fits = (1..=48).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
        match fits {
            true => Ok(name.to_owned()),
            false => Err(format!("a `[[{section}]]` needs a `name` of 1 to 48 lower-case letters, digits, `_` and `-`, not `{name}`")),
        }
    }
}
