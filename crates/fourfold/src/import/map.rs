//! Tables to entities: names, types, keys and relations. What has no form in a model is told, never dropped in silence.

mod indexes;
mod naming;
mod relations;
mod types;

use std::collections::BTreeMap;

use super::introspect::{Asked, Column, Source, Table};
use naming::{Names, TypeName};
use relations::Relations;

/// An entity of the model to write.
#[derive(Clone, Debug)]
pub struct Entity {
    pub name: String,
    /// Where the rules would make another one, or none.
    pub plural: Option<String>,
    pub table: String,
    pub members: Vec<Member>,
    pub indexes: Vec<Index>,
    pub uniques: Vec<Vec<String>>,
}

/// Fields, each with whether it descends.
pub type Index = Vec<(String, bool)>;

/// A line of an entity.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub ty: String,
    pub attributes: Vec<String>,
}

/// Which column of the source a field of a table is read from, where it is not its own: `None` is none.
pub type ReadFrom = BTreeMap<(String, String), Option<String>>;

/// What a database comes to.
#[derive(Debug)]
pub struct Mapped {
    pub entities: Vec<Entity>,
    pub read_from: ReadFrom,
    /// What was left out or changed, for people.
    pub notes: Vec<String>,
    /// Whether what others write becomes events too.
    pub captured: bool,
}

/// Maps every table.
pub fn map(source: &Source) -> Asked<Mapped> {
    let notes = source.left_out.iter().map(|what| format!("{what} has no form in a model and was left out")).collect();
    let mut mapped = Mapped { entities: Vec::new(), read_from: ReadFrom::new(), notes, captured: false };
    let types = naming::types(source.tables.iter().map(|table| table.name.as_str()));
    let relations = Relations::of(source, &mut mapped.notes)?;
    let mut taken = Vec::new();
    for (table, name) in source.tables.iter().zip(&types) {
        let mut mapper = Mapper { source, table, types: &types, relations: &relations, names: Names::default(), mapped: &mut mapped };
        let entity = mapper.entity(name)?;
        taken.push(mapper.names);
        mapped.entities.push(entity);
    }
    relations.inverses(source, &mut mapped.entities, &mut taken);
    Ok(mapped)
}

struct Mapper<'a> {
    source: &'a Source,
    table: &'a Table,
    types: &'a [TypeName],
    relations: &'a Relations,
    names: Names,
    mapped: &'a mut Mapped,
}

/// A column's field: its name in the model, and the name of its value, which of a relation ends in `_id`.
struct Named {
    name: String,
    stored: String,
}

impl Mapper<'_> {
    fn entity(&mut self, name: &TypeName) -> Asked<Entity> {
        let own_key = self.relations.own_key(self.table);
        let columns: Vec<&Column> = self.table.columns.iter().filter(|column| own_key != Some(&column.name)).collect();
        let named = self.named(&columns);
        let mut members = vec![self.key(own_key)?];
        for (column, named) in columns.iter().zip(&named) {
            let member = self.member(column, named)?;
            members.push(member);
        }
        let stored: BTreeMap<&str, &str> = columns
            .iter()
            .zip(&named)
            .map(|(column, named)| (column.name.as_str(), named.stored.as_str()))
            .chain(own_key.map(|key| (key, "id")))
            .collect();
        let opaque: Vec<&str> = members.iter().filter(|member| member.ty.starts_with("Json")).map(|member| member.name.as_str()).collect();
        let (indexes, uniques) = indexes::of(self.table, &stored, &opaque, &mut self.mapped.notes);
        self.tell_clauses();
        Ok(Entity { name: name.name.clone(), plural: name.plural.clone(), table: self.table.name.clone(), members, indexes, uniques })
    }

    /// Plain columns have their names first, and relations what is left.
    fn named(&mut self, columns: &[&Column]) -> Vec<Named> {
        let mut named: Vec<Option<Named>> = columns
            .iter()
            .map(|column| {
                let plain = self.relations.target(self.table, &column.name).is_none();
                plain.then(|| self.names.field(&column.name)).map(|name| Named { stored: name.clone(), name })
            })
            .collect();
        for (slot, column) in named.iter_mut().zip(columns).filter(|(slot, _)| slot.is_none()) {
            let name = self.names.relation(&column.name);
            *slot = Some(Named { stored: format!("{name}_id"), name });
        }
        named.into_iter().flatten().collect()
    }

    fn key(&mut self, own_key: Option<&str>) -> Asked<Member> {
        let column = own_key.and_then(|name| self.table.columns.iter().find(|column| column.name == name));
        let Some(column) = column else {
            self.note(format!("`{}` has no key of one column that is no relation, so its rows get an `id` of their own", self.table.name));
            self.mapped.read_from.insert((self.table.name.clone(), "id".into()), None);
            return Ok(Member { name: "id".into(), ty: "Int".into(), attributes: vec!["@key".into(), "@default(next())".into()] });
        };
        let ty = types::key(self.source, self.table, column, &mut self.mapped.notes)?;
        let mut attributes = vec!["@key".to_owned()];
        match ty {
            // In place, whoever owns the table says where its keys come from.
            "Int" | "BigInt" if self.source.in_place && !column.counted => {}
            "Int" | "BigInt" => attributes.push("@default(next())".into()),
            "Uuid" => attributes.push("@default(uuid7())".into()),
            _ => {}
        }
        if column.name != "id" {
            attributes.push(column_attribute(&column.name));
        }
        Ok(Member { name: "id".into(), ty: ty.into(), attributes })
    }

    fn member(&mut self, column: &Column, named: &Named) -> Asked<Member> {
        let nullable = column.nullable || self.has_nulls_all_the_same(column)?;
        let (ty, mut attributes) = match self.relations.target(self.table, &column.name) {
            Some(relation) => {
                let ty = self.types.get(relation.to).map(|of| of.name.clone()).unwrap_or_default();
                (ty, relations::on_delete(self.table, relation, nullable, &mut self.mapped.notes))
            }
            None => types::scalar(self.source, self.table, column, &mut self.mapped.notes)?,
        };
        if self.source.in_place {
            attributes.extend(Some(column_attribute(&column.name)).filter(|_| column.name != named.stored));
        } else if matches!(column.name.to_lowercase().as_str(), "id" | "revision") {
            self.note(format!(
                "`{}.{}` became `{}`: the store has a column of that name itself",
                self.table.name, column.name, named.stored
            ));
            self.mapped.read_from.insert((self.table.name.clone(), named.stored.clone()), Some(column.name.clone()));
        } else if column.name != named.stored {
            attributes.push(column_attribute(&column.name));
        }
        // A list is never null: a null of the source is an empty one.
        let mark = if nullable && !ty.ends_with("[]") { "?" } else { "" };
        Ok(Member { name: named.name.clone(), ty: format!("{ty}{mark}"), attributes })
    }

    /// A source may keep nulls in a column that was declared otherwise later.
    fn has_nulls_all_the_same(&mut self, column: &Column) -> Asked<bool> {
        let nulls = types::Probe::new(self.source, self.table, column).has_nulls()?;
        if nulls && !column.nullable {
            let declared = if column.key > 0 { "is of the key" } else { "is declared NOT NULL" };
            self.note(format!("`{}.{}` {declared} and holds nulls, so it may be null", self.table.name, column.name));
        }
        Ok(nulls)
    }

    fn tell_clauses(&mut self) {
        for column in &self.table.generated {
            self.note(format!("`{}.{column}` is computed by the source and was left out; `@computed` says it in a model", self.table.name));
        }
        for clause in &self.table.clauses {
            self.note(format!("`{}` has {clause}, which was left out", self.table.name));
        }
    }

    fn note(&mut self, note: String) {
        self.mapped.notes.push(note);
    }
}

fn column_attribute(column: &str) -> String {
    format!("@column({})", serde_json::Value::from(column))
}
