//! Tables that stay where they are: what of a source can be served as it is, and by name what cannot.

use super::introspect::{Asked, Cell, Column, Rows, Source, Table};

/// What every entity's table has of Fourfold's.
const REVISION: &str = "revision";

/// The source with the tables and columns that can be served in place, and what cannot, for people. What rows hold is not looked at: in
/// place, a column is what it is declared.
pub fn in_place(source: Source) -> (Source, Vec<String>) {
    let mut notes = Vec::new();
    let mut tables = Vec::new();
    for mut table in source.tables {
        match fit(&mut table, &mut notes) {
            Ok(()) => tables.push(table),
            Err(why) => notes.push(format!("table `{}` is not served: {why}", table.name)),
        }
    }
    (Source { rows: Box::new(Declared), tables, left_out: source.left_out, in_place: true }, notes)
}

/// Leaves out what has no form in place; an error says why the table has none.
fn fit(table: &mut Table, notes: &mut Vec<String>) -> Result<(), String> {
    let mut keys = table.columns.iter().filter(|column| column.key > 0);
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key,
        (None, _) => return Err("it has no primary key".into()),
        (Some(_), Some(_)) => return Err("its primary key has several columns".into()),
    };
    if !is_key(&key.declared) {
        return Err(format!("its key `{}` is declared `{}`; a key is a whole number, a uuid or a text", key.name, key.declared));
    }
    if let Some(own) = table.columns.iter().find(|column| column.name == REVISION && !column.kept) {
        return Err(format!("it has a column `{}` of its own, and Fourfold needs one of that name", own.name));
    }
    let (key, name) = (key.name.clone(), table.name.clone());
    table.columns.retain(|column| column.name != REVISION);
    let unfit = |column: &&Column| column.key == 0 && why_not(column).is_some();
    if let Some(needed) = table.columns.iter().filter(unfit).find(|column| !column.nullable && column.default.is_none()) {
        let why = why_not(needed).unwrap_or_default();
        return Err(format!("its column `{}` must have a value and has no form in a model: {why}", needed.name));
    }
    table.columns.retain(|column| match why_not(column).filter(|_| column.key == 0) {
        Some(why) => {
            notes.push(format!("`{name}.{}` is left out, and keeps its values: {why}", column.name));
            false
        }
        None => true,
    });
    // A key that is a foreign key too is the key.
    table.foreign.retain(|foreign| {
        let is_key = foreign.columns == [key.as_str()];
        if is_key {
            notes.push(format!("the foreign key of `{name}.{key}` is no relation: its column is the key"));
        } else if !foreign.checked {
            notes.push(format!("the foreign key of `{name}.{}` is no relation: it is NOT VALID", foreign.columns.join(", ")));
        }
        !is_key && foreign.checked
    });
    Ok(())
}

fn word(declared: &str) -> &str {
    declared.split('(').next().unwrap_or_default().trim()
}

fn is_key(declared: &str) -> bool {
    matches!(word(declared), "SMALLINT" | "INTEGER" | "BIGINT" | "UUID" | "TEXT" | "CHARACTER VARYING")
}

/// Why a column's values are not the values of a type that a model has, digit for digit.
fn why_not(column: &Column) -> Option<String> {
    let declared = column.declared.as_str();
    let element = declared.strip_suffix("[]").unwrap_or(declared);
    let digits = || {
        let sizes = element.split_once('(')?.1.split_once(')')?.0;
        let mut sizes = sizes.split(',').map(|size| size.trim().parse::<i32>().ok());
        Some((sizes.next()??, sizes.next().unwrap_or(Some(0))?))
    };
    let fits = match word(element) {
        "SMALLINT" | "INTEGER" | "BIGINT" | "BOOLEAN" | "DOUBLE PRECISION" | "UUID" | "DATE" | "TEXT" | "CHARACTER VARYING" => true,
        "BYTEA" | "JSON" | "JSONB" => element == declared,
        "NUMERIC" => digits().is_some_and(|(precision, scale)| (1..=18).contains(&precision) && (0..=precision).contains(&scale)),
        "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP WITHOUT TIME ZONE" => true,
        _ => false,
    };
    let because = match word(element) {
        "NUMERIC" => "a Decimal has a precision of 1 to 18 digits and a scale",
        "TIMESTAMP" => "a DateTime has microseconds",
        _ => "no type of a model is that",
    };
    (!fits).then(|| format!("it is declared `{declared}`, and {because}"))
}

/// Takes every declaration at its word.
struct Declared;

impl Rows for Declared {
    fn each(&self, _: &Table, _: &[&Column], _: &mut dyn FnMut(&[Cell<'_>]) -> bool) -> Asked<()> {
        Ok(())
    }

    fn has_nulls(&self, _: &Table, _: &Column) -> Asked<bool> {
        Ok(false)
    }

    fn length_max(&self, _: &Table, _: &Column) -> Asked<i64> {
        Ok(0)
    }

    fn orphans(&self, _: (&Table, &str), _: (&Table, &str)) -> Asked<i64> {
        Ok(0)
    }
}
