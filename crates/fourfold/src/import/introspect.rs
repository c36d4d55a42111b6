//! What a source database says of itself, and how its rows are asked: the same for every kind of source.

use crate::failure::Failure;

/// A table of the source.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub foreign: Vec<Foreign>,
    pub indexes: Vec<TableIndex>,
    /// Columns that the source computes.
    pub generated: Vec<String>,
    /// `CHECK` and `COLLATE`, where its declaration has them.
    pub clauses: Vec<&'static str>,
    pub rows: u64,
}

/// A column of the source.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// As declared, in capitals: `NVARCHAR(160)`.
    pub declared: String,
    pub nullable: bool,
    /// Its place in the primary key, from 1; 0: not in it.
    pub key: usize,
    /// As SQL writes it.
    pub default: Option<String>,
    /// Whether the source numbers it, where nobody says a number.
    pub counted: bool,
    /// Whether it is Fourfold's own.
    pub kept: bool,
}

/// A foreign key.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub columns: Vec<String>,
    pub table: String,
    /// The column that it names there; `None`: the key.
    pub to: Option<String>,
    /// `CASCADE`, `SET NULL`, …
    pub on_delete: String,
    /// Whether the source holds every row to it.
    pub checked: bool,
}

/// An index that someone made.
#[derive(Clone, Debug)]
pub struct TableIndex {
    pub name: String,
    pub columns: Vec<(String, bool)>,
    pub unique: bool,
    /// Of a part of the rows, or of expressions: it has no form in a model.
    pub partial: bool,
}

/// What a database holds.
pub struct Source {
    pub rows: Box<dyn Rows>,
    pub tables: Vec<Table>,
    /// Views, triggers and the like, by name: they have no form in a model.
    pub left_out: Vec<String>,
    /// Whether its tables are to be served as they are: columns keep their names, and what rows hold is what was declared.
    pub in_place: bool,
}

/// A value as a source has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// What goes wrong while a source is asked.
pub type Asked<T> = Result<T, Failure>;

/// Asks the rows of a source.
pub trait Rows {
    /// Hands on some columns of every row, in the order of the key, until `take` says that it has enough.
    fn each(&self, table: &Table, columns: &[&Column], take: &mut dyn FnMut(&[Cell<'_>]) -> bool) -> Asked<()>;

    /// Whether a column holds a null.
    fn has_nulls(&self, table: &Table, column: &Column) -> Asked<bool>;

    /// The most characters of a column's texts.
    fn length_max(&self, table: &Table, column: &Column) -> Asked<i64>;

    /// How many rows of a column lead to no row of another table's.
    fn orphans(&self, from: (&Table, &str), to: (&Table, &str)) -> Asked<i64>;
}

/// `SELECT count(*)` of the rows of a column that lead to no row of another's.
pub fn orphans_text(from: (&Table, &str), to: (&Table, &str)) -> String {
    format!(
        "SELECT count(*) FROM {t} f WHERE f.{c} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {other} WHERE {other}.{key} = f.{c})",
        t = quote(&from.0.name),
        c = quote(from.1),
        other = quote(&to.0.name),
        key = quote(to.1)
    )
}

/// `SELECT` of some columns of every row, in the order of the key.
pub fn rows_text(table: &Table, columns: &[String]) -> String {
    let mut keys: Vec<&Column> = table.columns.iter().filter(|column| column.key > 0).collect();
    keys.sort_by_key(|column| column.key);
    let keys: Vec<String> = keys.iter().map(|column| quote(&column.name)).collect();
    let order = if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) };
    format!("SELECT {} FROM {}{order}", columns.join(", "), quote(&table.name))
}

/// A name as SQL writes it.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
