//! A model of one entity, and a server of it over the memory store.

use std::net::SocketAddr;
use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_model::{Lock, Model};
use fourfold_op::Limits;
use fourfold_server::auth::{Auth, DevKey};
use fourfold_server::config::{Config, Texts};
use fourfold_server::drain::Running;
use fourfold_server::stack::{Faces, Shown};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;

pub struct Asked {
    pub address: SocketAddr,
    pub running: Running,
    pub key: DevKey,
}

impl Asked {
    pub fn token(&self, claims: serde_json::Value) -> String {
        self.key.token(claims.as_object().unwrap()).unwrap()
    }
}

pub async fn started(dev: bool) -> Asked {
    let model = Arc::new(model());
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let folder = std::env::temp_dir().join(format!("fourfold-stack-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = loop {
        // Tests race to make the one key.
        if let Ok(key) = DevKey::open(&folder) {
            break key;
        }
    };
    let mut texts = Texts::default();
    for (name, text) in [
        ("server.listen", "127.0.0.1:0"),
        ("server.admin_listen", "127.0.0.1:0"),
        ("log.format", "off"),
        ("server.origins", "https://app.example"),
    ] {
        texts.given.insert(name, (text.to_owned(), fourfold_server::config::Source::Default));
    }
    let config = Config::new(&texts).unwrap();
    let engine = Engine::new(Arc::new(store), Arc::clone(&model), 1, Limits::default());
    let auth = Arc::new(Auth::new(model, None, Some(&key), true));
    let faces = Faces::new(engine, auth, Shown { visibility: config.visibility, dev });
    let running = Running::start(&config, faces, dev, key.bytes()).await.unwrap();
    Asked { address: running.address(), running, key }
}

fn model() -> Model {
    fourfold_model::load(include_str!("shop.fourfold"), &Lock::default()).unwrap().model
}
