//! What the suites of Centrifugo's own clients talk to: the WebSocket face over a model of channels, with their secret and names.

use std::sync::Arc;

use fourfold_engine::{Closing, Engine};
use fourfold_model::Lock;
use fourfold_op::{Context, Limits};
use fourfold_server::auth::{Auth, TrustedKey};
use fourfold_server::body::Body;
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, StoreError};
use fourfold_ws::{Fixture, WebSocket};
use http::{Request, Response};

/// With which the suites sign their tokens.
const SECRET: &[u8] = b"secret";
const FIXTURE: Fixture = Fixture { plain: Some("plain"), personal: Some("personal"), everyone_present: true, echo: true };

/// The face and its engine.
pub(crate) struct Centrifuge {
    websocket: WebSocket,
    engine: Arc<Engine>,
}

impl Centrifuge {
    /// Over an empty store in memory.
    pub(crate) async fn start() -> Result<Centrifuge, String> {
        let loaded = fourfold_model::load(include_str!("../fixture.fourfold"), &Lock::default());
        let model = Arc::new(loaded.map_err(|found| format!("fixture.fourfold: {found:?}"))?.model);
        let store = MemoryStore::new();
        let wrong = |StoreError::Refused(error)| error.to_string();
        let migration = store.migration(&model).await.map_err(wrong)?;
        store.migrate(&model, migration).await.map_err(wrong)?;
        let engine = Engine::new(Arc::new(store), model.clone(), 1, Limits::default());
        let auth = Arc::new(Auth::new(model, Some(TrustedKey::of_suite(SECRET)), None, true));
        Ok(Centrifuge { websocket: WebSocket::new(engine.clone(), auth).with_fixture(FIXTURE), engine })
    }

    /// Answers a request for a connection.
    pub(crate) async fn serve(&self, context: Context, request: Request<Body>) -> Response<Body> {
        self.websocket.serve(context, request).await
    }

    /// Sends every client away, to connect again.
    pub(crate) fn close(&self) {
        self.engine.close_watches(Closing::Drain);
    }
}
