//! Ingest: a stream of rows in, an answer after each commit out.
//!
//! While rows are committed the next are read, at most 4,096 rows or 4 MiB, then flow control holds the sender.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::IngestRow;
use fourfold_engine::ingest::INGEST_ROWS_MAX;
use fourfold_model::{EntityId, Value};
use fourfold_op::json::{self, Dialect};
use fourfold_op::wire::bytes::{put_bytes, put_nested, put_number};
use fourfold_op::{Context, Error, WriteKind};
use futures_util::{FutureExt, StreamExt};

use crate::asked::SetRow;
use crate::error::{Status, field_path};
use crate::face::Face;
use crate::message::Part;
use crate::render::{Object, json_list};
use crate::schema::service::Verb;
use crate::transport::{Call, Format, Messages};

/// A row, or why it is none.
struct Row {
    sequence: i64,
    kind: WriteKind,
    row: Result<IngestRow, Error>,
    /// Of its message.
    bytes: usize,
}

/// Answers Ingest.
pub fn ingest(face: Arc<Face>, id: EntityId, call: Call, messages: Messages) -> Messages {
    let Call { context, format, .. } = call;
    let reader = Reader {
        face: face.clone(),
        id,
        format,
        context: context.clone(),
        messages,
        last: 0,
        kind: None,
        rows: Vec::new(),
        bytes: 0,
        end: None,
    };
    let writer = Writer { face, id, format, context };
    Box::pin(futures_util::stream::unfold(Some((reader, writer)), next))
}

/// The answer to the next commit, or what ended the stream.
async fn next(state: Option<(Reader, Writer)>) -> Option<(Result<Bytes, Status>, Option<(Reader, Writer)>)> {
    let (mut reader, writer) = state?;
    reader.gather().await;
    let rows = reader.take();
    if rows.is_empty() {
        return reader.end.flatten().map(|status| (Err(status), None));
    }
    let answer = {
        let mut commit = std::pin::pin!(writer.commit(rows));
        // It is begun first; then rows are read while it goes on.
        let mut answer = commit.as_mut().now_or_never();
        while answer.is_none() {
            tokio::select! {
                biased;
                () = reader.read(), if reader.has_room() => {}
                done = &mut commit => answer = Some(done),
            }
        }
        answer?
    };
    Some(match answer {
        Ok(answer) => (Ok(answer.into()), Some((reader, writer))),
        Err(error) => (Err(writer.face.status(&error, &writer.context.request)), None),
    })
}

/// Reads rows, ahead of their commit as far as there is room.
struct Reader {
    face: Arc<Face>,
    id: EntityId,
    format: Format,
    context: Context,
    messages: Messages,
    last: i64,
    /// Known from the first message on.
    kind: Option<WriteKind>,
    /// What is read and in no commit yet.
    rows: Vec<Row>,
    bytes: usize,
    /// That the stream has ended, and by what, when it was no end of its own.
    end: Option<Option<Status>>,
}

impl Reader {
    fn has_room(&self) -> bool {
        let limits = self.face.engine.limits();
        self.end.is_none() && self.rows.len() < limits.ingest_rows_ahead_max && self.bytes < limits.grpc_message_bytes_max
    }

    /// An answer is to one commit.
    fn commit_rows_max(&self) -> usize {
        self.face.engine.limits().commit_events_max.min(INGEST_ROWS_MAX)
    }

    /// Waits for rows, or the end; then takes what is on its way already, so that a commit of few rows does not go before them.
    async fn gather(&mut self) {
        while self.rows.is_empty() && self.end.is_none() {
            self.read().await;
        }
        while self.rows.len() < self.commit_rows_max() && self.has_room() {
            if self.read().now_or_never().is_none() {
                tokio::task::yield_now().await;
                if self.read().now_or_never().is_none() {
                    return;
                }
            }
        }
    }

    /// The rows of the next commit.
    fn take(&mut self) -> Vec<Row> {
        let count = self.rows.len().min(self.commit_rows_max());
        let behind = self.rows.split_off(count);
        let rows = std::mem::replace(&mut self.rows, behind);
        self.bytes -= rows.iter().map(|row| row.bytes).sum::<usize>();
        rows
    }

    /// Reads one message.
    async fn read(&mut self) {
        let row = match self.messages.next().await {
            None => return self.end = Some(None),
            Some(message) => message.and_then(|message| {
                let row = self.row(&message);
                row.map_err(|error| self.face.status(&error, &self.context.request))
            }),
        };
        match row {
            Ok(Some(row)) => {
                self.bytes += row.bytes;
                self.rows.push(row);
            }
            Ok(None) => {}
            Err(status) => self.end = Some(Some(status)),
        }
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
        Ok(Some(Row { sequence, kind: self.kind.unwrap_or(WriteKind::Create), row, bytes: message.len() }))
    }
}

/// Commits rows, and says what became of them.
struct Writer {
    face: Arc<Face>,
    id: EntityId,
    format: Format,
    context: Context,
}

impl Writer {
    async fn commit(&self, read: Vec<Row>) -> Result<Vec<u8>, Error> {
        let mut failed: Vec<(i64, Error)> = Vec::new();
        let mut rows = Vec::with_capacity(read.len());
        let mut sequences = Vec::with_capacity(read.len());
        let mut through = 0;
        let mut as_kind = WriteKind::Create;
        for Row { sequence, kind, row, .. } in read {
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
