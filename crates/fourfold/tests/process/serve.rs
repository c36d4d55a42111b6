//! `serve`: what it refuses, what it says of itself, and how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::binary::{Folder, Server, run};
use crate::commands::SHOP;

const TALK: &str = "package talk.v1

caller {
  id String? @claim(\"sub\")
}

entity Room {
  id String @key
  @@allow(read, create, true)
}

action greet(name: String): String
  @allow(true)
  @handler(\"greeter\")

";

fn locked(model: &str) -> Folder {
    let folder = Folder::with(&[("model.fourfold", model)]);
    run(&folder, &["check", "--write"]).ended(0);
    folder
}

#[test]
fn a_lock_that_is_out_of_step_is_refused() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["serve"]).ended(3).says("`./fourfold.lock` is out of step with the model; `fourfold check --write` brings it into step");
    assert_eq!(folder.contents().len(), 1, "neither a lock nor a database was written");
}

#[test]
fn an_address_for_others_needs_tokens() {
    let folder = locked(SHOP);
    run(&folder, &["serve", "--listen", "0.0.0.0:0"]).ended(2).says("no token is trusted").says("auth.hs256_secret_file");
    run(&folder, &["dev", "--listen", "0.0.0.0:0"]).ended(2).says("this machine alone").says("fourfold serve");
    run(&folder, &["serve", "--listen", "nowhere"]).ended(2).says("must be an address such as");
}

#[test]
fn what_is_not_served_yet_is_said_by_name() {
    let folder = locked(TALK);
    folder.write("fourfold.toml", "[[handler]]\nurl = \"http://127.0.0.1:1\"\n");
    for command in ["serve", "dev"] {
        let server = Server::start(&folder, &[command]);
        for what in ["action `greet`", "setting `[handler]`"] {
            server.hears(&format!("not served yet: {what}"));
        }
        assert_eq!(server.get("/v1/rooms").status, 200);
    }
}

#[test]
fn a_second_process_on_one_data_folder_is_refused() {
    let folder = locked(SHOP);
    let first = Server::start(&folder, &["serve"]);
    for args in [["serve", "."], ["dev", "."]] {
        let ran = run(&folder, &[args[0], args[1], "--listen", "127.0.0.1:0", "--admin", "off"]).ended(4);
        ran.says("another process has the data beside `./.fourfold/lock` open");
    }
    run(&folder, &["migrate", "apply"]).ended(4).says("another process");
    assert_eq!(first.get("/v1/products").status, 200, "the first one serves on");
    first.kill();
    Server::start(&folder, &["serve"]);
}

#[test]
fn sigterm_lets_what_is_in_flight_finish_and_ends_with_0() {
    let folder = locked(&SHOP.replace("\"admin\" in caller.roles", "true"));
    let mut server = Server::start(&folder, &["serve"]);
    let product = r#"{"id": "1", "title": "half of me came before the end"}"#;
    let (half, rest) = product.split_at(20);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!("POST /v1/products HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json", server.address);
    write!(stream, "{head}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n", product.len()).unwrap();
    // The request is in flight once it is told to go on.
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(half.as_bytes()).unwrap();
    server.terminate();
    server.until_true("no more is accepted", |server| TcpStream::connect(server.address).is_err());
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.end().code(), Some(0));
    let again = Server::start(&folder, &["serve"]);
    assert_eq!(again.get("/v1/products/1").status, 200);
}
