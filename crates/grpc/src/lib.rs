//! gRPC, gRPC-Web and Connect over the engine (`SPEC` §4).
//!
//! The contract ([`proto`], [`descriptor_set`]) is a function of the model alone.

mod descriptor;
mod schema;
mod text;

use fourfold_model::Model;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The model as a `.proto` file.
pub fn proto(model: &Model) -> String {
    text::text(&schema::file(model))
}

/// The path that [`proto`]'s file has among others: `shop/v1/shop.proto`.
pub fn proto_path(model: &Model) -> String {
    schema::file_name(model)
}

/// The model's file and all that it imports, as a serialised `google.protobuf.FileDescriptorSet`: imports come first.
pub fn descriptor_set(model: &Model) -> Vec<u8> {
    let own = schema::file(model);
    let needed = schema::standard::well_known().into_iter().filter(|file| own.imports.contains(&file.name.as_str()));
    let mut file: Vec<_> = needed.map(|file| descriptor::descriptor(&file)).collect();
    file.push(descriptor::descriptor(&own));
    FileDescriptorSet { file }.encode_to_vec()
}
