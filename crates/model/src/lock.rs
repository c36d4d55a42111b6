//! `fourfold.lock`: what must never change by accident — numbers, plurals, tables and columns.
//!
//! Sorted text, one line a name, so that version control merges it. A number that was given is never given again.

mod merge;
mod numbers;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use smol_str::SmolStr;

pub(crate) use merge::{Wish, Wishes, merge};

/// What `fourfold.lock` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Entities and owned types by name; their numbers come from one space.
    pub types: BTreeMap<SmolStr, LockedType>,
    /// Enums by name.
    pub enums: BTreeMap<SmolStr, LockedEnum>,
    /// Numbers of removed entities and owned types, with the names they had.
    pub reserved: BTreeMap<u32, SmolStr>,
}

/// An entity or an owned type in the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedType {
    /// Whether it is an owned type.
    pub owned: bool,
    /// Its number.
    pub number: u32,
    /// An entity's plural; empty for an owned type.
    pub plural: SmolStr,
    /// Its table.
    pub table: SmolStr,
    /// Its fields and relations by name.
    pub members: BTreeMap<SmolStr, LockedMember>,
    /// Numbers of removed fields and relations, with the names they had.
    pub reserved: BTreeMap<u32, SmolStr>,
}

/// A field or a relation in the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedMember {
    /// Its protobuf number.
    pub number: u32,
    /// A field's column; `None` for a relation.
    pub column: Option<SmolStr>,
}

/// An enum in the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedEnum {
    /// Its values by name.
    pub values: BTreeMap<SmolStr, LockedMember>,
    /// Numbers of removed values, with the names they had.
    pub reserved: BTreeMap<u32, SmolStr>,
}

const HEAD: &str = "# Kept by fourfold beside the model: commit it. A number that was given is never given again.\n";

/// Protobuf's greatest field number.
const NUMBER_MAX: u32 = 536_870_911;

impl Lock {
    /// Reads the text of a lock; the error names its line.
    pub fn parse(text: &str) -> Result<Lock, String> {
        unresolved(text)?;
        let mut lock = Lock::default();
        let mut lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).collect();
        lines.retain(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        // Types and enums first: a member's line may stand before its owner's after a merge.
        lines.sort_by_key(|(_, line)| !(line.starts_with("entity ") || line.starts_with("owned ") || line.starts_with("enum ")));
        for (at, line) in lines {
            lock.line(line).map_err(|reason| format!("line {at}: {reason}"))?;
        }
        numbers::check(&lock)?;
        Ok(lock)
    }

    /// The lock's text: sorted, one line a name.
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for (name, of) in &self.types {
            type_lines(name, of, &mut lines);
        }
        for (name, of) in &self.enums {
            lines.push(format!("enum {name}"));
            for (value, member) in &of.values {
                lines.push(format!("value {name}.{value} {}{}", member.number, attribute("column", member.column.as_deref())));
            }
            reserved_lines(&format!("{name}."), &of.reserved, &mut lines);
        }
        reserved_lines("", &self.reserved, &mut lines);
        lines.sort();
        let mut text = HEAD.to_string();
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words = split_words(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["enum", name] => self.enum_line(name),
            [kind @ ("entity" | "owned"), name, number, rest @ ..] => self.type_line(*kind == "owned", name, number, rest),
            [kind @ ("field" | "relation" | "value"), path, number, rest @ ..] => self.member_line(kind, path, number, rest),
            ["reserved", path, number] => self.reserved_line(path, number),
            _ => Err(format!("`{line}` is no line of a lock")),
        }
    }

    fn enum_line(&mut self, name: &str) -> Result<(), String> {
        let name = parse_name(name)?;
        match self.types.contains_key(&name) {
            true => Err(format!("`{name}` is both a type and an enum; keep the lines of the one that the model has")),
            false => {
                self.enums.entry(name).or_default();
                Ok(())
            }
        }
    }

    fn type_line(&mut self, owned: bool, name: &str, number: &str, rest: &[&str]) -> Result<(), String> {
        known_attributes(rest, if owned { &["table"] } else { &["plural", "table"] })?;
        let plural = attribute_of("plural", rest).map(parse_name).transpose()?.unwrap_or_default();
        let table = SmolStr::new(attribute_of("table", rest).unwrap_or_default());
        let of = LockedType { owned, number: parse_number(number)?, plural, table, ..LockedType::default() };
        let name = parse_name(name)?;
        if self.enums.contains_key(&name) {
            return Err(format!("`{name}` is both a type and an enum; keep the lines of the one that the model has"));
        }
        match self.types.insert(name.clone(), of) {
            None => Ok(()),
            Some(_) => Err(twice(&name)),
        }
    }

    fn member_line(&mut self, kind: &str, path: &str, number: &str, rest: &[&str]) -> Result<(), String> {
        let (owner, name) = path.split_once('.').ok_or_else(|| format!("`{path}` has no `.`"))?;
        known_attributes(rest, if kind == "relation" { &[] } else { &["column"] })?;
        let column = (kind != "relation").then(|| SmolStr::new(attribute_of("column", rest).unwrap_or(name)));
        let member = LockedMember { number: parse_number(number)?, column };
        let members = match kind {
            "value" => self.enums.get_mut(owner).map(|of| &mut of.values),
            _ => self.types.get_mut(owner).map(|of| &mut of.members),
        };
        let members = members.ok_or_else(|| format!("`{owner}` has no line of its own"))?;
        match members.insert(parse_name(name)?, member) {
            None => Ok(()),
            Some(_) => Err(twice(path)),
        }
    }

    fn reserved_line(&mut self, path: &str, number: &str) -> Result<(), String> {
        let number = parse_number(number)?;
        let (reserved, name) = match path.split_once('.') {
            None => (Some(&mut self.reserved), path),
            Some((owner, name)) => {
                let of_type = self.types.get_mut(owner).map(|of| &mut of.reserved);
                (of_type.or(self.enums.get_mut(owner).map(|of| &mut of.reserved)), name)
            }
        };
        let reserved = reserved.ok_or_else(|| format!("`{path}` has an owner without a line of its own"))?;
        // Both branches of a merge may have removed the same name.
        match reserved.insert(number, parse_name(name)?).filter(|other| other != name) {
            None => Ok(()),
            Some(other) => {
                Err(format!("number {number} is reserved for both `{other}` and `{name}`: keep the line of the one that had it"))
            }
        }
    }
}

/// Told before anything else: what stands between the marks is told wrong otherwise.
fn unresolved(text: &str) -> Result<(), String> {
    let marks = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
    match text.lines().position(|line| marks.iter().any(|mark| line.starts_with(mark))) {
        None => Ok(()),
        Some(at) => Err(format!("line {}: a merge conflict is not resolved here; keep the lines of both sides", at + 1)),
    }
}

fn twice(name: &str) -> String {
    format!("`{name}` stands here twice; keep the line that is in use")
}

fn type_lines(name: &str, of: &LockedType, lines: &mut Vec<String>) {
    let table = attribute("table", Some(&of.table));
    lines.push(match of.owned {
        true => format!("owned {name} {}{table}", of.number),
        false => format!("entity {name} {}{}{table}", of.number, attribute("plural", Some(&of.plural))),
    });
    for (member, locked) in &of.members {
        let kind = if locked.column.is_some() { "field" } else { "relation" };
        lines.push(format!("{kind} {name}.{member} {}{}", locked.number, attribute("column", locked.column.as_deref())));
    }
    reserved_lines(&format!("{name}."), &of.reserved, lines);
}

fn reserved_lines(prefix: &str, reserved: &BTreeMap<u32, SmolStr>, lines: &mut Vec<String>) {
    lines.extend(reserved.iter().map(|(number, name)| format!("reserved {prefix}{name} {number}")));
}

/// ` name=value`, quoted as JSON when it is not a plain word.
fn attribute(name: &str, value: Option<&str>) -> String {
    let Some(value) = value else { return String::new() };
    let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!(" {name}={value}") } else { format!(" {name}={}", serde_json::Value::from(value)) }
}

fn attribute_of<'a>(name: &str, words: &[&'a str]) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn known_attributes(words: &[&str], known: &[&str]) -> Result<(), String> {
    for word in words {
        let name = word.split_once('=').filter(|(name, value)| known.contains(name) && !value.is_empty());
        if name.is_none() {
            let known = known.iter().map(|name| format!("`{name}=…`")).collect::<Vec<_>>().join(" or ");
            let expected = if known.is_empty() { "nothing".to_owned() } else { known };
            return Err(format!("`{word}` after the number; expected {expected}"));
        }
    }
    Ok(())
}

/// Names are the model's: letters, digits and `_`.
fn parse_name(text: &str) -> Result<SmolStr, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits { Ok(SmolStr::new(text)) } else { Err(format!("`{text}` is no name")) }
}

fn parse_number(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if (1..=NUMBER_MAX).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is no number from 1 to {NUMBER_MAX}")),
    }
}

/// Words between spaces; the value of an attribute may be a JSON string.
fn split_words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find([' ', '"']).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(end);
        let mut word = head.to_string();
        rest = tail;
        if rest.starts_with('"') {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(text)) = stream.next() else { return Err("a quoted name does not end".to_string()) };
            word.push_str(&text);
            rest = rest.get(stream.byte_offset()..).unwrap_or("");
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}
