//! A real server in this process: the product's own listener and stack over a store, on a port that the system chose.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fourfold_engine::Engine;
use fourfold_model::SharedModel;
use fourfold_op::Limits;
use fourfold_server::admin::Metrics;
use fourfold_server::auth::{Auth, DevKey};
use fourfold_server::config::{LogFormat, Visibility};
use fourfold_server::listen::{Edge, EdgeLimits};
use fourfold_server::log::Log;
use fourfold_server::stack::faces::{Faces, Shown};
use fourfold_server::stack::{Origins, Stack, StackSettings};
use fourfold_store::Maintain;
use serde_json::{Map, Value};

/// A server that ends with this value.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves.
    pub model: SharedModel,
    key: DevKey,
    folder: PathBuf,
    accepting: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Serves a model over an empty store.
    pub async fn start(store: Arc<dyn Maintain>, model: SharedModel) -> Served {
        let migration = store.migration(&model).await.expect("a migration");
        store.migrate(&model, migration).await.expect("migrated");
        let folder = folder();
        let key = DevKey::open(&folder).expect("a key");
        let engine = Engine::new(store, model.clone(), 1, Limits::default());
        let auth = Arc::new(Auth::new(model.clone(), None, Some(&key), true));
        let faces = Faces::new(engine, auth, Shown { visibility: Visibility::Public, dev: false });
        let stack = Stack::new(settings(), faces, Log::open(LogFormat::Off, key.bytes()), Metrics::new());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let edge = Edge::new(stack, EdgeLimits::default(), None);
        let accepting = tokio::spawn(edge.accept(listener, std::future::pending()));
        Served { address, model, key, folder, accepting }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Map<String, Value>) -> String {
        self.key.token(claims).expect("a token")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn settings() -> StackSettings {
    StackSettings {
        body: Default::default(),
        head: Default::default(),
        request_timeout: Duration::from_secs(30),
        origins: Origins::new(&[]),
        behind_proxy: false,
        dev: false,
    }
}

/// A folder of this server alone.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("fourfold-testkit-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
