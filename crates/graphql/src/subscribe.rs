//! Subscriptions over server-sent events: graphql-sse, a connection for each operation (`SPEC` §3, §6).

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{Delivery, End, Engine, Subscription};
use fourfold_model::{KEY, Value};
use fourfold_op::sse::{COMMENT, HEARTBEAT, write_event};
use fourfold_op::{Context, Cursor, Error, Record, Start, Watch, WatchChange, json};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::Body;
use crate::error::{Fault, write_errors};
use crate::parse::compile::WatchRequest;
use crate::parse::input::{self, Reading};
use crate::parse::variables::Variables;
use crate::render::{Told, Writer};

/// The watch that a subscription asks for, and its values.
pub(crate) fn watch(
    request: &WatchRequest,
    variables: &Variables,
    reading: &Reading<'_>,
    expires_at_us: Option<i64>,
) -> Result<(Watch, Vec<Value>), Error> {
    let values = input::fill(&request.slots, variables, reading)?;
    let one = |slot: &Option<input::Slot>| {
        let filled = input::fill(slot.as_slice(), variables, reading)?;
        Ok::<_, Error>(filled.into_iter().next().unwrap_or_default())
    };
    let start = match (one(&request.after)?, one(&request.initial)?) {
        (Value::Null, Value::Boolean(true)) => Start::Initial,
        (Value::Null, _) => Start::Now,
        (_, Value::Boolean(true)) => return Err(Error::invalid("a subscription begins at one place: give `after` or `initial`")),
        (Value::Text(text), _) => Start::After(text.parse::<Cursor>().map_err(|_| {
            let detail = format!("{} is not a cursor; expected `after` as a change's or a list's `cursor` has it", json::quoted(&text));
            Error::invalid_at("/after", detail)
        })?),
        _ => return Err(Error::invalid_at("/after", "`after` is not a String")),
    };
    let (entity, filter, fields) = (request.entity, request.filter.clone(), request.fields.clone());
    Ok((Watch { entity, filter, fields, start, bookmarks: true, expires_at_us }, values))
}

/// A stream of changes under way.
pub(crate) struct Events {
    engine: Arc<Engine>,
    request: Arc<WatchRequest>,
    context: Context,
    subscription: Subscription,
    first: std::vec::IntoIter<Record>,
    /// The moment of the first rows, told after them.
    moment: Option<Cursor>,
    ended: bool,
}

impl Events {
    pub fn new(engine: Arc<Engine>, request: Arc<WatchRequest>, context: Context, mut subscription: Subscription) -> Events {
        let (first, moment) = match subscription.take_initial() {
            Some(initial) => (initial.records, Some(initial.cursor)),
            None => (Vec::new(), None),
        };
        Events { engine, request, context, subscription, first: first.into_iter(), moment, ended: false }
    }

    /// The stream as a body. Nothing is read ahead: what its reader does not take waits in the subscription's bounded queue.
    pub fn into_body(self) -> Body {
        let frames = futures_util::stream::unfold(self, |mut events| async move {
            let bytes = events.next().await?;
            Some((Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Frame::data(bytes)), events))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(record) = self.first.next() {
            return Some(next_event(&self.first_row(record)));
        }
        if let Some(cursor) = self.moment.take() {
            return Some(next_event(&self.no_row(&cursor, WatchChange::Bookmark)));
        }
        Some(match tokio::time::timeout(HEARTBEAT, self.subscription.next()).await {
            Err(_) => Bytes::from_static(COMMENT),
            Ok(Ok(delivery)) => next_event(&self.delivery(&delivery)),
            Ok(Err(end)) => {
                self.ended = true;
                last_events(&self.end(&end))
            }
        })
    }

    fn first_row(&self, record: Record) -> Vec<u8> {
        let (key, revision) = (record.row.value(KEY).clone(), record.row.revision());
        let change = WatchChange::Entered;
        self.told(&Told { cursor: None, change, key: &key, revision: Some(revision), at: None, record: Some(record) })
    }

    fn delivery(&self, delivery: &Delivery) -> Vec<u8> {
        self.told(&Told {
            cursor: Some(delivery.cursor.to_string()),
            change: delivery.change,
            key: &delivery.key,
            revision: delivery.revision,
            at: (delivery.change != WatchChange::Bookmark).then_some(delivery.at),
            record: delivery.record(),
        })
    }

    /// What is told of no row, but of all that was told before.
    fn no_row(&self, cursor: &Cursor, change: WatchChange) -> Vec<u8> {
        let cursor = Some(cursor.to_string());
        self.told(&Told { cursor, change, key: &Value::Null, revision: None, at: None, record: None })
    }

    fn told(&self, told: &Told<'_>) -> Vec<u8> {
        let mut writer = Writer::new(self.engine.model());
        writer.raw(b"{\"data\":{");
        let shown = writer.root(&self.request.entry, false, |writer, shape| writer.change(shape, told));
        writer.finish(shown, &self.context)
    }

    fn end(&self, end: &End) -> Vec<u8> {
        if let End::Reset(cursor) = end {
            return self.no_row(cursor, WatchChange::Reset);
        }
        let mut out = b"{".to_vec();
        write_errors(&mut out, &[Fault::from(end.error("cursor"))], &self.context);
        out.push(b'}');
        out
    }
}

/// One result.
fn next_event(json: &[u8]) -> Bytes {
    result(json).into()
}

/// The last result, and that it is the last.
pub(crate) fn last_events(json: &[u8]) -> Bytes {
    let mut out = result(json);
    out.extend_from_slice(b"event: complete\ndata:\n\n");
    out.into()
}

fn result(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 32);
    write_event(&mut out, None, "next", |out| out.extend_from_slice(json));
    out
}
