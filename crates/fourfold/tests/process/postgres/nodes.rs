//! Idempotency keys among the nodes of one database: what one node did under a key, every node answers, and none does again.

use std::sync::Arc;
use std::time::Duration;

use fourfold_model::{Lock, SharedModel};
use fourfold_testkit::client::Ask;
use fourfold_testkit::random::{self, Random};
use fourfold_testkit::{Answer, NO_ANSWER, ledger};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Place;
use crate::api::{APIS, client};
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
/// How often a node is killed, and how many ask it then.
const KILLS: usize = 6;
const ASKERS: usize = 10;

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
        let folder = Folder::with(&[("nodes.fourfold", MODEL), ("fourfold.toml", CONFIG), ("secret", SECRET)]);
        let place = Place { folder, url, direct_url: None };
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
        let (mut texts, mut token) = (Vec::new(), String::new());
        loop {
            let answer = self.servers[0].get(&format!("/v1/items?page_size=500{token}")).json();
            let rows = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
            texts.extend(rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()));
            let Some(next) = answer["next_page_token"].as_str() else { break };
            token = format!("&page_token={next}");
        }
        texts.sort();
        texts
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
        let rows = join_all(asks).await;
        assert!(rows.iter().all(|row| *row == rows[0]), "{api}: {rows:?}");
        made.push(text);
    }
    assert_eq!(nodes.texts(), made);
}

/// One who asks a node to make rows, one after the other, until it is killed: what was answered, and what was not.
struct Asker {
    api: &'static str,
    answered: Vec<(String, Value)>,
    unanswered: String,
}

impl Nodes {
    async fn ask_on(&self, node: usize, api: &'static str, name: String, tell: mpsc::UnboundedSender<()>) -> Asker {
        let mut answered = Vec::new();
        loop {
            let text = format!("{name}-{}", answered.len());
            match self.create(node, api, &text, &text).await {
                Ok(row) => answered.push((text, row)),
                Err(refusal) if refusal.code == NO_ANSWER => return Asker { api, answered, unanswered: text },
                Err(refusal) => panic!("{api}: {refusal:?}"),
            }
            // Nobody listens once there are enough.
            let _ = tell.send(());
        }
    }
}

/// A node is killed while it works for many; each asks another again under its last keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_may_have_done_is_there_once_when_another_is_asked() {
    let Some(mut nodes) = Nodes::new() else { return };
    let seed = random::seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let (mut made, mut unanswered, mut done) = (Vec::new(), 0, 0);
    for round in 0..KILLS {
        let (tell, mut told) = mpsc::unbounded_channel();
        let ask = |(number, api)| nodes.ask_on(1, api, format!("{round}-{number}"), tell.clone());
        let asking = join_all(APIS.into_iter().cycle().take(ASKERS).enumerate().map(ask));
        let kill = async {
            for _ in 0..20 + random.below(40) {
                told.recv().await.unwrap();
            }
            // Not in step with an answer: the moment is anywhere in a commit.
            tokio::time::sleep(Duration::from_micros(random.below(10_000))).await;
            nodes.servers[1].signal("KILL");
        };
        let (askers, ()) = tokio::join!(asking, kill);
        let there = nodes.texts();
        for Asker { api, answered, unanswered: text } in askers {
            unanswered += 1;
            done += usize::from(there.contains(&text));
            nodes.created(2, api, &text, &text).await;
            if let Some((last, row)) = answered.last() {
                assert_eq!(nodes.created(2, api, last, last).await, *row, "{api}: another answer under one key");
            }
            made.extend(answered.into_iter().map(|(text, _)| text).chain([text]));
        }
        nodes.servers[1] = nodes.place.start(&["serve"]);
    }
    made.sort();
    assert_eq!(nodes.texts(), made);
    println!("{KILLS} kills: {} rows, each once; {unanswered} asks were not answered, {done} of them were done", made.len());
}
