//! The jobs: what is asked of Fourfold by each API, and of the bare server that does the same.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::json;

use super::messages::Messages;
use crate::Failure;
use crate::load::{Shared, grpc, http1, ws};
use crate::server::Server;

type Make = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;
type Task = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// How a caller asks.
#[derive(Clone)]
pub enum Call {
    /// A whole request each.
    Http(Make),
    /// A message each.
    Grpc { url: Arc<dyn Fn(&str) -> String + Send + Sync>, token: Option<String>, make: Make },
    /// An `rpc` object each.
    Ws { token: Option<String>, make: Make },
}

impl Call {
    /// One caller.
    pub fn start(&self, authority: String, shared: Arc<Shared>) -> Task {
        match self.clone() {
            Call::Http(make) => Box::pin(http1::call(authority, make, shared)),
            Call::Grpc { url, token, make } => {
                let url = url(&authority);
                Box::pin(grpc::call(authority, url, token, make, shared))
            }
            Call::Ws { token, make } => Box::pin(ws::call(authority, token, make, shared)),
        }
    }
}

/// What ours is compared with.
pub enum Target {
    Sql(Call),
    Tonic(Call),
}

impl Target {
    /// How it is asked.
    pub fn call(&self) -> &Call {
        match self {
            Target::Sql(call) | Target::Tonic(call) => call,
        }
    }
}

/// One line of the comparison.
pub struct Job {
    pub name: &'static str,
    pub callers: usize,
    pub ours: Call,
    pub baseline: Option<Target>,
    /// Whether bare hyper shall answer the same bytes: the request that gets them.
    bare: Option<Vec<u8>>,
}

impl Job {
    /// Gives our own answer to the bare server; how it is then asked.
    pub async fn give(&self, ours: &Server, bytes: &Server) -> Result<Option<Call>, Failure> {
        let Some(request) = &self.bare else { return Ok(None) };
        let body = http1::once(&ours.authority, request).await?;
        let body = String::from_utf8(body)?;
        let head = format!(
            "PUT /given HTTP/1.1\r\nhost: x\r\nx-give-content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        http1::once(&bytes.authority, head.as_bytes()).await?;
        let get = http1::request("GET", "/given", "", "", None);
        Ok(Some(Call::Http(Arc::new(move |_| get.clone()))))
    }
}

/// Callers at once where nothing else is said.
const CALLERS: usize = 32;
/// Callers of the jobs that write.
const WRITERS: usize = 64;
const TRACKS: u64 = 3503;
const NESTED: &str = "{ invoices(first: 20) { nodes { id invoiceDate total customer { firstName lastName } \
    invoiceLines { nodes { quantity unitPrice track { name album { title } } } } } } }";
const EXPAND: &str = "customer,invoice_lines.track.album";
/// Keys of rows that the jobs write begin here; each job has a range of its own.
const FIRST_KEY: u64 = 1_000_000;
const KEYS_EACH: u64 = 20_000_000;

fn track(number: u64) -> u64 {
    number.wrapping_mul(7919) % TRACKS + 1
}

fn make(make: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> Make {
    Arc::new(make)
}

fn get(path: impl Fn(u64) -> String + Send + Sync + 'static, token: Option<String>) -> Call {
    Call::Http(make(move |number| http1::request("GET", &path(number), "", "", token.as_deref())))
}

fn post(path: &'static str, body: impl Fn(u64) -> String + Send + Sync + 'static, token: Option<String>) -> Call {
    Call::Http(make(move |number| http1::request("POST", path, "application/json", &body(number), token.as_deref())))
}

fn graphql(document: impl Fn(u64) -> serde_json::Value + Send + Sync + 'static, token: Option<String>) -> Call {
    post("/graphql", move |number| document(number).to_string(), token)
}

fn ws(method: &'static str, data: impl Fn(u64) -> serde_json::Value + Send + Sync + 'static, token: Option<String>) -> Call {
    Call::Ws { token, make: make(move |number| json!({"method": method, "data": data(number)}).to_string().into_bytes()) }
}

/// All jobs over every face that has them.
pub fn all(server: &Server, messages: &Messages) -> Vec<Job> {
    let mut jobs = reads(server, messages);
    jobs.extend(nested(server, messages));
    jobs.extend(creates(server, messages));
    jobs
}

fn job(name: &'static str, ours: Call, baseline: Option<Target>) -> Job {
    Job { name, callers: CALLERS, ours, baseline, bare: None }
}

fn ours_grpc(
    server: &Server,
    messages: &Messages,
    (service, method): (&'static str, &'static str),
    token: Option<String>,
    request: impl Fn(u64) -> serde_json::Value + Send + Sync + 'static,
) -> Call {
    let url = messages.url(server, service, method);
    let messages = messages.clone();
    let encode = move |number| messages.encode(&format!("{method}Request"), request(number)).unwrap_or_default();
    Call::Grpc { url: Arc::new(move |_| url.clone()), token, make: make(encode) }
}

fn tonic(method: &'static str, request: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> Option<Target> {
    let url = move |authority: &str| format!("http://{authority}/baseline.v1.MusicService/{method}");
    Some(Target::Tonic(Call::Grpc { url: Arc::new(url), token: None, make: make(request) }))
}

/// Field 1 as a varint.
fn field_one(mut value: u64) -> Vec<u8> {
    let mut out = vec![8];
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn reads(server: &Server, messages: &Messages) -> Vec<Job> {
    // Anyone may read tracks, so nobody shows a token, as at the bare server.
    let token: Option<String> = None;
    let one = |number| format!("/v1/tracks/{}", track(number));
    let hand_one = || Some(Target::Sql(get(|number| format!("/tracks/{}", track(number)), None)));
    let hand_list = || Some(Target::Sql(get(|_| "/tracks".to_owned(), None)));
    let bare = |path: &str| Some(http1::request("GET", path, "", "", token.as_deref()));
    let fields = "id revision name albumId mediaTypeId genreId composer milliseconds bytes unitPrice";
    let document = json!({"query": format!("query ($id: Int!) {{ track(id: $id) {{ {fields} }} }}")});
    let list = json!({"query": format!("{{ tracks(first: 20) {{ nodes {{ {fields} }} }} }}")});
    let by_id = move |number| {
        let mut document = document.clone();
        document["variables"] = json!({"id": track(number)});
        document
    };
    vec![
        Job { bare: bare("/v1/tracks/1"), ..job("get, REST", get(one, token.clone()), hand_one()) },
        job("get, GraphQL", graphql(by_id, token.clone()), hand_one()),
        job(
            "get, gRPC",
            ours_grpc(server, messages, ("TrackService", "GetTrack"), None, |n| json!({"id": track(n)})),
            tonic("GetTrack", |n| field_one(track(n))),
        ),
        job("get, WebSocket", ws("tracks.get", |n| json!({"id": track(n)}), token.clone()), hand_one()),
        Job {
            bare: bare("/v1/tracks?page_size=20"),
            ..job("list of 20, REST", get(|_| "/v1/tracks?page_size=20".to_owned(), token.clone()), hand_list())
        },
        job("list of 20, GraphQL", graphql(move |_| list.clone(), token.clone()), hand_list()),
        job(
            "list of 20, gRPC",
            ours_grpc(server, messages, ("TrackService", "ListTracks"), None, |_| json!({"page_size": 20})),
            tonic("ListTracks", |_| field_one(20)),
        ),
        job("list of 20, WebSocket", ws("tracks.list", |_| json!({"page_size": 20}), token.clone()), hand_list()),
    ]
}

fn nested(server: &Server, messages: &Messages) -> Vec<Job> {
    let token = Some(server.token.clone());
    let hand = || Some(Target::Sql(post("/nested", |_| "{}".to_owned(), None)));
    let document = json!({"query": NESTED});
    let bare = http1::request("POST", "/graphql", "application/json", &document.to_string(), token.as_deref());
    let rest = format!("/v1/invoices?page_size=20&expand={EXPAND}");
    let mask = "id,invoice_date,total,customer,invoice_lines.track.album";
    vec![
        Job { bare: Some(bare), ..job("nested read, GraphQL", graphql(move |_| document.clone(), token.clone()), hand()) },
        job("nested read, REST", get(move |_| rest.clone(), token.clone()), hand()),
        job(
            "nested read, gRPC",
            ours_grpc(
                server,
                messages,
                ("InvoiceService", "ListInvoices"),
                token.clone(),
                move |_| json!({"page_size": 20, "read_mask": mask}),
            ),
            hand(),
        ),
        job("nested read, WebSocket", ws("invoices.list", |_| json!({"page_size": 20, "expand": EXPAND}), token), hand()),
    ]
}

fn creates(server: &Server, messages: &Messages) -> Vec<Job> {
    let token = Some(server.token.clone());
    // A caller's numbers begin anew in each round, so keys come from a counter that goes on.
    let row = |range: u64| {
        let next = std::sync::atomic::AtomicU64::new(FIRST_KEY + range * KEYS_EACH);
        move || json!({"id": next.fetch_add(1, std::sync::atomic::Ordering::Relaxed), "name": "A new artist"})
    };
    let hand = |range: u64| {
        let row = row(range);
        Some(Target::Sql(post("/artists", move |_| row().to_string(), None)))
    };
    let (rest, graph, rpc, socket) = (row(1), row(2), row(3), row(4));
    let create = |range: u64| {
        let (row, messages) = (row(range), messages.clone());
        move |_| messages.encode("CreateArtistRequest", json!({"artist": row()})).unwrap_or_default()
    };
    let mutation = "mutation ($input: ArtistCreateInput!) { createArtist(input: $input) { artist { id revision name } } }";
    let jobs = vec![
        job("create, REST", post("/v1/artists", move |_| rest().to_string(), token.clone()), hand(5)),
        job("create, GraphQL", graphql(move |_| json!({"query": mutation, "variables": {"input": graph()}}), token.clone()), hand(6)),
        job(
            "create, gRPC",
            ours_grpc(server, messages, ("ArtistService", "CreateArtist"), token.clone(), move |_| json!({"artist": rpc()})),
            tonic("CreateArtist", create(7)),
        ),
        job("create, WebSocket", ws("artists.create", move |_| json!({"data": socket()}), token), hand(8)),
    ];
    jobs.into_iter().map(|job| Job { callers: WRITERS, ..job }).collect()
}
