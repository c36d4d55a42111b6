//! Reading the texts of the settings from the file, the environment and the flags.

use std::path::{Path, PathBuf};

use fourfold_model::names::closest;
use toml::{Table, Value};

use super::section::SectionTexts;
use super::setting::Setting;
use super::sink::SINK_SETTINGS;
use super::source::SOURCE_SETTINGS;
use super::table::SETTINGS;
use super::{ConfigError, Source, Texts};

/// What carries events out, and what brings rows in; each may stand several times.
const CONNECTORS: &[(&str, &[Setting])] = &[("sink", SINK_SETTINGS), ("source", SOURCE_SETTINGS)];
/// Sections of later versions: they are known, and refused by name where they would matter.
const LATER: &[&str] = &["handler"];
/// Those of them that may stand several times.
const SEVERAL: &[&str] = &["sink", "source", "handler"];
const LATER_KEYS: &[&str] = &["auth.jwks_url", "server.trusted_proxies"];

/// What flags say, by `section.key`, with the flag's own name.
pub type Flags = Vec<(&'static str, &'static str, String)>;

/// What was read.
pub struct Read {
    /// The texts.
    pub texts: Texts,
    /// The settings file, where there is one.
    pub file: Option<PathBuf>,
}

/// Reads the settings of the model in `folder`: `file`, else `fourfold.toml` there if it exists.
///
/// # Errors
/// Every wrong key and value, each with what would be right.
pub fn read(
    folder: &Path,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: Flags,
) -> Result<Read, ConfigError> {
    let path = file.map_or_else(|| folder.join("fourfold.toml"), Path::to_path_buf);
    let base = path.parent().map_or_else(|| folder.to_path_buf(), Path::to_path_buf);
    let mut reader = Reader { texts: Texts { folder: base, ..Texts::default() }, errors: Vec::new() };
    let found = reader.file(&path, file.is_some());
    reader.environment(environment);
    reader.flags(flags);
    if reader.errors.is_empty() { Ok(Read { texts: reader.texts, file: found }) } else { Err(ConfigError(reader.errors)) }
}

struct Reader {
    texts: Texts,
    errors: Vec<String>,
}

impl Reader {
    fn file(&mut self, path: &Path, required: bool) -> Option<PathBuf> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return None,
            Err(error) => {
                self.errors.push(format!("cannot read `{}`: {error}", path.display()));
                return None;
            }
        };
        match text.parse::<Table>() {
            Ok(table) => table.into_iter().for_each(|(name, value)| self.section(&name, value)),
            Err(error) => self.errors.push(format!("`{}` is not TOML: {error}", path.display())),
        }
        Some(path.to_path_buf())
    }

    fn section(&mut self, section: &str, value: Value) {
        if LATER.contains(&section) {
            self.texts.unserved.push(format!("[{section}]"));
            return;
        }
        if let Some((name, settings)) = CONNECTORS.iter().find(|(name, _)| *name == section)
            && is_tables(&value)
        {
            return self.connectors(name, settings, &value);
        }
        let (is_section, several) = (matches!(value, Value::Table(_)), is_tables(&value));
        if (is_section || several) && !sections().any(|known| known == section) {
            self.errors.push(unknown_section(section, several));
            return;
        }
        let Value::Table(table) = value else {
            self.errors.push(format!("`{section}` stands outside any section; settings stand under `[server]`, `[store]` and so on"));
            return;
        };
        for (key, value) in table {
            let name = format!("{section}.{key}");
            match SETTINGS.iter().find(|setting| setting.name == name) {
                Some(setting) => self.take(setting, value),
                None if LATER_KEYS.contains(&name.as_str()) => self.texts.unserved.push(name),
                None => self.errors.push(unknown(&name)),
            }
        }
    }

    /// Each `[[sink]]`, or each `[[source]]`.
    fn connectors(&mut self, section: &str, settings: &'static [Setting], value: &Value) {
        for connector in value.as_array().into_iter().flatten().filter_map(Value::as_table) {
            let mut texts = SectionTexts::new(settings);
            for (key, value) in connector {
                let Some(setting) = settings.iter().find(|setting| setting.name == key) else {
                    let names: Vec<String> = settings.iter().map(|setting| setting.name.to_owned()).collect();
                    self.errors.push(format!("unknown setting `{key}` of a `[[{section}]]`{}", nearest(&names, key)));
                    continue;
                };
                match setting.kind.text_of(value).filter(|text| setting.kind.takes(text)) {
                    Some(text) => drop(texts.given.insert(setting.name, text)),
                    None => self.errors.push(format!("`{key}` of a `[[{section}]]` must be {}, not `{value}`", setting.kind.expected())),
                }
            }
            let all = if section == "sink" { &mut self.texts.sinks } else { &mut self.texts.sources };
            all.push(texts);
        }
    }

    fn take(&mut self, setting: &Setting, value: Value) {
        match setting.kind.text_of(&value) {
            Some(text) => self.give(setting, text, Source::File),
            None => self.errors.push(format!("`{}` must be {}, not `{value}`", setting.name, setting.kind.expected())),
        }
    }

    fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("FOURFOLD_") else { continue };
            match SETTINGS.iter().find(|setting| variable(setting) == rest) {
                Some(setting) => self.give(setting, text, Source::Environment(name)),
                None => self.errors.push(format!(
                    "the environment has `{name}`, which is no setting{}",
                    nearest(&SETTINGS.iter().map(|s| format!("FOURFOLD_{}", variable(s))).collect::<Vec<_>>(), &name)
                )),
            }
        }
    }

    fn flags(&mut self, flags: Flags) {
        for (name, flag, text) in flags {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) {
                self.give(setting, text, Source::Flag(flag));
            }
        }
    }

    fn give(&mut self, setting: &Setting, text: String, source: Source) {
        if setting.kind.takes(&text) {
            self.texts.given.insert(setting.name, (text, source));
        } else {
            self.errors.push(format!("`{}` must be {}, not `{text}` ({source})", setting.name, setting.kind.expected()));
        }
    }
}

fn variable(setting: &Setting) -> String {
    setting.name.replace('.', "_").to_ascii_uppercase()
}

fn unknown(name: &str) -> String {
    let names: Vec<String> = SETTINGS.iter().map(|setting| setting.name.to_owned()).collect();
    format!("unknown setting `{name}`{}", nearest(&names, name))
}

/// `[server]`, `[store]`, …: of the settings.
fn sections() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().filter_map(|setting| setting.name.split_once('.')).map(|(section, _)| section)
}

/// Whether it is what `[[name]]` makes.
fn is_tables(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_table))
}

fn unknown_section(name: &str, several: bool) -> String {
    let bracketed = |name: &str, several: bool| if several { format!("[[{name}]]") } else { format!("[{name}]") };
    let near = closest(name, sections().chain(LATER.iter().copied()).chain(CONNECTORS.iter().map(|(name, _)| *name)));
    let near = near.map_or_else(String::new, |known| format!("; did you mean `{}`?", bracketed(known, SEVERAL.contains(&known))));
    format!("unknown section `{}`{near}", bracketed(name, several))
}

fn nearest(names: &[String], name: &str) -> String {
    match closest(name, names.iter().map(String::as_str)) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => String::new(),
    }
}
