//! Reads a SQLite database.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::introspect::{Asked, Cell, Column, Foreign, Rows, Source, Table, TableIndex, orphans_text, quote, rows_text};
use crate::failure::Failure;

/// Opens a database to read.
pub fn open(file: &Path) -> rusqlite::Result<Source> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let (names, mut left_out) = tables(&connection)?;
    left_out.extend(texts(
        &connection,
        "SELECT type || ' `' || name || '`' FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name",
    )?);
    let tables = names.iter().map(|name| table(&connection, name)).collect::<rusqlite::Result<_>>()?;
    Ok(Source { rows: Box::new(Database(connection)), tables, left_out, in_place: false })
}

struct Database(Connection);

fn failed(table: &Table) -> impl Fn(rusqlite::Error) -> Failure + '_ {
    |error| Failure::Failed(format!("`{}`: {error}", table.name))
}

impl Rows for Database {
    fn each(&self, table: &Table, columns: &[&Column], take: &mut dyn FnMut(&[Cell<'_>]) -> bool) -> Asked<()> {
        let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        let mut statement = self.0.prepare(&rows_text(table, &names)).map_err(failed(table))?;
        let mut rows = statement.query([]).map_err(failed(table))?;
        while let Some(row) = rows.next().map_err(failed(table))? {
            let cells: Vec<Cell<'_>> =
                (0..columns.len()).map(|at| row.get_ref(at).map(cell)).collect::<rusqlite::Result<_>>().map_err(failed(table))?;
            if !take(&cells) {
                break;
            }
        }
        Ok(())
    }

    fn has_nulls(&self, table: &Table, column: &Column) -> Asked<bool> {
        // Where the column is declared NOT NULL, `IS NULL` is false without looking; `typeof` looks.
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE typeof({}) = 'null')", quote(&table.name), quote(&column.name));
        self.0.query_row(&sql, [], |row| row.get(0)).map_err(failed(table))
    }

    fn length_max(&self, table: &Table, column: &Column) -> Asked<i64> {
        let sql = format!("SELECT coalesce(max(length({})), 0) FROM {}", quote(&column.name), quote(&table.name));
        self.0.query_row(&sql, [], |row| row.get(0)).map_err(failed(table))
    }

    fn orphans(&self, from: (&Table, &str), to: (&Table, &str)) -> Asked<i64> {
        self.0.query_row(&orphans_text(from, to), [], |row| row.get(0)).map_err(failed(from.0))
    }
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => Cell::Text(text),
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
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
        counted: key > 0,
        kept: false,
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
        let columns = vec![row.get("from")?];
        let key = Foreign { columns, table: row.get("table")?, to: row.get("to")?, on_delete: row.get("on_delete")?, checked: false };
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
