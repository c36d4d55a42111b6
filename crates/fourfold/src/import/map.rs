//! Tables to entities: names, types, keys and relations, and what has no form in a model.

use std::collections::BTreeSet;

use fourfold_model::names;
use rusqlite::Connection;

use super::introspect::{Column, Foreign, Source, Table, quote};

/// An entity of the model to write.
#[derive(Clone, Debug)]
pub struct Entity {
    pub name: String,
    pub table: String,
    pub members: Vec<Member>,
    pub indexes: Vec<Index>,
    pub uniques: Vec<Vec<String>>,
}

/// Fields, each with whether it descends.
pub type Index = Vec<(String, bool)>;

/// A line of an entity.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub ty: String,
    pub attributes: Vec<String>,
}

/// What a database comes to.
#[derive(Debug)]
pub struct Mapped {
    pub entities: Vec<Entity>,
    /// What was left out or changed, for people.
    pub notes: Vec<String>,
}

/// Maps every table.
pub fn map(source: &Source) -> rusqlite::Result<Mapped> {
    let mut notes: Vec<String> = source.left_out.iter().map(|what| format!("{what} has no form in a model and was left out")).collect();
    let mut entities = Vec::new();
    for table in &source.tables {
        entities.push(Mapper { source, table, notes: &mut notes }.entity()?);
    }
    inverses(source, &mut entities);
    Ok(Mapped { entities, notes })
}

/// `invoice_line`, `InvoiceLine` and `invoice lines` as a type: `InvoiceLine`.
fn type_name(table: &str) -> String {
    let snake = field_name(table);
    snake.split('_').map(capital).collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A column's name as a field: snake case, plain letters.
fn field_name(column: &str) -> String {
    let plain: String = column.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut name = names::snake(&plain);
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    let name = name.trim_matches('_').to_owned();
    let reserved =
        matches!(name.as_str(), "old" | "new" | "caller" | "channel" | "in" | "true" | "false" | "null" | "id" | "revision" | "cursor");
    match name.chars().next() {
        Some(first) if first.is_ascii_lowercase() && !reserved => name,
        Some(first) if first.is_ascii_lowercase() => format!("{name}_field"),
        _ => format!("f_{name}"),
    }
}

struct Mapper<'a> {
    source: &'a Source,
    table: &'a Table,
    notes: &'a mut Vec<String>,
}

impl Mapper<'_> {
    fn entity(mut self) -> rusqlite::Result<Entity> {
        let mut members = vec![self.key()?];
        for column in &self.table.columns {
            if self.own_key() != Some(&column.name) {
                let member = self.member(column)?;
                members.push(member);
            }
        }
        let (indexes, uniques) = self.indexes();
        Ok(Entity { name: type_name(&self.table.name), table: self.table.name.clone(), members, indexes, uniques })
    }

    /// The one column that is the key, where there is one and it is not a relation too.
    fn own_key(&self) -> Option<&str> {
        let mut keys = self.table.columns.iter().filter(|column| column.key > 0);
        let first = keys.next()?;
        let plain = keys.next().is_none() && self.foreign(first).is_none();
        plain.then_some(first.name.as_str())
    }

    fn key(&mut self) -> rusqlite::Result<Member> {
        let column = self.own_key().and_then(|name| self.table.columns.iter().find(|column| column.name == name));
        let Some(column) = column else {
            self.notes.push(format!(
                "`{}` has no key of one column, so `{}` gets an `id` of its own",
                self.table.name,
                type_name(&self.table.name)
            ));
            return Ok(Member { name: "id".into(), ty: "Int".into(), attributes: vec!["@key".into(), "@default(next())".into()] });
        };
        let (ty, _) = self.scalar(column)?;
        let mut attributes = vec!["@key".to_owned()];
        match ty.as_str() {
            "Int" | "BigInt" => attributes.push("@default(next())".into()),
            "Uuid" => attributes.push("@default(uuid7())".into()),
            "String" => {}
            other => self.notes.push(format!(
                "the key `{}.{}` is a {other}, which cannot be a key; it is taken as a String",
                self.table.name, column.name
            )),
        }
        let ty = if matches!(ty.as_str(), "Int" | "BigInt" | "Uuid") { ty } else { "String".into() };
        if column.name != "id" {
            attributes.push(format!("@column({:?})", column.name));
        }
        Ok(Member { name: "id".into(), ty, attributes })
    }

    fn foreign(&self, column: &Column) -> Option<&Foreign> {
        let known = |table: &str| self.source.tables.iter().any(|other| other.name.eq_ignore_ascii_case(table));
        self.table
            .foreign
            .iter()
            .find(|key| key.columns.len() == 1 && key.columns[0].eq_ignore_ascii_case(&column.name) && known(&key.table))
    }

    fn member(&mut self, column: &Column) -> rusqlite::Result<Member> {
        let (name, ty, mut attributes, own_column) = match self.foreign(column) {
            Some(key) => {
                let name = relation_name(&column.name);
                let own = format!("{name}_id");
                let on_delete = match key.on_delete.as_str() {
                    "CASCADE" => vec!["@relation(delete: cascade)".to_owned()],
                    "SET NULL" => vec!["@relation(delete: null)".to_owned()],
                    _ => Vec::new(),
                };
                (name, type_name(&key.table), on_delete, own)
            }
            None => {
                let (ty, attributes) = self.scalar(column)?;
                let name = field_name(&column.name);
                (name.clone(), ty, attributes, name)
            }
        };
        if column.name != own_column {
            attributes.push(format!("@column({:?})", column.name));
        }
        Ok(Member { name, ty: format!("{ty}{}", if column.nullable { "?" } else { "" }), attributes })
    }

    /// A column's type, with the constraints that its declaration and its rows bear out.
    fn scalar(&mut self, column: &Column) -> rusqlite::Result<(String, Vec<String>)> {
        let declared = column.declared.split('(').next().unwrap_or_default().trim();
        let sizes = sizes(&column.declared);
        let probe = Probe { connection: &self.source.connection, table: &self.table.name, column: &column.name };
        let integer =
            |probe: &Probe<'_>| Ok::<_, rusqlite::Error>(if probe.fits("BETWEEN -2147483648 AND 2147483647")? { "Int" } else { "BigInt" });
        Ok(match declared {
            "BOOL" | "BOOLEAN" => ("Boolean".into(), vec![]),
            "BIGINT" | "INT8" | "UNSIGNED BIG INT" => ("BigInt".into(), vec![]),
            _ if declared.contains("INT") => (integer(&probe)?.into(), vec![]),
            "NUMERIC" | "DECIMAL" => match sizes.as_slice() {
                [precision, scale] if *precision <= 18 && scale <= precision => (format!("Decimal({precision},{scale})"), vec![]),
                _ => {
                    self.notes.push(format!(
                        "`{}.{}` is `{}`; a Decimal has 1 to 18 digits, so it became a Float",
                        self.table.name, column.name, column.declared
                    ));
                    ("Float".into(), vec![])
                }
            },
            "REAL" | "FLOAT" | "DOUBLE" | "DOUBLE PRECISION" => ("Float".into(), vec![]),
            "DATETIME" | "TIMESTAMP" => ("DateTime".into(), vec![]),
            "DATE" => ("Date".into(), vec![]),
            "BLOB" => ("Bytes".into(), vec![]),
            "UUID" => ("Uuid".into(), vec![]),
            "JSON" | "JSONB" => ("Json".into(), vec![]),
            _ if declared.contains("CHAR") || declared.contains("TEXT") || declared.contains("CLOB") => {
                ("String".into(), self.length(column, &sizes, &probe)?)
            }
            _ => {
                self.notes.push(format!(
                    "`{}.{}` is declared `{}`, which is not known; it became a String",
                    self.table.name, column.name, column.declared
                ));
                ("String".into(), vec![])
            }
        })
    }

    fn length(&mut self, column: &Column, sizes: &[u32], probe: &Probe<'_>) -> rusqlite::Result<Vec<String>> {
        let Some(max) = sizes.first().filter(|max| **max > 0) else { return Ok(Vec::new()) };
        if probe.length_max()? > i64::from(*max) {
            self.notes
                .push(format!("`{}.{}` holds texts longer than its declared {max}, so it has no `@length`", self.table.name, column.name));
            return Ok(Vec::new());
        }
        Ok(vec![format!("@length(0..{max})")])
    }

    fn indexes(&mut self) -> (Vec<Index>, Vec<Vec<String>>) {
        let (mut indexes, mut uniques) = (Vec::new(), Vec::new());
        let keys: Vec<String> = {
            let mut keys: Vec<&Column> = self.table.columns.iter().filter(|column| column.key > 0).collect();
            keys.sort_by_key(|column| column.key);
            keys.iter().map(|column| self.stored(&column.name)).collect()
        };
        if self.own_key().is_none() && !keys.is_empty() {
            uniques.push(keys);
        }
        for index in &self.table.indexes {
            if index.partial {
                self.notes.push(format!("an index of `{}` on a part of its rows or on an expression was left out", self.table.name));
            } else if index.unique {
                uniques.push(index.columns.iter().map(|(name, _)| self.stored(name)).collect());
            } else {
                indexes.push(index.columns.iter().map(|(name, descends)| (self.stored(name), *descends)).collect());
            }
        }
        (indexes, uniques)
    }

    /// The field that a column became.
    fn stored(&self, column: &str) -> String {
        match self.table.columns.iter().find(|known| known.name == column) {
            _ if self.own_key() == Some(column) => "id".into(),
            Some(known) if self.foreign(known).is_some() => format!("{}_id", relation_name(column)),
            _ => field_name(column),
        }
    }
}

/// `CustomerId` leads to `customer`; `ReportsTo` is called so itself.
fn relation_name(column: &str) -> String {
    let name = names::snake(column);
    field_name(name.strip_suffix("_id").filter(|rest| !rest.is_empty()).unwrap_or(&name))
}

/// `(10,2)`.
fn sizes(declared: &str) -> Vec<u32> {
    let inner = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inner, _)| inner);
    inner.split(',').filter_map(|size| size.trim().parse().ok()).collect()
}

/// Asks the rows of one column.
struct Probe<'a> {
    connection: &'a Connection,
    table: &'a str,
    column: &'a str,
}

impl Probe<'_> {
    fn fits(&self, condition: &str) -> rusqlite::Result<bool> {
        let sql =
            format!("SELECT NOT EXISTS (SELECT 1 FROM {t} WHERE NOT ({c} {condition}))", t = quote(self.table), c = quote(self.column));
        self.connection.query_row(&sql, [], |row| row.get(0))
    }

    fn length_max(&self) -> rusqlite::Result<i64> {
        let sql = format!("SELECT coalesce(max(length({c})), 0) FROM {t}", t = quote(self.table), c = quote(self.column));
        self.connection.query_row(&sql, [], |row| row.get(0))
    }
}

/// Gives each target of a relation a view of the rows that lead to it.
fn inverses(source: &Source, entities: &mut [Entity]) {
    let mut views: Vec<(String, Member)> = Vec::new();
    for table in &source.tables {
        let from = type_name(&table.name);
        let targets: Vec<&Foreign> = table
            .foreign
            .iter()
            .filter(|key| key.columns.len() == 1 && source.tables.iter().any(|other| other.name.eq_ignore_ascii_case(&key.table)))
            .collect();
        for key in &targets {
            let relation = relation_name(&key.columns[0]);
            let alone = targets.iter().filter(|other| other.table.eq_ignore_ascii_case(&key.table)).count() == 1;
            let plural = names::plural(&names::snake(&from));
            let name = if alone { plural } else { format!("{plural}_by_{relation}") };
            let attributes = vec![format!("@relation(inverse: {relation})")];
            views.push((type_name(&key.table), Member { name, ty: format!("{from}[]"), attributes }));
        }
    }
    for (target, view) in views {
        if let Some(entity) = entities.iter_mut().find(|entity| entity.name == target) {
            let taken: BTreeSet<&str> = entity.members.iter().map(|member| member.name.as_str()).collect();
            let name = if taken.contains(view.name.as_str()) { format!("{}_here", view.name) } else { view.name.clone() };
            entity.members.push(Member { name, ..view });
        }
    }
}
