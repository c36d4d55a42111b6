//! GraphQL over HTTP: documents become one operation of the engine each, compiled once and kept.
//!
//! It knows no store, no plan and no rules. The schema ([`sdl`]) is a function of the model alone. A request is read and compiled in
//! `parse/`, executed in `run.rs`, and written by `render.rs` after the `shape.rs` of its document. There is no resolver per field:
//! all root fields of a query are one read of one snapshot. `answer.rs` is the one way from a document to its answer; HTTP and graphql-sse
//! (`serve.rs`) and the WebSocket (`socket/`) each carry it. Read `answer.rs` first.

mod answer;
mod catalog;
mod error;
mod events;
mod introspect;
mod parse;
mod render;
mod run;
mod schema;
mod serve;
mod shape;
mod shown;
mod socket;
mod subscribe;

use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::collections::HashMap;
use apollo_compiler::schema::Implementers;
use apollo_compiler::validation::Valid;
use bytes::Bytes;
use fourfold_engine::Engine;
use http_body_util::combinators::UnsyncBoxBody;
use quick_cache::sync::Cache;

use catalog::Catalog;
use parse::compile::Compiled;
use parse::document::{Document, DocumentKey};
pub use schema::sdl;
pub use socket::{Opening, SUBPROTOCOL};

/// A body of a request or an answer.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What is served beside the schema's own operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether a page to try queries on answers `Accept: text/html`.
    pub dev: bool,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
}

/// How many statements of the store an answer took: an extension of the response, for tests and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statements(pub u32);

/// The GraphQL face of an engine.
pub struct GraphQl {
    engine: Arc<Engine>,
    options: Options,
    /// What is served, or why the model has no valid schema.
    served: Result<Served, String>,
    documents: Cache<DocumentKey, Arc<Document>, DocumentWeight>,
    compiled: Cache<CompiledKey, Arc<Weighed>, CompiledWeight>,
}

/// The schema, as it is needed to read documents.
struct Served {
    schema: Valid<Schema>,
    implementers: HashMap<apollo_compiler::Name, Implementers>,
    catalog: Catalog,
}

/// A document's id, and the skeleton of the variables.
type CompiledKey = (u64, Box<[u8]>);

struct Weighed {
    compiled: Compiled,
    weight: u64,
}

/// Bytes that documents, and what is compiled from them, may take in memory (each, roughly).
const CACHE_BYTES_MAX: u64 = 16 << 20;

impl GraphQl {
    /// Serves an engine's model. When the model is reloaded, a new one takes its place.
    pub fn new(engine: Arc<Engine>, options: Options) -> GraphQl {
        let served = Schema::parse_and_validate(sdl(engine.model()), "schema.graphql").map_err(|broken| broken.errors.to_string());
        let served = served.map(introspect::declare_one_of).map(|schema| Served {
            implementers: schema.implementers_map(),
            catalog: Catalog::new(engine.model()),
            schema,
        });
        GraphQl {
            engine,
            options,
            served,
            documents: Cache::with_weighter(256, CACHE_BYTES_MAX, DocumentWeight),
            compiled: Cache::with_weighter(256, CACHE_BYTES_MAX, CompiledWeight),
        }
    }

    /// Why nothing is served: two names of the model that are one name in the schema, say.
    pub fn problem(&self) -> Option<&str> {
        self.served.as_ref().err().map(String::as_str)
    }
}

#[derive(Clone)]
struct DocumentWeight;

impl quick_cache::Weighter<DocumentKey, Arc<Document>> for DocumentWeight {
    fn weight(&self, key: &DocumentKey, _: &Arc<Document>) -> u64 {
        key.weight()
    }
}

#[derive(Clone)]
struct CompiledWeight;

impl quick_cache::Weighter<CompiledKey, Arc<Weighed>> for CompiledWeight {
    fn weight(&self, key: &CompiledKey, value: &Arc<Weighed>) -> u64 {
        value.weight + key.1.len() as u64
    }
}
