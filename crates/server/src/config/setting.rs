//! A setting: its name, its default, and what its text may be.

use std::time::Duration;

use toml::Value;

/// What a setting's text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// A host and a port.
    Address,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// `10s`, `250ms`, `5m`, `7d`.
    Duration,
    /// `512MiB`, `10GiB`.
    Size,
    /// Texts; in the environment and in flags with commas between them.
    List,
    /// Names and values.
    Table,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.key`.
    pub name: &'static str,
    /// What it is when nobody says otherwise; empty: unset.
    pub default: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// The unit of a number.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// A setting, in a table of them.
pub(super) const fn setting(name: &'static str, default: &'static str, kind: Kind, unit: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, kind, unit, meaning }
}

impl Kind {
    /// A value of the file as the text that the environment would have; `None` when it is of the wrong type.
    pub(super) fn text_of(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Kind::Boolean, Value::Boolean(value)) => Some(value.to_string()),
            (Kind::Number, Value::Integer(number)) => Some(number.to_string()),
            (Kind::List, Value::Array(items)) => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
            (Kind::Table, Value::Table(table)) => serde_json::to_string(table).ok(),
            (Kind::Boolean | Kind::Number | Kind::Table, _) => None,
            (_, Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// Whether it is a text of this kind.
    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Kind::Text | Kind::Path | Kind::List | Kind::Table => true,
            Kind::Address => {
                text == "off" || text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            }
            Kind::Boolean => matches!(text, "true" | "false"),
            Kind::Number => text.parse::<u64>().is_ok_and(|number| u32::try_from(number).is_ok()),
            Kind::Duration => duration(text).is_some(),
            Kind::Size => size(text).is_some(),
            Kind::OneOf(choices) => choices.contains(&text),
        }
    }

    /// What a text of this kind looks like, for who gave another.
    pub(super) fn expected(self) -> String {
        match self {
            Kind::Text => "a text".into(),
            Kind::Path => "a path".into(),
            Kind::Address => "an address such as `127.0.0.1:8080`".into(),
            Kind::Boolean => "`true` or `false`".into(),
            Kind::Number => "a whole number up to 4294967295".into(),
            Kind::Duration => "a duration such as `10s`, `250ms` or `5m`".into(),
            Kind::Size => "a size such as `512MiB` or `10GiB`".into(),
            Kind::List => "a list of texts".into(),
            Kind::Table => "a table such as `{ roles = [\"admin\"] }`".into(),
            Kind::OneOf(choices) => format!("one of {}", quoted(choices)),
        }
    }
}

/// `` `a`, `b` ``.
pub(super) fn quoted(choices: &[&str]) -> String {
    choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
}

/// Texts with commas between them.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// `0B`, `512MiB`, `10GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(at);
    let one: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    one.checked_mul(digits.parse().ok()?)
}

/// `10s`, `250ms`, `5m`, `1h`, `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(at);
    let count: u32 = digits.parse().ok()?;
    let one = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        _ => return None,
    };
    one.checked_mul(count)
}
