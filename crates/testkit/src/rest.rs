//! A client of REST.

use std::net::SocketAddr;

use fourfold_store::Later;
use serde_json::{Value, json as object};

use crate::client::{Answer, Ask, Client, HttpAnswer, Refusal, Wire, json, percent, request};

/// A client of REST.
pub struct Rest {
    address: SocketAddr,
    wire: Wire,
}

impl Rest {
    /// For a server.
    pub fn new(address: SocketAddr) -> Rest {
        Rest { address, wire: Wire::default() }
    }

    async fn call(&self, ask: &Ask<'_>) -> Answer {
        let version = &ask.model.package.version;
        let base = format!("http://{}/{version}", self.address);
        if ask.verb == "batch" {
            let body = object!({ "operations": ask.body.get("batch") }).to_string();
            let request = request(ask, "POST", format!("{base}/batch")).header("content-type", "application/json");
            return answer(self.wire.send(request, body.into()).await);
        }
        let all = format!("{base}/{}", ask.of().plural);
        let row = format!("{all}/{}", percent(&ask.row_key()));
        let (method, uri) = match ask.verb.as_str() {
            "get" => ("GET", row),
            "list" => ("GET", format!("{all}?{}", query(ask))),
            "aggregate" => ("GET", format!("{all}:aggregate?{}", query(ask))),
            "create" => ("POST", all),
            "update" => ("PATCH", row),
            "upsert" => ("PUT", row),
            "delete" => ("DELETE", row),
            other => panic!("unknown verb `{other}`"),
        };
        let mut request = request(ask, method, uri);
        if let Some(revision) = ask.text("if_revision") {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        let body = match method {
            "POST" | "PATCH" | "PUT" => {
                request = request.header("content-type", "application/json");
                body(ask)
            }
            _ => Vec::new(),
        };
        answer(self.wire.send(request, body).await)
    }
}

/// What is written; at create with the key where one is given.
fn body(ask: &Ask<'_>) -> Vec<u8> {
    if let Some(raw) = ask.body.get("raw") {
        // A file need not hold a megabyte to ask for one.
        return crate::client::plain(raw).replace("@BIG@", &"x".repeat(1 << 20)).into_bytes();
    }
    let mut data = ask.data();
    if let ("create", Some(key)) = (ask.verb.as_str(), ask.body.get("key")) {
        data.insert("id".into(), key.clone());
    }
    Value::Object(data).to_string().into_bytes()
}

fn query(ask: &Ask<'_>) -> String {
    let pairs = ask.parameters().into_iter().map(|(name, value)| format!("{}={}", percent(&name), percent(&value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn answer(answer: HttpAnswer) -> Answer {
    let body = json(&answer.body);
    if answer.status < 400 {
        return Ok(body);
    }
    let pointers = body["errors"].as_array().into_iter().flatten().filter_map(|one| one["pointer"].as_str());
    Err(Refusal {
        code: body["code"].as_str().unwrap_or_default().to_owned(),
        pointers: pointers.map(str::to_owned).collect(),
        text: format!("{} {body}", answer.status),
    })
}

impl Client for Rest {
    fn name(&self) -> &'static str {
        "rest"
    }
    fn ask<'a>(&'a self, ask: &'a Ask<'a>) -> Later<'a, Answer> {
        Box::pin(self.call(ask))
    }
}
