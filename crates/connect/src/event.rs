//! Events as targets take them: CloudEvents 1.0.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::LogTold;
use fourfold_model::{EntityId, FieldId, KEY, Model, SharedModel, Value};
use fourfold_op::json::{Dialect, write_date_time, write_string, write_value, write_value_text};
use fourfold_op::render::RowShape;
use fourfold_op::{Epoch, Position, Record, WatchChange};

/// One event, ready to be sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number in the log.
    pub position: Position,
    /// Of which entity.
    pub entity: Arc<EntityName>,
    /// The row's key as text: the attribute `subject`.
    pub key: String,
    /// The attribute `id`: `epoch.position`, the same on every copy.
    pub id: String,
    /// The attribute `type`: `shop.v1.Order.updated`.
    pub kind: Arc<str>,
    /// The attribute `source`: `/shop.v1`.
    pub source: Arc<str>,
    /// The attribute `time`: when it was committed.
    pub time: String,
    /// The whole event as JSON (structured mode); `None` of a row that left: its key is all that is told.
    pub body: Option<Bytes>,
}

/// What an entity is called.
#[derive(Debug, PartialEq, Eq)]
pub struct EntityName {
    /// In the model: `Order`.
    pub name: String,
    /// As a topic: `shop.order`.
    pub topic: String,
}

/// Writes the events of a model.
pub struct Form {
    model: SharedModel,
    source: Arc<str>,
    entities: HashMap<EntityId, Shape>,
}

/// How the rows of an entity are written.
struct Shape {
    name: Arc<EntityName>,
    kinds: [Arc<str>; 3],
    row: RowShape,
}

impl Form {
    /// For these entities of a model.
    pub fn new(model: &SharedModel, entities: impl Iterator<Item = EntityId>) -> Form {
        let source = format!("/{}", model.package.name).into();
        Form { model: Arc::clone(model), source, entities: entities.map(|entity| (entity, Shape::of(model, entity))).collect() }
    }

    /// An event as a target takes it; `None` of an entity that this form does not know.
    pub fn delivery(&self, epoch: &Epoch, told: &LogTold) -> Option<Delivery> {
        let shape = self.entities.get(&told.entity)?;
        let mut key = String::new();
        write_value_text(&mut key, &self.model, self.model.entity(told.entity).key_type(), &told.key);
        let mut time = Vec::with_capacity(32);
        write_date_time(&mut time, told.at);
        let mut delivery = Delivery {
            position: Position(NonZeroU64::new(told.position)?),
            entity: Arc::clone(&shape.name),
            key,
            id: format!("{}.{}", epoch.0, told.position),
            kind: Arc::clone(shape.kind(told.change)),
            source: Arc::clone(&self.source),
            time: String::from_utf8_lossy(&time).into_owned(),
            body: None,
        };
        if told.after.is_some() {
            delivery.body = Some(self.body(shape, &delivery, told));
        }
        Some(delivery)
    }

    fn body(&self, shape: &Shape, delivery: &Delivery, told: &LogTold) -> Bytes {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":");
        write_string(&mut out, &delivery.id);
        for (name, text) in [("source", &*delivery.source), ("type", &*delivery.kind), ("subject", &delivery.key), ("time", &delivery.time)]
        {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_string(&mut out, text);
        }
        let numbers = (told.position, told.revision, told.commit_last);
        out.extend_from_slice(
            format!(
                ",\"datacontenttype\":\"application/json\",\"sequence\":\"{}\",\"data\":{{\"revision\":{},\"commit_last\":{},\"changed\":{{",
                numbers.0, numbers.1, numbers.2
            )
            .as_bytes(),
        );
        self.write_old(&mut out, told);
        out.push(b'}');
        if let Some(row) = &told.after {
            out.extend_from_slice(b",\"after\":");
            shape.row.write(&mut out, &self.model, &Record { row: row.clone(), nested: Vec::new() });
        }
        out.extend_from_slice(b"}}");
        out.into()
    }

    fn write_old(&self, out: &mut Vec<u8>, told: &LogTold) {
        let entity = self.model.entity(told.entity);
        for (index, (id, value)) in told.old.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let field = entity.field(*id);
            write_string(out, &field.name);
            out.push(b':');
            match value {
                Value::Null => out.extend_from_slice(b"null"),
                value => write_value(out, &self.model, field.ty.base, value, Dialect::Plain),
            }
        }
    }
}

impl Shape {
    fn of(model: &Model, id: EntityId) -> Shape {
        let entity = model.entity(id);
        let shown: Vec<FieldId> = entity.field_ids().filter(|(id, field)| !field.secret || *id == KEY).map(|(id, _)| id).collect();
        let kind = |what: &str| format!("{}.{}.{what}", model.package.name, entity.name).into();
        Shape {
            name: Arc::new(EntityName { name: entity.name.to_string(), topic: format!("{}.{}", model.package.base, entity.snake) }),
            kinds: [kind("created"), kind("updated"), kind("deleted")],
            row: RowShape::new(model, id, &shown, &[]),
        }
    }

    /// Relative to what the sink may see: a row that it can see now, and could not before, is new to it.
    fn kind(&self, change: WatchChange) -> &Arc<str> {
        let [created, updated, deleted] = &self.kinds;
        match change {
            WatchChange::Entered => created,
            WatchChange::Left => deleted,
            _ => updated,
        }
    }
}
