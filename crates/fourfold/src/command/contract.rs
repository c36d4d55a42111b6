//! `fourfold contract`: the contracts, functions of the model alone.

use std::io::Write;
use std::path::Path;

use clap::ValueEnum;
use fourfold_server::contract::View;

use crate::failure::Failure;
use crate::load;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// OpenAPI 3.1, JSON
    Openapi,
    /// AsyncAPI 3.0, JSON
    Asyncapi,
    /// The JSON Schema of events
    Events,
    /// GraphQL's schema language
    Graphql,
    /// A `.proto` file
    Proto,
    /// A serialised `google.protobuf.FileDescriptorSet`
    Descriptor,
}

pub fn run(kind: Kind, view: View, path: &Path) -> Result<(), Failure> {
    if view == View::Client && !matches!(kind, Kind::Asyncapi) {
        return Err(Failure::usage("`--client` is a view of `asyncapi`; leave it out for other contracts"));
    }
    let loaded = load::load(path)?;
    let model = &loaded.model;
    let bytes = match kind {
        Kind::Openapi => fourfold_server::contract::openapi(model),
        Kind::Asyncapi => fourfold_server::contract::asyncapi(model, view),
        Kind::Events => fourfold_server::contract::events(model),
        Kind::Graphql => fourfold_server::contract::graphql(model),
        Kind::Proto => fourfold_server::contract::proto(model),
        Kind::Descriptor => fourfold_server::contract::descriptor(model),
    };
    std::io::stdout().write_all(&bytes).map_err(Failure::failed)
}
