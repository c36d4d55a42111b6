//! `events`: the log is told while a server writes it, and what it holds of a row is blanked.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::binary::{Folder, Server, command, http, run};

const MODEL: &str = "package shop.v1

entity Product {
  id    String @key
  title String @length(1..200)
  stock Int?   @default(3)
  pin   String? @secret
  @@allow(read, create, update, delete, true)
}

entity Note {
  id   Int    @key @default(next())
  text String
  @@allow(read, create, true)
}
";

fn locked() -> Folder {
    let folder = Folder::with(&[("shop.fourfold", MODEL)]);
    run(&folder, &["check", "--write"]).ended(0);
    folder
}

fn send(server: &Server, method: &str, path: &str, body: &Value) {
    let body = body.to_string();
    let answer = http(server.address, method, path, &[("content-type", "application/json")], body.as_bytes()).unwrap();
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
}

/// Four events: a product comes, changes and goes, then a note.
fn written(server: &Server) {
    send(server, "POST", "/v1/products", &json!({"id": "1", "title": "a lamp \u{1b}[31m", "pin": "hush hush"}));
    send(server, "PATCH", "/v1/products/1", &json!({"title": "a chair", "stock": null}));
    send(server, "DELETE", "/v1/products/1", &json!({}));
    send(server, "POST", "/v1/notes", &json!({"text": "a note"}));
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn events_are_told_while_a_server_writes_them() {
    let folder = locked();
    let server = Server::start(&folder, &["serve"]);
    written(&server);
    let ran = run(&folder, &["events", "tail", "--after", "0", "--json"]).ended(0);
    let told = lines(&ran.out);
    let seen: Vec<_> = told.iter().map(|event| (&event["change"], &event["entity"], &event["key"], &event["revision"])).collect();
    let expect = [("created", "Product", json!("1"), 1), ("updated", "Product", json!("1"), 2), ("deleted", "Product", json!("1"), 3)];
    for (seen, (change, entity, key, revision)) in seen.iter().zip(&expect) {
        assert_eq!(*seen, (&json!(change), &json!(entity), key, &json!(revision)));
    }
    assert_eq!((seen.len(), &told[3]["entity"], &told[3]["key"]), (4, &json!("Note"), &json!(1)));
    assert_eq!(told[0]["after"], json!({"title": "a lamp \u{1b}[31m", "stock": 3}));
    assert_eq!((&told[1]["changed"], &told[1]["after"]["title"]), (&json!({"title": "a lamp \u{1b}[31m", "stock": 3}), &json!("a chair")));
    assert_eq!(told[2].get("after"), None);
    let cursor = told[1]["cursor"].as_str().unwrap();
    let rest = run(&folder, &["events", "tail", "--after", cursor, "--json", "--entity", "Product"]).ended(0);
    assert_eq!(lines(&rest.out), told[2..3]);

    let text = run(&folder, &["events", "tail"]).ended(0);
    for line in [
        "created  Product \"1\" r1  title \"a lamp",
        "updated  Product \"1\" r2  title \"a lamp",
        " → \"a chair\"",
        "deleted  Product \"1\" r3",
    ] {
        assert!(text.out.contains(line), "{line}: {}", text.out);
    }
    for out in [&ran.out, &text.out] {
        assert!(!out.contains("hush") && !out.contains('\u{1b}'), "neither secrets nor what steers a terminal: {out}");
    }
    assert_eq!(server.get("/v1/notes").status, 200, "the server has not noticed");
}

#[test]
fn a_log_is_followed_as_it_is_written() {
    let folder = locked();
    let server = Server::start(&folder, &["serve"]);
    written(&server);
    let mut tail = command(&folder.0, &["events", "tail", "--after", "3", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let (tell, told) = mpsc::channel();
    let out = BufReader::new(tail.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    let next = || told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(lines(&next())[0]["after"]["text"], "a note");
    for text in ["first", "second"] {
        send(&server, "POST", "/v1/notes", &json!({"text": text}));
        assert_eq!(lines(&next())[0]["after"]["text"], text);
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn what_cannot_be_told_is_said() {
    let folder = locked();
    run(&folder, &["events", "tail"]).ended(4).says("`./.fourfold/data.db` is no database of Fourfold");
    run(&folder, &["events", "tail", "--store", "memory:"]).ended(2).says("a store in memory has no file");
    let server = Server::start(&folder, &["serve"]);
    run(&folder, &["events", "tail"]).ended(0);
    written(&server);
    run(&folder, &["events", "tail", "--entity", "Produkt"]).ended(2).says("no entity `Produkt`; did you mean `Product`?");
    run(&folder, &["events", "tail", "--after", "yesterday"]).ended(2).says("`yesterday` is no cursor such as `");
    run(&folder, &["events", "tail", "--after", "5"]).ended(1).says("is not in the log, which goes from `").says(".4`");
    run(&folder, &["events", "tail", "--after", "other.1"]).ended(1).says("`other.1` is not in the log");
}

/// Whether a file in the data folder has a text.
fn holds(folder: &Folder, text: &str) -> bool {
    let data = folder.contents().into_iter().filter(|(path, _)| path.starts_with(folder.0.join(".fourfold")));
    data.into_iter().any(|(_, bytes)| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// What a watch that goes on after a cursor is answered, and its first lines where it is none of an error.
fn resumed(server: &Server, cursor: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = "GET /v1/products HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nconnection: close\r\n";
    stream.write_all(format!("{request}last-event-id: {cursor}\r\n\r\n").as_bytes()).unwrap();
    let (mut told, mut some) = (String::new(), [0; 4_096]);
    while !told.contains("event: ") && !told.contains("\"code\":") {
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "it ended: {told}");
        told.push_str(&String::from_utf8_lossy(&some[..read]));
    }
    (told.split(' ').nth(1).unwrap().parse().unwrap(), told)
}

#[test]
fn a_running_server_blanks_a_row_and_goes_on() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let folder = locked();
    let mut server = Server::start(&folder, &["serve"]);
    written(&server);
    let socket = folder.0.join(".fourfold/control.sock");
    let kind = std::fs::metadata(&socket).unwrap();
    assert!(kind.file_type().is_socket());
    assert_eq!(kind.permissions().mode() & 0o777, 0o600, "others cannot ask");
    let cursors: Vec<String> = lines(&run(&folder, &["events", "tail", "--after", "0", "--json"]).ended(0).out)
        .iter()
        .map(|event| event["cursor"].as_str().unwrap().to_owned())
        .collect();
    let (status, told) = resumed(&server, &cursors[0]);
    assert!(status == 200 && told.contains("a chair"), "{told}");
    run(&folder, &["events", "redact", "Produc", "1"]).ended(2).says("did you mean `Product`?");
    run(&folder, &["events", "redact", "Note", "one"]).ended(2).says("the key of `Note`");
    run(&folder, &["events", "redact", "Product", "1"]).ended(0).says("3 events of `Product` `1` are blank; cursors below 3 have expired");
    for text in ["a lamp", "hush hush", "a chair"] {
        assert!(!holds(&folder, text), "{text} is still there");
    }
    assert!(holds(&folder, "a note"), "others stay");
    for cursor in &cursors[..2] {
        let (status, told) = resumed(&server, cursor);
        assert!(status == 410 && told.contains("cursor_expired"), "{cursor}: {told}");
    }
    send(&server, "POST", "/v1/products", &json!({"id": "1", "title": "another"}));
    let (status, told) = resumed(&server, &cursors[2]);
    assert!(status == 200 && told.contains("another") && !told.contains("lamp"), "from the last of them on nothing is missed: {told}");
    assert_eq!(server.get("/v1/products/1").json()["revision"], 4, "a blank deletion keeps its number");
    run(&folder, &["events", "redact", "Product", "2"]).ended(0).says("0 events");
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
    assert!(!socket.exists(), "it goes with its server");
}

#[test]
fn a_store_in_memory_is_redacted_by_its_server_alone() {
    let folder = locked();
    let memory = ["--store", "memory:"];
    run(&folder, &["events", "redact", "Product", "1", "--store", "memory:"]).ended(2).says("a store in memory has no file");
    let server = Server::start(&folder, &[&["serve"], &memory[..]].concat());
    written(&server);
    run(&folder, &["events", "redact", "Product", "1", "--store", "memory:"]).ended(0).says("3 events of `Product` `1` are blank");
    send(&server, "POST", "/v1/notes", &json!({"text": "it goes on"}));
}

#[test]
fn a_redacted_row_is_in_no_file_any_more() {
    let folder = locked();
    let mut server = Server::start(&folder, &["serve"]);
    written(&server);
    std::fs::remove_file(folder.0.join(".fourfold/control.sock")).unwrap();
    run(&folder, &["events", "redact", "Product", "1"]).ended(4).says("another process has the data");
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
    let holds = |text: &str| holds(&folder, text);
    assert!(holds("a lamp") && holds("hush hush") && holds("a chair"));
    run(&folder, &["events", "redact", "Produc", "1"]).ended(2).says("did you mean `Product`?");
    run(&folder, &["events", "redact", "Note", "one"]).ended(2).says("the key of `Note`");
    run(&folder, &["events", "redact", "Product", "1"]).ended(0).says("3 events of `Product` `1` are blank; cursors below 3 have expired");
    for text in ["a lamp", "hush hush", "a chair"] {
        assert!(!holds(text), "{text} is still there");
    }
    assert!(holds("a note"), "others stay");
    let told = lines(&run(&folder, &["events", "tail", "--after", "0", "--json"]).ended(0).out);
    assert_eq!(told.iter().map(|event| &event["redacted"]).collect::<Vec<_>>(), [&json!(true), &json!(true), &json!(true), &Value::Null]);
    let server = Server::start(&folder, &["serve"]);
    send(&server, "POST", "/v1/products", &json!({"id": "1", "title": "another"}));
    assert_eq!(server.get("/v1/products/1").json()["revision"], 4, "a blank deletion keeps its number");
}
