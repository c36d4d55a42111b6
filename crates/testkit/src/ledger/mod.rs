//! The ledger: what each of many watchers was told, over every API and across cut connections, against the log of the store.
//!
//! A [`Subscriber`] watches over one API until it was told of the marker, the last write of a run, and keeps a [`Diary`]. Its lines
//! are [cut](line) on the way: reset, left half open, or not read for a while; the server is killed under them. Afterwards [`Log`],
//! read from the data file, says what each diary must hold: every change under its filter and its rules, once and in order.

mod asked;
mod centrifugo;
mod diary;
mod graphql;
mod grpc;
mod http;
mod judge;
mod line;
mod log;
mod place;
mod protobuf;
mod sse;
mod subscriber;
mod writer;

pub use asked::{Asked, Caller, Filter};
pub use diary::{Diary, TAMPERINGS};
pub use judge::{judge, overtaken};
pub use line::World;
pub use log::{Commit, Log};
pub use subscriber::Subscriber;
pub use writer::Writer;

use fourfold_store::Later;
use place::Place;
pub use prost_reflect::DescriptorPool;
use serde_json::Value;
use tokio::io::DuplexStream;

/// The model that is written and watched.
pub const MODEL: &str = include_str!("ledger.fourfold");
/// The key of the rows with which a run ends, and their state: every filter and every rule lets them through.
pub const MARKER: &str = "marker";
/// The room of which everyone is always a member.
pub const EVERYONE: &str = "everyone";

/// By which API a watch is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Server-sent events of REST.
    Sse,
    /// `graphql-transport-ws`.
    GraphqlSocket,
    /// graphql-sse, distinct connections.
    GraphqlSse,
    /// gRPC over HTTP/2.
    Grpc,
    /// The Centrifugo protocol in JSON.
    SocketJson,
    /// The Centrifugo protocol in Protobuf.
    SocketProtobuf,
}

/// All of them.
pub const TRANSPORTS: [Transport; 6] =
    [Transport::Sse, Transport::GraphqlSocket, Transport::GraphqlSse, Transport::Grpc, Transport::SocketJson, Transport::SocketProtobuf];

/// From where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// With the rows as they are.
    Rows,
    /// Behind a cursor.
    After(String),
}

/// How a row came to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Entered,
    Changed,
    Left,
}

/// A row of those to begin with, or a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub(crate) position: u64,
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) revision: Option<u64>,
    /// The members that are shown and not null, without key and revision.
    pub(crate) item: Option<Value>,
}

/// One thing that a watch says, in no API's terms.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// One of the rows to begin with; it has no position.
    Row(Change),
    /// Everything up to this cursor was told.
    At(String),
    /// A change, and its cursor.
    Change(Change, String),
    /// What was told no longer holds.
    Reset,
}

/// Why a watch does not begin, or does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The same watch can go on: the line broke, or the server said so, with this word.
    Again(String),
    /// List again.
    Reset,
    /// What no server may say here.
    Fault(String),
}

/// A watch under way.
pub(crate) trait Reader: Send {
    /// The next thing that it says.
    fn next(&mut self) -> Later<'_, Result<Told, Stop>>;
}

type Opened = Result<Box<dyn Reader>, Stop>;

impl Transport {
    /// Begins a watch over a line.
    async fn open(self, io: DuplexStream, asked: &Asked, from: &From, pool: &DescriptorPool) -> Opened {
        match self {
            Transport::Sse => sse::open(io, asked, from).await,
            Transport::GraphqlSse => graphql::open_sse(io, asked, from).await,
            Transport::GraphqlSocket => graphql::open_socket(io, asked, from).await,
            Transport::Grpc => grpc::open(io, asked, from, pool).await,
            Transport::SocketJson => centrifugo::open(io, asked, from, centrifugo::Form::Json).await,
            Transport::SocketProtobuf => centrifugo::open(io, asked, from, centrifugo::Form::Protobuf).await,
        }
    }
}

impl Kind {
    /// `entered`, `ENTERED`, `CHANGE_ENTERED`.
    fn parse(name: &str) -> Option<Kind> {
        Some(match name.trim_start_matches("CHANGE_").to_lowercase().as_str() {
            "entered" => Kind::Entered,
            "changed" => Kind::Changed,
            "left" => Kind::Left,
            _ => return None,
        })
    }
}

impl Stop {
    /// A line that broke.
    fn broken(error: impl std::fmt::Display) -> Stop {
        Stop::Again(format!("broken: {error}"))
    }

    /// What a server says by a code.
    fn coded(code: &str, text: impl std::fmt::Display) -> Stop {
        match code.to_lowercase().as_str() {
            "cursor_expired" => Stop::Reset,
            // A server that was stopped lets a deadline pass.
            "unavailable" | "overloaded" | "deadline_exceeded" => Stop::Again(code.to_lowercase()),
            _ => Stop::Fault(text.to_string()),
        }
    }
}

/// A token of HS256 with these claims.
pub fn token(secret: &str, claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).expect("a token")
}

/// What a change says in the form of REST: `key`, `revision`, `item`.
fn told(kind: Kind, body: &Value, cursor: Option<&str>) -> Result<Told, Stop> {
    let revision = match &body["revision"] {
        Value::Null => None,
        Value::Number(number) => number.as_u64(),
        other => other.as_str().and_then(|text| text.parse().ok()),
    };
    let key = body["key"].as_str().unwrap_or_default().to_owned();
    let position = cursor.map_or(Ok(0), |cursor| Place::parse(cursor).map(|place| place.position))?;
    let item = (!body["item"].is_null()).then(|| shown(&body["item"]));
    let change = Change { position, kind, key, revision, item };
    Ok(match cursor {
        Some(cursor) => Told::Change(change, cursor.to_owned()),
        None => Told::Row(change),
    })
}

/// What an API shows of a row, so that all show it alike: without null members, key and revision.
fn shown(item: &Value) -> Value {
    let members = item.as_object().into_iter().flatten();
    let members = members.filter(|(name, value)| !value.is_null() && !matches!(name.as_str(), "id" | "revision"));
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}
