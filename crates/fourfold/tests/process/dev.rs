//! `dev`: the model as it is edited.

use crate::binary::{Folder, Server};
use crate::commands::SHOP;

#[test]
fn a_new_field_appears_and_a_broken_edit_keeps_the_model_before() {
    let open = SHOP.replace("\"admin\" in caller.roles", "true");
    let folder = Folder::with(&[("shop.fourfold", &open)]);
    let server = Server::start(&folder, &["dev"]);
    assert_eq!(server.post("/v1/products", &[], r#"{"id": "1", "title": "a"}"#).status, 201);
    let stock = |server: &Server| server.get("/v1/products/1").json().get("stock").cloned();
    assert_eq!(stock(&server), None);

    let grown = open.replace("  title", "  stock Int @default(7)\n  title");
    folder.write("shop.fourfold", &grown);
    server.until_true("the new field is served", |server| stock(server).is_some());
    assert_eq!(stock(&server).unwrap(), 7, "rows that were there have the default");
    assert_eq!(server.post("/v1/products", &[], r#"{"id": "2", "title": "b", "stock": 3}"#).json()["stock"], 3);
    assert!(server.get("/schema.graphql").text().contains("stock"));
    assert!(folder.read("fourfold.lock").contains("Product.stock"));

    folder.write("shop.fourfold", &grown.replace("Int @default", "Itn @default"));
    server.hears("unknown type `Itn`");
    server.hears("still serving the model as it was before");
    assert_eq!(server.get("/v1/products/2").json()["stock"], 3);

    // What an edit would lose is not lost by saving a file.
    folder.write("shop.fourfold", &open);
    server.hears("the store would lose data: ");
    assert_eq!(server.get("/v1/products/2").json()["stock"], 3);

    folder.write("shop.fourfold", &grown.replace("stock Int ", "stock BigInt "));
    server.until_true("it is mended", |server| stock(server).is_some_and(|stock| stock == "7"));
}

#[test]
fn an_editor_that_replaces_the_file_is_noticed() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    let server = Server::start(&folder, &["dev"]);
    folder.write("beside", &SHOP.replace("entity Product", "entity Article"));
    // The old table would be lost, so this one goes beside it.
    let both = format!("{SHOP}{}", &folder.read("beside")[folder.read("beside").find("\nentity").unwrap()..]);
    folder.write("beside", &both);
    std::fs::rename(folder.0.join("beside"), folder.0.join("shop.fourfold")).unwrap();
    server.until_true("the new entity is served", |server| server.get("/v1/articles").status == 200);
}

#[test]
fn every_api_is_named_with_a_command_to_try() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    let server = Server::start(&folder, &["dev"]);
    for name in ["page", "REST", "GraphQL", "gRPC", "WebSocket", "token"] {
        server.hears(name);
    }
    let page = server.get("/").text();
    assert!(page.contains("/graphql") && page.contains("ListProducts"), "the page names what it tries");
}
