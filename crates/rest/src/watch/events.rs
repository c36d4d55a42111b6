//! What a watch is told, as the blocks of an event stream (HTML, server-sent events).

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{Delivery, EncodingKey, End, Engine, Subscription};
use fourfold_model::{EntityId, KEY, Value};
use fourfold_op::render::{RowShape, write_problem};
use fourfold_op::sse::{COMMENT, HEARTBEAT, write_event};
use fourfold_op::{Cursor, Record, RequestId, WatchChange, json};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use crate::body::{Body, BodyError};

/// Bytes of first rows that are made at once; one row always may.
const INITIAL_CHUNK_BYTES: usize = 64 << 10;

/// How changes are shown.
pub(super) struct Form {
    pub engine: Arc<Engine>,
    pub entity: EntityId,
    pub shape: Arc<RowShape>,
    pub encoding: EncodingKey,
    pub request: RequestId,
}

/// A stream of events under way.
pub(super) struct Events {
    form: Form,
    subscription: Subscription,
    before: Before,
}

/// What is said before the first change.
enum Before {
    /// From where the watch begins: who is cut off before the first change goes on from there.
    Cursor(Cursor),
    /// The rows as they are, then a bookmark of their moment.
    Rows(std::vec::IntoIter<Record>, Cursor),
    Nothing,
}

impl Events {
    pub(super) fn new(form: Form, mut subscription: Subscription) -> Events {
        let before = match subscription.take_initial() {
            Some(initial) => Before::Rows(initial.records.into_iter(), initial.cursor),
            None => Before::Cursor(subscription.cursor().clone()),
        };
        Events { form, subscription, before }
    }

    /// The stream as a body. Nothing is read ahead: what its reader does not take waits in the subscription's bounded queue.
    pub(super) fn into_body(self) -> Body {
        let frames = futures_util::stream::unfold(Some(self), |events| async move {
            let mut events = events?;
            let (bytes, goes_on) = events.next().await;
            Some((Ok::<_, BodyError>(Frame::data(bytes)), goes_on.then_some(events)))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// The next bytes, and whether more follow.
    async fn next(&mut self) -> (Bytes, bool) {
        if let Some(bytes) = self.before() {
            return (bytes, true);
        }
        match tokio::time::timeout(HEARTBEAT, self.subscription.next()).await {
            Err(_) => (Bytes::from_static(COMMENT), true),
            Ok(Ok(delivery)) => (self.form.delivery(&delivery), true),
            Ok(Err(end)) => (self.form.end(&end), false),
        }
    }

    fn before(&mut self) -> Option<Bytes> {
        let (bytes, next) = match std::mem::replace(&mut self.before, Before::Nothing) {
            Before::Nothing => return None,
            // Without data it sets the reader's last id and is no event.
            Before::Cursor(cursor) => (format!("id: {cursor}\n\n").into_bytes(), Before::Nothing),
            Before::Rows(mut rows, cursor) => {
                let mut out = Vec::new();
                while out.len() < INITIAL_CHUNK_BYTES
                    && let Some(record) = rows.next()
                {
                    self.form.write_first(&mut out, &record);
                }
                let more = !rows.as_slice().is_empty();
                if !more {
                    write_bookmark(&mut out, &cursor);
                }
                (out, if more { Before::Rows(rows, cursor) } else { Before::Nothing })
            }
        };
        self.before = next;
        Some(bytes.into())
    }
}

impl Form {
    /// A row with which the watch begins. It has no id: who is cut off among them begins anew.
    fn write_first(&self, out: &mut Vec<u8>, record: &Record) {
        write_event(out, None, WatchChange::Entered.name(), |out| {
            self.write_key(out, record.row.value(KEY));
            write_revision(out, record.row.revision());
            out.extend_from_slice(b",\"item\":");
            self.shape.write(out, self.engine.model(), record);
            out.push(b'}');
        });
    }

    /// A change; made once for all who are shown the same.
    fn delivery(&self, delivery: &Delivery) -> Bytes {
        delivery.encoded(&self.encoding, || {
            let mut out = Vec::with_capacity(512);
            match delivery.change {
                WatchChange::Bookmark => write_bookmark(&mut out, &delivery.cursor),
                change => write_event(&mut out, Some(&delivery.cursor), change.name(), |out| self.write_change(out, delivery)),
            }
            out.into()
        })
    }

    fn write_change(&self, out: &mut Vec<u8>, delivery: &Delivery) {
        self.write_key(out, &delivery.key);
        if let Some(revision) = delivery.revision {
            write_revision(out, revision);
        }
        out.extend_from_slice(b",\"at\":\"");
        json::write_date_time(out, delivery.at);
        out.push(b'"');
        if let Some(record) = delivery.record() {
            out.extend_from_slice(b",\"item\":");
            self.shape.write(out, self.engine.model(), &record);
        }
        out.push(b'}');
    }

    fn write_key(&self, out: &mut Vec<u8>, key: &Value) {
        let model = self.engine.model();
        out.extend_from_slice(b"{\"key\":");
        json::write_value(out, model, model.entity(self.entity).key_type(), key, json::Dialect::Plain);
    }

    /// How the stream ends: never with an id, so that a reader comes back from where it was.
    fn end(&self, end: &End) -> Bytes {
        let mut out = Vec::with_capacity(256);
        if let End::Bye(cursor) = end {
            write_event(&mut out, None, "bye", |out| out.extend_from_slice(format!("{{\"cursor\":\"{cursor}\"}}").as_bytes()));
            return out.into();
        }
        let error = end.error("id");
        if let Some(retry_after_ms) = error.public.retry_after_ms {
            out.extend_from_slice(format!("retry: {retry_after_ms}\n").as_bytes());
        }
        write_event(&mut out, None, "error", |out| write_problem(out, &error, &self.request.0));
        out.into()
    }
}

fn write_bookmark(out: &mut Vec<u8>, cursor: &Cursor) {
    // A reader is handed no event whose data are empty.
    write_event(out, Some(cursor), WatchChange::Bookmark.name(), |out| out.extend_from_slice(b"{}"));
}

fn write_revision(out: &mut Vec<u8>, revision: u64) {
    out.extend_from_slice(format!(",\"revision\":{revision}").as_bytes());
}
