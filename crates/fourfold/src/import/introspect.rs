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
}

/// A foreign key.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub columns: Vec<String>,
    pub table: String,
    /// `CASCADE`, `SET NULL`, …
    pub on_delete: String,
}

/// An index that someone made.
#[derive(Clone, Debug)]
pub struct TableIndex {
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
        let names = texts(
            &connection,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        )?;
        let left_out =
            texts(&connection, "SELECT type || ' `' || name || '`' FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name")?;
        let tables = names.iter().map(|name| table(&connection, name)).collect::<rusqlite::Result<_>>()?;
        Ok(Source { connection, tables, left_out })
    }
}

fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn table(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let quoted = quote(name);
    let columns = list(connection, &format!("PRAGMA table_info({quoted})"), column)?;
    let mut indexes = Vec::new();
    for (index, unique, origin, partial) in list(connection, &format!("PRAGMA index_list({quoted})"), index)? {
        // The key's own index is the key.
        if origin != "pk" {
            let columns = list(connection, &format!("PRAGMA index_xinfo({})", quote(&index)), index_column)?;
            let plain: Vec<(String, bool)> =
                columns.iter().filter(|(_, _, key)| *key).filter_map(|(name, descends, _)| Some((name.clone()?, *descends))).collect();
            let expressions = columns.iter().any(|(name, _, key)| *key && name.is_none());
            indexes.push(TableIndex { columns: plain, unique, partial: partial || expressions });
        }
    }
    indexes.sort_by(|a, b| a.columns.cmp(&b.columns));
    let rows = connection.query_row(&format!("SELECT count(*) FROM {quoted}"), [], |row| row.get::<_, i64>(0))?;
    Ok(Table { name: name.to_owned(), columns, foreign: foreign(connection, &quoted)?, indexes, rows: rows.unsigned_abs() })
}

fn column(row: &Row<'_>) -> rusqlite::Result<Column> {
    let key = row.get::<_, i64>("pk")?;
    let declared: String = row.get("type")?;
    Ok(Column {
        name: row.get("name")?,
        declared: declared.to_ascii_uppercase(),
        nullable: !row.get::<_, bool>("notnull")? && key == 0,
        key: key.unsigned_abs() as usize,
    })
}

fn index(row: &Row<'_>) -> rusqlite::Result<(String, bool, String, bool)> {
    Ok((row.get("name")?, row.get("unique")?, row.get("origin")?, row.get("partial")?))
}

fn index_column(row: &Row<'_>) -> rusqlite::Result<(Option<String>, bool, bool)> {
    Ok((row.get("name")?, row.get("desc")?, row.get("key")?))
}

fn foreign(connection: &Connection, quoted: &str) -> rusqlite::Result<Vec<Foreign>> {
    let rows = list(connection, &format!("PRAGMA foreign_key_list({quoted})"), |row| {
        Ok((row.get::<_, i64>("id")?, row.get::<_, String>("table")?, row.get::<_, String>("from")?, row.get::<_, String>("on_delete")?))
    })?;
    let mut keys: Vec<(i64, Foreign)> = Vec::new();
    for (id, table, from, on_delete) in rows {
        match keys.iter_mut().find(|(known, _)| *known == id) {
            Some((_, key)) => key.columns.push(from),
            None => keys.push((id, Foreign { columns: vec![from], table, on_delete })),
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn list<T>(connection: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], |row| read(row))?.collect()
}

/// A name as SQL writes it.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
