//! `BatchService.Batch`: several writes, one commit.

use fourfold_model::{EntityId, Model};
use fourfold_op::json::{self, did_you_mean};
use fourfold_op::wire::WireError;
use fourfold_op::wire::bytes::{Malformed, Reader, WireType, put_bytes, put_nested};
use fourfold_op::{Error, Operation, Outcome, Written};

use crate::asked::{Asked, asked};
use crate::face::Face;
use crate::message::Part;
use crate::render::{self, Object, Shown, json_list};
use crate::schema::batch::{WRITES, operation_number, result_number};
use crate::schema::exposed;
use crate::schema::service::Verb;
use crate::selection::{Selection, Values};
use crate::transport::{Call, Format};
use crate::write::{bare, identify};

/// One operation of a batch, not yet read.
struct Step<'a> {
    entity: EntityId,
    verb: Verb,
    part: Part<'a>,
}

/// Answers Batch.
///
/// # Errors
/// Those of its operations, each saying which it was; `limit_exceeded` for too many.
pub async fn batch(face: &Face, mut call: Call, part: Part<'_>) -> Result<Vec<u8>, Error> {
    let (steps, request_id) = read(face.engine.model(), part)?;
    let limits = face.engine.limits();
    if steps.is_empty() {
        return Err(Error::invalid_at("/operations", "`operations` is required: at least one"));
    }
    if steps.len() > limits.commit_events_max {
        return Err(Error::limit("commit_events_max", limits.commit_events_max, "operations in one batch"));
    }
    identify(&mut call.context, &request_id, limits.idempotency_key_max)?;
    let mut values = Values::default();
    let mut writes = Vec::with_capacity(steps.len());
    let mut selections = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let Asked { write, selection, .. } = one(face, step, &mut values).map_err(|error| error.at_operation(index))?;
        writes.push(write);
        selections.push(selection);
    }
    let executed = face.engine.execute(&call.context, &Operation::Write(writes), &values.0).await;
    let executed = executed.map_err(|error| if steps.len() == 1 { error.of_one_operation() } else { error })?;
    let Outcome::Written(written, cursor) = executed.outcome else { return Err(Error::internal("a batch was answered as a read")) };
    let cursor = cursor.map(|cursor| cursor.to_string());
    Ok(answer(face.engine.model(), &written, &selections, cursor.as_deref(), call.format))
}

fn one(face: &Face, step: &Step<'_>, values: &mut Values) -> Result<Asked, Error> {
    let reading = face.reading(step.entity);
    let arguments = step.part.arguments(reading, step.verb.parameters())?;
    let asked = asked(step.verb, step.entity, reading, &arguments, values)?;
    if !asked.request_id.is_empty() {
        return Err(Error::invalid_at("/request_id", "in a batch `request_id` stands beside `operations`, once for all of them"));
    }
    if asked.may_be_missing || asked.otherwise.is_some() {
        let detail = "in a batch `allow_missing` serves for `upsert`, and for `update` with a mask that names all that is set";
        return Err(Error::invalid_at("/allow_missing", detail));
    }
    Ok(asked)
}

fn read<'a>(model: &Model, part: Part<'a>) -> Result<(Vec<Step<'a>>, String), Error> {
    match part {
        Part::Proto(message) => proto_batch(model, message).map_err(|error| WireError::from(error).into()),
        Part::Json(text) => json_batch(model, text),
    }
}

fn proto_batch<'a>(model: &Model, message: &'a [u8]) -> Result<(Vec<Step<'a>>, String), Malformed> {
    let (mut steps, mut request_id) = (Vec::new(), String::new());
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        match (number, wire_type) {
            (1, WireType::Bytes) => steps.push(proto_step(model, reader.bytes()?)?),
            (2, WireType::Bytes) => request_id = std::str::from_utf8(reader.bytes()?).map_err(|_| Malformed)?.to_owned(),
            _ => reader.skip(number, wire_type)?,
        }
    }
    Ok((steps, request_id))
}

fn proto_step<'a>(model: &Model, message: &'a [u8]) -> Result<Step<'a>, Malformed> {
    let mut step = None;
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        match (kinds(model).find(|(entity, verb)| operation_number(model.entity(*entity), *verb) == number), wire_type) {
            (Some((entity, verb)), WireType::Bytes) => step = Some(Step { entity, verb, part: Part::Proto(reader.bytes()?) }),
            _ => reader.skip(number, wire_type)?,
        }
    }
    // An operation that this server does not know cannot be passed over: the batch would be another.
    step.ok_or(Malformed)
}

/// Every operation that a batch may hold.
fn kinds(model: &Model) -> impl Iterator<Item = (EntityId, Verb)> {
    let written = exposed(model).filter(|(_, entity)| !entity.readonly);
    written.flat_map(|(id, _)| WRITES.into_iter().map(move |verb| (id, verb)))
}

fn json_batch<'a>(model: &Model, text: &'a str) -> Result<(Vec<Step<'a>>, String), Error> {
    let (mut steps, mut request_id) = (Vec::new(), String::new());
    for (name, value) in json::members(text).map_err(Error::invalid)?.0 {
        match name.as_ref() {
            "operations" => {
                let operations: Vec<&'a serde_json::value::RawValue> =
                    serde_json::from_str(value.get()).map_err(|_| Error::invalid_at("/operations", "expected an array"))?;
                for (index, operation) in operations.into_iter().enumerate() {
                    steps.push(json_step(model, operation.get()).map_err(|error| error.at_operation(index))?);
                }
            }
            "request_id" => {
                request_id = serde_json::from_str(value.get()).map_err(|_| Error::invalid_at("/request_id", "expected a string"))?;
            }
            name => {
                let near = did_you_mean(name, ["operations", "request_id"].into_iter());
                return Err(Error::invalid_at(format!("/{name}"), format!("unknown member {}{near}", json::quoted(name))));
            }
        }
    }
    Ok((steps, request_id))
}

fn json_step<'a>(model: &Model, text: &'a str) -> Result<Step<'a>, Error> {
    let members = json::members(text).map_err(Error::invalid)?.0;
    let [(name, value)] = members.as_slice() else {
        return Err(Error::invalid("an operation has exactly one member, such as `create_…`"));
    };
    let named = |(entity, verb): &(EntityId, Verb)| format!("{}_{}", format!("{verb:?}").to_lowercase(), model.entity(*entity).snake);
    let (entity, verb) = kinds(model).find(|kind| named(kind) == name.as_ref()).ok_or_else(|| {
        let names: Vec<String> = kinds(model).map(|kind| named(&kind)).collect();
        let near = did_you_mean(name, names.iter().map(String::as_str));
        Error::invalid(format!("unknown operation {}{near}", json::quoted(name)))
    })?;
    Ok(Step { entity, verb, part: Part::Json(value.get()) })
}

fn answer(model: &Model, written: &[Written], selections: &[Selection], cursor: Option<&str>, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    let results = written.iter().zip(selections);
    match format {
        Format::Proto => {
            results.for_each(|(written, selection)| put_nested(&mut out, 1, |out| put_result(out, model, written, selection)));
            if let Some(cursor) = cursor {
                put_bytes(&mut out, 2, cursor.as_bytes());
            }
        }
        Format::Json => {
            let mut object = Object::new(&mut out);
            json_list(object.member("results"), results, |out, (written, selection)| json_result(out, model, written, selection));
            if let Some(cursor) = cursor {
                object.text("cursor", cursor);
            }
            object.end();
        }
    }
    out
}

fn put_result(out: &mut Vec<u8>, model: &Model, written: &Written, selection: &Selection) {
    if written.deleted {
        return;
    }
    let entity = model.entity(written.entity);
    let number = result_number(entity);
    match &written.record {
        Some(record) => render::put_record(out, number, model, entity, selection.shown(), record),
        None => render::put_record(out, number, model, entity, Shown::BARE, &bare(entity, written.key.clone(), written.revision)),
    }
}

fn json_result(out: &mut Vec<u8>, model: &Model, written: &Written, selection: &Selection) {
    let mut object = Object::new(out);
    if !written.deleted {
        let entity = model.entity(written.entity);
        let member = object.member(&entity.snake);
        match &written.record {
            Some(record) => render::record(member, model, entity, selection.shown(), record, Format::Json),
            None => render::record(member, model, entity, Shown::BARE, &bare(entity, written.key.clone(), written.revision), Format::Json),
        }
    }
    object.end();
}
