//! The tables that a model asks for, as plain values that can be written down, compared and created.
//!
//! Tables and columns are known by their lock numbers, so a rename is seen as one. Columns carry no NOT NULL and no CHECK: `settle`
//! is the one place that judges values, and a constraint that may be dropped later would cost a rebuilt table.

use std::fmt::Write as _;

use fourfold_model::{Base, Default as FieldDefault, Entity, Field, Model, OwnedType, Type, Value};

use super::{put_name, put_text, quoted};

/// Every table of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// In the model's order: entities, then owned types.
    pub tables: Vec<TableSchema>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// The lock number of the entity or owned type.
    pub number: u32,
    /// Whether it holds elements of owned lists.
    pub owned: bool,
    /// Its name.
    pub name: String,
    /// Its columns; an entity's key first.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub indexes: Vec<Index>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The field's lock number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it holds: `Int`, `Decimal(12,2)`, `String[]`.
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// The literal that rows without a value get, where the model gives one. Not written down.
    pub fill: Option<String>,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Whether no two rows may be alike in it.
    pub unique: bool,
    /// Its columns by number, and whether each descends.
    pub columns: Vec<(u32, bool)>,
}

impl Schema {
    /// What a model asks for.
    pub fn of(model: &Model) -> Schema {
        let entities = model.entities.iter().map(|entity| TableSchema::of_entity(model, entity));
        let owned = model.owned.iter().map(|owned| TableSchema::of_owned(model, owned));
        Schema { tables: entities.chain(owned).collect() }
    }

    /// The schema as text, one line a thing, fields parted by tabs.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for table in &self.tables {
            let form = if table.owned { "owned" } else { "entity" };
            let _ = writeln!(out, "table\t{}\t{form}\t{}", table.number, table.name);
            for column in &table.columns {
                let null = if column.nullable { "null" } else { "required" };
                let _ = writeln!(out, "column\t{}\t{}\t{null}\t{}", column.number, column.kind, column.name);
            }
            for index in &table.indexes {
                let form = if index.unique { "unique" } else { "index" };
                let columns =
                    index.columns.iter().map(|(number, descending)| if *descending { format!("-{number}") } else { number.to_string() });
                let _ = writeln!(out, "{form}\t{}", columns.collect::<Vec<_>>().join(","));
            }
        }
        out
    }

    /// Reads what [`Schema::to_text`] wrote; `None` when it is something else.
    pub fn from_text(text: &str) -> Option<Schema> {
        let mut schema = Schema::default();
        for line in text.lines() {
            let (word, rest) = line.split_once('\t')?;
            match word {
                "table" => schema.tables.push(table_line(rest)?),
                "column" => schema.tables.last_mut()?.columns.push(column_line(rest)?),
                "unique" | "index" => schema.tables.last_mut()?.indexes.push(index_line(rest, word == "unique")?),
                _ => return None,
            }
        }
        Some(schema)
    }
}

fn table_line(rest: &str) -> Option<TableSchema> {
    let mut parts = rest.splitn(3, '\t');
    let number = parts.next()?.parse().ok()?;
    let owned = parts.next()? == "owned";
    Some(TableSchema { number, owned, name: parts.next()?.to_owned(), columns: Vec::new(), indexes: Vec::new() })
}

fn column_line(rest: &str) -> Option<Column> {
    let mut parts = rest.splitn(4, '\t');
    let number = parts.next()?.parse().ok()?;
    let kind = parts.next()?.to_owned();
    let nullable = parts.next()? == "null";
    Some(Column { number, name: parts.next()?.to_owned(), kind, nullable, fill: None })
}

fn index_line(rest: &str, unique: bool) -> Option<Index> {
    let columns = rest.split(',').map(|part| match part.strip_prefix('-') {
        Some(number) => number.parse().ok().map(|number| (number, true)),
        None => part.parse().ok().map(|number| (number, false)),
    });
    Some(Index { unique, columns: columns.collect::<Option<_>>()? })
}

impl TableSchema {
    fn of_entity(model: &Model, entity: &Entity) -> TableSchema {
        TableSchema {
            number: entity.number,
            owned: false,
            name: entity.table.to_string(),
            columns: columns(model, &entity.fields),
            indexes: indexes(entity),
        }
    }

    fn of_owned(model: &Model, owned: &OwnedType) -> TableSchema {
        let columns = columns(model, &owned.fields);
        TableSchema { number: owned.number, owned: true, name: owned.table.to_string(), columns, indexes: Vec::new() }
    }

    /// The column with this number.
    pub fn column(&self, number: u32) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// `CREATE TABLE`, without its indexes.
    pub fn create(&self) -> String {
        let mut out = format!("CREATE TABLE {} (", quoted(&self.name));
        if self.owned {
            out.push_str("_owner INTEGER NOT NULL, _parent ANY NOT NULL, _ordinal INTEGER NOT NULL, ");
        }
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            put_name(&mut out, &column.name);
            out.push(' ');
            out.push_str(column.storage());
            if index == 0 && !self.owned {
                // INTEGER PRIMARY KEY is the row's own number: a look-up by key is one descent.
                out.push_str(if column.storage() == "INTEGER" { " PRIMARY KEY" } else { " NOT NULL PRIMARY KEY" });
            }
        }
        out.push_str(if self.owned { ", PRIMARY KEY (_owner, _parent, _ordinal)) STRICT, WITHOUT ROWID" } else { ") STRICT" });
        out
    }

    /// `CREATE INDEX`.
    pub fn create_index(&self, index: &Index) -> String {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let mut out = format!("CREATE {unique}INDEX {} ON {} (", quoted(&self.index_name(index)), quoted(&self.name));
        let mut following = false;
        for (number, descending) in &index.columns {
            let Some(column) = self.column(*number) else { continue };
            if following {
                out.push_str(", ");
            }
            following = true;
            put_name(&mut out, &column.name);
            if *descending {
                out.push_str(" DESC");
            }
        }
        out.push(')');
        out
    }

    /// The index's name: by numbers, which no rename changes.
    pub fn index_name(&self, index: &Index) -> String {
        let mut out = format!("{}:{}", if index.unique { "unique" } else { "index" }, self.number);
        for (number, descending) in &index.columns {
            let _ = write!(out, ":{}{number}", if *descending { "-" } else { "" });
        }
        out
    }
}

impl Column {
    /// SQLite's storage class of what it holds.
    pub fn storage(&self) -> &'static str {
        storage(&self.kind)
    }
}

/// SQLite's storage class of a kind.
pub(super) fn storage(kind: &str) -> &'static str {
    match kind {
        _ if kind.ends_with("[]") => "TEXT",
        "Boolean" | "Int" | "BigInt" | "DateTime" | "Date" => "INTEGER",
        "Float" => "REAL",
        "Uuid" | "Bytes" => "BLOB",
        _ if kind.starts_with("Decimal") => "INTEGER",
        _ => "TEXT",
    }
}

fn columns(model: &Model, fields: &[Field]) -> Vec<Column> {
    let stored = fields.iter().filter(|field| !matches!(field.ty.base, Base::Owned(_)));
    stored
        .map(|field| Column {
            number: field.number,
            name: field.column.to_string(),
            kind: kind(model, field.ty),
            nullable: field.ty.nullable,
            fill: fill(model, field),
        })
        .collect()
}

/// The type as the model writes it.
fn kind(model: &Model, ty: Type) -> String {
    let one = match ty.base {
        Base::String => "String".into(),
        Base::Boolean => "Boolean".into(),
        Base::Int => "Int".into(),
        Base::BigInt => "BigInt".into(),
        Base::Float => "Float".into(),
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        Base::DateTime => "DateTime".into(),
        Base::Date => "Date".into(),
        Base::Uuid => "Uuid".into(),
        Base::Bytes => "Bytes".into(),
        Base::Json => "Json".into(),
        Base::Enum(id) => format!("enum {}", model.enumeration(id).name),
        Base::Owned(id) => format!("owned {}", model.owned(id).name),
    };
    if ty.list { one + "[]" } else { one }
}

/// What a new column holds in rows that are there already.
fn fill(model: &Model, field: &Field) -> Option<String> {
    if field.ty.list {
        return Some("'[]'".into());
    }
    let Some(FieldDefault::Literal(value)) = &field.default else { return None };
    match value {
        Value::Boolean(value) => Some(if *value { "1".into() } else { "0".into() }),
        Value::Int(number) | Value::DateTime(number) => Some(number.to_string()),
        Value::Date(days) => Some(days.to_string()),
        Value::Float(number) => Some(format!("{number:?}")),
        Value::Decimal(decimal) => Some(decimal.unscaled.to_string()),
        Value::Text(text) => Some(literal(text)),
        Value::Json(text) => Some(literal(text)),
        Value::Uuid(bytes) => Some(blob(bytes)),
        Value::Bytes(bytes) => Some(blob(bytes)),
        Value::Enum(number) => match field.ty.base {
            Base::Enum(id) => model.enumeration(id).by_number(*number).map(|value| literal(&value.column)),
            _ => None,
        },
        Value::Null | Value::List(_) | Value::Owned(_) => None,
    }
}

fn literal(text: &str) -> String {
    let mut out = String::new();
    put_text(&mut out, text);
    out
}

fn blob(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

/// `@@unique`, `@@index` and every relation's column. Those that do not make rows unique end in the key, so that a page in their order needs no sorting.
fn indexes(entity: &Entity) -> Vec<Index> {
    let number = |id: fourfold_model::FieldId| entity.field(id).number;
    let mut indexes: Vec<Index> = Vec::new();
    for unique in &entity.uniques {
        indexes.push(Index { unique: true, columns: unique.iter().map(|id| (number(*id), false)).collect() });
    }
    for index in &entity.indexes {
        let columns = index.fields.iter().map(|(id, descending)| (number(*id), *descending)).collect();
        add(&mut indexes, entity, columns);
    }
    for field in entity.fields.iter().filter(|field| field.relation.is_some()) {
        let leads = |index: &Index| index.columns.first().is_some_and(|(first, _)| *first == field.number);
        // A unique index on the column alone serves as well; a longer one has another order after it.
        if !indexes.iter().any(|index| leads(index) && (index.columns.len() == 1 || !index.unique)) {
            add(&mut indexes, entity, vec![(field.number, false)]);
        }
    }
    indexes
}

fn add(indexes: &mut Vec<Index>, entity: &Entity, mut columns: Vec<(u32, bool)>) {
    let Some(key) = entity.fields.first() else { return };
    let whole_number_key = matches!(key.ty.base, Base::Int | Base::BigInt);
    // A whole-number key is in every index already: it is the row's own number.
    if !whole_number_key && !columns.iter().any(|(number, _)| *number == key.number) {
        columns.push((key.number, false));
    }
    let index = Index { unique: false, columns };
    if !indexes.contains(&index) {
        indexes.push(index);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_schema_is_read_back_as_it_was_written() {
        let schema = Schema {
            tables: vec![TableSchema {
                number: 3,
                owned: false,
                name: "odd name".into(),
                columns: vec![
                    Column { number: 1, name: "id".into(), kind: "Uuid".into(), nullable: false, fill: None },
                    Column { number: 4, name: "price".into(), kind: "Decimal(12,2)".into(), nullable: true, fill: None },
                ],
                indexes: vec![Index { unique: false, columns: vec![(4, true), (1, false)] }],
            }],
        };
        assert_eq!(Schema::from_text(&schema.to_text()), Some(schema));
        assert_eq!(Schema::from_text("what\tis this"), None);
    }

    #[test]
    fn an_index_is_named_by_numbers() {
        let table = TableSchema {
            number: 3,
            owned: false,
            name: "t".into(),
            columns: vec![Column { number: 4, name: "a\"b".into(), kind: "Int".into(), nullable: false, fill: None }],
            indexes: Vec::new(),
        };
        let index = Index { unique: true, columns: vec![(4, true)] };
        assert_eq!(table.create_index(&index), r#"CREATE UNIQUE INDEX "unique:3:-4" ON "t" ("a""b" DESC)"#);
        assert_eq!(table.create(), r#"CREATE TABLE "t" ("a""b" INTEGER PRIMARY KEY) STRICT"#);
    }
}
