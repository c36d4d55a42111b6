//! Over PostgreSQL: reads beside a server by hand, creates beside `pgbench`, and how fast a sink reads the log.
//!
//! What counts here are requests a second: the database does the greater part, on the same machine, for both.

mod pgbench;
mod sink;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio_postgres::NoTls;

use crate::load::{self, Seen, http1};
use crate::server::{self, Place, Server};
use crate::{Failure, number, option, required};

/// Callers of the jobs that read, and of the one that writes.
const CALLERS: usize = 32;
const WRITERS: usize = 64;
const TRACKS: u64 = 3503;
/// The database that is made anew.
const DATABASE: &str = "fourfold_bench";
/// Keys of rows that are created begin here, and those of rows that are ingested.
const FIRST_KEY: u64 = 1_000_000;
const FIRST_INGESTED: u64 = 500_000_000;
const NESTED: &str = "{ invoices(first: 20) { nodes { id invoiceDate total customer { firstName lastName } \
    invoiceLines { nodes { quantity unitPrice track { name album { title } } } } } } }";

struct Settings {
    place: Place,
    /// The database by its URL.
    url: String,
    pgbench: Option<String>,
    kafka: Option<sink::Kafka>,
    time: Duration,
    rounds: u64,
    rows: u64,
}

/// Requests of one kind.
type Make = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// Runs it all and saves the table beside what it prints.
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    let out = std::path::absolute(required(arguments, "--out")?)?;
    let _ = std::fs::remove_dir_all(&out);
    let model = copied(Path::new(required(arguments, "--model")?), &out.join("model"))?;
    let server = required(arguments, "--database")?;
    let (before, _) = server.rsplit_once('/').ok_or("`--database` is no URL of a database")?;
    let url = format!("{before}/{DATABASE}?sslmode=disable");
    let mut place = Place::new(required(arguments, "--binary")?, model, out);
    place.settings = vec![("FOURFOLD_STORE_URL", url.clone())];
    let settings = Settings {
        place,
        url,
        pgbench: option(arguments, "--pgbench").map(str::to_owned),
        kafka: sink::Kafka::of(arguments)?,
        time: Duration::from_secs(number(arguments, "--seconds", 4)?),
        rounds: number(arguments, "--rounds", 3)?,
        rows: number(arguments, "--rows", 200_000)?,
    };
    server::pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async {
        anew(server).await?;
        measure(settings).await
    })?;
    println!("{}\nsaved to {}", text.0, text.1.display());
    Ok(())
}

/// The files of a folder in another, to which settings can be added.
fn copied(from: &Path, to: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)?.flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(to.to_owned())
}

async fn anew(server: &str) -> Result<(), Failure> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")).await?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
    Ok(())
}

async fn measure(mut settings: Settings) -> Result<(String, PathBuf), Failure> {
    let mut text = String::from("| job | server | requests/s | CPU µs a request of the server | ours ÷ by hand, requests/s | wanted |\n");
    text.push_str("|---|---|--:|--:|--:|--:|\n");
    let ours = Server::fourfold(&settings.place)?;
    let hand = Server::bare_postgres(&settings.place, &settings.url)?;
    for (name, request, by_hand) in [reads(&ours), nested(&ours)] {
        println!("{name} …");
        same_bytes(&ours, &request(1), &hand, &by_hand(1)).await?;
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..settings.rounds {
            seen[0].push(drive(&settings, &ours, &request, CALLERS).await?);
            seen[1].push(drive(&settings, &hand, &by_hand, CALLERS).await?);
        }
        let [own, other] = seen.map(median);
        line(&mut text, name, "fourfold", rate(own), Some(own.cpu_per_request()), Some((rate(own) / rate(other), 0.6)));
        line(&mut text, name, "hyper + tokio-postgres", rate(other), Some(other.cpu_per_request()), None);
    }
    drop(hand);
    creates(&settings, &ours, &mut text).await?;
    sink::measure(&mut settings, ours, &mut text).await?;
    let file = settings.place.out.join("table.md");
    std::fs::write(&file, &text)?;
    Ok((text, file))
}

fn line(text: &mut String, job: &str, server: &str, rate: f64, cpu: Option<f64>, ratio: Option<(f64, f64)>) {
    let cpu = cpu.map(|cpu| format!("{cpu:.1}")).unwrap_or_default();
    let (ratio, wanted) = ratio.map(|(ratio, wanted)| (format!("{ratio:.2}"), format!("≥ {wanted:.1}"))).unwrap_or_default();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "| {job} | {server} | {rate:.0} | {cpu} | {ratio} | {wanted} |");
}

type Job = (&'static str, Make, Make);

fn reads(_: &Server) -> Job {
    let track = |number: u64| number.wrapping_mul(7919) % TRACKS + 1;
    let own = move |number| http1::request("GET", &format!("/v1/tracks/{}", track(number)), "", "", None);
    let hand = move |number| http1::request("GET", &format!("/tracks/{}", track(number)), "", "", None);
    ("get, REST", Arc::new(own), Arc::new(hand))
}

fn nested(ours: &Server) -> Job {
    let document = json!({"query": NESTED}).to_string();
    let own = http1::request("POST", "/graphql", "application/json", &document, Some(&ours.token));
    let hand = http1::request("POST", "/nested", "application/json", "{}", None);
    ("nested read, GraphQL", Arc::new(move |_| own.clone()), Arc::new(move |_| hand.clone()))
}

/// A ratio says something only of servers that answer the same.
async fn same_bytes(ours: &Server, request: &[u8], hand: &Server, by_hand: &[u8]) -> Result<(), Failure> {
    let (own, other) = (http1::once(&ours.authority, request).await?, http1::once(&hand.authority, by_hand).await?);
    if own == other {
        return Ok(());
    }
    Err(format!("the two answer differently:\n{}\n{}", String::from_utf8_lossy(&own), String::from_utf8_lossy(&other)).into())
}

async fn drive(settings: &Settings, server: &Server, make: &Make, callers: usize) -> Result<Seen, Failure> {
    let call = |shared| http1::call(server.authority.clone(), make.clone(), shared);
    load::run(callers, settings.time, || server.cpu_micros(), call).await
}

fn rate(seen: Seen) -> f64 {
    seen.answered as f64 / seen.seconds
}

fn median(mut seen: Vec<Seen>) -> Seen {
    seen.sort_by(|a, b| rate(*a).total_cmp(&rate(*b)));
    seen.swap_remove(seen.len() / 2)
}

/// One row a request over REST, beside `pgbench` that inserts the same rows into a table of the same form, as many at once.
async fn creates(settings: &Settings, ours: &Server, text: &mut String) -> Result<(), Failure> {
    println!("durable create …");
    let next = AtomicU64::new(FIRST_KEY);
    let token = ours.token.clone();
    let make: Make = Arc::new(move |_| {
        let row = json!({"id": next.fetch_add(1, Ordering::Relaxed), "name": "A new artist"}).to_string();
        http1::request("POST", "/v1/artists", "application/json", &row, Some(&token))
    });
    let by_hand = match &settings.pgbench {
        Some(program) => Some(pgbench::Inserts::prepare(program, &settings.url, &settings.place.out).await?),
        None => None,
    };
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        own.push(drive(settings, ours, &make, WRITERS).await?);
        if let Some(inserts) = &by_hand {
            other.push(inserts.run(WRITERS, settings.time)?);
        }
    }
    let own = median(own);
    other.sort_by(f64::total_cmp);
    let other = other.get(other.len() / 2).copied();
    let ratio = other.map(|other| (rate(own) / other, 0.5));
    line(text, "durable create, 64 connections", "fourfold, REST", rate(own), Some(own.cpu_per_request()), ratio);
    match other {
        Some(other) => line(text, "durable create, 64 connections", "pgbench, prepared", other, None, None),
        None => println!("skipped: no `--pgbench`"),
    }
    Ok(())
}
