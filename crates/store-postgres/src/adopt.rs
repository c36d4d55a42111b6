//! Tables of others that an entity is served from, as they are.
//!
//! A table of a new entity that is there already is adopted: it keeps its columns, its indexes and its owner's word on both, and gets a
//! `revision`. Nothing else of it is ever changed here, so a model that does not fit it is refused, and every misfit is told at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fourfold_model::{Base, Entity, KEY, Model, REVISION, Type};
use fourfold_op::{Error, ErrorCode};
use fourfold_store::sql::{Change, Schema, TableSchema, quoted};
use tokio_postgres::Client;

use crate::error::Fail;
use crate::source::KEPT;

/// The columns of a table: name, type (of a domain, that which it is of), whether it may be null, whether something is put in where nothing is
/// said, the comment.
const COLUMNS: &str = "SELECT a.attname::text, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), \
    CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END), NOT (a.attnotnull OR t.typnotnull), \
    a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '', coalesce(col_description(a.attrelid, a.attnum), ''), a.attgenerated <> '' \
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
/// The columns of each index that makes all rows unique.
const UNIQUES: &str = "SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_index AS i \
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(number, place) \
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.number \
  WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND u.place <= i.indnkeyatts \
  GROUP BY i.indexrelid";

/// What a model's tables come to in a database.
pub struct Parted {
    /// The tables that are this store's own.
    pub own: Schema,
    /// Those of others, by number and name.
    pub adopted: BTreeMap<i64, String>,
    /// What is to be done to those of others.
    pub changes: Vec<Change>,
}

/// Parts the tables that are wanted into the store's own and those of others.
///
/// # Errors
/// `failed_precondition`: a table of others does not fit its entity.
pub async fn part(client: &Client, model: &Model, have: &Schema, want: Schema) -> Result<Parted, Fail> {
    let known = known(client).await?;
    let mut parted = Parted { own: Schema::default(), adopted: BTreeMap::new(), changes: Vec::new() };
    let mut misfits = Vec::new();
    for table in want.tables {
        let number = i64::from(table.number);
        let is_own = |other: &TableSchema| other.number == table.number && other.owned == table.owned || other.name == table.name;
        let adopted =
            !table.owned && (known.contains_key(&number) || !have.tables.iter().any(is_own) && is_there(client, &table.name).await?);
        let entity = model.entities.iter().find(|entity| entity.number == table.number).filter(|_| adopted);
        let Some(entity) = entity else {
            parted.own.tables.push(table);
            continue;
        };
        match fit(client, model, entity).await? {
            Fit::Kept => {}
            Fit::New => parted.changes.push(adopt(&table.name)),
            Fit::Misfit(reasons) => misfits.extend(reasons.into_iter().map(|why| format!("table `{}`: {why}", table.name))),
        }
        parted.adopted.insert(number, table.name);
    }
    if !misfits.is_empty() {
        let message = format!("tables that are not this store's do not fit the model: {}", misfits.join("; "));
        return Err(Error::new(ErrorCode::FailedPrecondition, message).into());
    }
    let gone = known.iter().filter(|(number, _)| !parted.adopted.contains_key(*number));
    parted.changes.extend(gone.map(|(_, name)| change(format!("let go of table `{name}`, which stays as it is"), String::new(), false)));
    Ok(parted)
}

/// The tables of others, by the numbers of their entities: each with the sequence that numbers its keys, where there is one.
pub type Adopted = HashMap<u32, Option<String>>;

/// Finds the sequences of the keys.
pub async fn adopted(client: &Client, model: &Model, parted: &Parted) -> Result<Adopted, Fail> {
    let mut adopted = Adopted::new();
    for entity in model.entities.iter().filter(|entity| parted.adopted.contains_key(&i64::from(entity.number))) {
        let key: &str = &entity.field(KEY).column;
        let row = client.query_one("SELECT pg_get_serial_sequence($1, $2)", &[&quoted(&entity.table), &key]).await?;
        adopted.insert(entity.number, row.try_get(0)?);
    }
    Ok(adopted)
}

/// Writes down which tables are of others.
pub async fn note(client: &Client, parted: &Parted) -> Result<(), Fail> {
    let numbers: Vec<i64> = parted.adopted.keys().copied().collect();
    let names: Vec<&str> = parted.adopted.values().map(String::as_str).collect();
    client.execute("DELETE FROM fourfold_adopted WHERE number <> ALL ($1)", &[&numbers]).await?;
    let text = "INSERT INTO fourfold_adopted (number, name) SELECT * FROM unnest($1::int8[], $2::text[]) \
                ON CONFLICT (number) DO UPDATE SET name = excluded.name";
    client.execute(text, &[&numbers, &names]).await?;
    Ok(())
}

async fn known(client: &Client) -> Result<BTreeMap<i64, String>, Fail> {
    let rows = client.query("SELECT number, name FROM fourfold_adopted", &[]).await?;
    Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, tokio_postgres::Error>>()?)
}

async fn is_there(client: &Client, table: &str) -> Result<bool, Fail> {
    Ok(client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&quoted(table)]).await?.try_get(0)?)
}

fn adopt(table: &str) -> Change {
    let name = quoted(table);
    let statement =
        format!("ALTER TABLE {name} ADD COLUMN revision int8 NOT NULL DEFAULT 1; COMMENT ON COLUMN {name}.revision IS '{KEPT}'");
    // Its rows come without events.
    change(format!("adopt table `{table}`, which is there: add column `revision`"), statement, true)
}

fn change(title: String, statement: String, rewrites: bool) -> Change {
    Change { title, statement, destructive: false, needs_no_rows: None, needs_no_nulls: None, rewrites }
}

/// Whether a table of others fits its entity.
enum Fit {
    /// And has a `revision` of this store's.
    Kept,
    /// And has none yet.
    New,
    /// Why not.
    Misfit(Vec<String>),
}

struct Column {
    name: String,
    kind: String,
    nullable: bool,
    filled: bool,
    comment: String,
    generated: bool,
}

async fn fit(client: &Client, model: &Model, entity: &Entity) -> Result<Fit, Fail> {
    let table = quoted(&entity.table);
    let rows = client.query(COLUMNS, &[&table]).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let (name, kind, nullable) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        columns.push(Column { name, kind, nullable, filled: row.try_get(3)?, comment: row.try_get(4)?, generated: row.try_get(5)? });
    }
    let rows = client.query(UNIQUES, &[&table]).await?;
    let uniques = rows.iter().map(|row| Ok(row.try_get::<_, Vec<String>>(0)?.into_iter().collect()));
    let uniques: Vec<BTreeSet<String>> = uniques.collect::<Result<_, tokio_postgres::Error>>()?;
    let mut why = misfits(model, entity, &columns, &uniques);
    let revision = columns.iter().find(|column| column.name == entity.field(REVISION).column);
    if revision.is_some_and(|column| column.comment != KEPT) {
        why.push("it has a column `revision` of its own, which an entity needs for itself".into());
    }
    Ok(match (why.is_empty(), revision) {
        (false, _) => Fit::Misfit(why),
        (true, Some(_)) => Fit::Kept,
        (true, None) => Fit::New,
    })
}

fn misfits(model: &Model, entity: &Entity, columns: &[Column], uniques: &[BTreeSet<String>]) -> Vec<String> {
    let mut why = Vec::new();
    for (id, field) in entity.field_ids().filter(|(id, _)| *id != REVISION) {
        if matches!(field.ty.base, Base::Owned(_)) {
            why.push(format!("`{}` is a list of owned values, which needs a table of the store's own", field.name));
            continue;
        }
        let Some(column) = columns.iter().find(|column| column.name == field.column) else {
            why.push(format!("it has no column `{}`; whoever owns the table adds it", field.column));
            continue;
        };
        if !serves(&column.kind, field.ty) {
            let wanted = wanted(model, field.ty);
            why.push(format!("column `{}` is `{}`, and `{}` needs {wanted}", column.name, column.kind, field.name));
        }
        if column.generated {
            why.push(format!("column `{}` is computed by the database, and `{}` would be written", column.name, field.name));
        }
        let nullable = field.ty.nullable && id != KEY;
        if !field.ty.list && column.nullable && !nullable {
            why.push(format!("column `{}` may be null; mark `{}` with `?`", column.name, field.name));
        }
        if !column.nullable && nullable {
            why.push(format!("column `{}` is never null; take the `?` from `{}`", column.name, field.name));
        }
    }
    let is_of_model = |column: &&Column| entity.fields.iter().any(|field| field.column == column.name);
    for column in columns.iter().filter(|column| !is_of_model(column) && !column.nullable && !column.filled) {
        why.push(format!("column `{}` must have a value, has no default, and the model does not know it", column.name));
    }
    let keys = std::iter::once(vec![KEY]).chain(entity.uniques.iter().cloned());
    for fields in keys {
        let names: BTreeSet<String> = fields.iter().map(|field| entity.field(*field).column.to_string()).collect();
        if !uniques.contains(&names) {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            why.push(format!("no index makes {} unique", names.join(", ")));
        }
    }
    why
}

/// Whether a column's values are those of a type, each of them.
fn serves(kind: &str, ty: Type) -> bool {
    let kind = match (ty.list, kind.strip_suffix("[]")) {
        (true, Some(element)) => element,
        (false, None) => kind,
        _ => return false,
    };
    match ty.base {
        Base::Boolean => kind == "boolean",
        Base::Int => matches!(kind, "integer" | "smallint"),
        Base::BigInt => kind == "bigint",
        Base::Float => kind == "double precision",
        Base::Decimal { precision, scale } => kind == format!("numeric({precision},{scale})"),
        Base::String | Base::Enum(_) => kind == "text" || kind.starts_with("character varying"),
        Base::DateTime => matches!(kind, "timestamp with time zone" | "timestamp without time zone"),
        Base::Date => kind == "date",
        Base::Uuid => kind == "uuid",
        Base::Bytes => kind == "bytea",
        Base::Json => matches!(kind, "json" | "jsonb"),
        Base::Owned(_) => false,
    }
}

fn wanted(model: &Model, ty: Type) -> String {
    let one = match ty.base {
        Base::Boolean => "`boolean`",
        Base::Int => "`integer` or `smallint`",
        Base::BigInt => "`bigint`",
        Base::Float => "`double precision`",
        Base::Decimal { precision, scale } => return format!("`numeric({precision},{scale}){}`", if ty.list { "[]" } else { "" }),
        Base::String => "`text` or `character varying`",
        Base::Enum(id) => return format!("`text` or `character varying`, as every `{}` does", model.enumeration(id).name),
        Base::DateTime => "`timestamp with time zone`",
        Base::Date => "`date`",
        Base::Uuid => "`uuid`",
        Base::Bytes => "`bytea`",
        Base::Json => "`json` or `jsonb`",
        Base::Owned(_) => "a table",
    };
    if ty.list { format!("a list of {one}") } else { one.to_owned() }
}
