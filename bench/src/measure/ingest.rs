//! The ingest of many rows as NDJSON over one request.

use std::fmt::Write;
use std::time::Instant;

use super::server::Server;
use super::table::Line;
use crate::Failure;
use crate::load::{Seen, http1};

/// Ours over REST, then the bare server's, each once; a request is a row here.
pub async fn compare(rows: u64, ours: &Server, by_hand: &Server) -> Result<Vec<Line>, Failure> {
    println!("ingest of {rows} rows …");
    let rest = one(rows, ours, "/v1/artists", 300_000_000).await?;
    let hand = one(rows, by_hand, "/ingest", 320_000_000).await?;
    Ok(Line::of("ingest, REST (per row)", Some(rest), Some(hand), None))
}

async fn one(rows: u64, server: &Server, path: &str, first: u64) -> Result<Seen, Failure> {
    let mut body = String::new();
    for key in first..first + rows {
        writeln!(body, "{{\"id\":{key},\"name\":\"A new artist\"}}")?;
    }
    let request = http1::request("POST", path, "application/x-ndjson", &body, Some(&server.token));
    let (cpu, start) = (server.cpu_micros()?, Instant::now());
    let answer = http1::once(&server.authority, &request).await?;
    let seen = Seen {
        answered: rows,
        bytes: (request.len() + answer.len()) as u64,
        seconds: start.elapsed().as_secs_f64(),
        cpu_micros: server.cpu_micros()? - cpu,
    };
    let answer = String::from_utf8_lossy(&answer);
    if answer.contains(&format!("\"created\":{rows}")) { Ok(seen) } else { Err(format!("not all rows were created: {answer}").into()) }
}
