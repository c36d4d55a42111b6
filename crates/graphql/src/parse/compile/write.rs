//! Mutations.

use fourfold_model::{Base, EntityId, FieldId, KEY};
use fourfold_op::{Answer, Error, Operand, Operation, Write, WriteKind};

use super::{Compiler, Group, Request, WriteRoot};
use crate::catalog::MutationVerb;
use crate::error::Fault;
use crate::parse::input::Input;
use crate::shape::{Entry, PayloadPart, Shape, text};

impl<'a> Compiler<'a> {
    /// A field of `Mutation`: one write, with values of its own.
    pub(super) fn mutation(&mut self, group: &Group<'a>) -> Result<WriteRoot, Fault> {
        let name = group.field.name.as_str();
        let known = self.reading.catalog.mutations.get(name).copied();
        let mutation = known.ok_or_else(|| Error::internal(format!("`{name}` is in the schema and not in the catalog")))?;
        let entity = mutation.entity;
        let mut key = match mutation.verb {
            MutationVerb::Create => None,
            _ => Some(self.key(entity, group.field)?),
        };
        let mut set = Vec::new();
        if let Some(input) = self.argument(group.field, "input") {
            set = self.set(entity, &input, &mut key)?;
        }
        let revision = self.some_argument(group.field, "expectedRevision");
        let if_revision = revision.map(|revision| self.operand(&revision, Base::BigInt, false, "/expected_revision")).transpose()?;
        let (payload, answer) = self.payload(entity, group)?;
        let kind = match mutation.verb {
            MutationVerb::Create => WriteKind::Create,
            MutationVerb::Update => WriteKind::Update,
            MutationVerb::Upsert => WriteKind::Upsert { create_only: false, update_only: false },
            MutationVerb::Delete => WriteKind::Delete,
        };
        let write = Write { entity, kind, key, set, if_revision, answer };
        let request = Request::new(Operation::Write(vec![write]), std::mem::take(&mut self.slots));
        Ok(WriteRoot { request, payload })
    }

    /// What an input sets, ascending by field; its `id` is the key.
    fn set(&mut self, entity: EntityId, input: &Input<'a>, key: &mut Option<Operand>) -> Result<Vec<(FieldId, Operand)>, Fault> {
        let definition = self.reading.model.entity(entity);
        let mut set = Vec::new();
        for (name, input) in self.inputs.members(input) {
            let field = self.reading.catalog.field(entity, name);
            let id = field.ok_or_else(|| Fault::invalid(format!("`{}` has no member `{name}`", definition.name)))?;
            let field = definition.field(id);
            if id == KEY && input.is_null() {
                continue;
            }
            let operand = self.operand(&input, field.ty.base, field.ty.list, &format!("/{}", field.name))?;
            match id {
                KEY => *key = Some(operand),
                _ => set.push((id, operand)),
            }
        }
        set.sort_by_key(|(id, _)| *id);
        Ok(set)
    }

    fn payload(&mut self, entity: EntityId, group: &Group<'a>) -> Result<(Shape<PayloadPart>, Answer), Fault> {
        let mut reads = super::Reads::default();
        let mut shape = Vec::new();
        let mut shows_row = false;
        for group in self.collect(&group.sets)? {
            let part = match group.field.name.as_str() {
                "__typename" => PayloadPart::Text(text(&format!("{}Payload", self.reading.model.entity(entity).name))),
                "cursor" => PayloadPart::Cursor,
                _ => {
                    shows_row = true;
                    PayloadPart::Row(self.row_into(entity, &group.sets, &mut reads)?)
                }
            };
            shape.push(Entry::new(group.key, part));
        }
        let answer = match shows_row {
            true => Answer::Row { fields: reads.fields.into_iter().collect(), nested: reads.nested },
            false => Answer::Key,
        };
        Ok((shape, answer))
    }
}
