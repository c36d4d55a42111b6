//! Paths, parameters and bodies of REST: the first line is `METHOD TARGET`, the rest is the body. No answer is a fault of ours.
#![no_main]

use std::sync::LazyLock;

use fourfold_fuzz::{body, engine};
use fourfold_rest::Rest;
use fourfold_store::conformance::world;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;

static FACE: LazyLock<(tokio::runtime::Runtime, Rest)> = LazyLock::new(|| {
    let (runtime, engine) = engine();
    (runtime, Rest::new(engine))
});

const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];

fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let (line, content) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    let Ok(line) = std::str::from_utf8(line) else { return };
    let media = if choice & 0x80 == 0 { "application/json" } else { "application/x-ndjson" };
    let method = METHODS[usize::from(choice & 0x7f) % METHODS.len()];
    let request = http::Request::builder().method(method).uri(format!("/v1/{line}")).header("content-type", media);
    let Ok(request) = request.body(body(content)) else { return };
    let (runtime, face) = &*FACE;
    runtime.block_on(async {
        let answer = face.serve(world::admin(), request).await;
        let status = answer.status().as_u16();
        let _ = answer.into_body().collect().await;
        assert!(status < 500 || status == 501 || status == 507, "{method} {line}: {status}");
    });
});
