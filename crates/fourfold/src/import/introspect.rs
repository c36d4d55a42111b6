//! Reads what a SQLite database says of itself.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

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
#[derive(Debug)]
pub struct Source {
    pub connection: Connection,
    pub tables: Vec<Table>,
    /// Views, triggers and the like, by name: they have no form in a model.
    pub left_out: Vec<String>,
}

impl Source {
    /// Opens a database to read.
    pub fn open(file: &Path) -> rusqlite::Result<Source> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let (names, mut left_out) = tables(&connection)?;
        left_out.extend(texts(
            &connection,
            "SELECT type || ' `' || name || '`' FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name",
        )?);
        let tables = names.iter().map(|name| table(&connection, name)).collect::<rusqlite::Result<_>>()?;
        Ok(Source { connection, tables, left_out })
    }
}

/// The tables that have rows of their own, and the others by what they are.
fn tables(connection: &Connection) -> rusqlite::Result<(Vec<String>, Vec<String>)> {
    let sql = "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let (mut names, mut left_out) = (Vec::new(), Vec::new());
    for (name, kind) in list(connection, sql, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        match kind.as_str() {
            "table" if name.to_lowercase().starts_with("fourfold_") => left_out.push(format!("table `{name}`, which is a store's own,")),
            "table" => names.push(name),
            "virtual" => left_out.push(format!("virtual table `{name}`")),
            "shadow" => left_out.push(format!("table `{name}`, which belongs to a virtual table,")),
            _ => {}
        }
    }
    Ok((names, left_out))
}

fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn table(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let quoted = quote(name);
    // Columns that are hidden but for `table_xinfo` are generated.
    let all = list(connection, &format!("PRAGMA table_xinfo({quoted})"), column)?;
    let (columns, generated): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, hidden)| *hidden == 0);
    let mut indexes = Vec::new();
    for (index, unique, origin, partial) in list(connection, &format!("PRAGMA index_list({quoted})"), index)? {
        // The key's own index is the key.
        if origin != "pk" {
            let columns = list(connection, &format!("PRAGMA index_xinfo({})", quote(&index)), index_column)?;
            let plain: Vec<(String, bool)> =
                columns.iter().filter(|(_, _, key)| *key).filter_map(|(name, descends, _)| Some((name.clone()?, *descends))).collect();
            let expressions = columns.iter().any(|(name, _, key)| *key && name.is_none());
            indexes.push(TableIndex { name: index, columns: plain, unique, partial: partial || expressions });
        }
    }
    indexes.sort_by(|a, b| (&a.columns, &a.name).cmp(&(&b.columns, &b.name)));
    let rows = connection.query_row(&format!("SELECT count(*) FROM {quoted}"), [], |row| row.get::<_, i64>(0))?;
    Ok(Table {
        name: name.to_owned(),
        columns: columns.into_iter().map(|(column, _)| column).collect(),
        foreign: foreign(connection, &quoted)?,
        indexes,
        generated: generated.into_iter().map(|(column, _)| column.name).collect(),
        clauses: clauses(connection, name)?,
        rows: rows.unsigned_abs(),
    })
}

/// What a table's declaration asks for that no pragma tells; a word within a name or a text is taken for one too.
fn clauses(connection: &Connection, name: &str) -> rusqlite::Result<Vec<&'static str>> {
    let sql = connection.query_row("SELECT coalesce(sql, '') FROM sqlite_schema WHERE type = 'table' AND name = ?1", [name], |row| {
        row.get::<_, String>(0)
    })?;
    let sql = sql.to_ascii_uppercase();
    let has = |word: &str| sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|known| known == word);
    Ok(["CHECK", "COLLATE"].into_iter().filter(|word| has(word)).collect())
}

/// A column, and whether it is hidden.
fn column(row: &Row<'_>) -> rusqlite::Result<(Column, i64)> {
    let key = row.get::<_, i64>("pk")?;
    let declared: String = row.get("type")?;
    let column = Column {
        name: row.get("name")?,
        declared: declared.to_ascii_uppercase(),
        nullable: !row.get::<_, bool>("notnull")? && key == 0,
        key: key.unsigned_abs() as usize,
        default: row.get("dflt_value")?,
    };
    Ok((column, row.get("hidden")?))
}

fn index(row: &Row<'_>) -> rusqlite::Result<(String, bool, String, bool)> {
    Ok((row.get("name")?, row.get("unique")?, row.get("origin")?, row.get("partial")?))
}

fn index_column(row: &Row<'_>) -> rusqlite::Result<(Option<String>, bool, bool)> {
    Ok((row.get("name")?, row.get("desc")?, row.get("key")?))
}

fn foreign(connection: &Connection, quoted: &str) -> rusqlite::Result<Vec<Foreign>> {
    let rows = list(connection, &format!("PRAGMA foreign_key_list({quoted})"), |row| {
        let key =
            Foreign { columns: vec![row.get("from")?], table: row.get("table")?, to: row.get("to")?, on_delete: row.get("on_delete")? };
        Ok((row.get::<_, i64>("id")?, key))
    })?;
    let mut keys: Vec<(i64, Foreign)> = Vec::new();
    for (id, row) in rows {
        match keys.iter_mut().find(|(known, _)| *known == id) {
            Some((_, key)) => key.columns.extend(row.columns),
            None => keys.push((id, row)),
        }
    }
    // SQLite tells the last one first.
    keys.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn list<T>(connection: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], |row| read(row))?.collect()
}

/// A name as SQL writes it.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
