//! Retention: a server prunes its log while it serves, and each API tells a reader that comes too late.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::binary::{Folder, Server, run};
use crate::commands::SHOP;

/// A head, and as much of the body as it takes until `wanted` is there, or the end.
fn told(to: SocketAddr, request: &str, body: &[u8], wanted: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "{request}\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(body).unwrap();
    let (mut bytes, mut more) = (Vec::new(), [0; 4_096]);
    while !String::from_utf8_lossy(&bytes).contains(wanted) {
        match stream.read(&mut more).unwrap() {
            0 => break,
            count => bytes.extend_from_slice(&more[..count]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn served(settings: &str) -> (Folder, Server) {
    let open = SHOP.replace("\"admin\" in caller.roles", "true");
    let folder = Folder::with(&[("shop.fourfold", &open), ("fourfold.toml", settings)]);
    run(&folder, &["check", "--write"]).ended(0);
    let server = Server::start(&folder, &["serve"]);
    (folder, server)
}

fn add(server: &Server, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let product = format!(r#"{{"id": "{number}", "title": "a product"}}"#);
        assert_eq!(server.post("/v1/products", &[], &product).status, 201);
    }
}

/// The cursor of a list, as its log's name and its position.
fn cursor(server: &Server) -> (String, u64) {
    let list = server.get("/v1/products?page_size=1").json();
    let (epoch, position) = list["cursor"].as_str().unwrap().split_once('.').unwrap();
    (epoch.to_owned(), position.parse().unwrap())
}

fn resume(server: &Server, cursor: &str) -> String {
    let request = format!("GET /v1/products HTTP/1.1\r\naccept: text/event-stream\r\nlast-event-id: {cursor}");
    told(server.address, &request, b"", "\r\n\r\n")
}

#[test]
fn old_events_leave_the_log_and_each_api_tells_who_comes_too_late() {
    let (_folder, server) = served("[events]\nretention_age = \"1ms\"\n");
    add(&server, 1..=5);
    let (epoch, position) = cursor(&server);
    assert_eq!(position, 5);
    let late = format!("{epoch}.1");
    server.until_true("the log is pruned", |server| resume(server, &late).starts_with("HTTP/1.1 410"));

    let rest = told(server.address, &format!("GET /v1/products?after={late} HTTP/1.1\r\naccept: text/event-stream"), b"", "older_than");
    assert!(rest.contains("\"code\":\"cursor_expired\""), "{rest}");
    let query = format!(r#"{{"query": "subscription {{ productChanges(after: \"{late}\") {{ key }} }}"}}"#);
    let request = "POST /graphql HTTP/1.1\r\naccept: text/event-stream\r\ncontent-type: application/json";
    let graphql = told(server.address, request, query.as_bytes(), "CURSOR_EXPIRED");
    assert!(graphql.contains("\"code\":\"CURSOR_EXPIRED\""), "{graphql}");
    let message = format!(r#"{{"after": "{late}"}}"#);
    let framed = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message.as_bytes()].concat();
    let request =
        "POST /shop.v1.ProductService/WatchProducts HTTP/1.1\r\ncontent-type: application/connect+json\r\nconnect-protocol-version: 1";
    let grpc = told(server.address, request, &framed, "CURSOR_EXPIRED");
    assert!(grpc.contains("out_of_range"), "{grpc}");

    let head = resume(&server, &format!("{epoch}.5"));
    assert!(head.starts_with("HTTP/1.1 200"), "the newest place is good: {head}");
    assert_eq!(server.get("/v1/products?with_total=true").json()["total"], 5, "rows stay");
}

#[test]
fn a_log_beyond_its_size_loses_its_oldest_events_while_it_is_written() {
    let (folder, server) = served("[events]\nretention_size = \"2KiB\"\nprune_slice_events_max = 5\n");
    add(&server, 1..=60);
    let (epoch, position) = cursor(&server);
    assert_eq!(position, 60);
    server.until_true("the log is pruned", |server| resume(server, &format!("{epoch}.20")).starts_with("HTTP/1.1 410"));
    assert!(resume(&server, &format!("{epoch}.58")).starts_with("HTTP/1.1 200"), "what fits stays");
    // A key that is made again goes on above the number that went with the log.
    let revision = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["revision"].as_u64().unwrap();
    assert_eq!(crate::binary::http(server.address, "DELETE", "/v1/products/1", &[], b"").unwrap().status, 204);
    add(&server, 61..=120);
    server.until_true("the deletion is pruned", |server| resume(server, &format!("{epoch}.61")).starts_with("HTTP/1.1 410"));
    server.kill();
    let server = Server::start(&folder, &["serve"]);
    let again = server.post("/v1/products", &[], r#"{"id": "1", "title": "again"}"#);
    assert_eq!((again.status, revision(&again.text())), (201, 3));
}
