//! What must be done to a store's tables so that they are those of a model.
//!
//! Pure: it compares two [`Schema`]s. Whether rows stand in the way (a required column without a value for them) is told by
//! [`Change::needs_no_rows`] and [`Change::needs_no_nulls`], which the store asks its tables about.

use super::schema::{Column, Index, Schema, TableSchema};
use super::{Dialect, quoted};

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
pub fn diff(dialect: Dialect, have: &Schema, want: &Schema) -> Vec<Change> {
    let mut differ = Differ { dialect, changes: Vec::new() };
    for table in &have.tables {
        if !want.tables.iter().any(|wanted| differ.same_table(table, wanted)) {
            let title = format!("drop table `{}` with all its rows", table.name);
            differ.changes.push(Change::destroying(title, format!("DROP TABLE {}", quoted(&table.name))));
        }
    }
    differ.rename_tables(have, want);
    for table in &want.tables {
        match have.tables.iter().find(|old| differ.same_table(old, table)) {
            None => differ.create(table),
            Some(old) => differ.alter(old, table),
        }
    }
    differ.changes
}

/// The steps so far.
struct Differ {
    dialect: Dialect,
    changes: Vec<Change>,
}

impl Differ {
    fn add(&mut self, title: String, statement: String) {
        self.changes.push(Change::new(title, statement));
    }

    /// Whether two tables are one: the same number, form and key.
    fn same_table(&self, a: &TableSchema, b: &TableSchema) -> bool {
        let key = |table: &TableSchema| if table.owned { None } else { table.columns.first().map(|key| key.storage(self.dialect)) };
        a.number == b.number && a.owned == b.owned && key(a) == key(b)
    }

    fn create(&mut self, table: &TableSchema) {
        self.add(format!("create table `{}`", table.name), table.create(self.dialect));
        for index in &table.indexes {
            self.create_index(table, index);
        }
    }

    fn create_index(&mut self, table: &TableSchema, index: &Index) {
        let names: Vec<String> =
            index.columns.iter().filter_map(|(number, _)| table.column(*number)).map(|column| format!("`{}`", column.name)).collect();
        let what = if index.unique { "make unique in" } else { "index" };
        self.add(format!("{what} `{}`: {}", table.name, names.join(", ")), table.create_index(self.dialect, index));
    }

    /// Renames tables; where one takes a name that another has, by way of a name that nobody has.
    fn rename_tables(&mut self, have: &Schema, want: &Schema) {
        let pairs = have.tables.iter().filter_map(|old| want.tables.iter().find(|new| self.same_table(old, new)).map(|new| (old, new)));
        let moved: Vec<_> = pairs.filter(|(old, new)| old.name != new.name).collect();
        let title = |old: &TableSchema, new: &TableSchema| format!("rename table `{}` to `{}`", old.name, new.name);
        let rename = |from: &str, to: &str| format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to));
        let clash = moved.iter().any(|(_, new)| have.tables.iter().any(|other| other.name == new.name));
        if !clash {
            moved.iter().for_each(|(old, new)| self.add(title(old, new), rename(&old.name, &new.name)));
            return;
        }
        let passing = |number: u32| format!("fourfold_moving_{number}");
        for (old, _) in &moved {
            self.add(format!("put table `{}` aside", old.name), rename(&old.name, &passing(old.number)));
        }
        for (old, new) in &moved {
            self.add(title(old, new), rename(&passing(old.number), &new.name));
        }
    }

    /// The table has its new name by now.
    fn alter(&mut self, old: &TableSchema, new: &TableSchema) {
        let table = quoted(&new.name);
        let (gone, made) = self.changed_indexes(old, new);
        for index in gone {
            self.add(format!("drop an index of `{}`", new.name), format!("DROP INDEX {}", quoted(&old.index_name(index))));
        }
        for column in &old.columns {
            if new.column(column.number).is_none() {
                let title = format!("drop column `{}` of `{}` with its values", column.name, new.name);
                let statement = format!("ALTER TABLE {table} DROP COLUMN {}", quoted(&column.name));
                self.changes.push(Change::destroying(title, statement));
            }
        }
        self.rename_columns(old, new);
        for column in &new.columns {
            match old.column(column.number) {
                None => self.add_column(new, column),
                Some(before) => self.change_column(new, before, column),
            }
        }
        for index in made {
            self.create_index(new, index);
        }
    }

    /// The indexes that go, and those that are made.
    fn changed_indexes<'t>(&self, old: &'t TableSchema, new: &'t TableSchema) -> (Vec<&'t Index>, Vec<&'t Index>) {
        let changed = |index: &&Index| !self.kept(old, new, index);
        (old.indexes.iter().filter(changed).collect(), new.indexes.iter().filter(changed).collect())
    }

    /// Whether an index can stay: both sides have it, and none of its columns is made anew.
    fn kept(&self, old: &TableSchema, new: &TableSchema, index: &Index) -> bool {
        let both = old.indexes.contains(index) && new.indexes.contains(index);
        let same = |number: u32| match (old.column(number), new.column(number)) {
            (Some(a), Some(b)) => a.storage(self.dialect) == b.storage(self.dialect) && !emptied(&a.kind, &b.kind),
            _ => false,
        };
        both && index.columns.iter().all(|(number, _)| same(*number))
    }

    fn rename_columns(&mut self, old: &TableSchema, new: &TableSchema) {
        let pairs = old.columns.iter().filter_map(|before| new.column(before.number).map(|after| (before, after)));
        let moved: Vec<_> = pairs.filter(|(before, after)| before.name != after.name).collect();
        let rename = |from: &str, to: &str| format!("ALTER TABLE {} RENAME COLUMN {} TO {}", quoted(&new.name), quoted(from), quoted(to));
        let title = |before: &Column, after: &Column| format!("rename column `{}` of `{}` to `{}`", before.name, new.name, after.name);
        let clash = moved.iter().any(|(_, after)| old.columns.iter().any(|other| other.name.eq_ignore_ascii_case(&after.name)));
        if !clash {
            moved.iter().for_each(|(before, after)| self.add(title(before, after), rename(&before.name, &after.name)));
            return;
        }
        let passing = |number: u32| format!("fourfold_moving_{number}");
        for (before, _) in &moved {
            let title = format!("put column `{}` of `{}` aside", before.name, new.name);
            self.add(title, rename(&before.name, &passing(before.number)));
        }
        for (before, after) in &moved {
            self.add(title(before, after), rename(&passing(before.number), &after.name));
        }
    }

    fn add_column(&mut self, table: &TableSchema, column: &Column) {
        let storage = column.storage(self.dialect);
        let mut statement = format!("ALTER TABLE {} ADD COLUMN {} {storage}", quoted(&table.name), quoted(&column.name));
        if let Some(fill) = &column.fill {
            statement.push_str(&format!(" DEFAULT {fill}"));
        }
        let mut change = Change::new(format!("add column `{}` to `{}`", column.name, table.name), statement);
        if !column.nullable && column.fill.is_none() {
            let why = format!("column `{}` of `{}` is required and has no literal default", column.name, table.name);
            change.needs_no_rows = Some((table.name.clone(), why));
        }
        self.changes.push(change);
    }

    fn change_column(&mut self, table: &TableSchema, before: &Column, after: &Column) {
        if before.kind != after.kind {
            self.change_kind(table, before, after);
        }
        if before.nullable && !after.nullable && !emptied(&before.kind, &after.kind) {
            self.require(table, after);
        }
    }

    fn require(&mut self, table: &TableSchema, column: &Column) {
        let (name, quoted_column) = (quoted(&table.name), quoted(&column.name));
        let title = format!("require column `{}` of `{}`", column.name, table.name);
        self.changes.push(match &column.fill {
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

    fn change_kind(&mut self, table: &TableSchema, before: &Column, after: &Column) {
        let title = format!("change column `{}` of `{}` from {} to {}", after.name, table.name, before.kind, after.kind);
        let column = Changing { dialect: self.dialect, table, before, after };
        self.changes.push(match conversion(&before.kind, &after.kind) {
            Conversion::None => Change::new(title, column.widened()),
            Conversion::Scale(digits) => Change { rewrites: true, ..Change::new(title, column.scaled(digits)) },
            Conversion::Cut(digits) => Change { rewrites: true, ..Change::destroying(title + ", cutting digits off", column.cut(digits)) },
            Conversion::Narrow => Change::destroying(title + ", where values may not fit", column.widened()),
            Conversion::Cast => Change { rewrites: true, ..Change::new(title, column.cast()) },
            Conversion::Empty => Change { rewrites: true, ..Change::destroying(title + ", losing its values", column.emptied()) },
        });
    }
}

/// A column that becomes one of another type.
struct Changing<'a> {
    dialect: Dialect,
    table: &'a TableSchema,
    before: &'a Column,
    after: &'a Column,
}

impl Changing<'_> {
    fn update(&self, to: &str) -> String {
        let column = quoted(&self.after.name);
        format!("UPDATE {} SET {column} = {to} WHERE {column} IS NOT NULL", quoted(&self.table.name))
    }

    /// PostgreSQL's own change of type; a default of the old type would be in its way. Values that do not fit an Int are not to stop a
    /// migration that said so, so the column has room for them.
    fn retyped(&self, using: &str) -> String {
        let (table, column) = (quoted(&self.table.name), quoted(&self.after.name));
        let storage = Some(self.after.storage(self.dialect)).filter(|storage| *storage != "int4").unwrap_or("int8");
        format!(
            "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT; ALTER TABLE {table} ALTER COLUMN {column} TYPE {storage} USING {using}"
        )
    }

    /// The same values. What SQLite holds in one storage class, PostgreSQL may hold in two types.
    fn widened(&self) -> String {
        let (from, to) = (self.before.storage(self.dialect), self.after.storage(self.dialect));
        if self.dialect == Dialect::Sqlite || from == to || (from, to) == ("int8", "int4") {
            return String::new();
        }
        self.retyped(&format!("{}::{}", quoted(&self.after.name), if to == "int4" { "int8" } else { bare(to) }))
    }

    fn scaled(&self, digits: u32) -> String {
        let column = quoted(&self.after.name);
        match self.dialect {
            Dialect::Sqlite => self.update(&format!("{column} * {}", 10i64.pow(digits))),
            Dialect::Postgres => self.retyped(&format!("round({column}::numeric, {})", scale(&self.after.kind))),
        }
    }

    fn cut(&self, digits: u32) -> String {
        let column = quoted(&self.after.name);
        match self.dialect {
            Dialect::Sqlite => self.update(&format!("{column} / {}", 10i64.pow(digits))),
            Dialect::Postgres => self.retyped(&format!("trunc({column}, {})", scale(&self.after.kind))),
        }
    }

    fn cast(&self) -> String {
        let (column, storage) = (quoted(&self.after.name), self.after.storage(self.dialect));
        match self.dialect {
            Dialect::Sqlite => self.replaced(&format!("CAST({column} AS {storage})")),
            Dialect::Postgres => self.retyped(&format!("{column}::{}", bare(storage))),
        }
    }

    fn emptied(&self) -> String {
        self.replaced(self.after.fill.as_deref().unwrap_or("NULL"))
    }

    /// A column of another type takes the place of one.
    fn replaced(&self, value: &str) -> String {
        let (name, target) = (quoted(&self.table.name), quoted(&self.after.name));
        let passing = quoted(&format!("fourfold_moving_{}", self.after.number));
        format!(
            "ALTER TABLE {name} ADD COLUMN {passing} {storage}; UPDATE {name} SET {passing} = {value}; \
             ALTER TABLE {name} DROP COLUMN {target}; ALTER TABLE {name} RENAME COLUMN {passing} TO {target}",
            storage = self.after.storage(self.dialect)
        )
    }
}

/// A type without its collation.
fn bare(storage: &str) -> &str {
    storage.split(' ').next().unwrap_or(storage)
}

/// Digits after the point.
fn scale(kind: &str) -> u32 {
    digits(kind).map_or(0, |(_, scale)| scale)
}

enum Conversion {
    /// The same values.
    None,
    /// More digits after the point.
    Scale(u32),
    /// Fewer.
    Cut(u32),
    /// The same form, but not every value fits.
    Narrow,
    /// Another type with the same meaning.
    Cast,
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
        ("Int" | "BigInt", "Float" | "String") => Conversion::Cast,
        (_, "String") if before.starts_with("enum ") => Conversion::None,
        ("Json", "String") => Conversion::None,
        (_, _) if after.starts_with("enum ") && (before == "String" || before.starts_with("enum ")) => Conversion::Narrow,
        _ => match (digits(before), digits(after)) {
            (Some((whole, from)), Some((wider, to))) if to >= from => match (to - from, wider >= whole) {
                (_, false) => Conversion::Narrow,
                (0, true) => Conversion::None,
                (more, true) => Conversion::Scale(more),
            },
            (Some((_, from)), Some((_, to))) => Conversion::Cut(from - to),
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
        diff(Dialect::Sqlite, have, want)
            .into_iter()
            .map(|change| format!("{}{}", if change.destructive { "! " } else { "" }, change.title))
            .collect()
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
        assert_eq!(diff(Dialect::Sqlite, &have, &want).len(), 4);
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
        let changes = diff(Dialect::Sqlite, &have, &want);
        assert_eq!(changes[0].statement, r#"UPDATE "t" SET "a" = "a" * 100 WHERE "a" IS NOT NULL"#);
        assert!(changes[0].rewrites && !changes[0].destructive);
        let retyped = |type_: &str, using: &str| {
            format!(r#"ALTER TABLE "t" ALTER COLUMN "a" DROP DEFAULT; ALTER TABLE "t" ALTER COLUMN "a" TYPE {type_} USING {using}"#)
        };
        let postgres = diff(Dialect::Postgres, &have, &want);
        assert_eq!(postgres[0].statement, retyped("numeric", r#"round("a"::numeric, 4)"#));
        let (int, wide) = (schema(vec![column(1, "id", "Int"), column(3, "a", "Int")]), |kind| {
            schema(vec![column(1, "id", "Int"), column(3, "a", kind)])
        });
        let statements = |want: &Schema| diff(Dialect::Postgres, &int, want).into_iter().map(|change| change.statement).collect::<Vec<_>>();
        let index = |null: &str| [r#"DROP INDEX "index:1:3""#.to_owned(), format!(r#"CREATE INDEX "index:1:3" ON "t" ("a"{null})"#)];
        let [drop, make] = index(" NULLS FIRST");
        assert_eq!(statements(&wide("BigInt")), [drop.clone(), retyped("int8", r#""a"::int8"#), make.clone()]);
        assert_eq!(statements(&wide("String")), [drop, retyped(r#"text COLLATE "C""#, r#""a"::text"#), make]);
    }
}
