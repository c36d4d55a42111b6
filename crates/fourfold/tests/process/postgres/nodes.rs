//! Idempotency keys among the nodes of one database: what one node did under a key, every node answers, and none does again.

use std::sync::Arc;

use fourfold_model::{Lock, SharedModel};
use fourfold_testkit::client::{Ask, Client};
use fourfold_testkit::random::{self, Random};
use fourfold_testkit::{Answer, NO_ANSWER, framed, graphql, grpc, ledger, rest, websocket};
use serde_json::{Value, json};
use std::time::Duration;

use super::Place;
use crate::binary::{Folder, Server};

/// Keys of rows are the server's, so that what is done twice is there twice.
const MODEL: &str = "package nodes.v1

entity Item {
  id   Int    @key @default(next())
  text String
  @@allow(read, create, true)
}
";
const CONFIG: &str = r#"
[auth]
issuer = "nodes"
audience = "nodes"
hs256_secret_file = "secret"
"#;
const SECRET: &str = "a secret of thirty-two bytes, or more";
const NODES: usize = 3;
const APIS: [&str; 5] = ["rest", "graphql", "connect", "grpc", "websocket"];

/// Three nodes over one database.
struct Nodes {
    place: Place,
    servers: Vec<Server>,
    model: SharedModel,
    token: String,
}

impl Nodes {
    /// None, and a line that says so, where PostgreSQL is not installed.
    fn new() -> Option<Nodes> {
        let url = fourfold_store_postgres::testing::server()?.database();
        let place = Place { folder: Folder::with(&[("nodes.fourfold", MODEL), ("fourfold.toml", CONFIG), ("secret", SECRET)]), url };
        place.run(&["check", "--write"]).ended(0);
        let servers = (0..NODES).map(|_| place.start(&["serve"])).collect();
        let lock = Lock::parse(&place.folder.read("fourfold.lock")).unwrap();
        let model = Arc::new(fourfold_model::load(MODEL, &lock).unwrap().model);
        let token = ledger::token(SECRET, &json!({ "iss": "nodes", "aud": "nodes", "sub": "one", "exp": 4_000_000_000u64 }));
        Some(Nodes { place, servers, model, token })
    }

    /// Asks a node to make a row under a key.
    async fn create(&self, node: usize, api: &str, key: &str, text: &str) -> Answer {
        let client = client(api, &self.servers[node]);
        let body = json!({ "data": { "text": text } }).as_object().unwrap().clone();
        let entity = self.model.entity_by_plural("items").unwrap();
        let (token, key) = (Some(self.token.clone()), Some(key.to_owned()));
        client.ask(&Ask { model: &self.model, token, key, verb: "create".to_owned(), entity, body }).await
    }

    /// The same, until it is known what came of it.
    async fn created(&self, node: usize, api: &str, key: &str, text: &str) -> Value {
        loop {
            match self.create(node, api, key, text).await {
                Ok(row) => return row,
                Err(refusal) if ["idempotency_in_progress", "unavailable"].contains(&refusal.code.as_str()) => {}
                Err(refusal) => panic!("{api}: {refusal:?}"),
            }
        }
    }

    /// The texts of all rows, in order.
    fn texts(&self) -> Vec<String> {
        let answer = self.servers[0].get("/v1/items?page_size=500").json();
        let rows = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let mut texts: Vec<String> = rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
        texts.sort();
        texts
    }
}

fn client(api: &str, server: &Server) -> Box<dyn Client> {
    match api {
        "rest" => Box::new(rest::Rest::new(server.address)),
        "graphql" => Box::new(graphql::GraphQl::new(server.address)),
        "connect" => Box::new(grpc::Connect::new(server.address)),
        "grpc" => Box::new(framed::Grpc::new(server.address)),
        "websocket" => Box::new(websocket::WebSocket::new(server.address)),
        other => panic!("no API `{other}`"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_node_answered_is_answered_alike_by_the_others() {
    let Some(nodes) = Nodes::new() else { return };
    for (number, api) in APIS.into_iter().enumerate() {
        let first = nodes.create(number % NODES, api, api, api).await.unwrap();
        assert_eq!(first["text"], api, "{first}");
        for node in 0..NODES {
            assert_eq!(nodes.create(node, api, api, api).await.unwrap(), first, "{api} of node {node}");
            let other = nodes.create(node, api, api, "another").await.unwrap_err();
            assert_eq!(other.code, "idempotency_mismatch", "{api} of node {node}: {other:?}");
        }
    }
    let mut apis = APIS.map(str::to_owned);
    apis.sort();
    assert_eq!(nodes.texts(), apis);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_ask_all_nodes_at_once_under_one_key_one_is_done() {
    let Some(nodes) = Nodes::new() else { return };
    let mut made = Vec::new();
    for (round, api) in APIS.into_iter().cycle().take(40).enumerate() {
        let text = format!("{round:03}");
        let asks = (0..2 * NODES).map(|ask| nodes.created(ask % NODES, api, &text, &text));
        let rows = futures_util::future::join_all(asks).await;
        assert!(rows.iter().all(|row| *row == rows[0]), "{api}: {rows:?}");
        made.push(text);
    }
    assert_eq!(nodes.texts(), made);
}

/// A node is killed while it works for many; each asks another under its key again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_may_have_done_another_does_once() {
    let Some(mut nodes) = Nodes::new() else { return };
    let seed = random::seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let (mut made, mut unanswered, mut done) = (Vec::new(), 0, 0);
    for round in 0..6 {
        let texts: Vec<String> = (0..10).map(|ask| format!("{round}-{ask}")).collect();
        let asks = texts.iter().zip(APIS.into_iter().cycle());
        let asking = futures_util::future::join_all(asks.clone().map(|(text, api)| nodes.create(1, api, text, text)));
        let pid = nodes.servers[1].id();
        let kill = async {
            // Anywhere in the commits.
            tokio::time::sleep(Duration::from_micros(random.below(12_000))).await;
            kill(pid);
        };
        let (answers, ()) = tokio::join!(asking, kill);
        let there = nodes.texts();
        for ((text, api), answer) in asks.zip(answers) {
            let again = nodes.created(2, api, text, text).await;
            match answer {
                Ok(row) => assert_eq!(row, again, "{api}: another answer under one key"),
                Err(refusal) if refusal.code == NO_ANSWER => {
                    unanswered += 1;
                    done += usize::from(there.contains(text));
                }
                Err(refusal) => panic!("{api}: {refusal:?}"),
            }
        }
        made.extend(texts);
        nodes.servers[1] = nodes.place.start(&["serve"]);
    }
    made.sort();
    assert_eq!(nodes.texts(), made);
    println!("of {} asks {unanswered} had no answer, {done} of these were done; each is there once", made.len());
    assert!(unanswered > 0, "no ask was cut off");
}

fn kill(pid: u32) {
    // The shell's own `kill`, so that no signal needs `unsafe`.
    let kill = format!("kill -KILL {pid}");
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}
