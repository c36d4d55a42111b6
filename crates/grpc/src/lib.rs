//! gRPC, gRPC-Web and Connect over the engine.
//!
//! It knows no store and no rules. A request is read by the tables of `schema::parameters`, becomes an operation of the engine, and
//! its outcome is written as messages by lock numbers (or ProtoJSON). The contract ([`proto`], [`descriptor_set`]) is a function of the
//! model alone, made from the same tables. Read `schema.rs`, then `serve.rs`; the protocols themselves are in `transport.rs`.

mod aggregate;
mod asked;
mod batch;
mod descriptor;
mod entity;
mod error;
mod face;
mod filter;
mod health;
mod ingest;
mod message;
mod order;
mod reflection;
mod refuse;
mod render;
mod schema;
mod selection;
mod serve;
mod text;
mod transport;
mod watch;
mod write;

use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_model::Model;
use fourfold_op::{Context, Error, RequestId};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use serve::Served;
pub use transport::Body;
use transport::{Methods, Transport};

/// The gRPC face of an engine.
pub struct Grpc {
    served: Arc<Served>,
    transport: Transport<Served>,
}

impl Grpc {
    /// Serves an engine's model. What most requests ask is prepared here.
    pub fn new(engine: Arc<Engine>) -> Grpc {
        let message_bytes_max = engine.limits().grpc_message_bytes_max;
        let served = Arc::new(Served::new(engine));
        Grpc { transport: Transport::new(served.clone(), message_bytes_max), served }
    }

    /// Whether something is served at a path: `/shop.v1.ProductService/GetProduct`, health, reflection.
    pub fn serves(&self, path: &str) -> bool {
        self.served.kind(path.strip_prefix('/').unwrap_or(path)).is_some()
    }

    /// Says through `grpc.health.v1` whether the server serves (it does until told otherwise); watchers are told at once.
    pub fn set_serving(&self, serving: bool) {
        self.served.health.set_serving(serving);
    }

    /// Serves one request of any of the three protocols. What is not served is answered UNIMPLEMENTED.
    pub async fn serve(&self, context: Context, request: http::Request<Body>) -> http::Response<Body> {
        if !self.serves(request.uri().path()) {
            return self.not_served(&context, &request);
        }
        self.transport.serve(context, request).await
    }

    /// A path of no method. Connect says 501, which `connectrpc` keeps for methods that it knows.
    fn not_served(&self, context: &Context, request: &http::Request<Body>) -> Response<Body> {
        let error = error::unimplemented(request.uri().path().trim_start_matches('/'));
        let mut answer = self.refuse(&error, &context.request, request.headers().get(CONTENT_TYPE));
        // The server's log and metrics read the code from here.
        answer.extensions_mut().insert(error.code);
        answer
    }

    /// Refuses a request that [`serve`](Grpc::serve) shall not see, in the protocol that its `Content-Type` names.
    pub fn refuse(&self, error: &Error, request: &RequestId, content_type: Option<&HeaderValue>) -> Response<Body> {
        let http = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        refuse::refusal(self.served.face.status(error, request), http, content_type)
    }
}

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
