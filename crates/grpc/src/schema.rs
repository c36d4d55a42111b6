//! What a model is as a protobuf file: one structure, from which the `.proto` text and the descriptors are both made.

pub mod aggregate;
pub mod batch;
mod entity;
pub mod parameters;
pub mod service;
pub mod standard;
pub mod watch;

use fourfold_model::{Base, Entity, EntityId, EnumType, Model, names};

/// A `.proto` file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// `shop/v1/shop.proto`.
    pub name: String,
    /// `shop.v1`.
    pub package: String,
    /// Documentation at its head.
    pub doc: Option<String>,
    /// Files that it imports, sorted.
    pub imports: Vec<&'static str>,
    /// Services.
    pub services: Vec<Service>,
    /// Messages.
    pub messages: Vec<Message>,
    /// Enums.
    pub enums: Vec<Enum>,
}

/// A message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its name, without its package or the message around it.
    pub name: String,
    /// Documentation.
    pub doc: Option<String>,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The name of its one `oneof`, to which every field marked [`Label::Oneof`] belongs.
    pub oneof: Option<&'static str>,
    /// Messages within it.
    pub nested: Vec<Message>,
    /// Enums within it.
    pub enums: Vec<Enum>,
    /// Numbers that no field may take.
    pub reserved: Vec<u32>,
}

/// A field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, in JSON too.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// Documentation.
    pub doc: Option<String>,
    /// How often it stands.
    pub label: Label,
    /// Its type.
    pub ty: Ty,
    /// Whether it is deprecated.
    pub deprecated: bool,
}

/// How often a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Label {
    Optional,
    Repeated,
    Oneof,
    /// proto3 without presence, as standard messages have it.
    Plain,
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Ty {
    String,
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    /// An enum, by its full name: `.shop.v1.OrderState`.
    Enum(String),
    /// A message, by its full name.
    Message(String),
    /// A `map<string, message>`, by the message's full name; its field is [`Label::Repeated`].
    Map(String),
    /// A `map<string, string>`.
    Texts,
}

/// An enum.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Its name.
    pub name: String,
    /// Documentation.
    pub doc: Option<String>,
    /// Its values: name, number, documentation. The first is 0.
    pub values: Vec<(String, i32, Option<String>)>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Documentation.
    pub doc: Option<String>,
    /// Its methods.
    pub methods: Vec<Method>,
}

/// A method.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Documentation.
    pub doc: Option<String>,
    /// The request's full name.
    pub input: String,
    /// The response's full name.
    pub output: String,
    /// Whether requests and responses are streams.
    pub streaming: (bool, bool),
    /// Whether it only reads (`NO_SIDE_EFFECTS`: Connect may use GET).
    pub reads: bool,
}

/// The file of a model.
pub fn file(model: &Model) -> File {
    let mut file = File { name: file_name(model), package: model.package.name.to_string(), doc: model.doc.clone(), ..File::default() };
    for (id, entity) in exposed(model) {
        file.services.push(service::entity_service(model, entity));
        file.messages.push(entity::entity_message(model, entity));
        file.messages.extend(entity::list_message(model, id));
        file.messages.extend(service::entity_requests(model, entity));
    }
    if exposed(model).any(|(_, entity)| !entity.readonly) {
        file.services.push(batch::service(model));
        file.messages.extend(batch::messages(model));
    }
    file.messages.extend(model.owned.iter().map(|owned| entity::owned_message(model, owned)));
    file.enums.extend(model.enums.iter().map(enumeration));
    file.imports = imports(&file);
    file
}

/// The entities that gRPC shows.
pub fn exposed(model: &Model) -> impl Iterator<Item = (EntityId, &Entity)> {
    model.entity_ids().filter(|(_, entity)| is_exposed(entity))
}

/// Whether gRPC shows an entity.
pub fn is_exposed(entity: &Entity) -> bool {
    entity.expose.grpc && !entity.internal
}

/// The file's path: `shop/v1/shop.proto` for the package `shop.v1`.
pub fn file_name(model: &Model) -> String {
    let last = model.package.base.rsplit('.').next().unwrap_or("model");
    format!("{}/{last}.proto", model.package.name.replace('.', "/"))
}

/// The full name of a message or enum of the model's package.
pub fn full_name(model: &Model, name: &str) -> String {
    format!(".{}.{name}", model.package.name)
}

/// The protobuf type of a scalar, enum or owned type.
pub fn ty(model: &Model, base: Base) -> Ty {
    match base {
        Base::String | Base::Decimal { .. } | Base::Date | Base::Uuid => Ty::String,
        Base::Boolean => Ty::Bool,
        Base::Int => Ty::Int32,
        Base::BigInt => Ty::Int64,
        Base::Float => Ty::Double,
        Base::DateTime => Ty::Message(".google.protobuf.Timestamp".into()),
        Base::Bytes => Ty::Bytes,
        Base::Json => Ty::Message(".google.protobuf.Value".into()),
        Base::Enum(id) => Ty::Enum(full_name(model, &model.enumeration(id).name)),
        Base::Owned(id) => Ty::Message(full_name(model, &model.owned(id).name)),
    }
}

impl Field {
    /// An optional field.
    pub fn optional(number: u32, name: impl Into<String>, ty: Ty) -> Field {
        Field { name: name.into(), number, doc: None, label: Label::Optional, ty, deprecated: false }
    }
    /// A repeated field.
    pub fn repeated(number: u32, name: impl Into<String>, ty: Ty) -> Field {
        Field { label: Label::Repeated, ..Field::optional(number, name, ty) }
    }
    /// A field without presence.
    pub fn plain(number: u32, name: impl Into<String>, ty: Ty) -> Field {
        Field { label: Label::Plain, ..Field::optional(number, name, ty) }
    }
    /// A field of its message's `oneof`.
    pub fn oneof(number: u32, name: impl Into<String>, ty: Ty) -> Field {
        Field { label: Label::Oneof, ..Field::optional(number, name, ty) }
    }
    /// With documentation.
    pub fn doc(self, doc: impl Into<String>) -> Field {
        Field { doc: Some(doc.into()), ..self }
    }
}

impl Message {
    /// A message of these fields.
    pub fn new(name: impl Into<String>, doc: impl Into<String>, fields: Vec<Field>) -> Message {
        Message { name: name.into(), doc: Some(doc.into()), fields, ..Message::default() }
    }
}

fn enumeration(of: &EnumType) -> Enum {
    let prefix = names::screaming_snake(&of.name);
    let unspecified = (format!("{prefix}_UNSPECIFIED"), 0, Some("Not set.".to_owned()));
    let values = of.values.iter().map(|value| (fourfold_op::json::proto_enum_name(of, &value.name), value.number, value.doc.clone()));
    Enum { name: of.name.to_string(), doc: of.doc.clone(), values: std::iter::once(unspecified).chain(values).collect() }
}

/// The files that define what a file names from outside its package.
fn imports(file: &File) -> Vec<&'static str> {
    let mut names: Vec<String> = Vec::new();
    file.messages.iter().for_each(|message| mentions(message, &mut names));
    names
        .extend(file.services.iter().flat_map(|service| &service.methods).flat_map(|method| [method.input.clone(), method.output.clone()]));
    let mut imports: Vec<&str> = standard::FILES
        .iter()
        .filter(|(_, types)| types.iter().any(|ty| names.iter().any(|name| name == ty)))
        .map(|(file, _)| *file)
        .collect();
    imports.sort_unstable();
    imports
}

fn mentions(message: &Message, names: &mut Vec<String>) {
    for field in &message.fields {
        if let Ty::Message(name) = &field.ty {
            names.push(name.clone());
        }
    }
    message.nested.iter().for_each(|nested| mentions(nested, names));
}
