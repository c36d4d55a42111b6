//! Ingest: NDJSON in, rows that stand alone, one summary at the end.

use bytes::{Buf, BytesMut};
use fourfold_engine::{IngestRow, ingest::INGEST_ROWS_MAX};
use fourfold_op::json::read_entity;
use fourfold_op::params::split_key;
use fourfold_op::{Error, WriteKind, Written, render as op_render};
use http::{Response, StatusCode};
use http_body_util::BodyExt;

use crate::body::{Body, failed};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::render::json;
use crate::route::Resource;

/// Problems that the summary tells one by one.
const ERRORS_MAX: usize = 1_000;

/// What became of the lines so far.
#[derive(Default)]
struct Summary {
    created: u64,
    updated: u64,
    failed: u64,
    errors: Vec<(u64, Error)>,
    through: u64,
}

/// Lines of a body, as they come.
struct Lines {
    body: Body,
    waiting: BytesMut,
    /// Where the next line begins in what waits.
    at: usize,
    number: u64,
    ended: bool,
    line_bytes_max: usize,
}

/// A line, by its number from 1: a row, or why it is none.
type Line = (u64, Result<IngestRow, Error>);

impl Exchange<'_> {
    /// `POST /v1/products` with `application/x-ndjson`.
    pub(crate) async fn ingest(&mut self, resource: &Resource, body: Body) -> Result<Response<Body>, Refusal> {
        let kind = self.mode()?;
        for name in ["Ingest-Stream", "Idempotency-Key"] {
            if self.head.headers.contains_key(name) {
                let message = format!("`{name}` is not served yet for many rows; send them without it");
                return Err(Error::new(fourfold_op::ErrorCode::Unimplemented, message).into());
            }
        }
        self.steps.parsed();
        let line_bytes_max = self.engine.limits().row_bytes_max;
        let mut lines = Lines { body, waiting: BytesMut::new(), at: 0, number: 0, ended: false, line_bytes_max };
        let mut summary = Summary::default();
        let mut chunk = self.chunk(resource, &mut lines).await?;
        while !chunk.is_empty() {
            // The next rows are read and parsed while these are committed.
            let (committed, next) =
                futures_util::future::join(self.commit(resource, kind, chunk, &mut summary), self.chunk(resource, &mut lines)).await;
            committed?;
            chunk = next?;
        }
        Ok(json(StatusCode::OK, summary.write(kind, &self.context.request.0)))
    }

    fn mode(&self) -> Result<WriteKind, Error> {
        let mut kind = WriteKind::Create;
        for (name, value) in self.pairs()? {
            kind = match (name.as_ref(), value.as_ref()) {
                ("mode", "create") => WriteKind::Create,
                ("mode", "upsert") => WriteKind::Upsert { create_only: false, update_only: false },
                ("mode", other) => return Err(Error::invalid_at("/mode", format!("`mode={other}` is unknown; expected create or upsert"))),
                (other, _) => {
                    return Err(Error::invalid_at(format!("/{other}"), format!("unknown parameter `{other}`; an ingest has `mode`")));
                }
            };
        }
        Ok(kind)
    }

    async fn chunk(&self, resource: &Resource, lines: &mut Lines) -> Result<Vec<Line>, Error> {
        let (model, limits) = (self.model(), self.engine.limits());
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < INGEST_ROWS_MAX && bytes < limits.commit_bytes_max {
            let Some((number, line)) = lines.next().await? else { break };
            bytes += line.as_ref().map_or(0, |line| line.len());
            let row = line.and_then(|line| {
                let (key, set) = split_key(read_entity(model, resource.entity, line, limits)?);
                Ok(IngestRow { key, set })
            });
            chunk.push((number, row));
        }
        Ok(chunk)
    }

    async fn commit(&self, resource: &Resource, kind: WriteKind, chunk: Vec<Line>, summary: &mut Summary) -> Result<(), Error> {
        let (mut rows, mut numbers) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
        for (number, row) in chunk {
            summary.through = number;
            match row {
                Ok(row) => {
                    numbers.push(number);
                    rows.push(row);
                }
                Err(error) => summary.refused(number, error),
            }
        }
        let answers = self.engine.ingest(self.context, resource.entity, kind, rows).await?;
        for (number, answer) in numbers.into_iter().zip(answers) {
            match answer {
                Ok(written) => summary.written(&written),
                Err(error) => summary.refused(number, error),
            }
        }
        Ok(())
    }
}

impl Lines {
    /// The next line that is not blank, with its number; `None` at the end. A line that is too long is skipped and refused.
    async fn next(&mut self) -> Result<Option<(u64, Result<&[u8], Error>)>, Error> {
        let mut too_long = false;
        let mut searched = self.at;
        loop {
            let found = memchr::memchr(b'\n', self.waiting.get(searched..).unwrap_or_default()).map(|at| at + searched);
            let line = match found {
                Some(end) => self.at..end,
                None if self.ended && self.at == self.waiting.len() && !too_long => return Ok(None),
                None if self.ended => self.at..self.waiting.len(),
                None => {
                    self.waiting.advance(self.at);
                    self.at = 0;
                    too_long |= self.waiting.len() > self.line_bytes_max;
                    if too_long {
                        self.waiting.clear();
                    }
                    searched = self.waiting.len();
                    self.more().await?;
                    continue;
                }
            };
            self.number += 1;
            self.at = self.waiting.len().min(line.end + 1);
            searched = self.at;
            if too_long || line.len() > self.line_bytes_max {
                return Ok(Some((self.number, Err(Error::limit("row_bytes_max", self.line_bytes_max, "bytes")))));
            }
            if !self.waiting.get(line.clone()).unwrap_or_default().iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((self.number, Ok(self.waiting.get(line).unwrap_or_default()))));
            }
        }
    }

    async fn more(&mut self) -> Result<(), Error> {
        match self.body.frame().await {
            None => self.ended = true,
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    self.waiting.extend_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }
}

impl Summary {
    fn written(&mut self, written: &Written) {
        if written.created {
            self.created += 1;
        } else {
            self.updated += 1;
        }
    }

    fn refused(&mut self, line: u64, error: Error) {
        self.failed += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push((line, error));
        }
    }

    fn write(mut self, kind: WriteKind, request_id: &str) -> Vec<u8> {
        self.errors.sort_by_key(|(line, _)| *line);
        let updated = if kind == WriteKind::Create { String::new() } else { format!(",\"updated\":{}", self.updated) };
        let mut text = format!("{{\"created\":{}{updated},\"failed\":{},\"errors\":[", self.created, self.failed).into_bytes();
        for (index, (line, error)) in self.errors.iter().enumerate() {
            text.extend_from_slice(format!("{}{{\"line\":{line},\"problem\":", if index > 0 { "," } else { "" }).as_bytes());
            op_render::write_problem(&mut text, error, request_id);
            text.push(b'}');
        }
        text.extend_from_slice(format!("],\"through\":{}}}", self.through).as_bytes());
        text
    }
}
