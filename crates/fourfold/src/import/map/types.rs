//! A column's type: what it was declared, as far as its rows bear that out.

use fourfold_model::{Base, Model, Type};

use super::super::convert::convert;
use super::super::introspect::{Asked, Column, Source, Table};

/// Bytes of a text where nothing else is said: no longer `@length` is of use.
const LENGTH_MAX: u32 = 65_536;

/// A column's type, with the constraints that its declaration and its rows bear out.
pub fn scalar(source: &Source, table: &Table, column: &Column, notes: &mut Vec<String>) -> Asked<(String, Vec<String>)> {
    let probe = Probe::new(source, table, column);
    if let Some(element) = list_of(&column.declared)
        && probe.fits(element, true)?
    {
        return Ok((format!("{}[]", written(element)), Vec::new()));
    }
    let wanted = candidates(&column.declared);
    let base = probe.first_fit(&wanted)?;
    let (name, place) = (written(base), format!("`{}.{}`", table.name, column.name));
    match wanted.first() {
        None => notes.push(format!("{place} is declared `{}`, which is not known; it became a {name}", column.declared)),
        Some(first) if *first != base && !(*first == Base::Int && base == Base::BigInt) => {
            notes.push(format!("{place} is declared `{}` and holds other values; it became a {name}", column.declared));
        }
        Some(Base::Float) if is_exact(&column.declared) => {
            notes.push(format!("{place} is declared `{}`; a Decimal has 1 to 18 digits, so it became a Float", column.declared));
        }
        Some(_) => {}
    }
    let mut attributes = Vec::new();
    if let (Base::String, Some(max)) = (base, sizes(&column.declared).first().filter(|max| (1..=LENGTH_MAX).contains(*max))) {
        if probe.length_max()? > i64::from(*max) {
            notes.push(format!("{place} holds texts longer than its declared {max}, so it has no `@length`"));
        } else {
            attributes.push(format!("@length(0..{max})"));
        }
    }
    if source.in_place && column.declared == "SMALLINT" {
        attributes.extend(["@min(-32768)".to_owned(), "@max(32767)".to_owned()]);
    }
    if let Some(text) = &column.default {
        match default(base, text) {
            Some(attribute) => attributes.extend(attribute),
            None => notes.push(format!("{place} has the default `{text}`, which was left out")),
        }
    }
    Ok((name, attributes))
}

/// A key's type.
pub fn key(source: &Source, table: &Table, column: &Column, notes: &mut Vec<String>) -> Asked<&'static str> {
    let wanted = candidates(&column.declared);
    let base = Probe::new(source, table, column).first_fit(&keys(&wanted))?;
    if !wanted.first().is_some_and(|first| *first == base || *first == Base::Int && base == Base::BigInt) {
        let place = format!("`{}.{}`", table.name, column.name);
        notes.push(format!("the key {place} is declared `{}`; it is taken as a {}", column.declared, written(base)));
    }
    Ok(match base {
        Base::Int => "Int",
        Base::BigInt => "BigInt",
        Base::Uuid => "Uuid",
        _ => "String",
    })
}

/// Whether every row's value can be a key.
pub fn is_key(source: &Source, table: &Table, column: &Column) -> Asked<bool> {
    let fit = Probe::new(source, table, column).fit(&keys(&candidates(&column.declared)))?;
    Ok(fit.is_some())
}

/// The type of a list's elements: of one that a model can have.
fn list_of(declared: &str) -> Option<Base> {
    candidates(declared.strip_suffix("[]")?).first().copied().filter(|base| !matches!(base, Base::Bytes | Base::Json))
}

fn keys(wanted: &[Base]) -> Vec<Base> {
    let mut keys: Vec<Base> = wanted.iter().copied().filter(|base| matches!(base, Base::Int | Base::BigInt | Base::Uuid)).collect();
    keys.push(Base::String);
    keys
}

/// The types that a declaration may mean, the best first; none for one that is not known.
fn candidates(declared: &str) -> Vec<Base> {
    let word = word(declared);
    match word {
        // What ends in `INT` is a whole number, but not these.
        "POINT" | "INTERVAL" => Vec::new(),
        _ if declared.ends_with("[]") => Vec::new(),
        "BOOL" | "BOOLEAN" => vec![Base::Boolean, Base::Int],
        "BIGINT" | "INT8" | "UNSIGNED BIG INT" => vec![Base::BigInt, Base::Float],
        _ if is_exact(declared) => match sizes(declared).as_slice() {
            [precision @ 1..=18, scale] if scale <= precision => {
                vec![Base::Decimal { precision: *precision as u8, scale: *scale as u8 }, Base::Float]
            }
            [precision @ 1..=18] => vec![Base::Decimal { precision: *precision as u8, scale: 0 }, Base::Float],
            _ => vec![Base::Float],
        },
        "REAL" | "FLOAT" | "DOUBLE" | "DOUBLE PRECISION" => vec![Base::Float],
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP WITHOUT TIME ZONE" => vec![Base::DateTime],
        "DATE" => vec![Base::Date, Base::DateTime],
        "BLOB" | "BYTEA" => vec![Base::Bytes],
        "UUID" => vec![Base::Uuid],
        "JSON" | "JSONB" => vec![Base::Json],
        _ if word.contains("INT") => vec![Base::Int, Base::BigInt, Base::Float],
        _ if ["CHAR", "TEXT", "CLOB"].iter().any(|part| word.contains(part)) => vec![Base::String],
        _ => Vec::new(),
    }
}

/// Before its sizes.
fn word(declared: &str) -> &str {
    declared.split('(').next().unwrap_or_default().trim()
}

fn is_exact(declared: &str) -> bool {
    matches!(word(declared), "NUMERIC" | "DECIMAL")
}

fn written(base: Base) -> String {
    match base {
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        other => format!("{other:?}"),
    }
}

/// `(10,2)`.
fn sizes(declared: &str) -> Vec<u32> {
    let inner = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inner, _)| inner);
    inner.split(',').filter_map(|size| size.trim().parse().ok()).collect()
}

/// A default as an attribute, or that there is none; `None` when a model cannot say it.
fn default(base: Base, sql: &str) -> Option<Option<String>> {
    let text = sql.trim();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = match (base, text.to_ascii_uppercase().as_str()) {
        (_, "NULL") => return Some(None),
        (Base::DateTime, "CURRENT_TIMESTAMP" | "NOW()") => "now()".to_owned(),
        (Base::Boolean, "0" | "FALSE") => "false".to_owned(),
        (Base::Boolean, "1" | "TRUE") => "true".to_owned(),
        (Base::Int, number) if digits(number) && number.parse::<i32>().is_ok() => number.to_owned(),
        (Base::BigInt, number) if digits(number) && number.parse::<i64>().is_ok() => number.to_owned(),
        (Base::String, _) => {
            let inner = text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'");
            serde_json::Value::from(inner).to_string()
        }
        _ => return None,
    };
    Some(Some(format!("@default({value})")))
}

/// Asks the rows of one column.
pub struct Probe<'a> {
    source: &'a Source,
    table: &'a Table,
    column: &'a Column,
}

impl<'a> Probe<'a> {
    pub fn new(source: &'a Source, table: &'a Table, column: &'a Column) -> Probe<'a> {
        Probe { source, table, column }
    }

    /// The first type that every value has; a text, or bytes, where none is. Rows that even these do not take are refused by name later.
    fn first_fit(&self, wanted: &[Base]) -> Asked<Base> {
        Ok(self.fit(wanted)?.or(wanted.first().copied()).unwrap_or(Base::String))
    }

    /// The first type that every value has, a text and bytes being the last.
    fn fit(&self, wanted: &[Base]) -> Asked<Option<Base>> {
        for base in wanted.iter().chain(&[Base::String, Base::Bytes]) {
            if self.fits(*base, false)? {
                return Ok(Some(*base));
            }
        }
        Ok(None)
    }

    fn fits(&self, base: Base, list: bool) -> Asked<bool> {
        let (model, ty) = (Model::default(), Type { base, nullable: true, list });
        let mut all = true;
        self.source.rows.each(self.table, &[self.column], &mut |cells| {
            all = cells.iter().all(|cell| convert(&model, ty, *cell).is_ok());
            all
        })?;
        Ok(all)
    }

    pub fn has_nulls(&self) -> Asked<bool> {
        self.source.rows.has_nulls(self.table, self.column)
    }

    fn length_max(&self) -> Asked<i64> {
        self.source.rows.length_max(self.table, self.column)
    }
}
