//! The files that are not the model's: what its file imports, health checking and reflection.

use super::{Enum, Field, File, Message, Method, Service, Ty};

/// The files that a model's file may import, with the types that it names from each.
pub const FILES: &[(&str, &[&str])] = &[
    ("google/protobuf/empty.proto", &[".google.protobuf.Empty"]),
    ("google/protobuf/field_mask.proto", &[".google.protobuf.FieldMask"]),
    ("google/protobuf/struct.proto", &[".google.protobuf.Value"]),
    ("google/protobuf/timestamp.proto", &[".google.protobuf.Timestamp"]),
];

/// `google/protobuf/*.proto`, as far as a model's file imports them.
pub fn well_known() -> Vec<File> {
    let seconds = vec![Field::plain(1, "seconds", Ty::Int64), Field::plain(2, "nanos", Ty::Int32)];
    vec![
        google("empty", vec![message("Empty", Vec::new())], Vec::new()),
        google("field_mask", vec![message("FieldMask", vec![Field::repeated(1, "paths", Ty::String)])], Vec::new()),
        google("struct", structs(), vec![enumeration("NullValue", &["NULL_VALUE"])]),
        google("timestamp", vec![message("Timestamp", seconds)], Vec::new()),
    ]
}

fn structs() -> Vec<Message> {
    let name = |name: &str| format!(".google.protobuf.{name}");
    let kinds = vec![
        Field::oneof(1, "null_value", Ty::Enum(name("NullValue"))),
        Field::oneof(2, "number_value", Ty::Double),
        Field::oneof(3, "string_value", Ty::String),
        Field::oneof(4, "bool_value", Ty::Bool),
        Field::oneof(5, "struct_value", Ty::Message(name("Struct"))),
        Field::oneof(6, "list_value", Ty::Message(name("ListValue"))),
    ];
    vec![
        message("Struct", vec![Field::repeated(1, "fields", Ty::Map(name("Value")))]),
        Message { oneof: Some("kind"), ..message("Value", kinds) },
        message("ListValue", vec![Field::repeated(1, "values", Ty::Message(name("Value")))]),
    ]
}

/// `grpc/health/v1/health.proto`.
pub fn health() -> File {
    let name = |name: &str| format!(".grpc.health.v1.{name}");
    let status = enumeration("ServingStatus", &["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]);
    let response = vec![Field::plain(1, "status", Ty::Enum(name("HealthCheckResponse.ServingStatus")))];
    let messages = vec![
        message("HealthCheckRequest", vec![Field::plain(1, "service", Ty::String)]),
        Message { enums: vec![status], ..message("HealthCheckResponse", response) },
        message("HealthListRequest", Vec::new()),
        message("HealthListResponse", vec![Field::repeated(1, "statuses", Ty::Map(name("HealthCheckResponse")))]),
    ];
    let method = |method: &str, input: &str, output: &str, streams| Method {
        name: method.into(),
        doc: None,
        input: name(input),
        output: name(output),
        streaming: (false, streams),
        reads: false,
    };
    let methods = vec![
        method("Check", "HealthCheckRequest", "HealthCheckResponse", false),
        method("List", "HealthListRequest", "HealthListResponse", false),
        method("Watch", "HealthCheckRequest", "HealthCheckResponse", true),
    ];
    let services = vec![Service { name: "Health".into(), doc: None, methods }];
    File { name: "grpc/health/v1/health.proto".into(), package: "grpc.health.v1".into(), services, messages, ..File::default() }
}

/// `google/rpc/error_details.proto`, as far as errors carry its messages, with what it imports: tools ask reflection for them.
pub fn error_details() -> [File; 2] {
    let name = |name: &str| format!(".google.rpc.{name}");
    let seconds = vec![Field::plain(1, "seconds", Ty::Int64), Field::plain(2, "nanos", Ty::Int32)];
    let info =
        vec![Field::plain(1, "reason", Ty::String), Field::plain(2, "domain", Ty::String), Field::repeated(3, "metadata", Ty::Texts)];
    let violation = vec![Field::plain(1, "field", Ty::String), Field::plain(2, "description", Ty::String)];
    let violations = vec![Field::repeated(1, "field_violations", Ty::Message(name("BadRequest.FieldViolation")))];
    let messages = vec![
        message("ErrorInfo", info),
        message("RetryInfo", vec![Field::plain(1, "retry_delay", Ty::Message(".google.protobuf.Duration".into()))]),
        Message { nested: vec![message("FieldViolation", violation)], ..message("BadRequest", violations) },
    ];
    let details = File {
        name: "google/rpc/error_details.proto".into(),
        package: "google.rpc".into(),
        imports: vec!["google/protobuf/duration.proto"],
        messages,
        ..File::default()
    };
    [google("duration", vec![message("Duration", seconds)], Vec::new()), details]
}

/// The versions of reflection that clients ask for.
pub const REFLECTION_VERSIONS: [&str; 2] = ["v1", "v1alpha"];

/// `grpc/reflection/v1/reflection.proto`, or that of `v1alpha`.
pub fn reflection(version: &str) -> File {
    let package = format!("grpc.reflection.{version}");
    let ty = |name: &str| Ty::Message(format!(".{package}.{name}"));
    let request = vec![
        Field::plain(1, "host", Ty::String),
        Field::oneof(3, "file_by_filename", Ty::String),
        Field::oneof(4, "file_containing_symbol", Ty::String),
        Field::oneof(5, "file_containing_extension", ty("ExtensionRequest")),
        Field::oneof(6, "all_extension_numbers_of_type", Ty::String),
        Field::oneof(7, "list_services", Ty::String),
    ];
    let response = vec![
        Field::plain(1, "valid_host", Ty::String),
        Field::plain(2, "original_request", ty("ServerReflectionRequest")),
        Field::oneof(4, "file_descriptor_response", ty("FileDescriptorResponse")),
        Field::oneof(5, "all_extension_numbers_response", ty("ExtensionNumberResponse")),
        Field::oneof(6, "list_services_response", ty("ListServiceResponse")),
        Field::oneof(7, "error_response", ty("ErrorResponse")),
    ];
    let extension = vec![Field::plain(1, "containing_type", Ty::String), Field::plain(2, "extension_number", Ty::Int32)];
    let numbers = vec![Field::plain(1, "base_type_name", Ty::String), Field::repeated(2, "extension_number", Ty::Int32)];
    let error = vec![Field::plain(1, "error_code", Ty::Int32), Field::plain(2, "error_message", Ty::String)];
    let messages = vec![
        Message { oneof: Some("message_request"), ..message("ServerReflectionRequest", request) },
        message("ExtensionRequest", extension),
        Message { oneof: Some("message_response"), ..message("ServerReflectionResponse", response) },
        message("FileDescriptorResponse", vec![Field::repeated(1, "file_descriptor_proto", Ty::Bytes)]),
        message("ExtensionNumberResponse", numbers),
        message("ListServiceResponse", vec![Field::repeated(1, "service", ty("ServiceResponse"))]),
        message("ServiceResponse", vec![Field::plain(1, "name", Ty::String)]),
        message("ErrorResponse", error),
    ];
    let method = Method {
        name: "ServerReflectionInfo".into(),
        doc: None,
        input: format!(".{package}.ServerReflectionRequest"),
        output: format!(".{package}.ServerReflectionResponse"),
        streaming: (true, true),
        reads: false,
    };
    let services = vec![Service { name: "ServerReflection".into(), doc: None, methods: vec![method] }];
    File { name: format!("grpc/reflection/{version}/reflection.proto"), package, services, messages, ..File::default() }
}

fn google(name: &str, messages: Vec<Message>, enums: Vec<Enum>) -> File {
    File { name: format!("google/protobuf/{name}.proto"), package: "google.protobuf".into(), messages, enums, ..File::default() }
}

fn message(name: &str, fields: Vec<Field>) -> Message {
    Message { name: name.into(), fields, ..Message::default() }
}

fn enumeration(name: &str, values: &[&str]) -> Enum {
    let values = values.iter().zip(0..).map(|(value, number)| ((*value).to_owned(), number, None));
    Enum { name: name.into(), doc: None, values: values.collect() }
}
