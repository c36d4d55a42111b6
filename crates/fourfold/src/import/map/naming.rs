//! Names of tables and columns as a model can have them, each once.

use std::collections::BTreeSet;

use fourfold_model::names;

/// Letters of a name, with room for what makes it unlike the others.
const NAME_MAX: usize = 40;
/// Types that a model or its contracts have already.
const TYPES: [&str; 27] = [
    "String",
    "Boolean",
    "Int",
    "BigInt",
    "Float",
    "Decimal",
    "DateTime",
    "Date",
    "Uuid",
    "UUID",
    "Bytes",
    "Json",
    "JSON",
    "ID",
    "Revision",
    "OrderDirection",
    "ChangeKind",
    "Query",
    "Mutation",
    "Subscription",
    "Node",
    "PageInfo",
    "BatchRequest",
    "BatchResponse",
    "Batch",
    "Action",
    "Channel",
];
/// What protobuf makes of one type's name; GraphQL's are in `names`.
const PROTOBUF_SUFFIXES: [&str; 2] = ["Service", "List"];
/// What GraphQL makes of a scalar's.
const SCALAR_SUFFIXES: [&str; 2] = ["Filter", "ListFilter"];
const FIELDS: [&str; 11] = ["old", "new", "caller", "channel", "in", "true", "false", "null", "id", "revision", "cursor"];

/// A type's name, and its plural where the rules do not make one that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    pub name: String,
    pub plural: Option<String>,
}

/// A type for each table.
pub fn types<'a>(tables: impl Iterator<Item = &'a str>) -> Vec<TypeName> {
    let wanted: Vec<String> = tables.map(wanted_type).collect();
    let (mut given, mut words) = (BTreeSet::new(), BTreeSet::from(["node".to_owned()]));
    let name = |wanted_one: &String| {
        let base = if is_made(wanted_one, &wanted) { format!("{wanted_one}Row") } else { wanted_one.clone() };
        let name = first_free(&base, "", |name| !given.contains(&name.to_lowercase()));
        given.insert(name.to_lowercase());
        name
    };
    let names: Vec<String> = wanted.iter().map(name).collect();
    words.extend(names.iter().map(|name| names::snake(name)));
    names.into_iter().map(|name| with_plural(name, &mut words)).collect()
}

/// Whether something else of a contract would have this name.
fn is_made(name: &str, wanted: &[String]) -> bool {
    let of = |suffix: &str, known: &dyn Fn(&str) -> bool| name.strip_suffix(suffix).is_some_and(known);
    TYPES.contains(&name)
        || names::PROTOBUF_BESIDE_ROW.contains(&names::snake(name).as_str())
        || names::GRAPHQL_SUFFIXES.iter().chain(&PROTOBUF_SUFFIXES).any(|suffix| of(suffix, &|stem| wanted.iter().any(|one| one == stem)))
        || SCALAR_SUFFIXES.iter().any(|suffix| of(suffix, &|stem| TYPES.contains(&stem)))
}

fn with_plural(name: String, words: &mut BTreeSet<String>) -> TypeName {
    let one = names::snake(&name);
    let made = names::plural(&one);
    let is_free = |plural: &str| !words.contains(plural) && !names::RESERVED_PLURALS.contains(&plural);
    let plural = if is_free(&made) { made.clone() } else { first_free(&format!("{one}_rows"), "_", is_free) };
    words.insert(plural.clone());
    TypeName { name, plural: Some(plural).filter(|plural| *plural != made) }
}

/// `invoice_line`, `InvoiceLine` and `invoice lines` as a type.
fn wanted_type(table: &str) -> String {
    let name = names::pascal(&snake(table));
    if name.starts_with(|c: char| c.is_ascii_uppercase()) { name } else { format!("T{name}") }
}

/// The names of one entity's members: in camel case no two may be alike.
#[derive(Debug)]
pub struct Names(BTreeSet<String>);

impl Default for Names {
    fn default() -> Names {
        Names(["id", "revision", "cursor", "nodeId"].map(str::to_owned).into())
    }
}

impl Names {
    /// A column's name as a field.
    pub fn field(&mut self, column: &str) -> String {
        self.give(&field_name(column), &[""])
    }

    /// `CustomerId` leads to `customer`; `ReportsTo` is called so itself.
    pub fn relation(&mut self, column: &str) -> String {
        let name = snake(column);
        self.give(&field_name(name.strip_suffix("_id").filter(|rest| !rest.is_empty()).unwrap_or(&name)), &["", "_id"])
    }

    /// The rows that lead here by a relation.
    pub fn view(&mut self, name: &str) -> String {
        self.give(&field_name(name), &[""])
    }

    fn give(&mut self, base: &str, ends: &[&str]) -> String {
        let name = first_free(base, "_", |name| ends.iter().all(|end| !self.0.contains(&names::camel(&format!("{name}{end}")))));
        self.0.extend(ends.iter().map(|end| names::camel(&format!("{name}{end}"))));
        name
    }
}

fn field_name(column: &str) -> String {
    let name = snake(column);
    match name.chars().next() {
        Some(first) if first.is_ascii_lowercase() && !FIELDS.contains(&name.as_str()) => name,
        Some(first) if first.is_ascii_lowercase() => format!("{name}_field"),
        _ => format!("f_{name}").trim_end_matches('_').to_owned(),
    }
}

/// Plain letters and digits in snake case; letters with marks become plain ones.
fn snake(name: &str) -> String {
    let plain: String = name.chars().flat_map(plain).collect();
    let words: Vec<String> = plain.split('_').filter(|word| !word.is_empty()).map(names::snake).collect();
    let mut name = words.join("_");
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    name.truncate(NAME_MAX);
    name.trim_matches('_').to_owned()
}

fn plain(letter: char) -> Vec<char> {
    let text = match letter {
        'ä' | 'æ' => "ae",
        'Ä' | 'Æ' => "Ae",
        'ö' | 'ø' | 'œ' => "oe",
        'Ö' | 'Ø' => "Oe",
        'ü' => "ue",
        'Ü' => "Ue",
        'ß' => "ss",
        'á' | 'à' | 'â' | 'ã' | 'å' => "a",
        'é' | 'è' | 'ê' | 'ë' => "e",
        'í' | 'ì' | 'î' | 'ï' => "i",
        'ó' | 'ò' | 'ô' | 'õ' => "o",
        'ú' | 'ù' | 'û' => "u",
        'ñ' => "n",
        'ç' => "c",
        letter if letter.is_ascii_alphanumeric() => return vec![letter],
        _ => "_",
    };
    text.chars().collect()
}

/// The name itself, or with the first number that makes it free.
fn first_free(base: &str, before_number: &str, is_free: impl Fn(&str) -> bool) -> String {
    let numbered = (2u32..).map(|number| format!("{base}{before_number}{number}"));
    std::iter::once(base.to_owned()).chain(numbered).find(|name| is_free(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tables: &[&str], expect: &[(&str, Option<&str>)]) {
        let expect: Vec<TypeName> =
            expect.iter().map(|(name, plural)| TypeName { name: (*name).to_owned(), plural: plural.map(str::to_owned) }).collect();
        assert_eq!(types(tables.iter().copied()), expect, "{tables:?}");
    }

    #[test]
    fn tables_become_types_that_no_contract_has() {
        check(&["invoice lines", "INVOICE_ITEM"], &[("InvoiceLines", None), ("InvoiceItem", None)]);
        check(&["order line", "order_line"], &[("OrderLine", None), ("OrderLine2", None)]);
        check(&["person", "people"], &[("Person", Some("person_rows")), ("People", None)]);
        check(&["action", "Date", "ticket"], &[("ActionRow", None), ("DateRow", None), ("Ticket", Some("ticket_rows"))]);
        check(&["order", "order_change"], &[("Order", None), ("OrderChangeRow", None)]);
        check(&["change", "ChangeKind", "request_id"], &[("ChangeRow", None), ("ChangeKindRow", None), ("RequestIdRow", None)]);
        check(&["Größe", "2fa", "☃"], &[("Groesse", None), ("T2fa", None), ("T", None)]);
    }

    #[test]
    fn columns_become_fields_that_differ() {
        let mut names = Names::default();
        let fields = ["first name", "FirstName", "in", "Id", "node_id", "2nd", "☃", "a_1", "a1"].map(|column| names.field(column));
        assert_eq!(fields, ["first_name", "first_name_2", "in_field", "id_field", "node_id_2", "f_2nd", "f", "a_1", "a1_2"]);
        assert_eq!(names.relation("FirstNameId"), "first_name_3");
        assert_eq!(names.field("first_name_3_id"), "first_name_3_id_2");
    }
}
