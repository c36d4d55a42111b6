//! `migrate`: every step is shown, and what would lose data is done only when that is allowed.

use crate::binary::{Folder, Server, run};
use crate::commands::SHOP;

fn served_once(model: &str) -> Folder {
    let folder = Folder::with(&[("shop.fourfold", model)]);
    run(&folder, &["check", "--write"]).ended(0);
    let mut server = Server::start(&folder, &["serve"]);
    assert_eq!(server.post("/v1/products", &[], r#"{"id": "1", "title": "a"}"#).status, 201);
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
    folder
}

#[test]
fn steps_are_planned_and_applied() {
    let open = SHOP.replace("\"admin\" in caller.roles", "true");
    let folder = served_once(&open);
    run(&folder, &["migrate", "plan"]).ended(0).says("0 steps");
    folder.write("shop.fourfold", &open.replace("  title", "  stock Int @default(7)\n  title"));
    let plan = run(&folder, &["migrate", "plan"]).ended(0).says("stock").says("1 steps");
    assert!(!plan.out.contains("loses data"), "{}", plan.out);
    run(&folder, &["migrate", "apply"]).ended(0).says("stock").says("1 steps done");
    run(&folder, &["migrate", "plan"]).ended(0).says("0 steps");
    run(&folder, &["check", "--write"]).ended(0);
    assert_eq!(Server::start(&folder, &["serve"]).get("/v1/products/1").json()["stock"], 7);
}

#[test]
fn a_step_that_loses_data_is_named_and_must_be_allowed() {
    let open = SHOP.replace("\"admin\" in caller.roles", "true");
    let folder = served_once(&open);
    folder.write("shop.fourfold", &open.replace("  title String @length(1..200)\n", ""));
    run(&folder, &["check", "--write"]).ended(0);
    run(&folder, &["migrate", "plan"]).ended(0).says("title").says("(loses data)");
    let database = || std::fs::read(folder.0.join(".fourfold/data.db")).unwrap();
    for command in [&["migrate", "apply"][..], &["serve"], &["dev"]] {
        let ran = run(&folder, command).ended(4).says("would lose data").says("title").says("--allow-destructive");
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    assert!(String::from_utf8_lossy(&database()).contains("title"), "the column is there");
    run(&folder, &["migrate", "apply", "--allow-destructive"]).ended(0).says("title");
    run(&folder, &["migrate", "plan"]).ended(0).says("0 steps");
    let row = Server::start(&folder, &["serve"]).get("/v1/products/1").json();
    assert_eq!((row["id"].as_str(), row.get("title")), (Some("1"), None));
}
