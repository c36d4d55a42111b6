//! The contract of the fixture's model. `CONTRACT_OUT=FILE` writes it there, for linters of others.

#![allow(clippy::unwrap_used)]

use fourfold_rest::openapi;
use serde_json::Value;

fn document() -> Value {
    let text = openapi(&fourfold_store::conformance::fixture::model());
    if let Ok(path) = std::env::var("CONTRACT_OUT") {
        std::fs::write(path, &text).unwrap();
    }
    serde_json::from_str(&text).unwrap()
}

#[test]
fn contract_names_every_path_of_every_entity() {
    let document = document();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for plural in ["people", "items", "entries"] {
        for path in [format!("/v1/{plural}"), format!("/v1/{plural}/{{key}}"), format!("/v1/{plural}:aggregate")] {
            assert!(paths.contains(&&path), "{path}");
        }
    }
    assert!(paths.iter().any(|path| *path == "/v1/batch"));
}

#[test]
fn every_reference_of_the_contract_leads_somewhere() {
    let document = document();
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                }
                waiting.extend(members.values());
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
}

#[test]
fn contract_is_the_same_each_time() {
    let model = fourfold_store::conformance::fixture::model();
    assert_eq!(openapi(&model), openapi(&model));
}
