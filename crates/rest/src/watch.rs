//! Watches over server-sent events: `GET /v1/products?…` with `Accept: text/event-stream`.

mod events;

use std::sync::Arc;

use fourfold_engine::EncodingKey;
use fourfold_model::{FieldId, KEY, REVISION, Value};
use fourfold_op::params::Pairs;
use fourfold_op::render::RowShape;
use fourfold_op::{Authenticated, Cursor, Error, Operation, Select, SelectKind, Start, Watch, json};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use http::{Method, Response};

use crate::body::Body;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::read::{rows, unexpected};
use crate::render::bare;
use crate::route::Resource;
use events::{Events, Form};

/// Parameters of pages, which a watch does not have.
const OF_PAGES: [&str; 5] = ["order_by", "expand", "page_size", "page_token", "with_total"];

/// The header with which a reader that lost its stream says how far it came (HTML, server-sent events).
const LAST_EVENT_ID: &str = "last-event-id";

/// What a watch's request asks.
struct Asked {
    watch: Watch,
    values: Vec<Value>,
    shape: Arc<RowShape>,
    encoding: EncodingKey,
}

impl Exchange<'_> {
    /// Begins a watch; what it is told is the answer's body, which ends when the watch does.
    pub(crate) async fn watch(&mut self, resource: &Resource) -> Result<Response<Body>, Refusal> {
        let Asked { watch, values, shape, encoding } = self.watched(resource)?;
        self.steps.parsed();
        let subscription = self.engine.watch(self.context, &watch, &values).await?;
        let mut response = bare(http::StatusCode::OK);
        put_headers(response.headers_mut());
        if self.head.method != Method::HEAD {
            let (engine, request) = (self.engine.clone(), self.context.request.clone());
            let form = Form { engine, entity: resource.entity, shape, encoding, request };
            *response.body_mut() = Events::new(form, subscription).into_body();
        }
        Ok(response)
    }

    fn watched(&self, resource: &Resource) -> Result<Asked, Refusal> {
        let (of_watch, of_list): (Pairs<'_>, Pairs<'_>) =
            self.pairs()?.into_iter().partition(|(name, _)| matches!(name.as_ref(), "after" | "initial"));
        if let Some((name, _)) = of_list.iter().find(|(name, _)| OF_PAGES.contains(&name.as_ref())) {
            let detail = format!("`{name}` is for pages; a watch has `filter`, filters of fields, `fields`, `after` and `initial`");
            return Err(Error::invalid_at(format!("/{name}"), detail).into());
        }
        let start = start(&self.head.headers, &of_watch)?;
        let asked = self.asking().list(resource.entity, &of_list)?;
        let shape = rows(&asked)?;
        let Operation::Read(mut selects) = asked.operation else { return Err(unexpected()) };
        let Some(Select { kind: SelectKind::List(list), fields, .. }) = selects.pop() else { return Err(unexpected()) };
        let encoding = EncodingKey::of("sse", &fields);
        let expires_at_us = self.head.extensions.get().and_then(Authenticated::expires_at_us);
        let fields = with_fixed(fields);
        let watch = Watch { entity: resource.entity, filter: list.filter, fields, start, bookmarks: true, expires_at_us };
        Ok(Asked { watch, values: asked.values, shape, encoding })
    }
}

/// From where the watch begins. The header wins: a browser that comes back sends it to the very address with which it began.
fn start(headers: &HeaderMap, pairs: &Pairs<'_>) -> Result<Start, Error> {
    let asked = match pairs.as_slice() {
        [] => Start::Now,
        [(name, text)] if name == "after" => Start::After(cursor(text, "/after", "after")?),
        [(_, text)] => match text.as_ref() {
            "true" => Start::Initial,
            "false" => Start::Now,
            other => {
                return Err(Error::invalid_at("/initial", format!("{} is not a Boolean; expected true or false", json::quoted(other))));
            }
        },
        [..] => return Err(Error::invalid("a watch begins at one place: give `after` or `initial`, once")),
    };
    match headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes) {
        // A reader that was told no cursor yet sends none, or an empty one.
        None | Some(b"") => Ok(asked),
        Some(text) => Ok(Start::After(cursor(&String::from_utf8_lossy(text), "", "Last-Event-ID")?)),
    }
}

fn cursor(text: &str, pointer: &str, name: &str) -> Result<Cursor, Error> {
    text.parse().map_err(|_| {
        let detail = format!("{} is not a cursor; expected `{name}` as an event's `id` or a list's `cursor` has it", json::quoted(text));
        if pointer.is_empty() { Error::invalid(detail) } else { Error::invalid_at(pointer, detail) }
    })
}

/// The first rows are told with their key and revision, whichever members they show.
fn with_fixed(mut fields: Vec<FieldId>) -> Vec<FieldId> {
    fields.extend([KEY, REVISION]);
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn put_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept, Authorization"));
    // nginx and its kin would else keep events until a buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}
