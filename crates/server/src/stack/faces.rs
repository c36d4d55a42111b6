//! The four faces of one model, with its contracts and its callers.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_model::{Model, SharedModel};

use fourfold_grpc::Grpc;
use fourfold_op::{Authenticate, Principal};

use fourfold_graphql::GraphQl;
use fourfold_rest::Rest;
use fourfold_ws::WebSocket;

use crate::auth::Auth;
use crate::config::Visibility;
use crate::contract::{self, View};
use crate::page;

/// Everything that belongs to one model.
pub struct Faces {
    pub(crate) engine: Arc<Engine>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) rest: Rest,
    pub(crate) graphql: GraphQl,
    pub(crate) grpc: Grpc,
    pub(crate) websocket: WebSocket,
    pub(crate) contracts: Contracts,
    nobody: Arc<Principal>,
}

/// How faces are shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Who may read contracts.
    pub visibility: Visibility,
    /// Whether this is `fourfold dev`, with its page and GraphiQL.
    pub dev: bool,
}

impl Faces {
    /// The faces of an engine's model.
    pub fn new(engine: Arc<Engine>, auth: Arc<Auth>, shown: Shown) -> Arc<Faces> {
        let nobody = auth.nobody();
        let graphql = fourfold_graphql::Options { dev: shown.dev, introspection: shown.visibility != Visibility::Off };
        Arc::new(Faces {
            rest: Rest::new(Arc::clone(&engine)),
            graphql: GraphQl::new(Arc::clone(&engine), graphql),
            grpc: Grpc::new(Arc::clone(&engine)),
            websocket: WebSocket::new(Arc::clone(&engine), Arc::clone(&auth) as Arc<dyn Authenticate>),
            contracts: Contracts::of(engine.model(), shown),
            engine,
            auth,
            nobody,
        })
    }

    /// The engine beneath.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn nobody(&self) -> Arc<Principal> {
        Arc::clone(&self.nobody)
    }
}

/// The contracts: each is written when it is first asked for, because the largest takes longer than the rest of a start.
pub(crate) struct Contracts {
    pub(crate) visibility: Visibility,
    model: SharedModel,
    written: [OnceLock<Bytes>; CONTRACTS.len()],
    /// The page at `/`, in `dev`.
    pub(crate) page: Option<Bytes>,
}

impl Contracts {
    fn of(model: &SharedModel, shown: Shown) -> Contracts {
        Contracts {
            visibility: shown.visibility,
            model: Arc::clone(model),
            written: Default::default(),
            page: shown.dev.then(|| page::page(model).into()),
        }
    }

    /// Whether a contract is at a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        CONTRACTS.iter().any(|contract| contract.path == path)
    }

    /// The contract at a path: its media type and what it says.
    pub(crate) fn at(&self, path: &str) -> Option<(&'static str, Bytes)> {
        let (contract, once) = CONTRACTS.iter().zip(&self.written).find(|(contract, _)| contract.path == path)?;
        Some((contract.media_type, once.get_or_init(|| (contract.write)(&self.model)).clone()))
    }
}

/// A contract that is served.
struct Contract {
    path: &'static str,
    media_type: &'static str,
    write: fn(&Model) -> Bytes,
}

const ASYNCAPI: &str = "application/vnd.aai.asyncapi+json;version=3.0.0";

/// Where the contracts are.
const CONTRACTS: [Contract; 6] = [
    Contract {
        path: "/openapi.json",
        media_type: "application/vnd.oai.openapi+json;version=3.1",
        write: |model| contract::openapi(model).into(),
    },
    Contract { path: "/asyncapi.json", media_type: ASYNCAPI, write: |model| contract::asyncapi(model, View::Server).into() },
    Contract { path: "/asyncapi.client.json", media_type: ASYNCAPI, write: |model| contract::asyncapi(model, View::Client).into() },
    Contract { path: "/schema.graphql", media_type: "text/plain; charset=utf-8", write: |model| contract::graphql(model).into() },
    Contract { path: "/schema.proto", media_type: "text/plain; charset=utf-8", write: |model| contract::proto(model).into() },
    Contract { path: "/descriptor.binpb", media_type: "application/octet-stream", write: |model| contract::descriptor(model).into() },
];
