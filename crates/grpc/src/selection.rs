//! `read_mask`: which fields and relations of a row come back.

use fourfold_model::{Entity, EntityId, FieldId, KEY, Model, REVISION, RelationKind, Value};
use fourfold_op::{Answer, Error, Limits, List, Nested, Operand};

use crate::message::unknown_field;
use crate::render::Shown;
use crate::schema::is_exposed;

/// The values of an operation, as its operands name them.
#[derive(Debug, Default)]
pub struct Values(pub Vec<Value>);

impl Values {
    /// Adds a value.
    ///
    /// # Errors
    /// `limit_exceeded` beyond 65,535 of them.
    pub fn push(&mut self, value: Value) -> Result<Operand, Error> {
        let index = u16::try_from(self.0.len()).map_err(|_| Error::limit("request_values_max", usize::from(u16::MAX), "values"))?;
        self.0.push(value);
        Ok(Operand(index))
    }
}

/// What of a row comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Which fields, ascending.
    pub fields: Vec<FieldId>,
    /// Which relations.
    pub nested: Vec<Nested>,
}

impl Selection {
    /// All fields of the row itself.
    pub fn all(entity: &Entity) -> Selection {
        Selection { fields: entity.field_ids().filter(|(_, field)| !field.secret).map(|(id, _)| id).collect(), nested: Vec::new() }
    }

    /// What is shown of its rows.
    pub fn shown(&self) -> Shown<'_> {
        Shown { fields: &self.fields, nested: &self.nested }
    }

    /// The answer of a write that shows this.
    pub fn answer(&self) -> Answer {
        Answer::Row { fields: self.fields.clone(), nested: self.nested.clone() }
    }
}

/// Reads a mask; an empty one is all fields of the row itself.
///
/// # Errors
/// `invalid_argument` for a path that leads nowhere, `limit_exceeded` for too deep or too many relations.
pub fn selection<P: AsRef<str>>(
    model: &Model,
    entity: EntityId,
    paths: &[P],
    limits: &Limits,
    values: &mut Values,
) -> Result<Selection, Error> {
    if paths.is_empty() {
        return Ok(Selection::all(model.entity(entity)));
    }
    let mut builder = Builder { model, limits, values, size: None };
    let mut selection = Selection { fields: vec![KEY, REVISION], nested: Vec::new() };
    for path in paths {
        builder.path(entity, path.as_ref(), path.as_ref(), 0, &mut selection)?;
    }
    let relations = leaves(&selection.nested);
    if relations > limits.expand_paths_max {
        return Err(Error::limit("expand_paths_max", limits.expand_paths_max, "paths"));
    }
    sort(&mut selection);
    Ok(selection)
}

struct Builder<'a> {
    model: &'a Model,
    limits: &'a Limits,
    values: &'a mut Values,
    /// The operand that says how many rows of a to-many relation are shown.
    size: Option<Operand>,
}

impl Builder<'_> {
    fn path(&mut self, id: EntityId, path: &str, whole: &str, depth: usize, into: &mut Selection) -> Result<(), Error> {
        let entity = self.model.entity(id);
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        if name == "*" && rest.is_none() {
            into.fields.extend(Selection::all(entity).fields);
            return Ok(());
        }
        if let Some(field) = entity.field_by_name(name) {
            return self.field(entity, field, rest, whole, into);
        }
        let relation = entity.relation_by_name(name).filter(|id| is_exposed(self.model.entity(entity.relation(*id).target)));
        let Some(relation) = relation else { return Err(wrong(whole, unknown_field(entity, name))) };
        if depth >= self.limits.expand_depth_max {
            return Err(Error::limit("expand_depth_max", self.limits.expand_depth_max, "levels"));
        }
        let target = entity.relation(relation).target;
        let at = self.nested(entity, relation, into)?;
        let Some(nested) = into.nested.get_mut(at) else { return Ok(()) };
        let mut within = Selection { fields: std::mem::take(&mut nested.fields), nested: std::mem::take(&mut nested.nested) };
        self.path(target, rest.unwrap_or("*"), whole, depth + 1, &mut within)?;
        (nested.fields, nested.nested) = (within.fields, within.nested);
        Ok(())
    }

    fn field(&self, entity: &Entity, field: FieldId, rest: Option<&str>, whole: &str, into: &mut Selection) -> Result<(), Error> {
        match rest {
            Some(_) => Err(wrong(whole, format!("`{}` of `{}` is read whole", entity.field(field).name, entity.name))),
            None => {
                into.fields.push(field);
                Ok(())
            }
        }
    }

    fn nested(&mut self, entity: &Entity, relation: fourfold_model::RelationId, into: &mut Selection) -> Result<usize, Error> {
        if let Some(at) = into.nested.iter().position(|nested| nested.relation == relation) {
            return Ok(at);
        }
        let list = match entity.relation(relation).kind {
            RelationKind::One { .. } => List::default(),
            RelationKind::Many { .. } => List { size: Some(self.size()?), ..List::default() },
        };
        into.nested.push(Nested { relation, fields: vec![KEY, REVISION], nested: Vec::new(), list });
        Ok(into.nested.len() - 1)
    }

    fn size(&mut self) -> Result<Operand, Error> {
        match self.size {
            Some(size) => Ok(size),
            None => {
                let size = self.values.push(Value::Int(i64::from(self.limits.expand_items_max)))?;
                self.size = Some(size);
                Ok(size)
            }
        }
    }
}

fn wrong(path: &str, detail: String) -> Error {
    Error::invalid_at("/read_mask", format!("read mask `{path}`: {detail}"))
}

fn leaves(nested: &[Nested]) -> usize {
    nested.iter().map(|nested| leaves(&nested.nested).max(1)).sum()
}

/// Equal masks make equal operations, in whatever order their paths stand.
fn sort(selection: &mut Selection) {
    selection.fields.sort_unstable();
    selection.fields.dedup();
    selection.nested.sort_by_key(|nested| nested.relation.0);
    selection.nested.iter_mut().for_each(sort_nested);
}

fn sort_nested(nested: &mut Nested) {
    nested.fields.sort_unstable();
    nested.fields.dedup();
    nested.nested.sort_by_key(|nested| nested.relation.0);
    nested.nested.iter_mut().for_each(sort_nested);
}
