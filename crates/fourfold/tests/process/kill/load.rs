//! One writer: creates, updates, replaces and deletes rows of its own, one after the other, and notes each before and after.

use std::sync::{Arc, Mutex};

use fourfold_model::{Lock, SharedModel};
use fourfold_testkit::client::{Ask, Client};
use fourfold_testkit::{NO_ANSWER, Refusal};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::ledger::{Ledger, Write};
use fourfold_testkit::random::Random;

/// What a writer needs to know.
#[derive(Clone)]
pub struct Load {
    model: SharedModel,
}

impl Load {
    pub fn new(model: &str, lock: &str) -> Load {
        let loaded = fourfold_model::load(model, &Lock::parse(lock).unwrap()).unwrap();
        Load { model: Arc::new(loaded.model) }
    }

    /// Writes until nobody answers; each acknowledged write is told.
    pub async fn write(self, client: Box<dyn Client>, ledger: Arc<Mutex<Ledger>>, mut random: Random, tell: UnboundedSender<()>) {
        let may_batch = matches!(client.name(), "rest" | "websocket");
        loop {
            let (verb, writes) = ledger.lock().unwrap().next(&mut random, may_batch);
            let entity = self.model.entity_by_plural("items").unwrap();
            let ask = Ask { model: &self.model, token: None, key: None, verb: verb.to_owned(), entity, body: body(verb, &writes) };
            match client.ask(&ask).await {
                Ok(answer) => {
                    ledger.lock().unwrap().acknowledge(revisions(verb, &answer));
                    // Nobody listens once there are enough.
                    let _ = tell.send(());
                }
                Err(refusal) if is_the_end(&refusal) => return,
                Err(refusal) => panic!("{} refuses to {verb} {writes:?}: {refusal:?}", client.name()),
            }
        }
    }
}

/// A killed server says nothing; it may also have been heard to say that it does not know.
fn is_the_end(refusal: &Refusal) -> bool {
    refusal.code == NO_ANSWER
}

fn body(verb: &str, writes: &[Write]) -> Map<String, Value> {
    let members = match (verb, writes) {
        ("batch", writes) => {
            let create = |write: &Write| json!({ "create": "items", "data": { "id": write.key, "text": write.text } });
            json!({ "batch": writes.iter().map(create).collect::<Vec<_>>() })
        }
        ("delete", [write]) => json!({ "key": write.key }),
        (_, [write]) => json!({ "key": write.key, "data": { "text": write.text } }),
        _ => panic!("one row at a time"),
    };
    members.as_object().unwrap().clone()
}

/// The revisions that an answer tells; a delete tells none.
fn revisions(verb: &str, answer: &Value) -> Vec<Option<u64>> {
    let revision = |row: &Value| Some(row["revision"].as_u64().unwrap_or_else(|| panic!("no revision after {verb}: {answer}")));
    match verb {
        "delete" => vec![None],
        "batch" => answer["results"].as_array().unwrap_or_else(|| panic!("no results: {answer}")).iter().map(revision).collect(),
        _ => vec![revision(answer)],
    }
}
