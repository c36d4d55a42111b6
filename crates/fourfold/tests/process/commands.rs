//! Commands that end: their exit codes, and what they print where.

use crate::binary::{Folder, Server, http, run};

pub const SHOP: &str = "package shop.v1

caller {
  id    String?  @claim(\"sub\")
  roles String[] @claim(\"roles\")
}

entity Product {
  id    String @key
  title String @length(1..200)
  @@allow(read, true)
  @@allow(create, update, delete, \"admin\" in caller.roles)
}
";

#[test]
fn a_good_model_is_checked_once_its_lock_is_written() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["check"]).ended(3).says("`./fourfold.lock` is out of step with the model; `fourfold check --write`");
    run(&folder, &["check", "--write"]).ended(0).says("1 entities");
    let before = folder.contents();
    run(&folder, &["check"]).ended(0);
    assert_eq!(folder.contents(), before);
}

#[test]
fn a_model_with_errors_is_shown_with_its_lines() {
    let folder = Folder::with(&[("shop.fourfold", &SHOP.replace("title String", "title Strng"))]);
    for command in ["check", "serve", "dev"] {
        let ran = run(&folder, &[command]).ended(3).says("unknown type `Strng`").says("shop.fourfold:10").says("did you mean `String`?");
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    assert_eq!(folder.contents().len(), 1, "nothing was written");
}

#[test]
fn wrong_use_ends_with_2() {
    let folder = Folder::new();
    run(&folder, &["nonsense"]).ended(2);
    run(&folder, &["check", "--nonsense"]).ended(2);
    run(&folder, &["check"]).ended(2).says("no `.fourfold` file is in `.`; `fourfold init` writes one");
    run(&folder, &["check", "nowhere"]).ended(2).says("cannot read `nowhere`");
    run(&folder, &["import", "mysql:x", "--out", "new"]).ended(2).says("must be `sqlite:FILE`");
    run(&folder, &["import", "sqlite:nowhere.db", "--out", "new"]).ended(2).says("nowhere.db");
    run(&folder, &["token", "dev", "--claims", "[]"]).ended(2).says("must be a JSON object");
    assert!(folder.contents().is_empty());
}

#[test]
fn a_store_that_cannot_be_used_ends_with_4() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["check", "--write"]).ended(0);
    std::fs::create_dir(folder.0.join(".fourfold")).unwrap();
    folder.write(".fourfold/data.db", &"no database ".repeat(100));
    run(&folder, &["serve"]).ended(4).says("`./.fourfold/data.db` cannot be opened");
    run(&folder, &["migrate", "plan"]).ended(4);
}

#[test]
fn what_init_writes_is_served() {
    let folder = Folder::new();
    run(&folder, &["init", "shop"]).ended(0).says("next: fourfold dev shop");
    let before = folder.contents();
    run(&folder, &["init", "shop"]).ended(1).says("exists already; it is left as it is");
    assert_eq!(folder.contents(), before);
    run(&folder, &["fmt", "--check", "shop"]).ended(0);
    let server = Server::start(&folder, &["dev", "shop"]);
    assert_eq!(server.get("/v1/products").status, 200);
}

#[test]
fn a_dev_token_is_all_that_its_command_prints_and_only_dev_accepts_it() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    let product = r#"{"id": "1", "title": "a"}"#;
    let dev = Server::start(&folder, &["dev"]);
    let token = run(&folder, &["token", "dev", "--claims", r#"{"sub": "1", "roles": ["admin"]}"#]).ended(0);
    assert_eq!(token.err, "");
    assert_eq!(token.out.lines().count(), 1);
    let bearer = format!("Bearer {}", token.out.trim());
    assert_eq!(bearer.matches('.').count(), 2, "{bearer}");
    assert_eq!(dev.post("/v1/products", &[], product).status, 403);
    assert_eq!(dev.post("/v1/products", &[("authorization", &bearer)], product).status, 201);
    dev.kill();
    let serve = Server::start(&folder, &["serve"]);
    assert_eq!(serve.post("/v1/products", &[("authorization", &bearer)], product).status, 401);
}

#[test]
fn contracts_are_what_the_server_serves() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["check", "--write"]).ended(0);
    let server = Server::start(&folder, &["serve"]);
    for (kind, path) in [
        (vec!["openapi"], "/openapi.json"),
        (vec!["asyncapi"], "/asyncapi.json"),
        (vec!["asyncapi", "--client"], "/asyncapi.client.json"),
        (vec!["graphql"], "/schema.graphql"),
        (vec!["proto"], "/schema.proto"),
    ] {
        let printed = run(&folder, &[vec!["contract"], kind].concat()).ended(0);
        assert_eq!(printed.err, "");
        assert_eq!(printed.out, server.get(path).text(), "{path}");
        assert!(printed.out.contains("Product"), "{path}: {}", printed.out);
    }
}

#[test]
fn the_schema_of_events_is_printed_and_has_one_view() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["check", "--write"]).ended(0);
    let printed = run(&folder, &["contract", "events"]).ended(0);
    assert!(printed.out.contains("\"Product.changed\""), "{}", printed.out);
    let refused = run(&folder, &["contract", "events", "--client"]).ended(2);
    assert!(refused.err.contains("`--client` is a view of `asyncapi`"), "{}", refused.err);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    let mut child = crate::binary::command(&folder.0, &["config"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn problems_that_answers_name_have_a_page() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    let server = Server::start(&folder, &["dev"]);
    let problem = server.get("/v1/products/none").json();
    assert_eq!(problem["code"], "not_found");
    let page = http(server.address, "GET", problem["type"].as_str().unwrap(), &[], b"").unwrap();
    assert_eq!(page.status, 200);
}
