//! Protobuf and JSON bodies of gRPC and Connect: the first bytes choose the method and the form, the rest is the message.
#![no_main]

use std::sync::LazyLock;

use fourfold_fuzz::{body, engine};
use fourfold_grpc::Grpc;
use fourfold_store::conformance::{fixture, world};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;

static FACE: LazyLock<(tokio::runtime::Runtime, Grpc, Vec<String>)> = LazyLock::new(|| {
    let (runtime, engine) = engine();
    let model = fixture::model();
    let paths = model.entities.iter().flat_map(|entity| {
        let (package, name, plural) = (&model.package.name, &entity.name, format!("{}s", entity.name));
        [
            ("Get", name.as_str()),
            ("List", &plural),
            ("Create", name),
            ("Update", name),
            ("Upsert", name),
            ("Delete", name),
            ("Aggregate", &plural),
        ]
        .map(|(verb, of)| format!("/{package}.{name}Service/{verb}{of}"))
    });
    (runtime, Grpc::new(engine), paths.collect())
});

fuzz_target!(|data: &[u8]| {
    let [method, form, message @ ..] = data else { return };
    let (runtime, face, paths) = &*FACE;
    let path = &paths[usize::from(*method) % paths.len()];
    let (media, message) = match form % 3 {
        0 => ("application/proto", message.to_vec()),
        1 => ("application/json", message.to_vec()),
        _ => ("application/grpc", [&[0], (message.len() as u32).to_be_bytes().as_slice(), message].concat()),
    };
    let request = http::Request::post(path).header("content-type", media).body(body(&message)).expect("a request");
    runtime.block_on(async {
        let answer = face.serve(world::admin(), request).await;
        let _ = answer.into_body().collect().await;
    });
});
