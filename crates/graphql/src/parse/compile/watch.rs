//! Subscriptions: their arguments, and selections of changes.

use fourfold_engine::EncodingKey;
use fourfold_model::{Base, EntityId, Expr, FieldId, KEY, REVISION, SmolStr};
use fourfold_op::Error;

use super::{Compiler, Group, Reads};
use crate::error::Fault;
use crate::parse::input::{Leaf, Slot};
use crate::shape::{ChangePart, Entry, Shape, text};

/// What a subscription watches, and what it shows.
#[derive(Debug)]
pub(crate) struct WatchRequest {
    pub entity: EntityId,
    pub filter: Option<Expr>,
    pub fields: Vec<FieldId>,
    pub slots: Vec<Slot>,
    pub after: Option<Slot>,
    pub initial: Option<Slot>,
    pub entry: Entry<Shape<ChangePart>>,
    /// Equal for two that show the same under the same names: they share the bytes of each result.
    pub encoding: EncodingKey,
}

impl<'a> Compiler<'a> {
    pub(super) fn watch(&mut self, group: &Group<'a>) -> Result<WatchRequest, Fault> {
        let name = group.field.name.as_str();
        let unknown = || Fault::from(Error::internal(format!("`{name}` is in the schema and not in the catalog")));
        let entity = self.reading.catalog.changes.get(name).copied().ok_or_else(unknown)?;
        let filter = self.filters(entity, group.field)?;
        let after = self.start(group, "after", Base::String)?;
        let initial = self.start(group, "initial", Base::Boolean)?;
        let mut reads = Reads::default();
        let mut shape = Vec::new();
        for group in self.collect(&group.sets)? {
            let part = self.change_part(entity, &group, &mut reads)?;
            shape.push(Entry::new(group.key, part));
        }
        if !reads.nested.is_empty() {
            return Err(Fault::invalid("a change shows the row's own fields; read its relations with a query"));
        }
        reads.fields.extend([KEY, REVISION]);
        let (fields, entry) = (reads.fields.into_iter().collect(), Entry::new(group.key, shape));
        let encoding = EncodingKey { format: "graphql", shape: format!("{entry:?}").into() };
        Ok(WatchRequest { entity, filter, fields, slots: std::mem::take(&mut self.slots), after, initial, entry, encoding })
    }

    fn start(&self, group: &Group<'a>, name: &str, base: Base) -> Result<Option<Slot>, Fault> {
        let Some(input) = self.some_argument(group.field, name) else { return Ok(None) };
        let leaf = Leaf { base, list: false, pointer: SmolStr::new(format!("/{name}")), within: false };
        Ok(Some(self.inputs.slot(&input, leaf, &self.reading)?))
    }

    fn change_part(&mut self, entity: EntityId, group: &Group<'a>, reads: &mut Reads) -> Result<ChangePart, Fault> {
        let definition = self.reading.model.entity(entity);
        Ok(match group.field.name.as_str() {
            "cursor" => ChangePart::Cursor,
            "change" => ChangePart::Change,
            "key" => ChangePart::Key(definition.key_type()),
            "revision" => ChangePart::Revision,
            "at" => ChangePart::At,
            "item" => ChangePart::Item(self.row_into(entity, &group.sets, reads)?),
            _ => ChangePart::Text(text(&format!("{}Change", definition.name))),
        })
    }
}
