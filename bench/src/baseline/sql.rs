//! hyper + rusqlite: a statement a path, written by hand and cached, each run on the thread that took the request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rusqlite::Connection;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::answer::{self, Answer};
use super::json::{self, Kind};
use super::writer::{Artist, INGEST_BATCH, Writer};
use super::{database, nested};
use crate::Failure;

const TRACK: &[(&str, Kind)] = &[
    ("id", Kind::Int),
    ("revision", Kind::Int),
    ("name", Kind::Text),
    ("album_id", Kind::Int),
    ("media_type_id", Kind::Int),
    ("genre_id", Kind::Int),
    ("composer", Kind::Text),
    ("milliseconds", Kind::Int),
    ("bytes", Kind::Int),
    ("unit_price", Kind::Cents),
];
const GET: &str =
    "SELECT id, revision, name, album_id, media_type_id, genre_id, composer, milliseconds, bytes, unit_price FROM track WHERE id = ?1";
const LIST: &str = "SELECT id, revision, name, album_id, media_type_id, genre_id, composer, milliseconds, bytes, unit_price FROM track ORDER BY id LIMIT ?1";

/// Serves until killed.
pub async fn serve(listener: TcpListener, path: &Path, writer: Writer) -> Result<(), Failure> {
    let path: Arc<PathBuf> = Arc::new(path.to_owned());
    answer::serve(listener, move |request| handle(path.clone(), writer.clone(), request)).await
}

async fn handle(path: Arc<PathBuf>, writer: Writer, request: Request<Incoming>) -> Answer {
    let result = match (request.method(), request.uri().path()) {
        (&Method::GET, "/tracks") => database::read(&path, list),
        (&Method::GET, other) => database::read(&path, |connection| get(connection, last(other))),
        (_, "/nested") => database::read(&path, nested::read),
        (_, "/artists") => return create(&writer, request).await,
        _ => return ingest(&writer, request).await,
    };
    match result {
        Ok(body) if body.is_empty() => answer::status(StatusCode::NOT_FOUND, "{}"),
        Ok(body) => answer::json(body),
        Err(failure) => answer::status(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()),
    }
}

fn last(path: &str) -> i64 {
    path.rsplit('/').next().and_then(|key| key.parse().ok()).unwrap_or_default()
}

fn get(connection: &Connection, id: i64) -> rusqlite::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    let mut statement = connection.prepare_cached(GET)?;
    let mut rows = statement.query([id])?;
    if let Some(row) = rows.next()? {
        json::object(&mut out, TRACK, row)?;
    }
    Ok(out)
}

fn list(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(8192);
    let mut statement = connection.prepare_cached(LIST)?;
    let mut rows = statement.query([20])?;
    out.extend_from_slice(b"{\"items\":");
    let mut before = b'[';
    while let Some(row) = rows.next()? {
        out.push(before);
        json::object(&mut out, TRACK, row)?;
        before = b',';
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

#[derive(Deserialize)]
struct Input<'a> {
    id: i64,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
}

fn parse(line: &[u8]) -> Result<Artist, serde_json::Error> {
    let input: Input = serde_json::from_slice(line)?;
    Ok(Artist { id: input.id, name: input.name.into_owned() })
}

/// One row, answered when it is durable.
async fn create(writer: &Writer, request: Request<Incoming>) -> Answer {
    let Ok(body) = request.into_body().collect().await else { return answer::status(StatusCode::BAD_REQUEST, "{}") };
    let Ok(artist) = parse(&body.to_bytes()) else { return answer::status(StatusCode::BAD_REQUEST, "{}") };
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(b"{\"id\":");
    json::int(&mut out, artist.id);
    out.extend_from_slice(b",\"revision\":1,\"name\":");
    json::string(&mut out, artist.name.as_bytes());
    out.push(b'}');
    match writer.write(vec![artist]).await {
        Ok(()) => answer::status(StatusCode::CREATED, out),
        Err(failure) => answer::status(StatusCode::CONFLICT, failure),
    }
}

/// NDJSON, parsed as it comes, in commits of a thousand.
async fn ingest(writer: &Writer, request: Request<Incoming>) -> Answer {
    let mut body = request.into_body();
    let (mut rest, mut batch, mut created) = (Vec::new(), Vec::new(), 0_usize);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(chunk) = frame.into_data() else { continue };
        rest.extend_from_slice(&chunk);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in rest[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match parse(line) {
                Ok(artist) => batch.push(artist),
                Err(error) => return answer::status(StatusCode::BAD_REQUEST, error.to_string()),
            }
        }
        rest.drain(..whole);
        if batch.len() >= INGEST_BATCH {
            created += batch.len();
            if let Err(failure) = writer.write(std::mem::take(&mut batch)).await {
                return answer::status(StatusCode::CONFLICT, failure);
            }
        }
    }
    created += batch.len();
    match writer.write(batch).await {
        Ok(()) => answer::json(format!("{{\"created\":{created}}}")),
        Err(failure) => answer::status(StatusCode::CONFLICT, failure),
    }
}
