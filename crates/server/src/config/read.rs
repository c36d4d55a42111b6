//! Reading the texts of the settings from the file, the environment and the flags.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::sink::{SINK_SETTINGS, SinkTexts};
use super::table::{Kind, SETTINGS, Setting};
use super::{ConfigError, Source, Texts};

/// What carries events out; it may stand several times.
const SINK: &str = "sink";
/// Sections of later versions: they are known, and refused by name where they would matter.
const LATER: &[&str] = &["source", "handler"];
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
        if section == SINK && is_tables(&value) {
            return self.sinks(value);
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

    /// Each `[[sink]]`.
    fn sinks(&mut self, value: Value) {
        for sink in value.as_array().into_iter().flatten().filter_map(Value::as_table) {
            let mut texts = SinkTexts::default();
            for (key, value) in sink {
                let Some(setting) = SINK_SETTINGS.iter().find(|setting| setting.name == key) else {
                    let names: Vec<String> = SINK_SETTINGS.iter().map(|setting| setting.name.to_owned()).collect();
                    self.errors.push(format!("unknown setting `{key}` of a `[[sink]]`{}", nearest(&names, key)));
                    continue;
                };
                match text_of(setting.kind, value).filter(|text| is_valid(setting.kind, text)) {
                    Some(text) => drop(texts.given.insert(setting.name, text)),
                    None => self.errors.push(format!("`{key}` of a `[[sink]]` must be {}, not `{value}`", expected(setting.kind))),
                }
            }
            self.texts.sinks.push(texts);
        }
    }

    fn take(&mut self, setting: &Setting, value: Value) {
        match text_of(setting.kind, &value) {
            Some(text) => self.give(setting, text, Source::File),
            None => self.errors.push(format!("`{}` must be {}, not `{value}`", setting.name, expected(setting.kind))),
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
        if is_valid(setting.kind, &text) {
            self.texts.given.insert(setting.name, (text, source));
        } else {
            self.errors.push(format!("`{}` must be {}, not `{text}` ({source})", setting.name, expected(setting.kind)));
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
    let known = sections().chain(LATER.iter().copied()).chain([SINK]).map(|known| (distance(known, name), known)).min();
    let near = known.filter(|(distance, _)| *distance <= 3.min(name.len() / 3 + 1));
    let near = near.map_or_else(String::new, |(_, known)| format!("; did you mean `{}`?", bracketed(known, SEVERAL.contains(&known))));
    format!("unknown section `{}`{near}", bracketed(name, several))
}

fn nearest(names: &[String], name: &str) -> String {
    let best = names.iter().map(|known| (distance(known, name), known)).min();
    match best {
        Some((distance, known)) if distance <= 3.max(name.len() / 3) => format!("; did you mean `{known}`?"),
        _ => String::new(),
    }
}

/// How many letters must be added, dropped or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, to) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(from != *to)).min(left + 1).min(*slot + 1);
            diagonal = *slot;
            *slot = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A value of the file as the text that the environment would have; `None` when it is of the wrong type.
fn text_of(kind: Kind, value: &Value) -> Option<String> {
    match (kind, value) {
        (Kind::Boolean, Value::Boolean(value)) => Some(value.to_string()),
        (Kind::Number, Value::Integer(number)) => Some(number.to_string()),
        (Kind::List, Value::Array(items)) => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        (Kind::Table, Value::Table(table)) => serde_json::to_string(table).ok(),
        (Kind::Boolean | Kind::Number | Kind::Table, _) => None,
        (_, Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn is_valid(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Text | Kind::Path | Kind::List | Kind::Table => true,
        Kind::Address => text == "off" || text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()),
        Kind::Boolean => matches!(text, "true" | "false"),
        Kind::Number => text.parse::<u64>().is_ok_and(|number| u32::try_from(number).is_ok()),
        Kind::Duration => super::values::duration(text).is_some(),
        Kind::Size => super::values::size(text).is_some(),
        Kind::OneOf(choices) => choices.contains(&text),
    }
}

fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".into(),
        Kind::Path => "a path".into(),
        Kind::Address => "an address such as `127.0.0.1:8080`".into(),
        Kind::Boolean => "`true` or `false`".into(),
        Kind::Number => "a whole number up to 4294967295".into(),
        Kind::Duration => "a duration such as `10s`, `250ms` or `5m`".into(),
        Kind::Size => "a size such as `512MiB` or `10GiB`".into(),
        Kind::List => "a list of texts".into(),
        Kind::Table => "a table such as `{ roles = [\"admin\"] }`".into(),
        Kind::OneOf(choices) => format!("one of {}", choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")),
    }
}
