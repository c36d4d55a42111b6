//! Queries and mutations under way: executed, and their outcomes written.

use std::sync::Arc;

use fourfold_engine::{Executed, Prepared};
use fourfold_model::Value;
use fourfold_op::{Answered, Context, Error, Outcome, Written};

use crate::error::{Fault, write_errors};
use crate::introspect;
use crate::parse::compile::{self, Compiled, Root, WriteRoot};
use crate::parse::document::Document;
use crate::parse::input;
use crate::parse::variables::Variables;
use crate::render::{Gone, Writer};
use crate::shape::Entry;
use crate::{GraphQl, Served};

/// What was executed, before it has a media type.
pub(crate) struct Reply {
    pub body: Vec<u8>,
    pub statements: u32,
}

/// An operation on its way.
pub(crate) struct Running<'a> {
    pub face: &'a GraphQl,
    pub served: &'a Served,
    pub context: &'a Context,
    pub document: &'a Document,
    pub compiled: &'a Compiled,
    pub variables: &'a Variables,
}

impl Running<'_> {
    fn values(&self, request: &compile::Request) -> Result<Vec<Value>, Fault> {
        Ok(input::fill(&request.slots, self.variables, &self.face.reading(self.served))?)
    }

    fn prepared(&self, request: &compile::Request) -> Result<Arc<Prepared>, Error> {
        if let Some(prepared) = request.prepared.get() {
            return Ok(prepared.clone());
        }
        let prepared = self.face.engine.prepare(&request.operation)?;
        Ok(request.prepared.get_or_init(|| prepared).clone())
    }

    async fn execute(&self, request: &compile::Request, values: &[Value]) -> Result<Executed, Error> {
        let prepared = self.prepared(request)?;
        self.face.engine.execute_prepared(self.context, &prepared, values).await
    }

    /// A query: one read of one snapshot, whatever it asks.
    pub async fn query(&self) -> Result<Reply, Fault> {
        let schema = match self.compiled.introspects {
            true => Some(introspect::answer(self.served, self.face.options.introspection, self.document, self.compiled, self.variables)?),
            false => None,
        };
        let mut writer = Writer::new(self.face.engine.model());
        let (mut answers, mut statements) = (Vec::new(), 0);
        if let Some(read) = &self.compiled.read {
            let values = self.values(read)?;
            match self.execute(read, &values).await {
                Ok(executed) => {
                    statements = executed.statements;
                    if let Outcome::Read(read, cursor) = executed.outcome {
                        writer.cursor = cursor.map(|cursor| cursor.to_string());
                        answers = read;
                    }
                }
                Err(error) => return Ok(self.failed(error)),
            }
        }
        writer.raw(b"{\"data\":{");
        let mut shown = Ok(());
        for (index, entry) in self.compiled.roots.iter().enumerate() {
            writer.raw(if index > 0 { b"," } else { b"" });
            let nullable = !matches!(entry.part, Root::Page { .. } | Root::Groups { .. });
            shown = writer.root(entry, nullable, |writer, root| match root {
                Root::Introspection => {
                    let bytes = schema.as_ref().and_then(|schema| schema.get(entry.name.as_str()));
                    writer.raw(bytes.map_or(b"null".as_slice(), |bytes| bytes));
                    Ok(())
                }
                root => read_root(writer, root, &answers),
            });
            if shown.is_err() {
                break;
            }
        }
        Ok(Reply { body: writer.finish(shown, self.context), statements })
    }

    /// A read that failed as a whole; the path names the field, where it is known which.
    fn failed(&self, mut error: Error) -> Reply {
        for place in error.public.errors.iter_mut().filter(|place| place.pointer == "/page_size") {
            place.pointer = "/first".to_owned();
        }
        let places = self.compiled.roots.iter().filter(|entry| place_of(&entry.part).is_some());
        let known = error.public.operation.or_else(|| (places.clone().count() == 1).then_some(0));
        let at = known.and_then(|place| places.clone().find(|entry| place_of(&entry.part) == Some(place)));
        let fault = match at {
            Some(entry) => Fault::from(error).under(&entry.name),
            None => error.into(),
        };
        let mut body = b"{".to_vec();
        write_errors(&mut body, &[fault], self.context);
        body.extend_from_slice(b",\"data\":null}");
        Reply { body, statements: 0 }
    }

    /// A mutation: its fields one after the other, each a commit of its own.
    pub async fn mutation(&self) -> Result<Reply, Fault> {
        let writes =
            || self.compiled.roots.iter().filter_map(|entry| if let Root::Write(write) = &entry.part { Some(write) } else { None });
        if self.context.idempotency.is_some() && writes().count() > 1 {
            return Err(Fault::invalid("an idempotency key is for one mutation; this document has several"));
        }
        // Every value is read before anything is written.
        let mut values = Vec::new();
        for write in writes() {
            values.push(self.values(&write.request)?);
        }
        let mut values = values.into_iter();
        let mut writer = Writer::new(self.face.engine.model());
        let mut statements = 0;
        writer.raw(b"{\"data\":{");
        for (index, entry) in self.compiled.roots.iter().enumerate() {
            writer.raw(if index > 0 { b"," } else { b"" });
            match &entry.part {
                Root::Write(write) => statements += self.write(&mut writer, entry, write, values.next().unwrap_or_default()).await,
                part => {
                    writer.raw(&entry.key);
                    writer.raw(if let Root::Text(text) = part { text } else { b"null" });
                }
            }
        }
        Ok(Reply { body: writer.finish(Ok(()), self.context), statements })
    }

    async fn write(&self, writer: &mut Writer<'_>, entry: &Entry<Root>, write: &WriteRoot, values: Vec<Value>) -> u32 {
        match self.execute(&write.request, &values).await {
            Ok(executed) => {
                let written: Option<Written> = match executed.outcome {
                    Outcome::Written(written, cursor) => {
                        writer.cursor = cursor.map(|cursor| cursor.to_string());
                        written.into_iter().next()
                    }
                    Outcome::Read(..) => None,
                };
                let record = written.as_ref().and_then(|written| written.record.as_ref());
                // It may be null, so nothing is left to be passed up.
                let _ = writer.root(entry, true, |writer, _| writer.payload(&write.payload, record));
                executed.statements
            }
            Err(error) => {
                writer.faults.push(Fault::from(error).under(&entry.name));
                writer.raw(&entry.key);
                writer.raw(b"null");
                0
            }
        }
    }
}

fn place_of(root: &Root) -> Option<usize> {
    match root {
        Root::Row { place, .. } | Root::Page { place, .. } | Root::Groups { place, .. } => Some(*place),
        Root::Text(_) | Root::Introspection | Root::Write(_) => None,
    }
}

fn read_root(writer: &mut Writer<'_>, root: &Root, answers: &[Answered]) -> Result<(), Gone> {
    let answer = place_of(root).and_then(|place| answers.get(place));
    match (root, answer) {
        (Root::Text(text), _) => {
            writer.raw(text);
            Ok(())
        }
        (Root::Row { shape, .. }, Some(Answered::Row(record))) => writer.row_or_null(shape, record.as_ref()),
        (Root::Page { shape, .. }, Some(Answered::Page(page))) => writer.page(shape, page),
        (Root::Groups { shape, .. }, Some(Answered::Groups(groups))) => writer.groups(shape, groups),
        _ => {
            writer.faults.push(Error::internal("an answer of another kind than was asked for").into());
            Err(Gone)
        }
    }
}
