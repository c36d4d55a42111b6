//! Which foreign keys are relations, and the views of the rows that lead to an entity.

use fourfold_model::names;

use super::super::introspect::{Asked, Foreign, Source, Table};
use super::naming::Names;
use super::{Entity, Member, types};

/// A foreign key that a model can have.
#[derive(Debug)]
pub struct Relation {
    from: String,
    column: String,
    /// The target's place among the tables.
    pub to: usize,
    pub on_delete: String,
}

/// The keys and relations of all tables.
#[derive(Debug, Default)]
pub struct Relations {
    /// By table: the one column that is its key.
    keys: Vec<(String, String)>,
    relations: Vec<Relation>,
}

impl Relations {
    pub fn of(source: &Source, notes: &mut Vec<String>) -> Asked<Relations> {
        let mut all = Relations::default();
        for table in &source.tables {
            if let Some(key) = own_key(source, table)? {
                all.keys.push((table.name.clone(), key));
            }
        }
        for table in &source.tables {
            for foreign in &table.foreign {
                match all.usable(source, table, foreign)? {
                    Ok(relation) => all.relations.push(relation),
                    Err(why) => {
                        notes.push(format!("the foreign key of `{}.{}` is no relation: {why}", table.name, foreign.columns.join(", ")));
                    }
                }
            }
        }
        Ok(all)
    }

    pub fn own_key(&self, table: &Table) -> Option<&str> {
        self.keys.iter().find(|(of, _)| *of == table.name).map(|(_, key)| key.as_str())
    }

    pub fn target(&self, table: &Table, column: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.from == table.name && relation.column == column)
    }

    /// The relation, or why it is none.
    fn usable(&self, source: &Source, table: &Table, foreign: &Foreign) -> Asked<Result<Relation, String>> {
        let [column] = foreign.columns.as_slice() else { return Ok(Err("it has several columns".into())) };
        let Some(column) = table.columns.iter().find(|known| known.name.eq_ignore_ascii_case(column)) else {
            return Ok(Err("its column is computed".into()));
        };
        if self.target(table, &column.name).is_some() {
            return Ok(Err("the column is one already".into()));
        }
        let Some(to) = source.tables.iter().position(|other| other.name.eq_ignore_ascii_case(&foreign.table)) else {
            return Ok(Err(format!("there is no table `{}`", foreign.table)));
        };
        let target = &source.tables[to];
        let Some(key) = self.own_key(target) else { return Ok(Err(format!("`{}` has no key of one column", target.name))) };
        if foreign.to.as_ref().is_some_and(|named| !named.eq_ignore_ascii_case(key)) {
            return Ok(Err(format!("it leads to `{}.{}`, which is not the key", target.name, foreign.to.as_deref().unwrap_or_default())));
        }
        let orphans = source.rows.orphans((table, &column.name), (target, key))?;
        if orphans > 0 {
            return Ok(Err(format!("{orphans} rows lead to none of `{}`", target.name)));
        }
        Ok(Ok(Relation { from: table.name.clone(), column: column.name.clone(), to, on_delete: foreign.on_delete.clone() }))
    }

    /// Gives each target a view of the rows that lead to it.
    pub fn inverses(&self, source: &Source, entities: &mut [Entity], taken: &mut [Names]) {
        for (at, table) in source.tables.iter().enumerate() {
            let from = entities[at].name.clone();
            let many = names::plural(&names::snake(&from));
            for relation in self.relations.iter().filter(|relation| relation.from == table.name) {
                let alone = self.relations.iter().filter(|other| other.from == table.name && other.to == relation.to).count() == 1;
                let Some(by) = relation_member(&entities[at], table, relation, self) else { continue };
                let name = taken[relation.to].view(&if alone { many.clone() } else { format!("{many}_by_{by}") });
                let attributes = vec![format!("@relation(inverse: {by})")];
                entities[relation.to].members.push(Member { name, ty: format!("{from}[]"), attributes });
            }
        }
    }
}

/// The relation's own name: members follow the columns, the key before them.
fn relation_member(entity: &Entity, table: &Table, relation: &Relation, all: &Relations) -> Option<String> {
    let own = all.own_key(table);
    let at = table.columns.iter().filter(|column| own != Some(&column.name)).position(|column| column.name == relation.column)?;
    entity.members.get(at + 1).map(|member| member.name.clone())
}

/// What becomes of a row whose target is deleted.
pub fn on_delete(table: &Table, relation: &Relation, nullable: bool, notes: &mut Vec<String>) -> Vec<String> {
    match relation.on_delete.as_str() {
        "CASCADE" => vec!["@relation(delete: cascade)".to_owned()],
        "SET NULL" if nullable => vec!["@relation(delete: null)".to_owned()],
        "SET NULL" | "SET DEFAULT" => {
            notes.push(format!("`{}.{}` is ON DELETE {}, which became `restrict`", table.name, relation.column, relation.on_delete));
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// The one column that is the key: no relation too, and never null, as a text that is a key may be in SQLite.
fn own_key(source: &Source, table: &Table) -> Asked<Option<String>> {
    let mut keys = table.columns.iter().filter(|column| column.key > 0);
    let (Some(key), None) = (keys.next(), keys.next()) else { return Ok(None) };
    let is_foreign = table.foreign.iter().any(|foreign| foreign.columns.iter().any(|column| column.eq_ignore_ascii_case(&key.name)));
    let kept = !is_foreign && !types::Probe::new(source, table, key).has_nulls()? && types::is_key(source, table, key)?;
    Ok(kept.then(|| key.name.clone()))
}
