//! A watch through the whole server: nothing buffers it, and it is told of the end.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod small;

use http_body_util::BodyExt;

#[tokio::test]
async fn a_watch_is_told_that_the_server_ends() {
    let asked = small::started(false).await;
    let stream = tokio::net::TcpStream::connect(asked.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let token = asked.token(serde_json::json!({"roles": []}));
    let request = http::Request::get("/v1/products")
        .header("host", asked.address.to_string())
        .header("accept", "text/event-stream")
        .header("accept-encoding", "gzip")
        .header("authorization", format!("Bearer {token}"));
    let answer = sender.send_request(request.body(fourfold_server::body::empty()).unwrap()).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    assert!(!answer.headers().contains_key("content-encoding"));
    let mut body = answer.into_body();
    let start = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(start.starts_with(b"id: "), "it comes at once");
    let ((), rest) = futures_util::future::join(asked.running.drain(), body.collect()).await;
    let rest = String::from_utf8(rest.unwrap().to_bytes().to_vec()).unwrap();
    assert!(rest.starts_with("event: bye\ndata: {\"cursor\":\"") && rest.ends_with("\n\n"), "{rest}");
}
