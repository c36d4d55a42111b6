//! A small model and a server of it over the memory store.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_graphql::{Body, GraphQl, Options, Statements};
use fourfold_model::{Lock, Model};
use fourfold_op::{Claims, Context, Deadline, IdempotencyKey, Limits, Principal, RequestId};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};

pub fn model() -> Model {
    fourfold_model::load(include_str!("shop.fourfold"), &Lock::default()).unwrap().model
}

pub fn context() -> Context {
    let principal = Principal { issuer: "test".into(), subject: "ada".into(), claims: Claims::default() };
    Context { principal: Arc::new(principal), deadline: Deadline::default(), idempotency: None, request: RequestId("r1".into()) }
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub json: Json,
    pub text: String,
    pub statements: u32,
}

pub struct Shop(pub GraphQl, pub Arc<Engine>);

pub async fn shop() -> Shop {
    shop_of(Limits::default()).await
}

pub async fn shop_of(limits: Limits) -> Shop {
    let model = Arc::new(model());
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let engine = Engine::new(Arc::new(store), model, 1, limits);
    let face = GraphQl::new(Arc::clone(&engine), Options { dev: true, introspection: true });
    assert_eq!(face.problem(), None);
    Shop(face, engine)
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Shop {
    pub async fn http(&self, context: Context, request: http::request::Builder, sent: String) -> Answer {
        let response = self.0.serve(context, request.body(body(sent)).unwrap()).await;
        let (status, statements) = (response.status().as_u16(), response.extensions().get::<Statements>().map_or(0, |count| count.0));
        let content_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, content_type, json: serde_json::from_str(&text).unwrap_or(Json::Null), text, statements }
    }

    pub async fn ask(&self, query: &str, variables: Json) -> Answer {
        self.ask_as(context(), query, variables).await
    }

    pub async fn ask_as(&self, context: Context, query: &str, variables: Json) -> Answer {
        let request = http::Request::post("/graphql").header("content-type", "application/json");
        let request = request.header("accept", "application/graphql-response+json");
        self.http(context, request, json!({ "query": query, "variables": variables }).to_string()).await
    }

    /// The `data` of an answer without errors.
    pub async fn data(&self, query: &str, variables: Json) -> Json {
        let answer = self.ask(query, variables).await;
        assert_eq!(answer.json.get("errors"), None, "{query}\n{}", answer.text);
        answer.json["data"].clone()
    }

    /// The status, and the code and message of the first error.
    pub async fn error(&self, query: &str, variables: Json) -> (u16, String, String) {
        let answer = self.ask(query, variables).await;
        let error = &answer.json["errors"][0];
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        (answer.status, text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

pub fn with_key(key: &str) -> Context {
    Context { idempotency: Some(IdempotencyKey(key.into())), ..context() }
}

pub fn with_body(request: http::request::Builder, sent: String) -> http::Request<Body> {
    request.body(body(sent)).unwrap()
}
