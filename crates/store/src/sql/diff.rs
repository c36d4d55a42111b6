//! What must be done to a store's tables so that they are those of a model.
//!
//! Pure: it compares two [`Schema`]s. Whether rows stand in the way (a required column without a value for them) is told by
//! [`Change::needs_no_rows`] and [`Change::needs_no_nulls`], which the store asks its tables about.

use super::quoted;
use super::schema::{Column, Index, Schema, TableSchema, storage};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For people: "add column `price` to `product`".
    pub title: String,
    /// Whether it loses data.
    pub destructive: bool,
    /// Statements, parted by semicolons.
    pub statement: String,
    /// A table that must be empty for it, and why.
    pub needs_no_rows: Option<(String, String)>,
    /// A table and column without nulls, and why.
    pub needs_no_nulls: Option<(String, String, String)>,
    /// Whether rows get new values without an event.
    pub rewrites: bool,
}

impl Change {
    fn new(title: String, statement: String) -> Change {
        Change { title, statement, destructive: false, needs_no_rows: None, needs_no_nulls: None, rewrites: false }
    }
    fn destroying(title: String, statement: String) -> Change {
        Change { destructive: true, ..Change::new(title, statement) }
    }
}

/// The steps from what is there to what is wanted, in order.
pub fn diff(have: &Schema, want: &Schema) -> Vec<Change> {
    let mut changes = Vec::new();
    for table in &have.tables {
        if !want.tables.iter().any(|wanted| same_table(table, wanted)) {
            let title = format!("drop table `{}` with all its rows", table.name);
            changes.push(Change::destroying(title, format!("DROP TABLE {}", quoted(&table.name))));
        }
    }
    rename_tables(have, want, &mut changes);
    for table in &want.tables {
        match have.tables.iter().find(|old| same_table(old, table)) {
            None => create(table, &mut changes),
            Some(old) => alter(old, table, &mut changes),
        }
    }
    changes
}

/// Whether two tables are one: the same number, form and key.
fn same_table(a: &TableSchema, b: &TableSchema) -> bool {
    let key = |table: &TableSchema| if table.owned { None } else { table.columns.first().map(Column::storage) };
    a.number == b.number && a.owned == b.owned && key(a) == key(b)
}

fn create(table: &TableSchema, changes: &mut Vec<Change>) {
    changes.push(Change::new(format!("create table `{}`", table.name), table.create()));
    for index in &table.indexes {
        create_index(table, index, changes);
    }
}

fn create_index(table: &TableSchema, index: &Index, changes: &mut Vec<Change>) {
    let names: Vec<String> =
        index.columns.iter().filter_map(|(number, _)| table.column(*number)).map(|column| format!("`{}`", column.name)).collect();
    let what = if index.unique { "make unique in" } else { "index" };
    changes.push(Change::new(format!("{what} `{}`: {}", table.name, names.join(", ")), table.create_index(index)));
}

/// Renames tables; where one takes a name that another has, by way of a name that nobody has.
fn rename_tables(have: &Schema, want: &Schema, changes: &mut Vec<Change>) {
    let pairs = have.tables.iter().filter_map(|old| want.tables.iter().find(|new| same_table(old, new)).map(|new| (old, new)));
    let moved: Vec<_> = pairs.filter(|(old, new)| old.name != new.name).collect();
    let title = |old: &TableSchema, new: &TableSchema| format!("rename table `{}` to `{}`", old.name, new.name);
    let rename = |from: &str, to: &str| format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to));
    let clash = moved.iter().any(|(_, new)| have.tables.iter().any(|other| other.name == new.name));
    if !clash {
        changes.extend(moved.iter().map(|(old, new)| Change::new(title(old, new), rename(&old.name, &new.name))));
        return;
    }
    let passing = |number: u32| format!("fourfold_moving_{number}");
    for (old, _) in &moved {
        changes.push(Change::new(format!("put table `{}` aside", old.name), rename(&old.name, &passing(old.number))));
    }
    for (old, new) in &moved {
        changes.push(Change::new(title(old, new), rename(&passing(old.number), &new.name)));
    }
}

/// The table has its new name by now.
fn alter(old: &TableSchema, new: &TableSchema, changes: &mut Vec<Change>) {
    let table = quoted(&new.name);
    for index in old.indexes.iter().filter(|index| !kept(old, new, index)) {
        changes.push(Change::new(format!("drop an index of `{}`", new.name), format!("DROP INDEX {}", quoted(&old.index_name(index)))));
    }
    for column in &old.columns {
        if new.column(column.number).is_none() {
            let title = format!("drop column `{}` of `{}` with its values", column.name, new.name);
            changes.push(Change::destroying(title, format!("ALTER TABLE {table} DROP COLUMN {}", quoted(&column.name))));
        }
    }
    rename_columns(old, new, changes);
    for column in &new.columns {
        match old.column(column.number) {
            None => add_column(new, column, changes),
            Some(before) => change_column(new, before, column, changes),
        }
    }
    for index in new.indexes.iter().filter(|index| !kept(old, new, index)) {
        create_index(new, index, changes);
    }
}

/// Whether an index can stay: both sides have it, and none of its columns is made anew.
fn kept(old: &TableSchema, new: &TableSchema, index: &Index) -> bool {
    let both = old.indexes.contains(index) && new.indexes.contains(index);
    let same = |number: u32| match (old.column(number), new.column(number)) {
        (Some(a), Some(b)) => a.storage() == b.storage() && !emptied(&a.kind, &b.kind),
        _ => false,
    };
    both && index.columns.iter().all(|(number, _)| same(*number))
}

fn rename_columns(old: &TableSchema, new: &TableSchema, changes: &mut Vec<Change>) {
    let pairs = old.columns.iter().filter_map(|before| new.column(before.number).map(|after| (before, after)));
    let moved: Vec<_> = pairs.filter(|(before, after)| before.name != after.name).collect();
    let rename = |from: &str, to: &str| format!("ALTER TABLE {} RENAME COLUMN {} TO {}", quoted(&new.name), quoted(from), quoted(to));
    let title = |before: &Column, after: &Column| format!("rename column `{}` of `{}` to `{}`", before.name, new.name, after.name);
    let clash = moved.iter().any(|(_, after)| old.columns.iter().any(|other| other.name.eq_ignore_ascii_case(&after.name)));
    if !clash {
        changes.extend(moved.iter().map(|(before, after)| Change::new(title(before, after), rename(&before.name, &after.name))));
        return;
    }
    let passing = |number: u32| format!("fourfold_moving_{number}");
    for (before, _) in &moved {
        changes.push(Change::new(
            format!("put column `{}` of `{}` aside", before.name, new.name),
            rename(&before.name, &passing(before.number)),
        ));
    }
    for (before, after) in &moved {
        changes.push(Change::new(title(before, after), rename(&passing(before.number), &after.name)));
    }
}

fn add_column(table: &TableSchema, column: &Column, changes: &mut Vec<Change>) {
    let mut statement = format!("ALTER TABLE {} ADD COLUMN {} {}", quoted(&table.name), quoted(&column.name), column.storage());
    if let Some(fill) = &column.fill {
        statement.push_str(&format!(" DEFAULT {fill}"));
    }
    let mut change = Change::new(format!("add column `{}` to `{}`", column.name, table.name), statement);
    if !column.nullable && column.fill.is_none() {
        let why = format!("column `{}` of `{}` is required and has no literal default", column.name, table.name);
        change.needs_no_rows = Some((table.name.clone(), why));
    }
    changes.push(change);
}

fn change_column(table: &TableSchema, before: &Column, after: &Column, changes: &mut Vec<Change>) {
    if before.kind != after.kind {
        change_kind(table, before, after, changes);
    }
    if before.nullable && !after.nullable && !emptied(&before.kind, &after.kind) {
        require(table, after, changes);
    }
}

fn require(table: &TableSchema, column: &Column, changes: &mut Vec<Change>) {
    let (name, quoted_column) = (quoted(&table.name), quoted(&column.name));
    let title = format!("require column `{}` of `{}`", column.name, table.name);
    changes.push(match &column.fill {
        Some(fill) => Change {
            rewrites: true,
            ..Change::new(title, format!("UPDATE {name} SET {quoted_column} = {fill} WHERE {quoted_column} IS NULL"))
        },
        None => {
            let why = format!("column `{}` of `{}` is required now and has no literal default", column.name, table.name);
            let needs = Some((table.name.clone(), column.name.clone(), why));
            Change { needs_no_nulls: needs, ..Change::new(title, String::new()) }
        }
    });
}

fn change_kind(table: &TableSchema, before: &Column, after: &Column, changes: &mut Vec<Change>) {
    let title = format!("change column `{}` of `{}` from {} to {}", after.name, table.name, before.kind, after.kind);
    let (name, column) = (quoted(&table.name), quoted(&after.name));
    let update = |to: String| format!("UPDATE {name} SET {column} = {to} WHERE {column} IS NOT NULL");
    changes.push(match conversion(&before.kind, &after.kind) {
        Conversion::None => Change::new(title, String::new()),
        Conversion::Scale(digits) => Change { rewrites: true, ..Change::new(title, update(format!("{column} * {}", 10i64.pow(digits)))) },
        Conversion::Cut(digits) => Change {
            rewrites: true,
            ..Change::destroying(title + ", cutting digits off", update(format!("{column} / {}", 10i64.pow(digits))))
        },
        Conversion::Narrow => Change::destroying(title + ", where values may not fit", String::new()),
        Conversion::Cast(to) => Change { rewrites: true, ..Change::new(title, replace(table, after, &format!("CAST({column} AS {to})"))) },
        Conversion::Empty => Change {
            rewrites: true,
            ..Change::destroying(title + ", losing its values", replace(table, after, after.fill.as_deref().unwrap_or("NULL")))
        },
    });
}

/// A column of another storage class takes the place of one.
fn replace(table: &TableSchema, column: &Column, value: &str) -> String {
    let (name, target) = (quoted(&table.name), quoted(&column.name));
    let passing = quoted(&format!("fourfold_moving_{}", column.number));
    format!(
        "ALTER TABLE {name} ADD COLUMN {passing} {storage}; UPDATE {name} SET {passing} = {value}; \
         ALTER TABLE {name} DROP COLUMN {target}; ALTER TABLE {name} RENAME COLUMN {passing} TO {target}",
        storage = column.storage()
    )
}

enum Conversion {
    None,
    /// More digits after the point.
    Scale(u32),
    /// Fewer.
    Cut(u32),
    /// The same form, but not every value fits.
    Narrow,
    /// Another storage class with the same meaning.
    Cast(&'static str),
    /// Nothing of it means anything in the new type.
    Empty,
}

fn emptied(before: &str, after: &str) -> bool {
    before != after && matches!(conversion(before, after), Conversion::Empty)
}

fn conversion(before: &str, after: &str) -> Conversion {
    if before.ends_with("[]") || after.ends_with("[]") {
        return Conversion::Empty;
    }
    match (before, after) {
        ("Int", "BigInt") => Conversion::None,
        ("BigInt", "Int") => Conversion::Narrow,
        ("Int" | "BigInt", "Float") => Conversion::Cast("REAL"),
        ("Int" | "BigInt", "String") => Conversion::Cast("TEXT"),
        (_, "String") if before.starts_with("enum ") => Conversion::None,
        ("Json", "String") => Conversion::None,
        (_, _) if after.starts_with("enum ") && (before == "String" || before.starts_with("enum ")) => Conversion::Narrow,
        _ => match (digits(before), digits(after)) {
            (Some((whole, from)), Some((wider, to))) if to >= from => match (to - from, wider >= whole) {
                (_, false) => Conversion::Narrow,
                (0, true) => Conversion::None,
                (more, true) => Conversion::Scale(more),
            },
            (Some((_, from)), Some((_, to))) if storage(after) == "INTEGER" => Conversion::Cut(from - to),
            _ => Conversion::Empty,
        },
    }
}

/// Digits before and after the point of a number's type.
fn digits(kind: &str) -> Option<(u32, u32)> {
    match kind {
        "Int" => Some((10, 0)),
        "BigInt" => Some((19, 0)),
        _ => {
            let (precision, scale) = kind.strip_prefix("Decimal(")?.strip_suffix(')')?.split_once(',')?;
            let (precision, scale): (u32, u32) = (precision.parse().ok()?, scale.parse().ok()?);
            Some((precision.saturating_sub(scale), scale))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn column(number: u32, name: &str, kind: &str) -> Column {
        Column { number, name: name.into(), kind: kind.into(), nullable: true, fill: None }
    }

    fn schema(columns: Vec<Column>) -> Schema {
        let indexes = vec![Index { unique: false, columns: vec![(3, false)] }];
        Schema { tables: vec![TableSchema { number: 1, owned: false, name: "t".into(), columns, indexes }] }
    }

    fn titles(have: &Schema, want: &Schema) -> Vec<String> {
        diff(have, want).into_iter().map(|change| format!("{}{}", if change.destructive { "! " } else { "" }, change.title)).collect()
    }

    #[test]
    fn the_same_schema_asks_for_nothing() {
        let have = schema(vec![column(1, "id", "Int"), column(3, "a", "Int")]);
        assert_eq!(titles(&have, &have), Vec::<String>::new());
    }

    #[test]
    fn a_renamed_column_is_known_by_its_number() {
        let have = schema(vec![column(1, "id", "Int"), column(3, "a", "Int")]);
        let want = schema(vec![column(1, "id", "Int"), column(3, "b", "Int")]);
        assert_eq!(titles(&have, &want), ["rename column `a` of `t` to `b`"]);
    }

    #[test]
    fn columns_that_swap_their_names_pass_by_another() {
        let have = schema(vec![column(1, "id", "Int"), column(3, "a", "Int"), column(4, "b", "Int")]);
        let want = schema(vec![column(1, "id", "Int"), column(3, "b", "Int"), column(4, "a", "Int")]);
        assert_eq!(diff(&have, &want).len(), 4);
    }

    #[test]
    fn what_loses_values_is_named() {
        let have = schema(vec![column(1, "id", "Int"), column(3, "a", "Decimal(10,2)"), column(4, "b", "Int")]);
        let want = schema(vec![column(1, "id", "Int"), column(3, "a", "Decimal(9,1)")]);
        assert_eq!(
            titles(&have, &want),
            [
                "! drop column `b` of `t` with its values",
                "! change column `a` of `t` from Decimal(10,2) to Decimal(9,1), cutting digits off"
            ]
        );
        assert_eq!(titles(&have, &Schema::default()), ["! drop table `t` with all its rows"]);
    }

    #[test]
    fn a_widened_decimal_keeps_its_values() {
        let have = schema(vec![column(1, "id", "Int"), column(3, "a", "Decimal(10,2)")]);
        let want = schema(vec![column(1, "id", "Int"), column(3, "a", "Decimal(14,4)")]);
        let changes = diff(&have, &want);
        assert_eq!(changes[0].statement, r#"UPDATE "t" SET "a" = "a" * 100 WHERE "a" IS NOT NULL"#);
        assert!(changes[0].rewrites && !changes[0].destructive);
    }
}
