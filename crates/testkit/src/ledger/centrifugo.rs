//! Watches over the Centrifugo protocol, in JSON and in Protobuf.

use std::collections::VecDeque;

use fourfold_store::Later;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Asked, From, Kind, Opened, Reader, Stop, Told, protobuf, told};

/// In which form is spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Protobuf,
}

struct Centrifugo {
    socket: WebSocketStream<DuplexStream>,
    form: Form,
    epoch: String,
    heard: VecDeque<Value>,
    ready: VecDeque<Told>,
}

pub(crate) async fn open(io: DuplexStream, asked: &Asked, from: &From, form: Form) -> Opened {
    let query = if form == Form::Protobuf { "?cf_protocol=protobuf" } else { "" };
    let uri = format!("ws://localhost/connection/websocket{query}");
    let (socket, _) = tokio_tungstenite::client_async(uri, io).await.map_err(Stop::broken)?;
    let mut open = Centrifugo { socket, form, epoch: String::new(), heard: VecDeque::new(), ready: VecDeque::new() };
    open.ask(&json!({ "id": 1, "connect": { "token": asked.caller.token } })).await?;
    let mut subscribe = json!({ "channel": format!("{}?fields={}", asked.plural(), asked.fields().join(",")), "data": {} });
    if let Some(text) = asked.text() {
        subscribe["data"]["filter"] = text.into();
    }
    match from {
        From::Rows => subscribe["data"]["initial"] = true.into(),
        From::After(cursor) => {
            let (epoch, offset) = place(cursor);
            subscribe["recover"] = true.into();
            subscribe["epoch"] = epoch.into();
            subscribe["offset"] = offset.into();
        }
    }
    let reply = open.ask(&json!({ "id": 2, "subscribe": subscribe })).await?;
    open.begun(&reply["subscribe"], from)?;
    Ok(Box::new(open))
}

/// The parts of a cursor as this protocol has them: what a list has shown stands behind the epoch.
fn place(cursor: &str) -> (String, u64) {
    let (epoch, place) = cursor.split_once('.').expect("a cursor");
    let (offset, shown) = place.split_at(place.find('~').unwrap_or(place.len()));
    (format!("{epoch}{shown}"), offset.parse().expect("an offset"))
}

impl Centrifugo {
    /// Sends a command; its reply. What is pushed before comes later.
    async fn ask(&mut self, command: &Value) -> Result<Value, Stop> {
        let message = match self.form {
            Form::Json => Message::text(command.to_string()),
            Form::Protobuf => Message::binary(protobuf::command(command)),
        };
        self.socket.send(message).await.map_err(Stop::broken)?;
        let mut before = VecDeque::new();
        let reply = loop {
            let reply = self.hear().await?;
            if reply["id"] == command["id"] {
                break reply;
            }
            before.push_back(reply);
        };
        before.append(&mut self.heard);
        self.heard = before;
        match reply["error"]["code"].as_u64() {
            None => Ok(reply),
            Some(112) => Err(Stop::Reset),
            Some(108) => Err(Stop::Again("unavailable".to_owned())),
            Some(code) if reply["error"]["temporary"] == true => Err(Stop::Again(format!("temporary {code}"))),
            Some(_) => Err(Stop::Fault(reply.to_string())),
        }
    }

    /// The next reply or push; pings are answered.
    async fn hear(&mut self) -> Result<Value, Stop> {
        loop {
            if let Some(reply) = self.heard.pop_front() {
                if reply.as_object().is_some_and(|members| !members.is_empty()) {
                    return Ok(reply);
                }
                let pong = if self.form == Form::Json { Message::text("{}") } else { Message::binary(vec![0]) };
                self.socket.send(pong).await.map_err(Stop::broken)?;
                continue;
            }
            let fault = |what: &str| Stop::Fault(format!("no replies in a message: {what}"));
            match self.socket.next().await.ok_or_else(|| Stop::broken("the end"))?.map_err(Stop::broken)? {
                Message::Text(text) if self.form == Form::Json => {
                    let replies = text.lines().map(|line| serde_json::from_str(line).map_err(|_| fault(line)));
                    self.heard = replies.collect::<Result<_, _>>()?;
                }
                Message::Binary(bytes) if self.form == Form::Protobuf => {
                    self.heard = protobuf::replies(&bytes).ok_or_else(|| fault(&String::from_utf8_lossy(&bytes)))?.into();
                }
                // The last where a line was not read for a while before `connect`.
                Message::Close(Some(frame)) if [3001, 3008, 3012, 3502].contains(&u16::from(frame.code)) => {
                    return Err(Stop::Again(format!("closed {}", frame.code)));
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => return Err(Stop::Fault(format!("{other:?}"))),
            }
        }
    }

    /// Takes the rows and the replay of a subscription's reply.
    fn begun(&mut self, result: &Value, from: &From) -> Result<(), Stop> {
        if *from != From::Rows && result["recovered"] != true {
            return Err(Stop::Reset);
        }
        self.epoch = result["epoch"].as_str().unwrap_or_default().to_owned();
        for row in result["data"]["items"].as_array().into_iter().flatten() {
            let body = json!({ "key": row["id"], "revision": row["revision"], "item": row });
            self.ready.push_back(told(Kind::Entered, &body, None)?);
        }
        let publications = result["publications"].as_array().map(Vec::as_slice).unwrap_or_default();
        if *from == From::Rows {
            self.ready.push_back(Told::At(self.cursor(&result["offset"])));
        }
        for publication in publications {
            let told = self.publication(publication)?;
            self.ready.push_back(told);
        }
        Ok(())
    }

    fn cursor(&self, offset: &Value) -> String {
        let (epoch, shown) = self.epoch.split_at(self.epoch.find('~').unwrap_or(self.epoch.len()));
        format!("{epoch}.{}{shown}", offset.as_u64().unwrap_or_default())
    }

    fn publication(&self, publication: &Value) -> Result<Told, Stop> {
        let cursor = self.cursor(&publication["offset"]);
        let body = &publication["data"];
        match body["change"].as_str().and_then(Kind::parse) {
            Some(kind) => told(kind, body, Some(&cursor)),
            None => Err(Stop::Fault(publication.to_string())),
        }
    }
}

impl Reader for Centrifugo {
    fn next(&mut self) -> Later<'_, Result<Told, Stop>> {
        Box::pin(async {
            if let Some(told) = self.ready.pop_front() {
                return Ok(told);
            }
            let reply = self.hear().await?;
            match reply["push"]["unsubscribe"]["code"].as_u64() {
                Some(2600) => return Ok(Told::Reset),
                Some(2500) => return Err(Stop::Again("unsubscribed 2500".to_owned())),
                Some(_) => return Err(Stop::Fault(reply.to_string())),
                None => {}
            }
            match &reply["push"]["pub"] {
                Value::Null => Err(Stop::Fault(reply.to_string())),
                publication => self.publication(publication),
            }
        })
    }
}
