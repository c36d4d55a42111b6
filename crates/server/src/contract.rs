//! The contracts as bytes: functions of the model alone.

use fourfold_model::Model;
pub use fourfold_rest::View;

/// OpenAPI 3.1, JSON.
pub fn openapi(model: &Model) -> Vec<u8> {
    fourfold_rest::openapi(model).into_bytes()
}

/// AsyncAPI 3.0, JSON: as the server or as a client sees it.
pub fn asyncapi(model: &Model, view: View) -> Vec<u8> {
    fourfold_rest::asyncapi(model, view).into_bytes()
}

/// The JSON Schema of events.
pub fn events(model: &Model) -> Vec<u8> {
    fourfold_rest::events(model).into_bytes()
}

/// GraphQL's schema language.
pub fn graphql(model: &Model) -> Vec<u8> {
    fourfold_graphql::sdl(model).into_bytes()
}

/// A `.proto` file.
pub fn proto(model: &Model) -> Vec<u8> {
    fourfold_grpc::proto(model).into_bytes()
}

/// A serialised `google.protobuf.FileDescriptorSet`, imports first.
pub fn descriptor(model: &Model) -> Vec<u8> {
    fourfold_grpc::descriptor_set(model)
}
