//! An entity's service, its requests and responses.

use fourfold_model::names::pascal;
use fourfold_model::{Entity, Model};

use super::parameters::{self, Kind, Parameter};
use super::{Field, Message, Method, Service, Ty, aggregate, full_name, ty, watch};

const EMPTY: &str = ".google.protobuf.Empty";

/// The methods of an entity's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Get,
    List,
    Aggregate,
    Create,
    Update,
    Upsert,
    Delete,
    BatchGet,
    Watch,
    Ingest,
}

/// Every verb, in the service's order.
pub const VERBS: [Verb; 10] = [
    Verb::Get,
    Verb::List,
    Verb::Aggregate,
    Verb::Create,
    Verb::Update,
    Verb::Upsert,
    Verb::Delete,
    Verb::BatchGet,
    Verb::Watch,
    Verb::Ingest,
];

impl Verb {
    /// The parameters of its request.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Verb::Get => parameters::GET,
            Verb::List => parameters::LIST,
            Verb::Aggregate => parameters::AGGREGATE,
            Verb::Create => parameters::CREATE,
            Verb::Update => parameters::UPDATE,
            Verb::Upsert => parameters::UPSERT,
            Verb::Delete => parameters::DELETE,
            Verb::BatchGet => parameters::BATCH_GET,
            Verb::Watch => parameters::WATCH,
            Verb::Ingest => parameters::INGEST,
        }
    }

    /// Its method's name for an entity: `GetProduct`, `ListProducts`.
    pub fn method(self, entity: &Entity) -> String {
        match self {
            Verb::List | Verb::Aggregate | Verb::BatchGet | Verb::Watch | Verb::Ingest => format!("{self:?}{}", pascal(&entity.plural)),
            _ => format!("{self:?}{}", entity.name),
        }
    }

    /// Whether it only reads.
    pub fn reads(self) -> bool {
        matches!(self, Verb::Get | Verb::List | Verb::Aggregate | Verb::BatchGet | Verb::Watch)
    }

    /// Whether an entity has it.
    pub fn serves(self, entity: &Entity) -> bool {
        match self {
            Verb::Watch => entity.watch,
            _ => self.reads() || !entity.readonly,
        }
    }
}

/// The service of an entity.
pub fn entity_service(model: &Model, entity: &Entity) -> Service {
    let methods = VERBS.into_iter().filter(|verb| verb.serves(entity)).map(|verb| method(model, entity, verb)).collect();
    Service { name: format!("{}Service", entity.name), doc: Some(format!("Reads and writes {}.", spaced(&entity.plural))), methods }
}

fn method(model: &Model, entity: &Entity, verb: Verb) -> Method {
    let name = verb.method(entity);
    let output = match verb {
        Verb::Get | Verb::Create | Verb::Update | Verb::Upsert => full_name(model, &entity.name),
        Verb::Delete => EMPTY.to_owned(),
        Verb::List | Verb::Aggregate | Verb::BatchGet | Verb::Watch | Verb::Ingest => full_name(model, &format!("{name}Response")),
    };
    let input = full_name(model, &format!("{name}Request"));
    let streaming = (verb == Verb::Ingest, matches!(verb, Verb::Watch | Verb::Ingest));
    Method { name, doc: Some(method_doc(verb, entity)), input, output, streaming, reads: verb.reads() }
}

fn method_doc(verb: Verb, entity: &Entity) -> String {
    let (one, many) = (spaced(&entity.snake), spaced(&entity.plural));
    match verb {
        Verb::Get => format!("Reads one {one}."),
        Verb::List => format!("Reads a page of {many}."),
        Verb::Aggregate => format!("Counts, sums and averages {many}, in groups."),
        Verb::Create => format!("Creates one {one}."),
        Verb::Update => format!("Changes fields of one {one}."),
        Verb::Upsert => format!("Replaces one {one}, or creates it."),
        Verb::Delete => format!("Deletes one {one}."),
        Verb::BatchGet => format!("Reads several {many} by their keys, of one snapshot."),
        Verb::Watch => format!("Tells of every change to the {many} that match, until either side ends it."),
        Verb::Ingest => format!("Takes in a stream of {many}, many a commit; each row stands alone."),
    }
}

fn spaced(snake: &str) -> String {
    snake.replace('_', " ")
}

/// The request and response messages of an entity's methods.
pub fn entity_requests(model: &Model, entity: &Entity) -> Vec<Message> {
    let mut messages = Vec::new();
    for verb in VERBS.into_iter().filter(|verb| verb.serves(entity)) {
        let name = verb.method(entity);
        messages.push(request(model, entity, &name, verb.parameters()));
        messages.extend(response(model, entity, verb, &name));
    }
    messages
}

fn request(model: &Model, entity: &Entity, method: &str, parameters: &[Parameter]) -> Message {
    let fields = parameters.iter().map(|parameter| parameter_field(model, entity, parameter)).collect();
    Message::new(format!("{method}Request"), format!("What {method} takes."), fields)
}

fn parameter_field(model: &Model, entity: &Entity, parameter: &Parameter) -> Field {
    let Parameter { number, name, kind, doc } = *parameter;
    let field = match kind {
        Kind::Key => Field::optional(number, name, ty(model, entity.key_type())),
        Kind::Keys => Field::repeated(number, name, ty(model, entity.key_type())),
        Kind::Row => Field::optional(number, entity.snake.as_str(), Ty::Message(full_name(model, &entity.name))),
        Kind::Mask => Field::optional(number, name, Ty::Message(".google.protobuf.FieldMask".into())),
        Kind::Text => Field::optional(number, name, Ty::String),
        Kind::Texts => Field::repeated(number, name, Ty::String),
        Kind::Int32 => Field::optional(number, name, Ty::Int32),
        Kind::Int64 => Field::optional(number, name, Ty::Int64),
        Kind::Flag => Field::optional(number, name, Ty::Bool),
    };
    field.doc(doc)
}

fn response(model: &Model, entity: &Entity, verb: Verb, method: &str) -> Option<Message> {
    let rows = || Field::repeated(1, entity.plural.as_str(), Ty::Message(full_name(model, &entity.name)));
    let message = |fields| Message::new(format!("{method}Response"), format!("What {method} answers."), fields);
    match verb {
        Verb::List => Some(message(vec![
            rows().doc("The rows of the page."),
            Field::optional(2, "next_page_token", Ty::String).doc("Where the next page starts; left out at the end."),
            Field::optional(3, "total_size", Ty::Int32).doc("How many match, where it was asked for: at most 10,000."),
            Field::optional(4, "cursor", Ty::String).doc("The place in the log at which this page was read."),
            Field::optional(5, "total_capped", Ty::Bool).doc("Whether there are more than `total_size` says."),
        ])),
        Verb::BatchGet => Some(message(vec![rows().doc("The rows, in the order of the keys asked for.")])),
        Verb::Aggregate => Some(aggregate::response(model, entity, method)),
        Verb::Watch => Some(watch::response(model, entity, method)),
        Verb::Ingest => Some(ingest_response(model, method)),
        _ => None,
    }
}

fn ingest_response(model: &Model, method: &str) -> Message {
    let name = format!("{method}Response");
    let nested = |nested: &str| Ty::Message(full_name(model, &format!("{name}.{nested}")));
    let violation = Message::new(
        "Violation",
        "What is wrong at one place of a row.",
        vec![
            Field::optional(1, "field", Ty::String).doc("Where: `lines[0].quantity`."),
            Field::optional(2, "description", Ty::String).doc("What."),
        ],
    );
    let error = Message::new(
        "Error",
        "Why a row was not written.",
        vec![
            Field::optional(1, "sequence", Ty::Int64).doc("The row's number in the stream."),
            Field::optional(2, "code", Ty::String).doc("The error's code: `already_exists`."),
            Field::optional(3, "message", Ty::String).doc("One sentence for people."),
            Field::repeated(4, "violations", nested("Violation")).doc("What is wrong with which field."),
        ],
    );
    let fields = vec![
        Field::optional(1, "through", Ty::Int64).doc("Every row up to this number is committed, or stands in `errors`."),
        Field::repeated(2, "errors", nested("Error")).doc("The rows since the last response that were not written."),
    ];
    Message { nested: vec![error, violation], ..Message::new(name, format!("What {method} answers, once a commit."), fields) }
}
