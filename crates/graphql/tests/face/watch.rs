//! Subscriptions over graphql-sse.

use std::time::Duration;

use fourfold_engine::Closing;
use fourfold_graphql::Body;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};

use crate::shop::{Shop, context, shop, with_body};

const CHANGES: &str = "subscription($w: ArtistWhere, $a: String, $i: Boolean) {
    artistChanges(where: $w, after: $a, initial: $i) { cursor change key revision item { called: name } } }";

async fn begin(shop: &Shop, variables: Json) -> Body {
    let request = http::Request::post("/graphql").header("content-type", "application/json").header("accept", "text/event-stream");
    let sent = json!({"query": CHANGES, "variables": &variables}).to_string();
    let response = shop.0.serve(context(), with_body(request, sent)).await;
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let mut body = response.into_body();
    if variables["a"].is_null() && variables["i"].is_null() {
        let told = change(&mut body).await;
        assert_eq!(told, json!({"cursor": told["cursor"], "change": "BOOKMARK", "key": null, "revision": null, "item": null}));
    }
    body
}

async fn block(body: &mut Body) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("nothing is told");
    String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
}

async fn change(body: &mut Body) -> Json {
    let block = block(body).await;
    let data = block.strip_prefix("event: next\ndata: ").unwrap().lines().next().unwrap().to_owned();
    serde_json::from_str::<Json>(&data).unwrap()["data"]["artistChanges"].take()
}

async fn put(shop: &Shop, id: u32, name: &str) {
    let query = "mutation($id: Int!, $i: ArtistUpsertInput!) { upsertArtist(id: $id, input: $i) { artist { id } } }";
    shop.data(query, json!({"id": id, "i": {"name": name}})).await;
}

#[tokio::test]
async fn changes_are_told_relative_to_the_filter_and_resumed_after_a_cursor() {
    let shop = shop().await;
    let filter = json!({"name": {"startsWith": "A"}});
    let mut body = begin(&shop, json!({"w": filter})).await;
    for (name, expect) in [
        ("Ada", json!(["ENTERED", 1, 1, {"called": "Ada"}])),
        ("Ann", json!(["CHANGED", 1, 2, {"called": "Ann"}])),
        ("Bea", json!(["LEFT", 1, null, null])),
    ] {
        put(&shop, 1, name).await;
        let told = change(&mut body).await;
        assert_eq!(json!([told["change"], told["key"], told["revision"], told["item"]]), expect);
        let mut again = begin(&shop, json!({"w": filter, "a": told["cursor"]})).await;
        put(&shop, 2, "Abe").await;
        assert_eq!(change(&mut again).await["item"], json!({"called": "Abe"}));
        shop.data("mutation { deleteArtist(id: 2) { cursor } }", json!({})).await;
        assert_eq!(
            (change(&mut body).await["change"].clone(), change(&mut body).await["change"].clone()),
            (json!("ENTERED"), json!("LEFT"))
        );
    }
}

#[tokio::test]
async fn the_rows_come_first_where_they_are_asked_for() {
    let shop = shop().await;
    put(&shop, 1, "Ada").await;
    let mut body = begin(&shop, json!({"i": true})).await;
    assert_eq!(change(&mut body).await, json!({"cursor": null, "change": "ENTERED", "key": 1, "revision": 1, "item": {"called": "Ada"}}));
    assert_eq!(change(&mut body).await["change"], "BOOKMARK");
    put(&shop, 1, "Ann").await;
    assert_eq!(change(&mut body).await["change"], "CHANGED");
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_with_its_code() {
    let shop = shop().await;
    for (variables, code) in [(json!({"a": "otherlog.7"}), "CURSOR_EXPIRED"), (json!({"a": "x"}), "INVALID_ARGUMENT")] {
        let told = block(&mut begin(&shop, variables).await).await;
        assert!(told.contains(code) && told.ends_with("event: complete\ndata:\n\n"), "{told}");
    }
    let (status, code, message) = shop.error(CHANGES, json!({})).await;
    assert_eq!((status, code.as_str()), (400, "INVALID_ARGUMENT"));
    assert!(message.contains("text/event-stream"), "{message}");
    let related = "subscription { albumChanges { item { artist { name } } } }";
    assert!(shop.error(related, json!({})).await.2.contains("relations"));
}

#[tokio::test]
async fn a_stream_tells_how_it_ends() {
    let reset = "\"change\":\"RESET\"";
    for (closing, expect) in [(Closing::Replaced, reset), (Closing::Drain, "UNAVAILABLE")] {
        let shop = shop().await;
        let mut body = begin(&shop, json!({})).await;
        put(&shop, 1, "Ada").await;
        let cursor = change(&mut body).await["cursor"].clone();
        shop.1.close_watches(closing);
        let end = block(&mut body).await;
        assert!(end.contains(expect) && end.ends_with("event: complete\ndata:\n\n"), "{end}");
        assert_eq!(end.contains(cursor.as_str().unwrap()), closing == Closing::Replaced, "{end}");
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_browser_may_begin_by_get() {
    let shop = shop().await;
    let query = "query=subscription%7BartistChanges%7Bchange+item%7Bname%7D%7D%7D";
    let request = http::Request::get(format!("/graphql?{query}")).header("accept", "text/event-stream");
    let mut body = shop.0.serve(context(), with_body(request, String::new())).await.into_body();
    assert_eq!(change(&mut body).await["change"], "BOOKMARK");
    put(&shop, 1, "Ada").await;
    assert_eq!(change(&mut body).await, json!({"change": "ENTERED", "item": {"name": "Ada"}}));
}
