//! The four faces of one model, with its contracts and its callers.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::Engine;

use fourfold_grpc::Grpc;
use fourfold_op::{Authenticate, Principal};

use fourfold_graphql::GraphQl;
use fourfold_rest::Rest;
use fourfold_ws::WebSocket;

use crate::auth::Auth;
use crate::config::Visibility;
use crate::{contract, page};

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

/// The contracts, written once for a model.
pub(crate) struct Contracts {
    pub(crate) visibility: Visibility,
    pub(crate) openapi: Bytes,
    pub(crate) sdl: Bytes,
    pub(crate) proto: Bytes,
    pub(crate) descriptor: Bytes,
    /// The page at `/`, in `dev`.
    pub(crate) page: Option<Bytes>,
}

impl Contracts {
    fn of(model: &fourfold_model::Model, shown: Shown) -> Contracts {
        Contracts {
            visibility: shown.visibility,
            openapi: contract::openapi(model).into(),
            sdl: contract::graphql(model).into(),
            proto: contract::proto(model).into(),
            descriptor: contract::descriptor(model).into(),
            page: shown.dev.then(|| page::page(model).into()),
        }
    }
}
