//! `BatchService`: several writes, one commit.

use fourfold_model::{Entity, Model};

use super::service::Verb;
use super::{Field, Message, Method, Service, Ty, exposed, full_name};

/// The writes of a batch, in the order of their numbers.
pub const WRITES: [Verb; 4] = [Verb::Create, Verb::Update, Verb::Upsert, Verb::Delete];

/// The service.
pub fn service(model: &Model) -> Service {
    let method = Method {
        name: "Batch".into(),
        doc: Some("Does all of the operations in one commit, or none.".into()),
        input: full_name(model, "BatchRequest"),
        output: full_name(model, "BatchResponse"),
        streaming: (false, false),
        reads: false,
    };
    Service { name: "BatchService".into(), doc: Some("Several writes, one commit.".into()), methods: vec![method] }
}

/// Its messages.
pub fn messages(model: &Model) -> Vec<Message> {
    let written = || exposed(model).map(|(_, entity)| entity).filter(|entity| !entity.readonly);
    let operations = written().flat_map(|entity| WRITES.into_iter().map(move |verb| operation_field(model, entity, verb)));
    let operation = Message { oneof: Some("operation"), ..Message::new("Operation", "One write.", operations.collect()) };
    let results =
        written().map(|entity| Field::oneof(result_number(entity), entity.snake.as_str(), Ty::Message(full_name(model, &entity.name))));
    let result = Message {
        oneof: Some("result"),
        ..Message::new("Result", "What one write answers: the row, or nothing after a delete.", results.collect())
    };
    let request = vec![
        Field::repeated(1, "operations", Ty::Message(full_name(model, "BatchRequest.Operation"))).doc("The writes, at most 1,000."),
        Field::optional(2, "request_id", Ty::String).doc("A key of the caller's own: the same request sent again under it is done once."),
    ];
    let response = vec![
        Field::repeated(1, "results", Ty::Message(full_name(model, "BatchResponse.Result"))).doc("One for each operation."),
        Field::optional(2, "cursor", Ty::String).doc("The place in the log after the commit, where the store can tell."),
    ];
    vec![
        Message { nested: vec![operation], ..Message::new("BatchRequest", "What Batch takes.", request) },
        Message { nested: vec![result], ..Message::new("BatchResponse", "What Batch answers.", response) },
    ]
}

fn operation_field(model: &Model, entity: &Entity, verb: Verb) -> Field {
    let name = format!("{}_{}", format!("{verb:?}").to_lowercase(), entity.snake);
    Field::oneof(operation_number(entity, verb), name, Ty::Message(full_name(model, &format!("{}Request", verb.method(entity)))))
}

/// The number of an operation: four for each entity, by its number in the lock.
pub fn operation_number(entity: &Entity, verb: Verb) -> u32 {
    let place = WRITES.iter().position(|write| *write == verb).unwrap_or(0) as u32;
    allowed(entity.number.saturating_mul(4).saturating_add(place))
}

/// The number of an entity's row in a result.
pub fn result_number(entity: &Entity) -> u32 {
    allowed(entity.number)
}

/// Past the numbers that protobuf keeps for itself, 19,000 to 19,999.
fn allowed(number: u32) -> u32 {
    if number < 19_000 { number } else { number.saturating_add(1_000) }
}
