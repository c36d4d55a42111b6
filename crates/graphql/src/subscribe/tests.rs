#![allow(clippy::unwrap_used, clippy::expect_used)]

use fourfold_model::Lock;
use fourfold_op::{Claims, Deadline, Limits, Principal};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;
use serde_json::{Map, json};

use super::*;
use crate::answer::Answer;
use crate::parse::request::Asked;
use crate::{GraphQl, Options};

async fn answer(face: &GraphQl, query: &str, variables: serde_json::Value) -> Answer {
    let principal = Principal { issuer: "test".into(), subject: "ada".into(), claims: Claims::default() };
    let context =
        Context { principal: Arc::new(principal), deadline: Deadline::default(), idempotency: None, request: RequestId("r1".into()) };
    let variables = variables.as_object().cloned().unwrap_or_else(Map::new);
    let asked = Asked { query: query.to_owned(), operation: None, variables, idempotency: None, may_write: true, may_stream: true };
    face.answer(&context, asked, None).await.unwrap()
}

async fn next(changes: &mut Changes) -> Bytes {
    match changes.next().await {
        Step::Result(json) => json,
        Step::End(end, _) => panic!("{end:?}"),
    }
}

#[tokio::test]
async fn equal_subscribers_share_the_bytes_of_a_change_and_others_do_not() {
    let model = Arc::new(fourfold_model::load(include_str!("../../tests/face/shop.fourfold"), &Lock::default()).unwrap().model);
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let face = GraphQl::new(Engine::new(Arc::new(store), model, 1, Limits::default()), Options::default());
    let cases = [
        ("subscription { artistChanges { cursor item { name } } }", true),
        (
            "subscription S($w: ArtistWhere) { artistChanges(where: $w) { ...F } } fragment F on ArtistChange { cursor, item { name } }",
            true,
        ),
        ("subscription { artistChanges { item { name } cursor } }", false),
        ("subscription { artistChanges { cursor item { called: name } } }", false),
        ("subscription { told: artistChanges { cursor item { name } } }", false),
        ("subscription { artistChanges { cursor item { id } } }", false),
        ("subscription { artistChanges { cursor item { __typename name } } }", false),
    ];
    let mut all = Vec::new();
    for (query, _) in cases {
        let Answer::Changes(mut changes) = answer(&face, query, json!({"w": {"name": {"startsWith": "A"}}})).await else {
            panic!("{query}")
        };
        next(&mut changes).await;
        all.push(changes);
    }
    // What each has read by itself is its own; once all go along, they share.
    answer(&face, "mutation { createArtist(input: {id: 1, name: \"Ada\"}) { cursor } }", json!({})).await;
    for changes in &mut all {
        next(changes).await;
    }
    answer(&face, "mutation { updateArtist(id: 1, input: {name: \"Ann\"}) { cursor } }", json!({})).await;
    let mut first: Option<Bytes> = None;
    for (changes, (query, shared)) in all.iter_mut().zip(cases) {
        let told = next(changes).await;
        let first = first.get_or_insert_with(|| told.clone());
        assert_eq!(told.as_ptr() == first.as_ptr(), shared, "{query}");
        assert_eq!(told == *first, shared, "{query}");
    }
}
