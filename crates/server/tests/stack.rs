//! One port, four APIs: routing, identity, origins, compression and the pages beside them, over a small model made by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod small;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_body_util::BodyExt;
use serde_json::Value as Json;
use small::{Asked, started};

async fn get(asked: &Asked, path: &str, headers: &[(&str, &str)]) -> (u16, http::HeaderMap, Vec<u8>) {
    send(asked, "GET", path, headers, "").await
}

async fn send(asked: &Asked, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, http::HeaderMap, Vec<u8>) {
    let stream = tokio::net::TcpStream::connect(asked.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", asked.address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(fourfold_server::body::full(body.to_owned())).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    (head.status.as_u16(), head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn json(body: &[u8]) -> Json {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn one_row_is_the_same_on_every_api() {
    let asked = started(false).await;
    let token = asked.token(serde_json::json!({"roles": ["admin"]}));
    let bearer = format!("Bearer {token}");
    let admin = ("authorization", bearer.as_str());
    let (status, headers, body) = send(&asked, "POST", "/v1/products", &[JSON, admin], r#"{"title": "Ünïcode"}"#).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    assert_eq!(headers["location"], "/v1/products/1");
    assert_eq!(headers["x-request-id"].len(), 16);
    let (_, _, body) = get(&asked, "/v1/products/1", &[]).await;
    assert_eq!(json(&body)["title"], "Ünïcode");
    let (status, _, body) = send(&asked, "POST", "/graphql", &[JSON], r#"{"query": "{ product(id: 1) { title revision } }"}"#).await;
    assert_eq!((status, &json(&body)["data"]["product"]["title"]), (200, &"Ünïcode".into()));
    let (status, _, body) = send(&asked, "POST", "/shop.v1.ProductService/GetProduct", &[JSON], r#"{"id": 1}"#).await;
    assert_eq!((status, &json(&body)["title"]), (200, &"Ünïcode".into()), "{}", String::from_utf8_lossy(&body));
    asked.running.drain().await;
}

#[tokio::test]
async fn bad_tokens_are_refused_in_the_form_of_each_api() {
    let asked = started(false).await;
    let bad = ("authorization", "Bearer x.y.z");
    let (status, headers, body) = get(&asked, "/v1/products", &[bad]).await;
    assert_eq!((status, &json(&body)["code"]), (401, &"unauthenticated".into()));
    const CHALLENGE: &str = "Bearer error=\"invalid_token\", error_description=\"the token is not a JWT\"";
    assert_eq!(headers["www-authenticate"], CHALLENGE);
    assert!(headers["cache-control"] == "no-store" && headers["server-timing"].to_str().unwrap().starts_with("parse;dur="));
    assert!(body.starts_with(br#"{"type":"/problems/unauthenticated","title":"#), "{}", String::from_utf8_lossy(&body));
    let (status, headers, body) = send(&asked, "POST", "/v1/products", &[("authorization", "Basic eDp5")], "").await;
    assert_eq!((status, &headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()), "{}", String::from_utf8_lossy(&body));
    let (status, _, body) = send(&asked, "POST", "/graphql", &[JSON, bad], "{}").await;
    assert_eq!((status, &json(&body)["errors"][0]["extensions"]["code"]), (401, &"UNAUTHENTICATED".into()));
    let (status, headers, body) = send(&asked, "POST", "/shop.v1.ProductService/GetProduct", &[JSON, bad], "{}").await;
    assert_eq!((status, &json(&body)["code"]), (401, &"unauthenticated".into()));
    assert_eq!(headers["www-authenticate"], CHALLENGE);
    assert_eq!(json(&body)["details"][0]["type"], "google.rpc.ErrorInfo");
    let (status, ..) = get(&asked, "/live", &[bad]).await;
    assert_eq!(status, 200);
}

/// Each protocol has its own place for an error, and the same reason in it.
#[tokio::test]
async fn bad_tokens_are_refused_in_each_protocol_of_grpc() {
    let asked = started(false).await;
    let call = async |kind| {
        let headers = [("content-type", kind), ("authorization", "Bearer x.y.z")];
        let (status, headers, body) = send(&asked, "POST", "/shop.v1.ProductService/GetProduct", &headers, "").await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, kind));
        (headers, body)
    };
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc-web+proto"] {
        let (headers, body) = call(kind).await;
        assert_eq!((&headers["grpc-status"], body.len()), (&"16".parse().unwrap(), 0));
        let details = STANDARD_NO_PAD.decode(&headers["grpc-status-details-bin"]).unwrap();
        assert!(details.windows(15).any(|part| part == b"UNAUTHENTICATED"), "{kind}");
    }
    let (_, body) = call("application/connect+json").await;
    assert_eq!((body[0], u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize), (2, body.len() - 5));
    assert_eq!(json(&body[5..])["error"]["code"], "unauthenticated");
}

#[tokio::test]
async fn contracts_health_and_problems_are_served() {
    let asked = started(false).await;
    for (path, holds) in [
        ("/openapi.json", "\"openapi\""),
        ("/asyncapi.json", "\"action\": \"send\""),
        ("/asyncapi.client.json", "\"action\": \"receive\""),
        ("/schema.graphql", "type Product"),
        ("/schema.proto", "service ProductService"),
        ("/descriptor.binpb", "ProductService"),
        ("/ready", "ready"),
        ("/problems/revision_mismatch", "412"),
    ] {
        let (status, _, body) = get(&asked, path, &[]).await;
        assert_eq!(status, 200, "{path}");
        assert!(String::from_utf8_lossy(&body).contains(holds), "{path}");
    }
    for path in ["/", "/nothing", "/problems/nothing"] {
        let (status, _, body) = get(&asked, path, &[]).await;
        assert_eq!((status, &json(&body)["code"]), (404, &"not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn dev_answers_to_its_own_name_and_its_own_pages() {
    let asked = started(true).await;
    let (status, _, body) = get(&asked, "/", &[]).await;
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&body).contains("\"Product\""));
    let (status, _, body) = get(&asked, "/v1/products", &[("host", "evil.example")]).await;
    assert_eq!((status, &json(&body)["code"]), (403, &"permission_denied".into()));
    let (status, ..) = get(&asked, "/v1/products", &[("origin", "https://evil.example")]).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn gzip_is_for_who_asks_and_its_tag_comes_back() {
    let asked = started(false).await;
    let gzip = ("accept-encoding", "gzip");
    let (_, headers, body) = get(&asked, "/openapi.json", &[gzip]).await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(body.starts_with(&[0x1f, 0x8b]));
    let (_, headers, _) = get(&asked, "/openapi.json", &[]).await;
    assert!(!headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let asked = started(false).await;
    let large = "x".repeat(2 << 20);
    let (status, _, body) = send(&asked, "POST", "/v1/products", &[JSON], &large).await;
    assert_eq!((status, &json(&body)["limit"]), (413, &"body_bytes_max".into()));
}

#[tokio::test]
async fn pages_that_may_call_are_told_so() {
    let asked = started(false).await;
    let origin = ("origin", "https://app.example");
    let (_, headers, _) = get(&asked, "/v1/products", &[origin]).await;
    assert_eq!(headers["access-control-allow-origin"], "https://app.example");
    let preflight = [origin, ("access-control-request-method", "PATCH"), ("access-control-request-headers", "if-match")];
    let (status, headers, _) = send(&asked, "OPTIONS", "/v1/products/1", &preflight, "").await;
    assert_eq!((status, &headers["access-control-allow-headers"]), (204, &"if-match".parse().unwrap()));
    let (_, headers, _) = get(&asked, "/v1/products", &[("origin", "https://other.example")]).await;
    assert!(!headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn metrics_count_what_was_asked() {
    let asked = started(false).await;
    get(&asked, "/v1/products/7", &[]).await;
    let (status, ..) = send(&asked, "POST", "/shop.v1.ProductService/Nothing", &[JSON], "{}").await;
    assert_eq!(status, 501);
    let admin = Asked { address: asked.running.admin_address().unwrap(), ..asked };
    let (status, _, body) = get(&admin, "/metrics", &[]).await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("fourfold_requests_total{api=\"rest\",operation=\"get\",code=\"not_found\"} 1"), "{text}");
    assert!(text.contains("fourfold_requests_total{api=\"grpc\",operation=\"rpc\",code=\"unimplemented\"} 1"), "{text}");
}
