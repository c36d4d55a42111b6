//! What a channel is told, as JSON: its first rows, and its changes.

use bytes::Bytes;
use fourfold_engine::{Delivery, Engine, Initial};
use fourfold_model::Model;
use fourfold_op::{Error, WatchChange, json};

use crate::message::Publication;
use crate::subscribe::{Asked, Form};

/// The rows with which a channel begins: `{"items":[…]}`.
pub(crate) fn items(engine: &Engine, form: &Form, initial: &Initial, room: &mut usize) -> Result<Bytes, Error> {
    let max = engine.limits().websocket_out_bytes_max;
    let mut items = b"{\"items\":[".to_vec();
    for (place, record) in initial.records.iter().enumerate() {
        if place > 0 {
            items.push(b',');
        }
        form.shape.write(&mut items, engine.model(), record);
    }
    items.extend_from_slice(b"]}");
    let left = room.checked_sub(items.len());
    *room = left.ok_or_else(|| Error::limit("websocket_out_bytes_max", max, "bytes of rows to begin with"))?;
    Ok(items.into())
}

/// What a channel is told, as it is published; none for a bookmark that its client did not ask for.
pub(crate) fn publication(engine: &Engine, asked: &Asked, delivery: &Delivery) -> Option<Publication> {
    if delivery.change == WatchChange::Bookmark && !asked.bookmarks {
        return None;
    }
    let data = change(engine, &asked.form, delivery);
    Some(Publication { data, info: None, offset: delivery.cursor.after })
}

/// A change, encoded once for all who see the same.
pub(crate) fn change(engine: &Engine, form: &Form, delivery: &Delivery) -> Bytes {
    delivery.encoded(&form.encoding, || {
        let mut change = Vec::with_capacity(512);
        write_change(&mut change, engine.model(), form, delivery);
        change.into()
    })
}

/// `{"change":"changed","key":…,"revision":…,"at":…,"item":{…}}`.
fn write_change(out: &mut Vec<u8>, model: &Model, form: &Form, delivery: &Delivery) {
    out.extend_from_slice(format!("{{\"change\":\"{}\"", delivery.change.name()).as_bytes());
    if delivery.change != WatchChange::Bookmark {
        out.extend_from_slice(b",\"key\":");
        json::write_value(out, model, model.entity(form.entity).key_type(), &delivery.key, json::Dialect::Plain);
        if let Some(revision) = delivery.revision {
            out.extend_from_slice(format!(",\"revision\":{revision}").as_bytes());
        }
        out.extend_from_slice(b",\"at\":\"");
        json::write_date_time(out, delivery.at);
        out.push(b'"');
    }
    if let Some(record) = delivery.record() {
        out.extend_from_slice(b",\"item\":");
        form.shape.write(out, model, &record);
    }
    out.push(b'}');
}
