//! `fourfold contract`: the contracts, functions of the model alone.

use std::io::Write;
use std::path::Path;

use clap::ValueEnum;

use crate::failure::Failure;
use crate::load;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// OpenAPI 3.1, JSON
    Openapi,
    /// GraphQL's schema language
    Graphql,
    /// A `.proto` file
    Proto,
    /// A serialised `google.protobuf.FileDescriptorSet`
    Descriptor,
}

pub fn run(kind: Kind, path: &Path) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let model = &loaded.model;
    let bytes = match kind {
        Kind::Openapi => fourfold_server::contract::openapi(model),
        Kind::Graphql => fourfold_server::contract::graphql(model),
        Kind::Proto => fourfold_server::contract::proto(model),
        Kind::Descriptor => fourfold_server::contract::descriptor(model),
    };
    std::io::stdout().write_all(&bytes).map_err(Failure::failed)
}
