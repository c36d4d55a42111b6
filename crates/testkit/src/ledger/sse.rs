//! Watches over server-sent events of REST.

use fourfold_store::Later;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use tokio::io::DuplexStream;

use super::http::{Event, Events, http1};
use super::{Asked, From, Kind, Opened, Reader, Stop, Told, told};
use crate::client::percent;

struct Sse(Events);

pub(crate) async fn open(io: DuplexStream, asked: &Asked, from: &From) -> Opened {
    let mut query = vec![format!("fields={}", asked.fields().join(","))];
    query.extend(asked.text().map(|text| format!("filter={}", percent(&text))));
    let mut request = Request::get("/").header("host", "localhost").header("accept", "text/event-stream");
    request = request.header("authorization", format!("Bearer {}", asked.caller.token));
    match from {
        From::Rows => query.push("initial=true".to_owned()),
        From::After(cursor) => request = request.header("last-event-id", cursor),
    }
    let request = request.uri(format!("/v1/{}?{}", asked.plural(), query.join("&")));
    let response = http1(io, request.body(Full::default()).expect("a request")).await?;
    Ok(Box::new(Sse(Events::of(response).await?)))
}

impl Reader for Sse {
    fn next(&mut self) -> Later<'_, Result<Told, Stop>> {
        Box::pin(async { read(self.0.next().await?) })
    }
}

fn read(event: Event) -> Result<Told, Stop> {
    let body: Value = serde_json::from_str(&event.data).unwrap_or_default();
    match (event.name.as_str(), event.id) {
        ("" | "bookmark", Some(cursor)) => Ok(Told::At(cursor)),
        ("bye", None) => Err(Stop::Again("bye".to_owned())),
        ("error", None) if body["code"] == "cursor_expired" => Ok(Told::Reset),
        ("error", None) => Err(Stop::coded(body["code"].as_str().unwrap_or_default(), &body)),
        (name, id) => match Kind::parse(name) {
            Some(kind) => told(kind, &body, id.as_deref()),
            None => Err(Stop::Fault(format!("{name} {id:?} {body}"))),
        },
    }
}
