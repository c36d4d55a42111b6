//! Requests made at random out of the words of the grammar: each is answered, none by a fault of ours.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_op::Limits;
use fourfold_rest::{Body, Rest};
use fourfold_store::Maintain;
use fourfold_store::conformance::{fixture, world};
use fourfold_store::memory::MemoryStore;
use http::Request;
use http_body_util::{BodyExt, Full};

/// Numbers that are the same for one seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
    fn join(&mut self, words: &[&str], most: usize) -> String {
        (0..self.below(most) + 1).map(|_| self.pick(words)).collect()
    }
}

const QUERY: [&str; 60] = [
    "name",
    "email",
    "id",
    "owner",
    "items",
    "price",
    "tags",
    "state",
    "at",
    "lines",
    "extra",
    "revision",
    "__",
    "_",
    "eq",
    "in",
    "not_in",
    "isnull",
    "has",
    "contains",
    "lt",
    "=",
    "&",
    "?",
    ",",
    "-",
    ".",
    ":",
    "*",
    "%",
    "%2",
    "%00",
    "%F0%9F%98%80",
    "%ff",
    "+",
    "fields=",
    "expand=",
    "order_by=",
    "page_size=",
    "page_token=",
    "with_total=",
    "filter=",
    "group_by=",
    "count=",
    "sum=",
    "avg=",
    "min=",
    "max=",
    "mode=",
    "true",
    "false",
    "1",
    "-1",
    "9.99",
    "1e9",
    "2026-11-22",
    "live",
    "day",
    "hour",
    "99999999999999999999",
];
const PAIRS: [&str; 16] = [
    "",
    "fields=id&",
    "expand=items&",
    "expand=owner&",
    "name__icontains=a&",
    "email__isnull=true&",
    "order_by=-id&",
    "page_size=2&",
    "page_size=0&",
    "with_total=true&",
    "count=*&",
    "group_by=state&",
    "price__gte=1&",
    "id__in=&",
    "tags__has=a&",
    "stars__lt=3&",
];
const WHOLE: [&str; 6] = [
    "{\"text\":\"a\"}",
    "{\"name\":\"a\"}",
    "{}",
    "{\"text\":\"b\",\"stars\":5}\n{\"text\":\"c\"}",
    "{\"operations\":[{\"create\":\"people\",\"data\":{\"name\":\"b\"}}]}",
    "{\"title\":\"t\",\"price\":\"1.5\",\"tags\":[\"a\"]}",
];
const PATHS: [&str; 9] = [
    "/v1/people",
    "/v1/items",
    "/v1/entries",
    "/v1/items:aggregate",
    "/v1/entries/1",
    "/v1/entries/-",
    "/v1/batch",
    "/v1/people/00000000-0000-0000-0000-00000000000a",
    "/v1/%",
];
const BODY: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"name\"",
    "\"id\"",
    "\"email\"",
    "\"title\"",
    "\"lines\"",
    "\"tags\"",
    "\"extra\"",
    "\"price\"",
    "\"state\"",
    "\"at\"",
    "\"text\"",
    "\"stars\"",
    "\"operations\"",
    "\"create\"",
    "\"delete\"",
    "\"update\"",
    "\"data\"",
    "\"key\"",
    "\"people\"",
    "\"entries\"",
    "1",
    "-0",
    "1.0",
    "1e400",
    "null",
    "true",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"é\"",
    "\"9.99\"",
    " ",
    "\n",
    "\"",
    "\\",
    "{\"text\":\"a\"}",
    "{\"name\":\"a\"}",
    "{\"operations\":[{\"create\":\"entries\",\"data\":",
    "\"revision\"",
];
const HEADERS: [(&str, &str); 10] = [
    ("if-match", "\"1\""),
    ("if-match", "*"),
    ("if-match", "x"),
    ("if-none-match", "*"),
    ("if-none-match", "\"1-0\""),
    ("accept", "text/html"),
    ("accept", "application/json;q=0.1"),
    ("prefer", "return=minimal"),
    ("if-match", "\"18446744073709551616\""),
    ("accept", ""),
];

#[tokio::test]
async fn random_requests_are_answered_without_a_fault() {
    let (store, model) = (MemoryStore::new(), fixture::model());
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let face = Rest::new(Engine::new(Arc::new(store), model, 1, Limits::default()));
    let rounds = std::env::var("HOSTILE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let mut dice = Dice(0x5eed_0001);
    let mut fine = 0;
    for round in 0..rounds {
        let (path, well_formed) = (dice.pick(&PATHS), dice.below(4) != 0);
        let query = if well_formed { dice.join(&PAIRS, 3) } else { dice.join(&QUERY, 9) };
        let body = if dice.below(2) == 0 { dice.pick(&WHOLE).to_owned() } else { dice.join(&BODY, 14) };
        let uri = format!("{path}?{query}");
        let method = dice.pick(&["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"]);
        let media = dice.pick(&["application/json", "application/x-ndjson", "application/merge-patch+json", "x"]);
        let mut request = Request::builder().method(method).uri(&uri).header("content-type", media);
        if dice.below(3) == 0 {
            let (name, value) = HEADERS[dice.below(HEADERS.len())];
            request = request.header(name, value);
        }
        let bytes: Body = Full::new(body.clone().into()).map_err(|never| match never {}).boxed_unsync();
        let Ok(request) = request.body(bytes) else { continue };
        let response = face.serve(world::admin(), request).await;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status < 500 || status == 501, "round {round}: {method} {uri} {body}: {status} {}", String::from_utf8_lossy(&text));
        if !text.is_empty() {
            assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok(), "round {round}: {}", String::from_utf8_lossy(&text));
        }
        fine += u32::from(status < 300);
    }
    assert!(fine > rounds / 50, "only {fine} of {rounds} were well-formed: the words no longer fit");
}
