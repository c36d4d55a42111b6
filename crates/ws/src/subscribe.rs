//! A subscribe command as a watch: its channel, its data, and from where it recovers.

use std::sync::Arc;

use fourfold_engine::EncodingKey;
use fourfold_model::{EntityId, FieldId, KEY, Model, REVISION, Value};
use fourfold_op::params::{Asking, Face, Pairs, Shape};
use fourfold_op::render::RowShape;
use fourfold_op::{Cursor, Epoch, Error, Limits, Operation, Select, SelectKind, Start, Watch, json};
use serde_json::value::RawValue;

use crate::channel::{self, Rows};
use crate::message::SubscribeRequest;
use crate::rpc::{text, text_of};

/// Parameters of pages, which a watch does not have.
const OF_PAGES: [&str; 5] = ["order_by", "expand", "page_size", "page_token", "with_total"];
/// The protocol's flag for a client that wants error 112 instead of `recovered: false`.
const REJECT_UNRECOVERED: i64 = 2;
/// What `data` may have.
const OF_DATA: [&str; 4] = ["filter", "fields", "initial", "bookmarks"];

/// What a channel watches, as often as it is begun.
pub(crate) struct Asked {
    /// It begins now and has bookmarks: from where and for how long is told with each beginning.
    pub(crate) watch: Watch,
    pub(crate) values: Vec<Value>,
    pub(crate) form: Form,
    /// Whether it wants to begin with the rows as they are.
    pub(crate) initial: bool,
    /// Whether it wants to be told how far the log has come.
    pub(crate) bookmarks: bool,
}

/// How a channel's rows are shown.
#[derive(Clone)]
pub(crate) struct Form {
    pub(crate) entity: EntityId,
    pub(crate) shape: Arc<RowShape>,
    pub(crate) encoding: EncodingKey,
}

/// What `data` asks.
#[derive(Default)]
struct Given<'a> {
    pairs: Pairs<'a>,
    initial: bool,
    bookmarks: bool,
}

impl SubscribeRequest {
    /// Whether what cannot be recovered is to be refused.
    pub(crate) fn rejects_unrecovered(&self) -> bool {
        self.flag & REJECT_UNRECOVERED != 0
    }

    /// Whether it goes on in whatever log there is.
    pub(crate) fn any_epoch(&self) -> bool {
        self.epoch.is_empty()
    }

    /// From where it goes on, where it names no epoch in this one; none for what is no place of any log.
    pub(crate) fn cursor(&self, current: Option<&Epoch>) -> Option<Cursor> {
        if let Some(epoch) = current {
            return Some(Cursor { epoch: epoch.clone(), after: self.offset, skip: None });
        }
        match self.epoch.split_once('~') {
            Some((epoch, skip)) => format!("{epoch}.{}~{skip}", self.offset).parse().ok(),
            None => format!("{}.{}", self.epoch, self.offset).parse().ok(),
        }
    }

    /// Reads the channel and the data.
    pub(crate) fn asked(&self, model: &Model, limits: &Limits) -> Result<Asked, Error> {
        if self.tf.is_some() {
            return Err(Error::invalid_at("/tf", "publications have no tags; filter in the channel: `people?name=Ada`"));
        }
        if self.r#type != 0 {
            return Err(Error::invalid_at("/type", format!("{} is not a kind of subscription here; expected 0, a stream", self.r#type)));
        }
        let Rows { entity, mut pairs } = channel::parse(&self.channel, model)?;
        let given = self.given(limits)?;
        pairs.extend(given.pairs);
        if let Some((name, _)) = pairs.iter().find(|(name, _)| OF_PAGES.contains(&name.as_ref())) {
            let detail = format!("`{name}` is for pages; a channel has `filter`, filters of fields and `fields`");
            return Err(Error::invalid_at(format!("/{name}"), detail));
        }
        let asked = Asking::new(model, limits, Face::WebSocket).list(entity, &pairs)?;
        let unexpected = || Error::internal("a list became another operation");
        let (Operation::Read(mut selects), Shape::Rows(shape)) = (asked.operation, asked.shape) else { return Err(unexpected()) };
        let Some(Select { kind: SelectKind::List(list), fields, .. }) = selects.pop() else { return Err(unexpected()) };
        // The form of the protocol is no part of the key: data are JSON in both.
        let form = Form { entity, shape, encoding: EncodingKey::of("websocket", &fields) };
        let fields = with_fixed(fields);
        let watch = Watch { entity, filter: list.filter, fields, start: Start::Now, bookmarks: true, expires_at_us: None };
        Ok(Asked { watch, values: asked.values, form, initial: given.initial, bookmarks: given.bookmarks })
    }

    fn given(&self, limits: &Limits) -> Result<Given<'_>, Error> {
        let mut given = Given::default();
        let text = text(&self.data, limits)?;
        for (name, value) in json::members(text).map_err(|detail| Error::invalid_at("/data", detail))?.0 {
            let at = format!("/data/{}", json::escape_pointer(&name));
            match name.as_ref() {
                "initial" => given.initial = boolean(value, at)?,
                "bookmarks" => given.bookmarks = boolean(value, at)?,
                "filter" | "fields" => {
                    let text = text_of(value).map_err(|detail| Error::invalid_at(at, detail))?;
                    given.pairs.push((name, text));
                }
                other => return Err(unknown(other, at)),
            }
        }
        Ok(given)
    }
}

fn unknown(name: &str, at: String) -> Error {
    let near = json::did_you_mean(name, OF_DATA.into_iter());
    Error::invalid_at(at, format!("unknown member {}; expected {}{near}", json::quoted(name), OF_DATA.join(", ")))
}

fn boolean(value: &RawValue, at: String) -> Result<bool, Error> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Error::invalid_at(at, format!("{} is not a Boolean; expected true or false", json::quoted(other)))),
    }
}

/// A watch reads the key and the revision, whichever members it shows.
fn with_fixed(mut fields: Vec<FieldId>) -> Vec<FieldId> {
    fields.extend([KEY, REVISION]);
    fields.sort_unstable();
    fields.dedup();
    fields
}
