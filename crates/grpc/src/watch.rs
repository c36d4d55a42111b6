//! Watches: one request in, a response for each change out.

mod answers;

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::EncodingKey;
use fourfold_model::EntityId;
use fourfold_op::{Cursor, Error, Start, Watch, json};
use futures_util::StreamExt;

use crate::error::Status;
use crate::face::Face;
use crate::filter::filter;
use crate::message::Arguments;
use crate::schema::service::Verb;
use crate::selection::{Selection, Values, selection};
use crate::transport::{Call, Format, Messages};
use answers::{Answers, Form};

/// Begins a watch; what it is told is the stream, which ends when the watch does.
///
/// # Errors
/// What is wrong with the request, and why no watch can begin.
pub async fn watch(face: Arc<Face>, id: EntityId, call: Call, mut messages: Messages) -> Result<Messages, Status> {
    let message = messages.next().await.unwrap_or_else(|| Ok(Bytes::new()))?;
    match begin(&face, id, &call, &message).await {
        Ok(answers) => Ok(answers.into_messages()),
        Err(error) => Err(face.status(&error, &call.context.request)),
    }
}

async fn begin(face: &Arc<Face>, id: EntityId, call: &Call, message: &[u8]) -> Result<Answers, Error> {
    let arguments = face.part(message, call.format)?.arguments(face.reading(id), Verb::Watch.parameters())?;
    let mut values = Values::default();
    let selection = shown(face, id, &arguments, &mut values)?;
    let reading = face.reading(id);
    let watch = Watch {
        entity: id,
        filter: filter(reading.model, id, arguments.text(1), reading.limits, &mut values)?,
        fields: selection.fields.clone(),
        start: start(&arguments)?,
        bookmarks: true,
        expires_at_us: call.expires_at_us,
    };
    let subscription = face.engine.watch(&call.context, &watch, &values.0).await?;
    let encoding = EncodingKey::of(format_name(call.format), &selection.fields);
    let (format, request) = (call.format, call.context.request.clone());
    let form = Form { face: face.clone(), entity: id, selection, encoding, format, request };
    Ok(Answers::new(form, subscription))
}

/// What is shown of the rows. An event holds its row alone, so a mask leads through no relation.
fn shown(face: &Face, id: EntityId, arguments: &Arguments<'_>, values: &mut Values) -> Result<Selection, Error> {
    let reading = face.reading(id);
    let selection = selection(reading.model, id, arguments.texts(2), reading.limits, values)?;
    match selection.nested.first() {
        None => Ok(selection),
        Some(nested) => {
            let name = json::quoted(&reading.entity.relation(nested.relation).name);
            let detail = format!("{name} is a relation; a watch shows the fields of the row itself");
            Err(Error::invalid_at("/read_mask", detail))
        }
    }
}

fn start(arguments: &Arguments<'_>) -> Result<Start, Error> {
    match (arguments.text(3), arguments.flag(4)) {
        ("", true) => Ok(Start::Initial),
        ("", false) => Ok(Start::Now),
        (_, true) => Err(Error::invalid_at("/initial", "a watch begins at one place: give `after` or `initial`")),
        (after, false) => Ok(Start::After(cursor(after)?)),
    }
}

fn cursor(text: &str) -> Result<Cursor, Error> {
    text.parse().map_err(|_| {
        let detail = format!("{} is not a cursor; expected the `cursor` of a response, a list or a batch", json::quoted(text));
        Error::invalid_at("/after", detail)
    })
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Proto => "grpc",
        Format::Json => "connect",
    }
}
