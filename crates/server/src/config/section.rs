//! Sections that may stand several times: `[[sink]]` and `[[source]]`; what both have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fourfold_connect::Begin;
use serde_json::{Map, Value as Json};

use super::setting::{Kind, Setting, duration, setting, size};

pub(super) const NAME: Setting = setting(
    "name",
    "",
    Kind::Text,
    "",
    "its name, in metrics and messages; how far it came is kept under it, so a new name begins anew; lower case, digits, `_` and `-`",
);
pub(super) const CLAIMS: Setting = setting(
    "claims",
    "",
    Kind::Table,
    "",
    "who it is: the claims that a token would have, as a table; the rules of the model are applied to them",
);
pub(super) const BACKOFF: [Setting; 2] = [
    setting(
        "backoff_min",
        "100ms",
        Kind::Duration,
        "",
        "the first wait after a failure; each that follows is twice as long, and by chance up to half shorter",
    ),
    setting("backoff_max", "30s", Kind::Duration, "", "the longest wait after a failure"),
];

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

    /// Who it is.
    pub(super) fn claims(&self) -> Map<String, Json> {
        serde_json::from_str(self.of("claims")).unwrap_or_default()
    }

    /// Where it begins the first time.
    pub(super) fn begin(&self) -> Begin {
        if self.of("begin") == "now" { Begin::Now } else { Begin::First }
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

/// Types the sections of a kind, each with a name of its own.
pub(super) fn typed<T>(
    sections: &[SectionTexts],
    kind: &str,
    one: impl Fn(&SectionTexts) -> Result<T, String>,
    errors: &mut Vec<String>,
) -> Vec<T> {
    let (mut names, mut all) = (BTreeSet::new(), Vec::new());
    for section in sections {
        let name = section.of("name");
        match one(section) {
            Ok(_) if names.contains(name) => errors.push(format!("two {kind} are called `{name}`; each has a name of its own")),
            Ok(typed) => {
                names.insert(name);
                all.push(typed);
            }
            Err(error) => errors.push(error),
        }
    }
    all
}
