//! The contracts of what is told of changes: AsyncAPI in two views, and the JSON Schema of events.

#![allow(clippy::unwrap_used)]

use fourfold_model::{Lock, Model};
use fourfold_rest::{View, asyncapi, events};
use serde_json::{Value, json};

/// What is told, what is not, and each kind of channel.
const TALK: &str = r#"
package talk.v1

caller { id Uuid? @claim("sub") }

/// A room.
entity Room {
  id      Uuid @key
  title   String
  secret  String @secret
  members Member[]
  @@allow(read, create, update, true)
}

entity Member {
  id   Uuid @key
  room Room
  user Uuid
  @@allow(read, user == caller.id)
}

entity Message {
  id   BigInt @key
  room Room
  text String?
  @@allow(read, create, room.members.exists(m, m.user == caller.id))
}

entity Hidden { id Int @key @@internal @@allow(read, true) }
entity Quiet { id Int @key @@watch(false) @@allow(read, true) }
entity Far { id Int @key room Room @@allow(read, room.title == "far") }
entity Graph { id Int @key @@expose(graphql) @@allow(read, true) }
entity Wire { id Int @key @@expose(websocket) @@allow(read, true) }

channel chat(room: Room) {
  @join(room.members.exists(m, m.user == caller.id))
  stream Message where room.id == channel.room.id
  presence { device String }
  signal typing
}

channel board(name: String) {
  @join(name == "public")
  @publish(caller.id != null)
}
"#;

fn model() -> Model {
    fourfold_model::load(TALK, &Lock::default()).unwrap().model
}

fn document(view: View) -> Value {
    serde_json::from_str(&asyncapi(&model(), view)).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn channels_are_those_that_a_watch_accepts() {
    let document = document(View::Server);
    let expected = [
        "channel.board",
        "channel.chat",
        "graphs.sink",
        "members",
        "members.events",
        "members.row",
        "members.sink",
        "messages",
        "messages.events",
        "messages.row",
        "messages.sink",
        "rooms",
        "rooms.events",
        "rooms.row",
        "rooms.sink",
        "wires",
        "wires.row",
        "wires.sink",
    ];
    assert_eq!(names(&document["channels"]), expected);
    let addresses = ["rooms", "rooms.row", "rooms.events", "rooms.sink", "channel.chat"].map(|name| &document["channels"][name]["address"]);
    assert_eq!(addresses, ["rooms", "rooms/{id}", "/v1/rooms", "talk.room", "chat:{room}"]);
    let text = document.to_string();
    for hidden in ["Hidden", "Quiet", "Far", "secret"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_client_receives_what_the_server_sends() {
    let [mut server, client] = [View::Server, View::Client].map(document);
    for (name, action) in [("rooms", "send"), ("rooms.events", "send"), ("channel.chat", "send"), ("channel.chat.publish", "receive")] {
        assert_eq!(server["operations"][name]["action"], action, "{name}");
    }
    for operation in server["operations"].as_object_mut().unwrap().values_mut() {
        operation["action"] = if operation["action"] == "send" { json!("receive") } else { json!("send") };
    }
    assert_eq!(server["operations"], client["operations"]);
    assert_eq!((&server["channels"], &server["components"]), (&client["channels"], &client["components"]));
}

#[test]
fn rows_of_events_are_the_rows_of_openapi() {
    let openapi: Value = serde_json::from_str(&fourfold_rest::openapi(&model())).unwrap();
    let events: Value = serde_json::from_str(&events(&model())).unwrap();
    for entity in ["Room", "Member", "Message"] {
        let (row, told) = (&openapi["components"]["schemas"][entity]["properties"], &events["$defs"][entity]["properties"]);
        for (name, schema) in told.as_object().unwrap() {
            assert_eq!(&row[name], schema, "{entity}.{name}");
        }
    }
    assert_eq!(names(&events["$defs"]["Room"]["properties"]), ["id", "revision", "title"]);
    assert_eq!(events["$defs"]["Message.changed"]["properties"]["key"]["type"], "string");
}

#[test]
fn asyncapi_has_the_definitions_of_the_schema_of_events() {
    let events = events(&model()).replace("#/$defs/", "#/components/schemas/");
    let events: Value = serde_json::from_str(&events).unwrap();
    let document = document(View::Server);
    for (name, schema) in events["$defs"].as_object().unwrap() {
        assert_eq!(&document["components"]["schemas"][name], schema, "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let fixture = fourfold_store::conformance::fixture::model();
    for text in [
        asyncapi(&model(), View::Server),
        asyncapi(&model(), View::Client),
        events(&model()),
        asyncapi(&fixture, View::Client),
        events(&fixture),
        events(&Model::default()),
    ] {
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut waiting = vec![&document];
        while let Some(value) = waiting.pop() {
            if let Some(Value::String(reference)) = value.get("$ref") {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            match value {
                Value::Object(members) => waiting.extend(members.values()),
                Value::Array(items) => waiting.extend(items),
                _ => {}
            }
        }
    }
}
