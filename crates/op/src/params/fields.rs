//! `fields` and `expand`: which members of a row an answer shows, and rows of which relations.

use std::sync::Arc;

use fourfold_model::{Entity, EntityId, FieldId, Model, RelationId, RelationKind, Value};

use super::{Asking, Wrong, names, visible_fields};
use crate::json::{did_you_mean, quoted};
use crate::render::RowShape;
use crate::{Limits, List, Nested};

/// What a row shows, with what hangs below it.
#[derive(Debug)]
struct Tree {
    entity: EntityId,
    fields: Option<Vec<FieldId>>,
    nested: Vec<(RelationId, Tree)>,
}

/// The fields of an entity that a row shows when nothing else is asked: all but the secrets.
pub fn default_fields(entity: &Entity) -> Vec<FieldId> {
    visible_fields(entity).map(|(id, _)| id).collect()
}

/// The fields and the shape of a row when nothing else is asked.
pub fn default_read(model: &Model, entity: EntityId) -> (Vec<FieldId>, Arc<RowShape>) {
    let fields = default_fields(model.entity(entity));
    let shape = Arc::new(RowShape::new(model, entity, &fields, &[]));
    (fields, shape)
}

/// What a read is to show.
pub(super) struct Shown {
    pub(super) fields: Vec<FieldId>,
    pub(super) nested: Vec<Nested>,
    pub(super) shape: Arc<RowShape>,
}

impl Asking<'_> {
    /// What `fields` and `expand` ask for.
    pub(super) fn shown(&mut self, entity: EntityId, fields: Option<&str>, expand: Option<&str>) -> Shown {
        let mut tree = Tree::new(entity);
        for path in expand.map(|text| self.paths("expand", text)).unwrap_or_default() {
            if let Err(wrong) = self.expand(&mut tree, &path) {
                self.refused("expand", wrong);
            }
        }
        if let Some(text) = fields {
            for path in self.paths("fields", text) {
                if let Err(detail) = self.choose(&mut tree, &path) {
                    self.wrong("fields", detail);
                }
            }
            tree.fields.get_or_insert_default();
        }
        let (fields, nested) = self.resolve(tree);
        let shape = Arc::new(RowShape::new(self.model, entity, &fields, &nested));
        Shown { fields, nested, shape }
    }

    fn paths(&mut self, parameter: &str, text: &str) -> Vec<String> {
        let paths: Vec<String> = text.split(',').map(|path| path.trim().to_owned()).collect();
        let paths_max = self.limits.expand_paths_max;
        if paths.iter().any(String::is_empty) {
            self.wrong(parameter, format!("`{parameter}` has an empty name; expected names with commas between them"));
        } else if parameter == "expand" && paths.len() > paths_max {
            self.exceeded(parameter, "expand_paths_max", paths_max, "paths");
        } else {
            return paths;
        }
        Vec::new()
    }

    fn expand(&self, tree: &mut Tree, path: &str) -> Result<(), Wrong> {
        if path.split('.').count() > self.limits.expand_depth_max {
            return Err(Wrong::TooFar);
        }
        let mut at = tree;
        for name in path.split('.') {
            let relation = self.relation(at.entity, name)?;
            at = at.below(relation, self.entity(at.entity).relation(relation).target);
        }
        Ok(())
    }

    fn relation(&self, entity: EntityId, name: &str) -> Result<RelationId, String> {
        let entity = self.entity(entity);
        let shown = |id: &RelationId| self.face.shows(self.entity(entity.relation(*id).target));
        entity.relation_by_name(name).filter(shown).ok_or_else(|| {
            let relations: Vec<&str> = entity
                .relations
                .iter()
                .filter(|relation| self.face.shows(self.entity(relation.target)))
                .map(|relation| relation.name.as_str())
                .collect();
            let near = did_you_mean(name, relations.iter().copied());
            let all = if relations.is_empty() { "it has none".to_owned() } else { format!("it has {}", relations.join(", ")) };
            let hint = if near.is_empty() { format!("; {all}") } else { near };
            format!("{} is not a relation of `{}`{hint}", quoted(name), entity.name)
        })
    }

    fn choose(&self, tree: &mut Tree, path: &str) -> Result<(), String> {
        let mut at = tree;
        let mut names_left = path.split('.').peekable();
        while let Some(name) = names_left.next() {
            let entity = self.entity(at.entity);
            if names_left.peek().is_none() {
                return self.choose_last(at, entity, name);
            }
            let relation = self.relation(at.entity, name)?;
            at = at
                .nested
                .iter_mut()
                .find(|(known, _)| *known == relation)
                .map(|(_, below)| below)
                .ok_or_else(|| not_expanded(path, name))?;
        }
        Ok(())
    }

    fn choose_last(&self, at: &mut Tree, entity: &Entity, name: &str) -> Result<(), String> {
        if let Some(field) = self.readable(entity, name)? {
            let fields = at.fields.get_or_insert_default();
            if !fields.contains(&field) {
                fields.push(field);
            }
            return Ok(());
        }
        match entity.relation_by_name(name) {
            Some(relation) if at.nested.iter().any(|(known, _)| *known == relation) => {
                at.fields.get_or_insert_default();
                Ok(())
            }
            Some(_) if self.relation(at.entity, name).is_ok() => Err(not_expanded(name, name)),
            _ => {
                let names = names(self.model, self.face, entity);
                Err(format!("unknown field {} of `{}`{}", quoted(name), entity.name, did_you_mean(name, names.iter().map(String::as_str))))
            }
        }
    }

    fn resolve(&mut self, tree: Tree) -> (Vec<FieldId>, Vec<Nested>) {
        let entity = self.entity(tree.entity);
        let mut fields = tree.fields.unwrap_or_else(|| default_fields(entity));
        fields.sort_unstable();
        let nested = tree.nested.into_iter().map(|(relation, below)| {
            let list = self.nested_list(entity, relation);
            let (fields, nested) = self.resolve(below);
            Nested { relation, fields, nested, list }
        });
        let nested = nested.collect();
        (fields, nested)
    }

    fn nested_list(&mut self, entity: &Entity, relation: RelationId) -> List {
        match entity.relation(relation).kind {
            RelationKind::One { .. } => List::default(),
            RelationKind::Many { .. } => List { size: Some(self.lift(expanded_size(self.limits))), ..List::default() },
        }
    }
}

fn expanded_size(limits: &Limits) -> Value {
    Value::Int(i64::from(limits.expand_items_max))
}

fn not_expanded(path: &str, relation: &str) -> String {
    format!("{} is of the relation `{relation}`, which is not expanded; add `expand={relation}`", quoted(path))
}

impl Tree {
    fn new(entity: EntityId) -> Tree {
        Tree { entity, fields: None, nested: Vec::new() }
    }

    /// The tree below a relation, made when it is not there.
    fn below(&mut self, relation: RelationId, target: EntityId) -> &mut Tree {
        let at = match self.nested.iter().position(|(known, _)| *known == relation) {
            Some(at) => at,
            None => {
                self.nested.push((relation, Tree::new(target)));
                self.nested.len() - 1
            }
        };
        &mut self.nested[at].1
    }
}
