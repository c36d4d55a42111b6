//! The images of an event's row: decoded once, judged for many.

use std::sync::Arc;

use fourfold_model::{FieldId, Model, Row, Value};
use fourfold_op::{Error, Event, wire};
use smallvec::smallvec;

use crate::eval::Rows;

/// The row before an event and the row after it.
#[derive(Clone, Debug)]
pub struct Images {
    pub(super) before: Image,
    pub(super) after: Image,
}

/// A row, or none, in the form in which it is judged without being copied: as level 0 of an evaluation.
#[derive(Clone, Debug)]
pub(super) struct Image(pub Rows);

impl Image {
    pub fn row(&self) -> Option<&Row> {
        self.0.first().and_then(Option::as_ref)
    }
}

/// The fields of a row that a reader may not see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hidden(Option<Arc<[FieldId]>>);

impl Hidden {
    pub(super) fn of(fields: Vec<FieldId>) -> Hidden {
        Hidden((!fields.is_empty()).then(|| fields.into()))
    }

    /// The fields, ascending.
    pub fn fields(&self) -> &[FieldId] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Images {
    /// The images of an event's row: before is after overlaid with what changed.
    ///
    /// # Errors
    /// `internal` for a payload that is no message of the event's entity.
    pub fn of(model: &Model, event: &Event) -> Result<Images, Error> {
        let unreadable = |_| Error::internal("an event's payload is not a message of its entity");
        let entity = model.entity(event.entity);
        let after = event.after.as_ref().map(|bytes| wire::decode_row(model, entity, bytes)).transpose().map_err(unreadable)?;
        let changed = event.changed.as_ref().map(|bytes| wire::decode_changed(model, entity, bytes)).transpose().map_err(unreadable)?;
        let before = changed.map(|changed| match &after {
            None => changed.old,
            Some(after) => {
                let mut before = after.clone();
                for field in &changed.fields {
                    before.set(*field, changed.old.value(*field).clone());
                }
                before
            }
        });
        Ok(Images { before: Image(smallvec![before]), after: Image(smallvec![after]) })
    }

    /// The values that a field had and has: those by which an event is looked up.
    pub fn values(&self, field: FieldId) -> impl Iterator<Item = &Value> {
        let before = self.before.row().map(|row| row.value(field));
        let after = self.after.row().map(|row| row.value(field)).filter(|after| before != Some(*after));
        before.into_iter().chain(after)
    }

    /// The row after, without what is hidden; `None` after a delete.
    pub fn shown(&self, hidden: &Hidden) -> Option<Row> {
        let mut row = self.after.row()?.clone();
        for field in hidden.fields() {
            row.set(*field, Value::Null);
        }
        Some(row)
    }
}
