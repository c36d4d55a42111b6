//! What every method works with: the engine, and what is prepared of each entity.

use std::sync::Arc;

use fourfold_engine::{Engine, Prepared};
use fourfold_model::{Entity, EntityId, Model};
use fourfold_op::json::{self, Dialect};
use fourfold_op::{Cursor, Error, List, Operand, Operation, RequestId, Select, SelectKind};

use crate::error::{self, Sender, Status};
use crate::message::{Part, Reading};
use crate::selection::Selection;
use crate::transport::Format;

/// An engine as this face asks it.
pub struct Face {
    pub engine: Arc<Engine>,
    /// By entity.
    shapes: Vec<Option<Shape>>,
}

/// The shapes of an entity that most requests have.
pub struct Shape {
    pub selection: Selection,
    pub get: Option<Arc<Prepared>>,
    pub list: Option<Arc<Prepared>>,
}

impl Face {
    /// Prepares what most requests ask.
    pub fn new(engine: Arc<Engine>) -> Face {
        let model = engine.model().clone();
        let shapes =
            model.entity_ids().map(|(id, entity)| crate::schema::is_exposed(entity).then(|| Shape::new(&engine, id, entity))).collect();
        Face { engine, shapes }
    }

    fn model(&self) -> &Model {
        self.engine.model()
    }

    /// What a prepared shape of an entity is; none where it is not exposed.
    pub fn shape(&self, id: EntityId) -> Option<&Shape> {
        self.shapes.get(usize::from(id.0)).and_then(Option::as_ref)
    }

    /// An error as it is answered.
    pub fn status(&self, error: &Error, request: &RequestId) -> Status {
        self.status_at(error, request, None)
    }

    /// The status of an end after which a watch can go on from a cursor.
    pub fn status_at(&self, error: &Error, request: &RequestId, cursor: Option<&Cursor>) -> Status {
        Status::new(error, Sender { domain: &self.model().package.name, request: Some(request), cursor })
    }

    /// With what an entity's messages are read.
    pub fn reading(&self, id: EntityId) -> Reading<'_> {
        Reading { model: self.model(), entity: self.model().entity(id), limits: self.engine.limits() }
    }

    /// A message that may be sent.
    pub fn fitting(&self, message: Vec<u8>) -> Result<Vec<u8>, Error> {
        let bytes_max = self.engine.limits().grpc_message_bytes_max;
        if message.len() > bytes_max { Err(error::too_large(bytes_max)) } else { Ok(message) }
    }

    /// A message as it came, known to be text where it is JSON.
    pub fn part<'a>(&self, message: &'a [u8], format: Format) -> Result<Part<'a>, Error> {
        match format {
            Format::Proto => Ok(Part::Proto(message)),
            Format::Json => json::Reader::new(self.model(), self.engine.limits(), Dialect::Proto).check_text(message).map(Part::Json),
        }
    }
}

impl Shape {
    fn new(engine: &Engine, id: EntityId, entity: &Entity) -> Shape {
        let selection = Selection::all(entity);
        let select = |kind| Select { entity: id, kind, fields: selection.fields.clone(), nested: Vec::new() };
        // What cannot be prepared (nobody may read it, say) is refused again, with its reason, when it is asked for.
        let prepare = |kind| engine.prepare(&Operation::Read(vec![select(kind)])).ok();
        let list = List { size: Some(Operand(0)), ..List::default() };
        Shape { get: prepare(SelectKind::Get { key: Operand(0), cursor: false }), list: prepare(SelectKind::List(list)), selection }
    }
}
