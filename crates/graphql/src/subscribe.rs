//! Subscriptions: from what was asked to a stream of results, whichever wire carries them.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{Delivery, End, Engine, Subscription};
use fourfold_model::{KEY, Value};
use fourfold_op::{Context, Cursor, Error, Record, RequestId, Start, Watch, WatchChange, json};

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
pub(crate) struct Changes {
    engine: Arc<Engine>,
    request: Arc<WatchRequest>,
    context: Context,
    subscription: Subscription,
    first: std::vec::IntoIter<Record>,
    /// From which moment on it tells changes, where its reader does not know: told after the first rows.
    moment: Option<Cursor>,
}

/// What a stream of changes comes to next.
pub(crate) enum Step {
    /// A result.
    Result(Bytes),
    /// How it ends, and the last result where there is one.
    End(End, Option<Bytes>),
}

impl Changes {
    /// Begins a watch.
    ///
    /// # Errors
    /// Those of [`Engine::watch`].
    pub async fn begin(
        engine: &Arc<Engine>,
        request: &Arc<WatchRequest>,
        context: &Context,
        watch: &Watch,
        values: &[Value],
    ) -> Result<Changes, Error> {
        let mut subscription = engine.watch(context, watch, values).await?;
        let (first, moment) = match subscription.take_initial() {
            Some(initial) => (initial.records, Some(initial.cursor)),
            None => (Vec::new(), (watch.start == Start::Now).then(|| subscription.cursor().clone())),
        };
        let (engine, request, context) = (engine.clone(), request.clone(), context.clone());
        Ok(Changes { engine, request, context, subscription, first: first.into_iter(), moment })
    }

    /// What it was asked with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The next step; it can be cancelled at any time, and after an end there is none.
    ///
    /// Nothing is read ahead: what its reader does not take waits in the subscription's bounded queue.
    pub async fn next(&mut self) -> Step {
        if let Some(record) = self.first.next() {
            return Step::Result(self.first_row(record));
        }
        if let Some(cursor) = self.moment.take() {
            return Step::Result(self.no_row(&cursor, WatchChange::Bookmark));
        }
        match self.subscription.next().await {
            Ok(delivery) => Step::Result(self.delivery(&delivery)),
            Err(end) => {
                let last = if let End::Reset(cursor) = &end { Some(self.no_row(cursor, WatchChange::Reset)) } else { None };
                Step::End(end, last)
            }
        }
    }

    fn first_row(&self, record: Record) -> Bytes {
        let (key, revision) = (record.row.value(KEY).clone(), record.row.revision());
        let change = WatchChange::Entered;
        let told = Told { cursor: None, change, key: &key, revision: Some(revision), at: None, record: Some(record) };
        self.told(&told, &self.context)
    }

    /// A change; made once for all who are shown the same, so it names no request.
    fn delivery(&self, delivery: &Delivery) -> Bytes {
        delivery.encoded(&self.request.encoding, || {
            let told = Told {
                cursor: Some(delivery.cursor.to_string()),
                change: delivery.change,
                key: &delivery.key,
                revision: delivery.revision,
                at: (delivery.change != WatchChange::Bookmark).then_some(delivery.at),
                record: delivery.record(),
            };
            self.told(&told, &Context { request: RequestId("".into()), ..self.context.clone() })
        })
    }

    /// What is told of no row, but of all that was told before.
    fn no_row(&self, cursor: &Cursor, change: WatchChange) -> Bytes {
        let cursor = Some(cursor.to_string());
        self.told(&Told { cursor, change, key: &Value::Null, revision: None, at: None, record: None }, &self.context)
    }

    fn told(&self, told: &Told<'_>, context: &Context) -> Bytes {
        let mut writer = Writer::new(self.engine.model());
        writer.raw(b"{\"data\":{");
        let shown = writer.root(&self.request.entry, false, |writer, shape| writer.change(shape, told));
        writer.finish(shown, context).into()
    }
}

#[cfg(test)]
mod tests;
