//! One event as a line: for people, or as a JSON object. What is `@secret` in the model is in neither.

use fourfold_model::{Entity, FieldId, KEY, Model, REVISION, Row, Value};
use fourfold_op::json::{Dialect, write_date_time, write_string, write_value};
use fourfold_op::wire::{Changed, decode_changed, decode_row};
use fourfold_op::{Epoch, Event};

/// How events are shown.
#[derive(Clone, Copy)]
pub enum Form {
    Text { colour: bool },
    Json,
}

/// What an event says of its row.
enum Payload {
    /// It was redacted, or is of no form that the model knows.
    Blank,
    Known {
        changed: Option<Changed>,
        after: Option<Row>,
    },
}

const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

/// Appends an event, without an end of the line.
pub fn render(out: &mut Vec<u8>, model: &Model, epoch: &Epoch, event: &Event, form: Form) {
    let payload = payload(model, event);
    match form {
        Form::Json => render_json(out, model, epoch, event, &payload),
        Form::Text { colour } => out.extend_from_slice(text(model, event, &payload, colour).as_bytes()),
    }
}

fn payload(model: &Model, event: &Event) -> Payload {
    let entity = model.entity(event.entity);
    if [&event.changed, &event.after].into_iter().flatten().any(|bytes| bytes.is_empty()) {
        return Payload::Blank;
    }
    let changed = event.changed.as_ref().map(|bytes| decode_changed(model, entity, bytes)).transpose();
    let after = event.after.as_ref().map(|bytes| decode_row(model, entity, bytes)).transpose();
    match (changed, after) {
        (Ok(changed), Ok(after)) => Payload::Known { changed, after },
        _ => Payload::Blank,
    }
}

fn change(event: &Event) -> (&'static str, &'static str) {
    match (&event.changed, &event.after) {
        (None, _) => ("created", GREEN),
        (Some(_), Some(_)) => ("updated", YELLOW),
        (Some(_), None) => ("deleted", RED),
    }
}

/// The fields that are shown: no secrets, and not what stands beside them.
fn shown(entity: &Entity) -> impl Iterator<Item = FieldId> {
    entity.field_ids().filter(|(id, field)| !field.secret && *id != KEY && *id != REVISION).map(|(id, _)| id)
}

fn text(model: &Model, event: &Event, payload: &Payload, colour: bool) -> String {
    let entity = model.entity(event.entity);
    let painted = |text: &str, code: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let (word, code) = change(event);
    let mut at = Vec::new();
    write_date_time(&mut at, event.at);
    let head = format!("{:>8}  {}", event.position.0, printable(&at));
    let key = value_text(model, entity, KEY, &event.key);
    let said = match payload {
        Payload::Blank => painted("(redacted)", DIM),
        Payload::Known { changed, after } => told(model, entity, changed.as_ref(), after.as_ref(), |arrow| painted(arrow, DIM)),
    };
    let by = painted(&format!("by {}", printable(event.by.as_bytes())), DIM);
    format!("{}  {}  {} {key} r{}  {said}{}{by}", painted(&head, DIM), painted(word, code), entity.name, event.revision, gap(&said))
}

fn gap(said: &str) -> &'static str {
    if said.is_empty() { "" } else { "  " }
}

/// `title "a" → "b"`, or the whole row of a created one.
fn told(model: &Model, entity: &Entity, changed: Option<&Changed>, after: Option<&Row>, dim: impl Fn(&str) -> String) -> String {
    let value = |row: &Row, id| value_text(model, entity, id, row.value(id));
    let one = |id: FieldId| {
        let name = &entity.field(id).name;
        match (changed.filter(|changed| changed.fields.contains(&id)), after) {
            (Some(changed), Some(after)) => Some(format!("{name} {} {} {}", value(&changed.old, id), dim("→"), value(after, id))),
            (None, Some(after)) if changed.is_none() && !after.value(id).is_null() => Some(format!("{name} {}", value(after, id))),
            _ => None,
        }
    };
    shown(entity).filter_map(one).collect::<Vec<_>>().join("  ")
}

fn value_text(model: &Model, entity: &Entity, id: FieldId, value: &Value) -> String {
    let mut out = Vec::new();
    write_value(&mut out, model, entity.field(id).ty.base, value, Dialect::Plain);
    printable(&out)
}

/// What rows and tokens hold is of others: it must not steer a terminal.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn render_json(out: &mut Vec<u8>, model: &Model, epoch: &Epoch, event: &Event, payload: &Payload) {
    let entity = model.entity(event.entity);
    out.extend_from_slice(
        format!("{{\"cursor\":\"{}.{}\",\"commit_last\":{},\"at\":\"", epoch.0, event.position.0, event.commit_last.0).as_bytes(),
    );
    write_date_time(out, event.at);
    out.extend_from_slice(b"\",\"by\":");
    write_string(out, &event.by);
    out.extend_from_slice(format!(",\"change\":\"{}\",\"entity\":", change(event).0).as_bytes());
    write_string(out, &entity.name);
    out.extend_from_slice(b",\"key\":");
    write_value(out, model, entity.key_type(), &event.key, Dialect::Plain);
    out.extend_from_slice(format!(",\"revision\":{},\"generation\":{}", event.revision, event.generation).as_bytes());
    match payload {
        Payload::Blank => out.extend_from_slice(b",\"redacted\":true"),
        Payload::Known { changed, after } => {
            if let Some(changed) = changed {
                out.extend_from_slice(b",\"changed\":");
                write_fields(out, model, entity, &changed.old, |id| changed.fields.contains(&id));
            }
            if let Some(after) = after {
                out.extend_from_slice(b",\"after\":");
                write_fields(out, model, entity, after, |_| true);
            }
        }
    }
    out.push(b'}');
}

fn write_fields(out: &mut Vec<u8>, model: &Model, entity: &Entity, row: &Row, wanted: impl Fn(FieldId) -> bool) {
    out.push(b'{');
    for (index, id) in shown(entity).filter(|id| wanted(*id)).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, &entity.field(id).name);
        out.push(b':');
        write_value(out, model, entity.field(id).ty.base, row.value(id), Dialect::Plain);
    }
    out.push(b'}');
}
