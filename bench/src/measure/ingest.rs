//! The ingest of many rows over one request: NDJSON, and a stream of messages.

use std::fmt::Write;
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;

use super::messages::Messages;
use super::table::Line;
use super::{Settings, median};
use crate::Failure;
use crate::load::{Seen, Shared, grpc, http1};
use crate::server::Server;

/// Keys of the ingested rows begin here; each ingest takes the next ones.
const FIRST_KEY: u64 = 300_000_000;

/// Ours over REST and over gRPC beside the bare servers, `rounds` times; a request is a row here.
pub async fn compare(settings: &Settings, messages: &Messages, [ours, sql, tonic]: [&Server; 3]) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    let mut ingests = Ingests { rows: settings.rows, next: FIRST_KEY, messages };
    if settings.wants("ingest, REST") {
        println!("ingest, REST …");
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..settings.rounds {
            seen[0].push(ingests.rest(ours, "/v1/artists").await?);
            seen[1].push(ingests.rest(sql, "/ingest").await?);
        }
        let [ours, hand] = seen.map(median);
        lines.extend(Line::of("ingest, REST (per row)", ours, hand, None));
    }
    if settings.wants("ingest, gRPC") {
        println!("ingest, gRPC …");
        let (own, hand) = (messages.url(ours, "ArtistService", "IngestArtists"), tonic.url("IngestArtists"));
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..settings.rounds {
            seen[0].push(ingests.grpc(ours, &own).await?);
            seen[1].push(ingests.grpc(tonic, &hand).await?);
        }
        let [ours, hand] = seen.map(median);
        lines.extend(Line::of("ingest, gRPC (per row)", ours, hand, None));
    }
    Ok(lines)
}

struct Ingests<'a> {
    rows: u64,
    next: u64,
    messages: &'a Messages,
}

impl Ingests<'_> {
    fn keys(&mut self) -> std::ops::Range<u64> {
        let first = self.next;
        self.next += self.rows;
        first..self.next
    }

    async fn rest(&mut self, server: &Server, path: &str) -> Result<Seen, Failure> {
        let mut body = String::new();
        for key in self.keys() {
            writeln!(body, "{{\"id\":{key},\"name\":\"A new artist\"}}")?;
        }
        let request = http1::request("POST", path, "application/x-ndjson", &body, Some(&server.token));
        let (cpu, start) = (server.cpu_micros()?, Instant::now());
        let answer = http1::once(&server.authority, &request).await?;
        let seen = self.seen(server, cpu, start, (request.len() + answer.len()) as u64)?;
        let answer = String::from_utf8_lossy(&answer);
        let all = answer.contains(&format!("\"created\":{}", self.rows));
        if all { Ok(seen) } else { Err(format!("not all rows were created: {answer}").into()) }
    }

    /// Every server is sent the same bytes, in frames as large as HTTP/2 lets them be.
    async fn grpc(&mut self, server: &Server, url: &str) -> Result<Seen, Failure> {
        let mut body = Vec::new();
        for key in self.keys() {
            let row = json!({"artist": {"id": key, "name": "A new artist"}});
            body.extend_from_slice(&grpc::framed(&self.messages.encode("IngestArtistsRequest", row)?));
        }
        let shared = Shared::default();
        let mut connection = grpc::connect(&server.authority, &shared).await?;
        let (cpu, start) = (server.cpu_micros()?, Instant::now());
        let answer = grpc::once(&mut connection, url, Some(&server.token), Bytes::from(body)).await?;
        let seen = self.seen(server, cpu, start, shared.bytes_seen())?;
        let through = self.messages.decode("IngestArtistsResponse", grpc::last_message(&answer))?;
        let all = through == json!({"through": self.rows.to_string()});
        if all { Ok(seen) } else { Err(format!("not all rows were created: {through}").into()) }
    }

    fn seen(&self, server: &Server, cpu: f64, start: Instant, bytes: u64) -> Result<Seen, Failure> {
        let cpu_micros = server.cpu_micros()? - cpu;
        Ok(Seen { answered: self.rows, bytes, seconds: start.elapsed().as_secs_f64(), cpu_micros })
    }
}
