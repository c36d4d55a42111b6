//! GraphQL documents: whatever is sent as the `query` is answered.
#![no_main]

use std::sync::LazyLock;

use fourfold_fuzz::{body, engine};
use fourfold_graphql::GraphQl;
use fourfold_store::conformance::world;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;

static FACE: LazyLock<(tokio::runtime::Runtime, GraphQl)> = LazyLock::new(|| {
    let (runtime, engine) = engine();
    (runtime, GraphQl::new(engine, fourfold_graphql::Options { dev: false, introspection: true }))
});

fuzz_target!(|document: &str| {
    let request = serde_json::json!({ "query": document }).to_string();
    let request = http::Request::post("/graphql").header("content-type", "application/json").body(body(request.as_bytes()));
    let (runtime, face) = &*FACE;
    runtime.block_on(async {
        let answer = face.serve(world::admin(), request.expect("a request")).await;
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(status < 500, "{status}: {document}");
        assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok(), "{document}");
    });
});
