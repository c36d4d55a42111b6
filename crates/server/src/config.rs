//! Settings: `fourfold.toml`, then the environment, then flags.
//!
//! One table, [`SETTINGS`], lists every setting. The parser, `fourfold config` and the page of the documentation are all made from it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

mod kafka;
mod markdown;
mod read;
mod section;
mod setting;
mod sink;
mod source;
mod table;
mod values;

pub use kafka::Cluster;
pub use markdown::markdown;
pub use read::{Flags, Read, read};
pub use section::SectionTexts;
pub use setting::{Kind, Setting};
pub use sink::{KafkaConfig, SINK_SETTINGS, SinkConfig, SinkTarget};
pub use source::{KafkaSourceConfig, SOURCE_SETTINGS, SourceConfig, SourceOrigin};
pub use table::SETTINGS;
pub use values::{Config, DatabaseUrl, LogFormat, StoreUrl, Visibility};

/// Where a setting's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said otherwise.
    Default,
    /// The settings file.
    File,
    /// This variable of the environment.
    Environment(String),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File => f.write_str("fourfold.toml"),
            Source::Environment(name) => write!(f, "{name}"),
            Source::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// Every wrong setting at once.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// The texts of all settings, each with where it comes from, before they are typed.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// By `section.key`; what is absent has its default.
    pub given: BTreeMap<&'static str, (String, Source)>,
    /// Those of each `[[sink]]`, in the order of the file.
    pub sinks: Vec<SectionTexts>,
    /// Those of each `[[source]]`, likewise.
    pub sources: Vec<SectionTexts>,
    /// Sections that this version does not serve yet, by name.
    pub unserved: Vec<String>,
    /// The folder that relative paths of the file start from.
    pub folder: PathBuf,
}

impl Texts {
    /// A setting's text, and where it comes from.
    pub fn text(&self, name: &str) -> (&str, Source) {
        match self.given.get(name) {
            Some((text, source)) => (text, source.clone()),
            None => (SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default), Source::Default),
        }
    }

    /// A path as it was meant: a flag's from where the command runs, any other from the folder of the settings.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let (text, source) = self.text(name);
        if text.is_empty() {
            return None;
        }
        Some(match source {
            Source::Flag(_) => PathBuf::from(text),
            _ => self.folder.join(Path::new(text)),
        })
    }
}

#[cfg(test)]
mod tests;
