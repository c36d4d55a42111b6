//! Reads a PostgreSQL database, as of one moment.

use std::collections::BTreeMap;

use fourfold_store_postgres::source::Reader;
use tokio::runtime::Runtime;

use super::introspect::{Asked, Cell, Column, Foreign, Rows, Source, Table, TableIndex, orphans_text, quote, rows_text};
use crate::failure::Failure;
use crate::load::refused;

const TABLES: &str = "SELECT c.oid, c.relname, c.relrowsecurity FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace \
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname COLLATE \"C\"";

/// A domain stands as the type that it is of. Columns of a `revision` that Fourfold keeps are marked by their comment.
const COLUMNS: &str = "SELECT a.attrelid, a.attname, upper(format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), \
    CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END)), \
  NOT (a.attnotnull OR t.typnotnull), coalesce(array_position(k.conkey, a.attnum), 0), pg_get_expr(d.adbin, d.adrelid), \
  a.attgenerated <> '', a.attidentity <> '', coalesce(col_description(a.attrelid, a.attnum), ''), \
  a.attcollation NOT IN (0, 100, (SELECT oid FROM pg_collation WHERE collname = 'C' AND collnamespace = 'pg_catalog'::regnamespace)), \
  t.typtype \
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_type AS t ON t.oid = a.atttypid \
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
  LEFT JOIN pg_constraint AS k ON k.conrelid = a.attrelid AND k.contype = 'p' \
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
  ORDER BY a.attrelid, a.attnum";

const FOREIGN: &str = "SELECT k.oid, k.conrelid, a.attname, f.relname, b.attname, k.confdeltype, k.convalidated \
  FROM pg_constraint AS k JOIN pg_class AS f ON f.oid = k.confrelid \
  CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(own, other, place) \
  JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.own JOIN pg_attribute AS b ON b.attrelid = k.confrelid AND b.attnum = u.other \
  WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace ORDER BY k.conrelid, k.conname COLLATE \"C\", u.place";

/// An index that orders by something else than its columns, or is of a part of the rows, has no form in a model.
const INDEXES: &str = "SELECT i.indexrelid, i.indrelid, n.relname, i.indisunique, \
  i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR m.amname <> 'btree' OR NOT i.indisvalid, a.attname, i.indoption[u.place - 1] & 1 = 1 \
  FROM pg_index AS i JOIN pg_class AS n ON n.oid = i.indexrelid JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_am AS m ON m.oid = n.relam \
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place) \
  LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0 \
  WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisprimary AND u.place <= i.indnkeyatts \
  ORDER BY i.indrelid, n.relname COLLATE \"C\", u.place";

const CLAUSES: &str = "SELECT conrelid, contype FROM pg_constraint WHERE contype IN ('c', 'x') AND connamespace = current_schema()::regnamespace \
  AND conrelid <> 0 GROUP BY 1, 2 ORDER BY 1, 2";

const LEFT_OUT: &str = "SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END || ' `' || relname || '`' \
    FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('v', 'm', 'f') \
  UNION ALL SELECT 'trigger `' || tgname || '` of `' || c.relname || '`' FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid \
    WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace AND tgname NOT LIKE '%fourfold\\_%' AND NOT c.relispartition \
  UNION ALL SELECT 'rule `' || rulename || '` of `' || c.relname || '`' FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class \
    WHERE rulename <> '_RETURN' AND c.relnamespace = current_schema()::regnamespace \
  UNION ALL SELECT 'policy `' || polname || '` of `' || c.relname || '`' FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid \
    WHERE c.relnamespace = current_schema()::regnamespace \
  UNION ALL SELECT 'table `' || n.nspname || '.' || c.relname || '` of another schema' FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND n.oid <> current_schema()::regnamespace \
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1";

/// Opens a database to read.
pub fn open(url: &str) -> Asked<Source> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let reader = runtime.block_on(Reader::open(url)).map_err(refused)?;
    let database = Database { runtime, reader };
    let (tables, left_out) = database.tables()?;
    Ok(Source { rows: Box::new(database), tables, left_out, in_place: false })
}

struct Database {
    runtime: Runtime,
    reader: Reader,
}

/// A row of the catalogue: every value as its text.
struct Told(Vec<Option<String>>);

impl Told {
    fn text(&self, at: usize) -> &str {
        self.0.get(at).and_then(Option::as_deref).unwrap_or_default()
    }

    fn is(&self, at: usize) -> bool {
        self.text(at) == "t"
    }

    fn optional(&self, at: usize) -> Option<String> {
        self.0.get(at).cloned().flatten()
    }
}

impl Database {
    fn each_row(&self, text: &str, take: impl FnMut(&[Option<&str>]) -> bool) -> Asked<()> {
        self.runtime.block_on(self.reader.each(text, take)).map_err(refused)
    }

    fn told(&self, text: &str) -> Asked<Vec<Told>> {
        let mut rows = Vec::new();
        self.each_row(text, |row| {
            rows.push(Told(row.iter().map(|value| value.map(str::to_owned)).collect()));
            true
        })?;
        Ok(rows)
    }

    fn number(&self, text: &str) -> Asked<i64> {
        let rows = self.told(text)?;
        rows.first().and_then(|row| row.text(0).parse().ok()).ok_or_else(|| Failure::Failed("a count brought no number".into()))
    }

    fn tables(&self) -> Asked<(Vec<Table>, Vec<String>)> {
        let mut left_out = Vec::new();
        let (mut tables, mut order) = (BTreeMap::new(), Vec::new());
        for row in self.told(TABLES)? {
            let name = row.text(1).to_owned();
            if name.starts_with("fourfold_") {
                left_out.push(format!("table `{name}`, which is a store's own,"));
                continue;
            }
            let mut table = Table { name, ..Table::default() };
            table.clauses.extend(Some("row-level security").filter(|_| row.is(2)));
            order.push(row.text(0).to_owned());
            tables.insert(row.text(0).to_owned(), table);
        }
        self.add_columns(&mut tables)?;
        self.add_keys_and_indexes(&mut tables)?;
        left_out.extend(self.told(LEFT_OUT)?.iter().map(|row| row.text(0).to_owned()));
        let mut found: Vec<Table> = order.iter().filter_map(|oid| tables.remove(oid)).collect();
        for table in &mut found {
            table.rows = self.number(&format!("SELECT count(*) FROM {}", quote(&table.name)))?.unsigned_abs();
        }
        Ok((found, left_out))
    }

    fn add_columns(&self, tables: &mut BTreeMap<String, Table>) -> Asked<()> {
        for row in self.told(COLUMNS)? {
            let Some(table) = tables.get_mut(row.text(0)) else { continue };
            let name = row.text(1).to_owned();
            if row.is(6) {
                table.generated.push(name);
                continue;
            }
            if row.is(9) && !table.clauses.contains(&"COLLATE") {
                table.clauses.push("COLLATE");
            }
            let default = row.optional(5).map(|text| plain(&text)).or_else(|| row.is(7).then(|| "IDENTITY".to_owned()));
            let key: usize = row.text(4).parse().unwrap_or(0);
            // A counter's default is what a key's `next()` is.
            let counted = key > 0 && default.as_deref().is_some_and(|text| text == "IDENTITY" || text.starts_with("nextval("));
            table.columns.push(Column {
                name,
                declared: row.text(2).to_owned(),
                nullable: row.is(3) && key == 0,
                key,
                default: default.filter(|_| !counted),
                counted,
                kept: row.text(8) == fourfold_store_postgres::source::KEPT,
            });
        }
        Ok(())
    }

    fn add_keys_and_indexes(&self, tables: &mut BTreeMap<String, Table>) -> Asked<()> {
        let mut last = String::new();
        for row in self.told(FOREIGN)? {
            let Some(table) = tables.get_mut(row.text(1)) else { continue };
            if std::mem::replace(&mut last, row.text(0).to_owned()) == row.text(0) {
                if let Some(key) = table.foreign.last_mut() {
                    key.columns.push(row.text(2).to_owned());
                }
                continue;
            }
            let on_delete = match row.text(5) {
                "c" => "CASCADE",
                "n" => "SET NULL",
                "d" => "SET DEFAULT",
                _ => "",
            };
            let (columns, to) = (vec![row.text(2).to_owned()], row.optional(4));
            let checked = row.is(6);
            table.foreign.push(Foreign { columns, table: row.text(3).to_owned(), to, on_delete: on_delete.into(), checked });
        }
        for row in self.told(INDEXES)? {
            let Some(table) = tables.get_mut(row.text(1)) else { continue };
            let name = row.text(2);
            if table.indexes.last().is_none_or(|index| index.name != name) {
                table.indexes.push(TableIndex { name: name.to_owned(), columns: Vec::new(), unique: row.is(3), partial: row.is(4) });
            }
            if let (Some(index), Some(column)) = (table.indexes.last_mut(), row.optional(5)) {
                index.columns.push((column, row.is(6)));
            }
        }
        for row in self.told(CLAUSES)? {
            let Some(table) = tables.get_mut(row.text(0)) else { continue };
            table.clauses.push(if row.text(1) == "x" { "EXCLUDE" } else { "CHECK" });
        }
        Ok(())
    }
}

/// A default without the type that PostgreSQL writes behind a literal.
fn plain(text: &str) -> String {
    let Some(inner) = text.strip_prefix('\'') else { return text.to_owned() };
    let mut end = 0;
    let bytes = inner.as_bytes();
    while let Some(byte) = bytes.get(end) {
        match (byte, bytes.get(end + 1)) {
            (b'\'', Some(b'\'')) => end += 2,
            (b'\'', _) => break,
            _ => end += 1,
        }
    }
    match (inner.get(..=end), inner.get(end + 1..)) {
        (Some(literal), Some(rest)) if rest.starts_with("::") && !rest.contains(['\'', '|']) => format!("'{literal}"),
        _ => text.to_owned(),
    }
}

impl Rows for Database {
    fn each(&self, table: &Table, columns: &[&Column], take: &mut dyn FnMut(&[Cell<'_>]) -> bool) -> Asked<()> {
        let names: Vec<String> = columns.iter().map(|column| read_as(column)).collect();
        let blobs: Vec<bool> = columns.iter().map(|column| column.declared == "BYTEA").collect();
        self.each_row(&rows_text(table, &names), |row| {
            let bytes: Vec<Option<Vec<u8>>> = row.iter().zip(&blobs).map(|(text, blob)| text.filter(|_| *blob).and_then(unhex)).collect();
            let cells: Vec<Cell<'_>> = row
                .iter()
                .zip(&bytes)
                .map(|(text, bytes)| match (text, bytes) {
                    (_, Some(bytes)) => Cell::Blob(bytes),
                    (Some(text), None) => Cell::Text(text.as_bytes()),
                    (None, None) => Cell::Null,
                })
                .collect();
            take(&cells)
        })
    }

    fn has_nulls(&self, table: &Table, column: &Column) -> Asked<bool> {
        if !column.nullable {
            return Ok(false);
        }
        let text =
            format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1) AS n", quote(&table.name), quote(&column.name));
        Ok(self.number(&text)? > 0)
    }

    fn length_max(&self, table: &Table, column: &Column) -> Asked<i64> {
        self.number(&format!("SELECT coalesce(max(length({})), 0) FROM {}", quote(&column.name), quote(&table.name)))
    }

    fn orphans(&self, from: (&Table, &str), to: (&Table, &str)) -> Asked<i64> {
        self.number(&orphans_text(from, to))
    }
}

/// A list is read as the JSON of its elements' texts; a truth as `true`, which alone is `t`.
fn read_as(column: &Column) -> String {
    let name = quote(&column.name);
    match column.declared.as_str() {
        "BOOLEAN" => format!("{name}::text"),
        declared if declared.ends_with("[]") => format!("to_json({name}::text[])::text"),
        _ => name,
    }
}

/// `\x00ff` as bytes.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits.chunks(2).map(|pair| u8::try_from(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_default_loses_the_type_behind_it() {
        let cases = [
            ("'x'::character varying", "'x'"),
            ("'it''s'::text", "'it''s'"),
            ("''::text", "''"),
            ("now()", "now()"),
            ("'x'::text || 'y'::text", "'x'::text || 'y'::text"),
        ];
        for (text, expect) in cases {
            assert_eq!(plain(text), expect, "{text}");
        }
    }

    #[test]
    fn bytes_are_read_from_their_digits() {
        assert_eq!(unhex("\\x00ff"), Some(vec![0, 255]));
        assert_eq!(unhex("\\x"), Some(Vec::new()));
        assert_eq!((unhex("00"), unhex("\\x0"), unhex("\\xzz")), (None, None, None));
    }
}
