//! The commands over a PostgreSQL store: what they do over SQLite, they do here.

mod nodes;

use std::path::Path;
use std::process::Command;

use fourfold_store_postgres::testing;
use serde_json::{Value, json};

use crate::binary::{Folder, Ran, Server, command, ended};
use crate::commands::SHOP;

/// A folder with a model that all may write, and a database for it.
struct Place {
    folder: Folder,
    url: String,
}

impl Place {
    /// None, and a line that says so, where PostgreSQL is not installed.
    fn new() -> Option<Place> {
        let url = testing::server()?.database();
        let place = Place { folder: Folder::with(&[("shop.fourfold", &open())]), url };
        place.run(&["check", "--write"]).ended(0);
        Some(place)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&self.folder.0, args);
        command.env("FOURFOLD_STORE_URL", &self.url);
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ended(&mut self.command(args))
    }

    fn start(&self, args: &[&str]) -> Server {
        Server::spawn(&mut self.command(args))
    }

    fn write(&self, model: &str) {
        self.folder.write("shop.fourfold", model);
        self.run(&["check", "--write"]).ended(0);
    }
}

fn open() -> String {
    SHOP.replace("\"admin\" in caller.roles", "true")
}

fn end(mut server: Server) {
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
}

fn create(server: &Server, id: &str) {
    assert_eq!(server.post("/v1/products", &[], &format!(r#"{{"id": "{id}", "title": "a lamp"}}"#)).status, 201);
}

#[test]
fn what_two_servers_of_one_database_write_both_serve_and_a_third_finds() {
    let Some(place) = Place::new() else { return };
    let (one, two) = (place.start(&["serve"]), place.start(&["serve"]));
    create(&one, "1");
    create(&two, "2");
    assert_eq!((one.get("/v1/products/2").status, two.get("/v1/products/1").status), (200, 200));
    end(one);
    two.kill();
    let listed = place.start(&["serve"]).get("/v1/products").json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
    assert!(!place.folder.0.join(".fourfold/data.db").exists(), "rows went elsewhere");
}

#[test]
fn events_are_told_while_a_server_writes_them_to_postgres() {
    let Some(place) = Place::new() else { return };
    let server = place.start(&["serve"]);
    create(&server, "1");
    create(&server, "2");
    let told = |after: &str| {
        let ran = place.run(&["events", "tail", "--after", after, "--json"]).ended(0);
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let all = told("0");
    let keys: Vec<_> = all.iter().map(|event| (&event["change"], &event["key"])).collect();
    assert_eq!(keys, [(&json!("created"), &json!("1")), (&json!("created"), &json!("2"))]);
    assert_eq!(told(all[0]["cursor"].as_str().unwrap()), all[1..]);
    place.write(&open().replace("  title", "  stock Int @default(7)\n  title"));
    place.run(&["events", "tail"]).ended(4).says("the store is of another model").says("migrate plan");
}

#[test]
fn a_step_over_postgres_is_planned_and_one_that_loses_data_must_be_allowed() {
    let Some(place) = Place::new() else { return };
    let server = place.start(&["serve"]);
    create(&server, "1");
    end(server);
    place.write(&open().replace("  title", "  stock Int @default(7)\n  title"));
    place.run(&["migrate", "plan"]).ended(0).says("stock").says("1 steps");
    place.run(&["migrate", "apply"]).ended(0).says("1 steps done");
    place.run(&["migrate", "plan"]).ended(0).says("0 steps");
    assert_eq!(place.start(&["serve"]).get("/v1/products/1").json()["stock"], 7);

    place.write(&open().replace("  title String @length(1..200)\n", "  stock Int @default(7)\n"));
    for command in [&["migrate", "apply"][..], &["serve"]] {
        place.run(command).ended(4).says("would lose data").says("title").says("--allow-destructive");
    }
    place.run(&["migrate", "apply", "--allow-destructive"]).ended(0).says("title");
    assert_eq!(place.start(&["serve"]).get("/v1/products/1").json(), json!({"id": "1", "revision": 1, "stock": 7}));
}

#[test]
fn chinook_arrives_whole_in_postgres() {
    let Some(place) = Place::new() else { return };
    let source = format!("sqlite:{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/chinook/chinook.sqlite").display());
    let ran = place.run(&["import", &source, "--out", "music"]).ended(0).says("11 tables, 15607 rows");
    assert_eq!(ran.out.lines().filter(|line| line.trim_end().ends_with(" equal")).count(), 11, "{}", ran.out);
    let model = place.folder.read("music/chinook.fourfold");
    assert_eq!(place.start(&["serve", "music"]).get("/v1/tracks/1").status, 404, "rows are for admins alone\n{model}");
}

#[test]
fn dev_takes_a_changed_model_to_postgres() {
    let Some(place) = Place::new() else { return };
    let server = place.start(&["dev"]);
    create(&server, "1");
    place.folder.write("shop.fourfold", &open().replace("  title", "  stock Int @default(7)\n  title"));
    server.until_true("the new field", |server| server.get("/v1/products/1").json()["stock"] == 7);
    end(server);
}

#[test]
fn a_database_that_is_not_there_ends_the_start_and_no_password_is_told() {
    let Some(mut place) = Place::new() else { return };
    place.url = "postgres://me:hunter2@127.0.0.1:1/shop?sslmode=disable".to_owned();
    let ran = place.run(&["serve"]).ended(4).says("the store cannot be reached");
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
}
