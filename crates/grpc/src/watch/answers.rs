//! What a watch is told, as messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fourfold_engine::{Delivery, EncodingKey, End, Initial, Subscription};
use fourfold_model::{Base, EntityId, KEY, Value};
use fourfold_op::wire::bytes::{put_bytes, put_number};
use fourfold_op::wire::encode_value;
use fourfold_op::{Cursor, Record, RequestId, WatchChange};
use tokio::time::timeout;

use crate::error::{Status, too_large};
use crate::face::Face;
use crate::render::{self, Object};
use crate::schema::watch::{change_name, change_number};
use crate::selection::Selection;
use crate::transport::{Format, Messages};

/// How changes are shown.
pub(super) struct Form {
    pub face: Arc<Face>,
    pub entity: EntityId,
    pub selection: Selection,
    pub encoding: EncodingKey,
    pub format: Format,
    pub request: RequestId,
}

/// A stream of changes under way.
pub(super) struct Answers {
    form: Form,
    subscription: Subscription,
    stage: Stage,
}

/// What is said next.
enum Stage {
    /// The rows as they are, then a bookmark of their moment.
    Rows(std::vec::IntoIter<Record>, Cursor),
    /// From where the watch begins: who is cut off before the first change goes on from there.
    Begins(Cursor),
    Changes,
    /// How it has ended, after the last message.
    Ends(Status),
    Ended,
}

/// One message, before it is written.
struct Told<'a> {
    cursor: Option<&'a Cursor>,
    change: WatchChange,
    key: Option<&'a Value>,
    revision: Option<u64>,
    /// Microseconds since 1970, UTC.
    at: Option<i64>,
    record: Option<&'a Record>,
}

impl Answers {
    pub(super) fn new(form: Form, mut subscription: Subscription) -> Answers {
        let stage = match subscription.take_initial() {
            Some(Initial { records, cursor }) => Stage::Rows(records.into_iter(), cursor),
            None => Stage::Begins(subscription.cursor().clone()),
        };
        Answers { form, subscription, stage }
    }

    /// The stream. Nothing is read ahead: what its reader does not take waits in the subscription's bounded queue.
    pub(super) fn into_messages(self) -> Messages {
        Box::pin(futures_util::stream::unfold(self, |mut answers| async move {
            let answer = answers.next().await?;
            if answer.is_err() {
                answers.stage = Stage::Ended;
            }
            Some((answer, answers))
        }))
    }

    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        match std::mem::replace(&mut self.stage, Stage::Changes) {
            Stage::Rows(mut rows, cursor) => Some(match rows.next() {
                Some(record) => {
                    self.stage = Stage::Rows(rows, cursor);
                    self.form.first(&record)
                }
                None => self.form.bookmark(&cursor),
            }),
            Stage::Begins(cursor) => Some(self.form.bookmark(&cursor)),
            Stage::Changes => Some(self.change().await),
            Stage::Ends(status) => Some(Err(status)),
            Stage::Ended => None,
        }
    }

    /// The next change. Where nothing is told for a while, the place is told once more: what stands between closes a stream that is
    /// silent, and over HTTP/1.1 only writing finds that its reader has gone.
    async fn change(&mut self) -> Result<Bytes, Status> {
        let silent = Duration::from_millis(self.form.face.engine.limits().watch_bookmark_ms);
        match timeout(silent, self.subscription.next()).await {
            Ok(Ok(delivery)) => self.form.delivery(&delivery),
            Ok(Err(end)) => self.end(&end),
            Err(_) => self.form.bookmark(self.subscription.cursor()),
        }
    }

    fn end(&mut self, end: &End) -> Result<Bytes, Status> {
        let status = self.form.face.status_at(&end.error("cursor"), &self.form.request, end.resumable());
        if !matches!(end, End::Reset(_)) {
            return Err(status);
        }
        self.stage = Stage::Ends(status);
        Ok(self.form.message(&Told::only(WatchChange::Reset, None)))
    }
}

impl Form {
    /// A row with which the watch begins. It has no cursor: who is cut off among them begins anew.
    fn first(&self, record: &Record) -> Result<Bytes, Status> {
        self.fitting(self.message(&Told {
            cursor: None,
            change: WatchChange::Entered,
            key: Some(record.row.value(KEY)),
            revision: Some(record.row.revision()),
            at: None,
            record: Some(record),
        }))
    }

    fn bookmark(&self, cursor: &Cursor) -> Result<Bytes, Status> {
        Ok(self.message(&Told::only(WatchChange::Bookmark, Some(cursor))))
    }

    /// A change; made once for all who are shown the same.
    fn delivery(&self, delivery: &Delivery) -> Result<Bytes, Status> {
        self.fitting(delivery.encoded(&self.encoding, || {
            let record = delivery.record();
            let of_row = delivery.change != WatchChange::Bookmark;
            self.message(&Told {
                cursor: Some(&delivery.cursor),
                change: delivery.change,
                key: of_row.then_some(&delivery.key),
                revision: delivery.revision,
                at: of_row.then_some(delivery.at),
                record: record.as_ref(),
            })
        }))
    }

    fn fitting(&self, message: Bytes) -> Result<Bytes, Status> {
        let bytes_max = self.face.engine.limits().grpc_message_bytes_max;
        if message.len() <= bytes_max { Ok(message) } else { Err(self.face.status(&too_large(bytes_max), &self.request)) }
    }

    fn message(&self, told: &Told<'_>) -> Bytes {
        let mut out = Vec::with_capacity(256);
        match self.format {
            Format::Proto => self.write_proto(&mut out, told),
            Format::Json => self.write_json(&mut out, told),
        }
        out.into()
    }

    fn write_proto(&self, out: &mut Vec<u8>, told: &Told<'_>) {
        let model = self.face.engine.model();
        let entity = model.entity(self.entity);
        if let Some(cursor) = told.cursor {
            put_bytes(out, 1, cursor.to_string().as_bytes());
        }
        put_number(out, 2, change_number(told.change));
        if let Some(key) = told.key {
            encode_value(model, 3, entity.key_type(), key, out);
        }
        if let Some(revision) = told.revision {
            put_number(out, 4, revision);
        }
        if let Some(at) = told.at {
            encode_value(model, 5, Base::DateTime, &Value::DateTime(at), out);
        }
        if let Some(record) = told.record {
            render::put_record(out, 6, model, entity, self.selection.shown(), record);
        }
    }

    fn write_json(&self, out: &mut Vec<u8>, told: &Told<'_>) {
        let model = self.face.engine.model();
        let entity = model.entity(self.entity);
        let mut object = Object::new(out);
        if let Some(cursor) = told.cursor {
            object.text("cursor", &cursor.to_string());
        }
        object.text("change", &change_name(told.change));
        if let Some(key) = told.key {
            object.value("id", model, entity.key_type(), key);
        }
        if let Some(revision) = told.revision {
            object.number("revision", i64::try_from(revision).unwrap_or(i64::MAX));
        }
        if let Some(at) = told.at {
            object.value("at", model, Base::DateTime, &Value::DateTime(at));
        }
        if let Some(record) = told.record {
            render::record(object.member(&entity.snake), model, entity, self.selection.shown(), record, Format::Json);
        }
        object.end();
    }
}

impl<'a> Told<'a> {
    /// A change that is no row's.
    fn only(change: WatchChange, cursor: Option<&'a Cursor>) -> Told<'a> {
        Told { cursor, change, key: None, revision: None, at: None, record: None }
    }
}
