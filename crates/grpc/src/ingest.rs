//! Ingest: a stream of rows in, an answer after each commit out (`SPEC` §4).
//!
//! One task reads ahead, at most 4,096 rows or 4 MiB, then flow control holds the sender; what has been read is committed together.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::IngestRow;
use fourfold_engine::ingest::INGEST_ROWS_MAX;
use fourfold_model::{EntityId, Value};
use fourfold_op::json::{self, Dialect};
use fourfold_op::wire::bytes::{put_bytes, put_nested, put_number};
use fourfold_op::{Context, Error, WriteKind};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::error::{Status, field_path};
use crate::face::Face;
use crate::message::Part;
use crate::render::{Object, json_list};
use crate::schema::service::Verb;
use crate::transport::{Call, Format, Messages};
use crate::writes::SetRow;

/// Rows that were read together, and why the stream cannot go on, if it cannot.
struct Read {
    rows: Vec<Row>,
    end: Option<Status>,
    /// Their bytes, of those that may be read ahead.
    ahead: Option<OwnedSemaphorePermit>,
}

/// A row, or why it is none.
struct Row {
    sequence: i64,
    kind: WriteKind,
    row: Result<IngestRow, Error>,
}

/// Messages that were there together are handed on together, up to so many of these bytes.
const TOGETHER_ROWS: usize = 64;
const TOGETHER_BYTES: usize = 64 * 1024;

/// Answers Ingest.
pub fn ingest(face: Arc<Face>, id: EntityId, call: Call, messages: Messages) -> Messages {
    let Call { context, format, .. } = call;
    let limits = face.engine.limits();
    let (sender, receiver) = mpsc::channel((limits.ingest_rows_ahead_max / TOGETHER_ROWS).max(1));
    let reader = Reader {
        face: face.clone(),
        id,
        format,
        context: context.clone(),
        bytes_max: limits.grpc_message_bytes_max,
        ahead: Arc::new(Semaphore::new(limits.grpc_message_bytes_max)),
        last: 0,
        kind: None,
    };
    // It ends when the stream does, or when nobody takes its rows any more.
    tokio::spawn(reader.run(messages, sender));
    let writer = Writer { face, id, format, context, rows: receiver, ended: None };
    Box::pin(futures_util::stream::unfold(writer, Writer::next))
}

struct Reader {
    face: Arc<Face>,
    id: EntityId,
    format: Format,
    context: Context,
    bytes_max: usize,
    ahead: Arc<Semaphore>,
    last: i64,
    /// Known from the first message on.
    kind: Option<WriteKind>,
}

impl Reader {
    async fn run(mut self, mut messages: Messages, sender: mpsc::Sender<Read>) {
        while let Some(message) = messages.next().await {
            let read = self.together(message, &mut messages).await;
            let ends = read.end.is_some();
            if sender.send(read).await.is_err() || ends {
                return;
            }
        }
    }

    /// A message, and those behind it that are there already.
    async fn together(&mut self, first: Result<Bytes, Status>, messages: &mut Messages) -> Read {
        let mut read = Read { rows: Vec::new(), end: None, ahead: None };
        let (mut next, mut bytes) = (Some(first), 0);
        while let Some(message) = next.take() {
            let row = message.and_then(|message| {
                bytes += message.len();
                self.row(&message).map_err(|error| self.face.status(&error, &self.context.request))
            });
            match row {
                Ok(row) => read.rows.extend(row),
                Err(status) => read.end = Some(status),
            }
            if read.end.is_none() && read.rows.len() < TOGETHER_ROWS && bytes < TOGETHER_BYTES {
                next = waiting(messages).await;
            }
        }
        let permits = u32::try_from(bytes.clamp(1, self.bytes_max)).unwrap_or(u32::MAX);
        read.ahead = self.ahead.clone().acquire_many_owned(permits).await.ok();
        read
    }

    /// `None` for a first message that only opens the stream.
    fn row(&mut self, message: &[u8]) -> Result<Option<Row>, Error> {
        let reading = self.face.reading(self.id);
        let part = match self.format {
            Format::Proto => Part::Proto(message),
            Format::Json => json::Reader::new(reading.model, reading.limits, Dialect::Proto).check_text(message).map(Part::Json)?,
        };
        let arguments = part.arguments(reading, Verb::Ingest.parameters())?;
        let opens = self.kind.is_none();
        if opens {
            if !arguments.text(1).is_empty() {
                return Err(crate::error::unimplemented("`stream_id`, for a stream that can be resumed,"));
            }
            let upsert = WriteKind::Upsert { create_only: false, update_only: false };
            self.kind = Some(if arguments.flag(4) { upsert } else { WriteKind::Create });
        }
        let Some(part) = arguments.row(3) else {
            let name = &reading.entity.snake;
            return if opens { Ok(None) } else { Err(Error::invalid_at(format!("/{name}"), format!("`{name}` is required"))) };
        };
        let sequence = arguments.number(2).unwrap_or(self.last.saturating_add(1));
        if sequence <= self.last {
            let detail = format!("`sequence` grows with each row; {sequence} came after {}", self.last);
            return Err(Error::invalid_at("/sequence", detail));
        }
        self.last = sequence;
        let row = part.row(reading).map(SetRow::new).and_then(|row| {
            row.check(reading.entity)?;
            Ok(IngestRow { key: row.key, set: row.set })
        });
        Ok(Some(Row { sequence, kind: self.kind.unwrap_or(WriteKind::Create), row }))
    }
}

impl Read {
    /// Takes what was read behind this.
    fn take(&mut self, next: Read) {
        self.rows.extend(next.rows);
        self.end = next.end;
        match (&mut self.ahead, next.ahead) {
            (Some(ahead), Some(more)) => ahead.merge(more),
            (ahead, more) => *ahead = ahead.take().or(more),
        }
    }
}

/// The next message, if it is there or whoever brings it has it at hand. It waits for nothing.
async fn waiting(messages: &mut Messages) -> Option<Result<Bytes, Status>> {
    match messages.next().now_or_never() {
        Some(next) => next,
        None => {
            tokio::task::yield_now().await;
            messages.next().now_or_never().flatten()
        }
    }
}

struct Writer {
    face: Arc<Face>,
    id: EntityId,
    format: Format,
    context: Context,
    rows: mpsc::Receiver<Read>,
    /// What ends the stream after the answer that has just been given.
    ended: Option<Option<Status>>,
}

impl Writer {
    async fn next(mut self) -> Option<(Result<Bytes, Status>, Writer)> {
        match self.ended.take() {
            Some(Some(status)) => {
                self.ended = Some(None);
                return Some((Err(status), self));
            }
            Some(None) => return None,
            None => {}
        }
        let first = self.rows.recv().await?;
        let mut read = self.gather(first).await;
        self.ended = read.end.take().map(Some);
        if read.rows.is_empty() {
            return Box::pin(self.next()).await;
        }
        match self.commit(read).await {
            Ok(answer) => Some((Ok(answer.into()), self)),
            Err(error) => {
                let status = self.face.status(&error, &self.context.request);
                self.ended = Some(None);
                Some((Err(status), self))
            }
        }
    }

    /// Takes what is on its way already, so that a commit of few rows does not go before them. It waits for nothing.
    async fn gather(&mut self, mut read: Read) -> Read {
        while read.rows.len() + TOGETHER_ROWS <= INGEST_ROWS_MAX && read.end.is_none() {
            let before = read.rows.len();
            tokio::task::yield_now().await;
            while read.rows.len() + TOGETHER_ROWS <= INGEST_ROWS_MAX
                && read.end.is_none()
                && let Ok(next) = self.rows.try_recv()
            {
                read.take(next);
            }
            if read.rows.len() == before {
                break;
            }
        }
        read
    }

    async fn commit(&self, read: Read) -> Result<Vec<u8>, Error> {
        let mut failed: Vec<(i64, Error)> = Vec::new();
        let mut rows = Vec::with_capacity(read.rows.len());
        let mut sequences = Vec::with_capacity(read.rows.len());
        let mut through = 0;
        let mut as_kind = WriteKind::Create;
        for Row { sequence, kind, row } in read.rows {
            (through, as_kind) = (sequence, kind);
            match row {
                Ok(row) => {
                    rows.push(row);
                    sequences.push(sequence);
                }
                Err(error) => failed.push((sequence, error)),
            }
        }
        let answers = self.face.engine.ingest(&self.context, self.id, as_kind, rows).await?;
        drop(read.ahead);
        failed.extend(sequences.into_iter().zip(answers).filter_map(|(sequence, answer)| answer.err().map(|error| (sequence, error))));
        failed.sort_by_key(|(sequence, _)| *sequence);
        Ok(match self.format {
            Format::Proto => proto_answer(through, &failed),
            Format::Json => self.json_answer(through, &failed),
        })
    }

    fn json_answer(&self, through: i64, failed: &[(i64, Error)]) -> Vec<u8> {
        let model = self.face.engine.model();
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.number("through", through);
        if !failed.is_empty() {
            json_list(object.member("errors"), failed.iter(), |out, (sequence, error)| {
                let mut object = Object::new(out);
                object.number("sequence", *sequence);
                object.text("code", error.code.name());
                object.text("message", &error.public.message);
                json_list(object.member("violations"), error.public.errors.iter(), |out, violation| {
                    let mut object = Object::new(out);
                    object.value("field", model, fourfold_model::Base::String, &Value::text(field_path(&violation.pointer)));
                    object.text("description", &violation.detail);
                    object.end();
                });
                object.end();
            });
        }
        object.end();
        out
    }
}

fn proto_answer(through: i64, failed: &[(i64, Error)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 1, through as u64);
    for (sequence, error) in failed {
        put_nested(&mut out, 2, |out| {
            put_number(out, 1, *sequence as u64);
            put_bytes(out, 2, error.code.name().as_bytes());
            put_bytes(out, 3, error.public.message.as_bytes());
            for violation in &error.public.errors {
                put_nested(out, 4, |out| {
                    put_bytes(out, 1, field_path(&violation.pointer).as_bytes());
                    put_bytes(out, 2, violation.detail.as_bytes());
                });
            }
        });
    }
    out
}
