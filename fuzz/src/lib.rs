//! What the fuzz targets share: the faces over the store in memory, with the model that every store is tested with.

use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_model::SharedModel;
use fourfold_op::Limits;
use fourfold_store::Maintain;
use fourfold_store::conformance::fixture;
use fourfold_store::memory::MemoryStore;
use http_body_util::{BodyExt, Full};
use tokio::runtime::Runtime;

/// A body as the faces take it.
pub type Body = fourfold_rest::Body;

/// An engine over an empty store, and the runtime that everything runs on.
pub fn engine() -> (Runtime, Arc<Engine>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let model: SharedModel = fixture::model();
    let engine = runtime.block_on(async {
        let store = MemoryStore::new();
        let migration = store.migration(&model).await.expect("a migration");
        store.migrate(&model, migration).await.expect("migrated");
        Engine::new(Arc::new(store), model, 1, Limits::default())
    });
    (runtime, engine)
}

/// A whole body.
pub fn body(bytes: &[u8]) -> Body {
    Full::new(bytes::Bytes::copy_from_slice(bytes)).map_err(|never| match never {}).boxed_unsync()
}
