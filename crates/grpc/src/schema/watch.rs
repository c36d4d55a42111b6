//! What a watch tells: a change, and the row after it.

use fourfold_model::{Entity, Model};
use fourfold_op::WatchChange;

use super::{Enum, Field, Message, Ty, full_name, ty};

/// The changes, in the order of their numbers, which begin with 1.
const CHANGES: [(WatchChange, &str); 5] = [
    (WatchChange::Entered, "The row is now among those watched."),
    (WatchChange::Changed, "It was and is, with another revision."),
    (WatchChange::Left, "It no longer is; only its key is told."),
    (WatchChange::Bookmark, "Nothing: only the cursor, which may be newer."),
    (WatchChange::Reset, "What was told no longer holds: list again. It is the last response."),
];

/// The number of a change.
pub fn change_number(change: WatchChange) -> u64 {
    CHANGES.iter().zip(1..).find(|((of, _), _)| *of == change).map_or(0, |(_, number)| number)
}

/// The name of a change: `CHANGE_ENTERED`.
pub fn change_name(change: WatchChange) -> String {
    format!("CHANGE_{}", change.name().to_uppercase())
}

/// `WatchProductsResponse`. Its enum is its own: an entity may be called `Change` too.
pub fn response(model: &Model, entity: &Entity, method: &str) -> Message {
    let name = format!("{method}Response");
    let change = Ty::Enum(full_name(model, &format!("{name}.Change")));
    let row = Ty::Message(full_name(model, &entity.name));
    let fields = vec![
        Field::optional(1, "cursor", Ty::String).doc("From where to go on after this; not set for the rows that a watch begins with."),
        Field::optional(2, "change", change).doc("What it is, relative to the filter and to what the caller may see."),
        Field::optional(3, "id", ty(model, entity.key_type())).doc("The row's key; not set for a bookmark or a reset."),
        Field::optional(4, "revision", Ty::Int64).doc("The row's revision; not set when it left."),
        Field::optional(5, "at", Ty::Message(".google.protobuf.Timestamp".into())).doc("When it was committed."),
        Field::optional(6, entity.snake.as_str(), row).doc("The row, as far as the read mask goes and the caller may see it."),
    ];
    Message { enums: vec![changes()], ..Message::new(name, format!("What {method} tells, one change each."), fields) }
}

fn changes() -> Enum {
    let unspecified = ("CHANGE_UNSPECIFIED".to_owned(), 0, Some("Not set.".to_owned()));
    let values = CHANGES.iter().zip(1..).map(|((change, doc), number)| (change_name(*change), number, Some((*doc).to_owned())));
    Enum {
        name: "Change".into(),
        doc: Some("What a change is to a watch.".into()),
        values: std::iter::once(unspecified).chain(values).collect(),
    }
}
