//! One request: read, compiled (or found compiled), executed, rendered.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{Executed, Prepared};
use fourfold_model::Value;
use fourfold_op::{Answered, Authenticated, Context, Error, Outcome, Written};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use crate::error::{Fault, write_errors};
use crate::introspect;
use crate::parse::accept::{Format, negotiate};
use crate::parse::compile::{self, Compiled, Root, WriteRoot};
use crate::parse::document::{self, Document, DocumentRef};
use crate::parse::input::{self, Reading};
use crate::parse::request::{self, Asked, Refused};
use crate::parse::variables::{self, Variables};
use crate::render::{Gone, Writer};
use crate::shape::Entry;
use crate::subscribe::{self, Events};
use crate::{Body, GraphQl, Served, Statements, Weighed};

/// Skeletons longer than this are compiled anew each time: what a caller sends must not fill the cache.
const SKELETON_BYTES_MAX: usize = 4_096;

const PAGE: &str = include_str!("page.html");

/// An answer, before it has a media type.
struct Reply {
    body: Vec<u8>,
    /// Whether the document (or its variables) was refused, so that nothing was executed.
    refused: bool,
    statements: u32,
}

/// What an operation comes to.
enum Answer {
    Whole(Reply),
    /// Changes, as they come.
    Stream(Body),
}

impl GraphQl {
    /// Serves one request to `/graphql`.
    pub async fn serve(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::OPTIONS {
            return respond(StatusCode::NO_CONTENT, None, Bytes::new(), Some("GET, POST, OPTIONS"));
        }
        let page = self.options.dev && parts.method == Method::GET && !parts.uri.query().is_some_and(|query| query.contains("query="));
        let Some(format) = negotiate(&parts.headers, page) else {
            let message = "none of the media types of `accept` is served; ask for application/graphql-response+json or application/json";
            return refuse(&context, Format::Json, &Refused::new(StatusCode::NOT_ACCEPTABLE, message));
        };
        if format == Format::Page {
            return respond(StatusCode::OK, Some(format), Bytes::from_static(PAGE.as_bytes()), None);
        }
        let expires_at_us = parts.extensions.get().and_then(Authenticated::expires_at_us);
        let asked = match request::read(&parts, body).await {
            Ok(asked) => asked,
            Err(refused) => return refuse(&context, format, &refused),
        };
        match self.answer(&context, asked, format, expires_at_us).await {
            Ok(Answer::Stream(body)) => {
                let mut response = respond(StatusCode::OK, Some(format), Bytes::new(), None);
                response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
                *response.body_mut() = body;
                response
            }
            Ok(Answer::Whole(mut reply)) => {
                if format == Format::Events {
                    reply.body = subscribe::last_events(&reply.body).to_vec();
                }
                let status = if reply.refused && format == Format::Response { StatusCode::BAD_REQUEST } else { StatusCode::OK };
                let mut response = respond(status, Some(format), Bytes::from(reply.body), None);
                response.extensions_mut().insert(Statements(reply.statements));
                response
            }
            Err(refused) => refuse(&context, format, &refused),
        }
    }

    async fn answer(&self, context: &Context, asked: Asked, format: Format, expires_at_us: Option<i64>) -> Result<Answer, Refused> {
        let refused = |faults: &[Fault]| Ok(Answer::Whole(refused(context, faults)));
        let served = match &self.served {
            Ok(served) => served,
            Err(why) => return refused(&[Error::internal(why).into()]),
        };
        let document = match self.document(served, &asked) {
            Ok(document) => document,
            Err(faults) => return refused(&faults),
        };
        let mutates = document.operation.is_mutation();
        if mutates && !asked.may_write {
            return Err(Refused::method("POST", "a mutation is not done over GET; send it by POST"));
        }
        let compiled = variables::coerce(&served.schema, &served.catalog, &document, asked.variables)
            .and_then(|variables| Ok((self.compiled(served, &document, &variables)?, variables)));
        let (weighed, variables) = match compiled {
            Ok(compiled) => compiled,
            Err(fault) => return refused(&[fault]),
        };
        if let Some(watch) = &weighed.compiled.watch {
            if format != Format::Events {
                let message = "a subscription is not answered by one JSON document; ask with `Accept: text/event-stream`";
                return refused(&[Fault::invalid(message)]);
            }
            let begun = match subscribe::watch(watch, &variables, &self.reading(served), expires_at_us) {
                Ok((watch, values)) => self.engine.watch(context, &watch, &values).await,
                Err(error) => Err(error),
            };
            return match begun {
                Ok(subscription) => {
                    Ok(Answer::Stream(Events::new(self.engine.clone(), watch.clone(), context.clone(), subscription).into_body()))
                }
                Err(error) => refused(&[Fault::from(error).under(&watch.entry.name)]),
            };
        }
        let running = Running { face: self, served, context, document: &document, compiled: &weighed.compiled, variables: &variables };
        let reply = if mutates { running.mutation().await } else { running.query().await };
        reply.map_or_else(|fault| refused(&[fault]), |reply| Ok(Answer::Whole(reply)))
    }

    fn document(&self, served: &Served, asked: &Asked) -> Result<Arc<Document>, Vec<Fault>> {
        let key = DocumentRef { text: &asked.query, operation: asked.operation.as_deref() };
        if let Some(document) = self.documents.get(&key) {
            return Ok(document);
        }
        // Who may not read the contract is not told its names either.
        let document = Arc::new(document::parse(&served.schema, key, self.engine.limits(), self.options.introspection)?);
        self.documents.insert(key.to_key(), document.clone());
        Ok(document)
    }

    fn compiled(&self, served: &Served, document: &Document, variables: &Variables) -> Result<Arc<Weighed>, Fault> {
        let key = (document.id, variables.skeleton.clone().into_boxed_slice());
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(compiled);
        }
        let compiled = compile::compile(self.reading(served), document, variables)?;
        let weighed = Arc::new(Weighed { weight: compiled.weight(document), compiled });
        if weighed.compiled.reusable && key.1.len() <= SKELETON_BYTES_MAX {
            self.compiled.insert(key, weighed.clone());
        }
        Ok(weighed)
    }

    fn reading<'a>(&'a self, served: &'a Served) -> Reading<'a> {
        Reading { model: self.engine.model(), catalog: &served.catalog, limits: self.engine.limits() }
    }
}

/// An operation on its way.
struct Running<'a> {
    face: &'a GraphQl,
    served: &'a Served,
    context: &'a Context,
    document: &'a Document,
    compiled: &'a Compiled,
    variables: &'a Variables,
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
    async fn query(&self) -> Result<Reply, Fault> {
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
                        writer.cursor = Some(cursor.to_string());
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
        Ok(Reply { body: writer.finish(shown, self.context), refused: false, statements })
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
        Reply { body, refused: false, statements: 0 }
    }

    /// A mutation: its fields one after the other, each a commit of its own.
    async fn mutation(&self) -> Result<Reply, Fault> {
        let writes =
            || self.compiled.roots.iter().filter_map(|entry| if let Root::Write(write) = &entry.part { Some(write) } else { None });
        if self.context.idempotency.is_some() && writes().count() > 1 {
            return Err(Fault::invalid("an `Idempotency-Key` is for one mutation; this document has several"));
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
        Ok(Reply { body: writer.finish(Ok(()), self.context), refused: false, statements })
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

fn refused(context: &Context, faults: &[Fault]) -> Reply {
    let mut body = b"{".to_vec();
    write_errors(&mut body, faults, context);
    body.push(b'}');
    Reply { body, refused: true, statements: 0 }
}

fn refuse(context: &Context, format: Format, refusal: &Refused) -> Response<Body> {
    let mut reply = refused(context, &[refusal.error.clone().into()]);
    if format == Format::Events {
        reply.body = subscribe::last_events(&reply.body).to_vec();
    }
    respond(refusal.status, Some(format), Bytes::from(reply.body), refusal.allow)
}

fn respond(status: StatusCode, format: Option<Format>, body: Bytes, allow: Option<&'static str>) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(format) = format {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    }
    if let Some(allow) = allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
