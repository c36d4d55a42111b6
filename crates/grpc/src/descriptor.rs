//! A file of the schema as its protobuf descriptor.

use prost_types::descriptor_proto::ReservedRange;
use prost_types::field_descriptor_proto::{Label as Cardinality, Type};
use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto,
    MessageOptions, MethodDescriptorProto, MethodOptions, OneofDescriptorProto, ServiceDescriptorProto,
};

use fourfold_model::names::pascal;

use crate::schema::{Enum, Field, File, Label, Message, Method, Service, Ty};
use crate::text::camel;

/// The descriptor of a file.
pub fn descriptor(file: &File) -> FileDescriptorProto {
    // The standard's own files have the JSON names that every protobuf compiler gives them; the model's are called as in the model.
    let names =
        if file.package.starts_with("google.") || file.package.starts_with("grpc.") { JsonNames::Camel } else { JsonNames::AsWritten };
    FileDescriptorProto {
        name: Some(file.name.clone()),
        package: Some(file.package.clone()),
        dependency: file.imports.iter().map(|import| (*import).to_owned()).collect(),
        message_type: file.messages.iter().map(|message| message_descriptor(message, &format!(".{}", file.package), names)).collect(),
        enum_type: file.enums.iter().map(enum_descriptor).collect(),
        service: file.services.iter().map(service_descriptor).collect(),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum JsonNames {
    AsWritten,
    Camel,
}

fn message_descriptor(message: &Message, scope: &str, names: JsonNames) -> DescriptorProto {
    let full = format!("{scope}.{}", message.name);
    let mut oneofs: Vec<String> = message.oneof.iter().map(|name| (*name).to_owned()).collect();
    let mut nested: Vec<DescriptorProto> = message.nested.iter().map(|nested| message_descriptor(nested, &full, names)).collect();
    let fields = message.fields.iter().map(|field| {
        nested.extend(map_entry(field, names));
        field_descriptor(field, &full, &mut oneofs, names)
    });
    DescriptorProto {
        name: Some(message.name.clone()),
        field: fields.collect(),
        nested_type: nested,
        enum_type: message.enums.iter().map(enum_descriptor).collect(),
        oneof_decl: oneofs.into_iter().map(|name| OneofDescriptorProto { name: Some(name), options: None }).collect(),
        reserved_range: message.reserved.iter().map(|number| reserved(*number)).collect(),
        ..DescriptorProto::default()
    }
}

fn reserved(number: u32) -> ReservedRange {
    let start = i32::try_from(number).unwrap_or(i32::MAX - 1);
    ReservedRange { start: Some(start), end: Some(start + 1) }
}

fn field_descriptor(field: &Field, message: &str, oneofs: &mut Vec<String>, names: JsonNames) -> FieldDescriptorProto {
    let (ty, type_name) = match &field.ty {
        Ty::Map(_) | Ty::Texts => (Type::Message, Some(format!("{message}.{}", entry_name(field)))),
        ty => scalar(ty),
    };
    let oneof_index = match field.label {
        Label::Oneof => Some(0),
        Label::Optional => {
            // proto3's `optional` is a `oneof` of its own, after the real ones.
            oneofs.push(format!("_{}", field.name));
            Some(oneofs.len() as i32 - 1)
        }
        Label::Repeated | Label::Plain => None,
    };
    let cardinality = if field.label == Label::Repeated { Cardinality::Repeated } else { Cardinality::Optional };
    FieldDescriptorProto {
        name: Some(field.name.clone()),
        number: i32::try_from(field.number).ok(),
        label: Some(cardinality.into()),
        r#type: Some(ty.into()),
        type_name,
        oneof_index,
        json_name: Some(if names == JsonNames::Camel { camel(&field.name) } else { field.name.clone() }),
        options: field.deprecated.then(|| FieldOptions { deprecated: Some(true), ..FieldOptions::default() }),
        proto3_optional: (field.label == Label::Optional).then_some(true),
        ..FieldDescriptorProto::default()
    }
}

fn scalar(ty: &Ty) -> (Type, Option<String>) {
    match ty {
        Ty::String | Ty::Texts => (Type::String, None),
        Ty::Bytes => (Type::Bytes, None),
        Ty::Bool => (Type::Bool, None),
        Ty::Int32 => (Type::Int32, None),
        Ty::Int64 => (Type::Int64, None),
        Ty::Double => (Type::Double, None),
        Ty::Enum(name) => (Type::Enum, Some(name.clone())),
        Ty::Message(name) | Ty::Map(name) => (Type::Message, Some(name.clone())),
    }
}

/// The message that a map is on the wire.
fn map_entry(field: &Field, names: JsonNames) -> Option<DescriptorProto> {
    let value = match &field.ty {
        Ty::Map(value) => Ty::Message(value.clone()),
        Ty::Texts => Ty::String,
        _ => return None,
    };
    let parts = [Field::plain(1, "key", Ty::String), Field::plain(2, "value", value)];
    Some(DescriptorProto {
        name: Some(entry_name(field)),
        field: parts.iter().map(|part| field_descriptor(part, "", &mut Vec::new(), names)).collect(),
        options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
        ..DescriptorProto::default()
    })
}

fn entry_name(field: &Field) -> String {
    format!("{}Entry", pascal(&field.name))
}

fn enum_descriptor(of: &Enum) -> EnumDescriptorProto {
    let value = |(name, number, _): &(String, i32, Option<String>)| EnumValueDescriptorProto {
        name: Some(name.clone()),
        number: Some(*number),
        options: None,
    };
    EnumDescriptorProto { name: Some(of.name.clone()), value: of.values.iter().map(value).collect(), ..EnumDescriptorProto::default() }
}

fn service_descriptor(service: &Service) -> ServiceDescriptorProto {
    let method = service.methods.iter().map(method_descriptor).collect();
    ServiceDescriptorProto { name: Some(service.name.clone()), method, options: None }
}

fn method_descriptor(method: &Method) -> MethodDescriptorProto {
    let reads = MethodOptions { idempotency_level: Some(IdempotencyLevel::NoSideEffects.into()), ..MethodOptions::default() };
    MethodDescriptorProto {
        name: Some(method.name.clone()),
        input_type: Some(method.input.clone()),
        output_type: Some(method.output.clone()),
        options: method.reads.then_some(reads),
        client_streaming: method.streaming.0.then_some(true),
        server_streaming: method.streaming.1.then_some(true),
    }
}
