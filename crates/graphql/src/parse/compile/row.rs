//! Selections of rows.

use apollo_compiler::executable::SelectionSet;
use fourfold_model::{Base, EntityId, Field, FieldId, Member, OwnedId, REVISION, RelationId, RelationKind};
use fourfold_op::{Error, List, Nested};

use super::{Compiler, Group, Reads};
use crate::error::Fault;
use crate::shape::{Entry, RowPart, Shape, text};
use crate::shown;

impl<'a> Compiler<'a> {
    /// A selection of an entity's row.
    pub(super) fn row(&mut self, entity: EntityId, sets: &[&'a SelectionSet]) -> Result<(Shape<RowPart>, Reads), Fault> {
        let mut reads = Reads::default();
        let shape = self.row_into(entity, sets, &mut reads)?;
        Ok((shape, reads))
    }

    /// The same, where other selections read of the same row.
    pub(super) fn row_into(&mut self, entity: EntityId, sets: &[&'a SelectionSet], reads: &mut Reads) -> Result<Shape<RowPart>, Fault> {
        let mut shape = Vec::new();
        for group in self.collect(sets)? {
            let part = self.row_part(entity, &group, reads);
            let part = part.map_err(|fault| fault.at(group.field.location(), &self.document.sources))?;
            shape.push(Entry::new(group.key, part));
        }
        Ok(shape)
    }

    fn row_part(&mut self, entity: EntityId, group: &Group<'a>, reads: &mut Reads) -> Result<RowPart, Fault> {
        let name = group.field.name.as_str();
        let definition = self.reading.model.entity(entity);
        if name == "__typename" {
            return Ok(RowPart::Text(text(&definition.name)));
        }
        match self.reading.catalog.member(entity, name) {
            // A revision is a number on every face, though it has 64 bits: it stays below 2^53.
            Some(Member::Field(REVISION)) => Ok(RowPart::Value { slot: REVISION, base: Base::Int, nullable: false }),
            Some(Member::Field(id)) => {
                reads.fields.insert(id);
                self.field_part(id, definition.field(id), group)
            }
            Some(Member::Relation(id)) => self.relation_part(entity, id, group, reads),
            None => Err(Error::internal(format!("`{name}` is in the schema and not in the catalog")).into()),
        }
    }

    fn field_part(&mut self, slot: FieldId, field: &Field, group: &Group<'a>) -> Result<RowPart, Fault> {
        let nullable = field.nullable_out();
        match field.ty.base {
            Base::Owned(owned) => {
                let shape = self.owned(owned, &group.sets)?;
                Ok(RowPart::Owned { slot, shape, list: field.ty.list, nullable })
            }
            base => Ok(RowPart::Value { slot, base, nullable }),
        }
    }

    fn owned(&mut self, owned: OwnedId, sets: &[&'a SelectionSet]) -> Result<Shape<RowPart>, Fault> {
        let definition = self.reading.model.owned(owned);
        let mut shape = Vec::new();
        for group in self.collect(sets)? {
            let name = group.field.name.as_str();
            let field = self.reading.catalog.owned_field(owned, name);
            let part = match field.and_then(|id| Some((id, definition.fields.get(usize::from(id.0))?))) {
                Some((id, field)) => self.field_part(id, field, &group)?,
                None => RowPart::Text(text(&definition.name)),
            };
            shape.push(Entry::new(group.key, part));
        }
        Ok(shape)
    }

    fn relation_part(&mut self, entity: EntityId, id: RelationId, group: &Group<'a>, reads: &mut Reads) -> Result<RowPart, Fault> {
        let model = self.reading.model;
        let relation = model.entity(entity).relation(id);
        let place = reads.nested.len();
        match relation.kind {
            RelationKind::One { field, .. } => {
                let nullable = shown::nullable_relation(model, model.entity(entity).field(field), relation);
                let (shape, inner) = self.row(relation.target, &group.sets)?;
                reads.nested.push(inner.nested(id, List::default()));
                Ok(RowPart::One { place, shape, nullable })
            }
            RelationKind::Many { .. } => {
                let (list, shape, inner) = self.list(relation.target, group)?;
                reads.nested.push(inner.nested(id, list));
                Ok(RowPart::Many { place, shape })
            }
        }
    }
}

impl Reads {
    fn nested(self, relation: RelationId, list: List) -> Nested {
        Nested { relation, fields: self.fields.into_iter().collect(), nested: self.nested, list }
    }
}
