//! Indexes and unique constraints by the names of fields.

use std::collections::BTreeMap;

use super::super::introspect::{Column, Table};
use super::Index;

/// Those that a model can have, each once.
pub fn of(table: &Table, stored: &BTreeMap<&str, &str>, opaque: &[&str], notes: &mut Vec<String>) -> (Vec<Index>, Vec<Vec<String>>) {
    let (mut indexes, mut uniques): (Vec<Index>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    let field = |column: &str| stored.get(column).map(|field| (*field).to_owned());
    let mut keys: Vec<&Column> = table.columns.iter().filter(|column| column.key > 0).collect();
    keys.sort_by_key(|column| column.key);
    uniques.extend(Some(keys.iter().filter_map(|column| field(&column.name)).collect()).filter(|fields: &Vec<String>| !fields.is_empty()));
    for index in &table.indexes {
        let fields: Option<Index> = index.columns.iter().map(|(column, descends)| Some((field(column)?, *descends))).collect();
        let fields = fields.filter(|fields| !index.partial && fields.iter().all(|(field, _)| !opaque.contains(&field.as_str())));
        match fields {
            None => notes.push(format!(
                "the index `{}` of `{}` was left out: it is of a part of the rows, of an expression, or of Json",
                index.name, table.name
            )),
            Some(fields) if index.unique => uniques.push(fields.into_iter().map(|(field, _)| field).collect()),
            Some(fields) => indexes.push(fields),
        }
    }
    // The key is unique and has its index by itself.
    uniques.retain(|fields| *fields != ["id"]);
    indexes.retain(|fields| fields.iter().map(|(field, _)| field).ne(["id"]));
    (once(indexes), once(uniques))
}

fn once<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}
