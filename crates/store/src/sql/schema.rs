//! The tables that a model asks for, as plain values that can be written down, compared and created.
//!
//! Tables and columns are known by their lock numbers, so a rename is seen as one. Columns carry no NOT NULL and no CHECK: `settle`
//! is the one place that judges values, and a constraint that may be dropped later would cost a rebuilt table.

use std::fmt::Write as _;

use fourfold_model::{Base, Default as FieldDefault, Entity, Field, Model, OwnedType, Type, Value};

use super::dialect::{put_index_column, text_literal};
use super::{Dialect, put_name, quoted};

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
    /// What a model asks for; the literals are the dialect's.
    pub fn of(dialect: Dialect, model: &Model) -> Schema {
        let entities = model.entities.iter().map(|entity| TableSchema::of_entity(dialect, model, entity));
        let owned = model.owned.iter().map(|owned| TableSchema::of_owned(dialect, model, owned));
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
    fn of_entity(dialect: Dialect, model: &Model, entity: &Entity) -> TableSchema {
        TableSchema {
            number: entity.number,
            owned: false,
            name: entity.table.to_string(),
            columns: columns(dialect, model, &entity.fields),
            indexes: indexes(dialect, entity),
        }
    }

    fn of_owned(dialect: Dialect, model: &Model, owned: &OwnedType) -> TableSchema {
        let columns = columns(dialect, model, &owned.fields);
        TableSchema { number: owned.number, owned: true, name: owned.table.to_string(), columns, indexes: Vec::new() }
    }

    /// The column with this number.
    pub fn column(&self, number: u32) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// `CREATE TABLE`, without its indexes.
    pub fn create(&self, dialect: Dialect) -> String {
        let mut out = format!("CREATE TABLE {} (", quoted(&self.name));
        let mut following = false;
        if self.owned {
            out.push_str(match dialect {
                Dialect::Sqlite => "_owner INTEGER NOT NULL, _parent ANY NOT NULL, _ordinal INTEGER NOT NULL",
                Dialect::Postgres => "_owner int8 NOT NULL, _parent text COLLATE \"C\" NOT NULL, _ordinal int8 NOT NULL",
            });
            following = true;
        }
        for (index, column) in self.columns.iter().enumerate() {
            if std::mem::replace(&mut following, true) {
                out.push_str(", ");
            }
            put_name(&mut out, &column.name);
            out.push(' ');
            out.push_str(column.storage(dialect));
            if index == 0 && !self.owned && dialect == Dialect::Sqlite {
                // INTEGER PRIMARY KEY is the row's own number: a look-up by key is one descent.
                out.push_str(if column.storage(dialect) == "INTEGER" { " PRIMARY KEY" } else { " NOT NULL PRIMARY KEY" });
            }
        }
        self.put_end(dialect, &mut out);
        out
    }

    /// The end of a `CREATE TABLE`: the primary key, where no column says it.
    fn put_end(&self, dialect: Dialect, out: &mut String) {
        match (dialect, self.owned, self.columns.first()) {
            (Dialect::Sqlite, true, _) => out.push_str(", PRIMARY KEY (_owner, _parent, _ordinal)) STRICT, WITHOUT ROWID"),
            (Dialect::Sqlite, false, _) => out.push_str(") STRICT"),
            (Dialect::Postgres, true, _) => {
                out.push_str(&format!(", CONSTRAINT \"key:{}\" PRIMARY KEY (_owner, _parent, _ordinal))", self.number));
            }
            (Dialect::Postgres, false, Some(key)) => {
                out.push_str(&format!(", CONSTRAINT {} PRIMARY KEY ({}))", quoted(&self.key_name()), quoted(&key.name)));
            }
            (Dialect::Postgres, false, None) => out.push(')'),
        }
    }

    /// The name of the primary key's constraint, where it has one: by the table's number, like an index's.
    pub fn key_name(&self) -> String {
        format!("key:{}", self.number)
    }

    /// `CREATE INDEX`.
    pub fn create_index(&self, dialect: Dialect, index: &Index) -> String {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let mut out = format!("CREATE {unique}INDEX {} ON {} (", quoted(&self.index_name(index)), quoted(&self.name));
        let mut following = false;
        for (number, descending) in &index.columns {
            let Some(column) = self.column(*number) else { continue };
            if std::mem::replace(&mut following, true) {
                out.push_str(", ");
            }
            put_index_column(dialect, &mut out, &column.name, *descending);
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
    /// The type of what it holds in the database.
    pub fn storage(&self, dialect: Dialect) -> &'static str {
        dialect.storage(&self.kind)
    }
}

fn columns(dialect: Dialect, model: &Model, fields: &[Field]) -> Vec<Column> {
    let stored = fields.iter().filter(|field| !matches!(field.ty.base, Base::Owned(_)));
    stored
        .map(|field| Column {
            number: field.number,
            name: field.column.to_string(),
            kind: kind(model, field.ty),
            nullable: field.ty.nullable,
            fill: fill(dialect, model, field),
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
fn fill(dialect: Dialect, model: &Model, field: &Field) -> Option<String> {
    if field.ty.list {
        return Some(if dialect == Dialect::Sqlite { "'[]'" } else { "'{}'" }.into());
    }
    let Some(FieldDefault::Literal(value)) = &field.default else { return None };
    match (value, field.ty.base) {
        (Value::Enum(number), Base::Enum(id)) => model.enumeration(id).by_number(*number).map(|value| text_literal(&value.column)),
        _ => dialect.literal(value),
    }
}

/// `@@unique`, `@@index` and every relation's column. Those that do not make rows unique end in the key, so that a page in their order needs no sorting.
pub(super) fn indexes(dialect: Dialect, entity: &Entity) -> Vec<Index> {
    let number = |id: fourfold_model::FieldId| entity.field(id).number;
    let mut indexes: Vec<Index> = Vec::new();
    for unique in &entity.uniques {
        indexes.push(Index { unique: true, columns: unique.iter().map(|id| (number(*id), false)).collect() });
    }
    for index in &entity.indexes {
        let columns = index.fields.iter().map(|(id, descending)| (number(*id), *descending)).collect();
        add(dialect, &mut indexes, entity, columns);
    }
    for field in entity.fields.iter().filter(|field| field.relation.is_some()) {
        let leads = |index: &Index| index.columns.first().is_some_and(|(first, _)| *first == field.number);
        // A unique index on the column alone serves as well; a longer one has another order after it.
        if !indexes.iter().any(|index| leads(index) && (index.columns.len() == 1 || !index.unique)) {
            add(dialect, &mut indexes, entity, vec![(field.number, false)]);
        }
    }
    indexes
}

fn add(dialect: Dialect, indexes: &mut Vec<Index>, entity: &Entity, mut columns: Vec<(u32, bool)>) {
    let Some(key) = entity.fields.first() else { return };
    let whole_number_key = matches!(key.ty.base, Base::Int | Base::BigInt);
    // A whole-number key is in every index of SQLite already: it is the row's own number.
    let has_key = whole_number_key && dialect == Dialect::Sqlite || columns.iter().any(|(number, _)| *number == key.number);
    if !has_key {
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
        assert_eq!(table.create_index(Dialect::Sqlite, &index), r#"CREATE UNIQUE INDEX "unique:3:-4" ON "t" ("a""b" DESC)"#);
        assert_eq!(table.create(Dialect::Sqlite), r#"CREATE TABLE "t" ("a""b" INTEGER PRIMARY KEY) STRICT"#);
        let postgres = Dialect::Postgres;
        assert_eq!(table.create_index(postgres, &index), r#"CREATE UNIQUE INDEX "unique:3:-4" ON "t" ("a""b" DESC NULLS LAST)"#);
        assert_eq!(table.create(postgres), r#"CREATE TABLE "t" ("a""b" int4, CONSTRAINT "key:3" PRIMARY KEY ("a""b"))"#);
    }
}
