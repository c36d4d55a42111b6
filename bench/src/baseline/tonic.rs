//! A static tonic service over the same statements: what `tonic-build` would generate, written out, so that no compiler of
//! `.proto` is needed to build the bench.

mod messages;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tonic::body::Body;
use ::tonic::codegen::{BoxFuture, Service, StdError};
use ::tonic::server::{ClientStreamingService, Grpc, NamedService, UnaryService};
use ::tonic::{Request, Response, Status, Streaming};
use rusqlite::{Connection, Row};
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;

use super::database;
use super::writer::{self, INGEST_BATCH, Writer};
use crate::Failure;
use messages::*;

const GET: &str =
    "SELECT id, revision, name, album_id, media_type_id, genre_id, composer, milliseconds, bytes, unit_price FROM track WHERE id = ?1";
const LIST: &str = "SELECT id, revision, name, album_id, media_type_id, genre_id, composer, milliseconds, bytes, unit_price FROM track ORDER BY id LIMIT ?1";

fn track(row: &Row) -> rusqlite::Result<Track> {
    let cents: i64 = row.get(9)?;
    Ok(Track {
        id: row.get(0)?,
        revision: row.get(1)?,
        name: row.get(2)?,
        album_id: row.get(3)?,
        media_type_id: row.get(4)?,
        genre_id: row.get(5)?,
        composer: row.get(6)?,
        milliseconds: row.get(7)?,
        bytes: row.get(8)?,
        unit_price: Some(format!("{}.{:02}", cents / 100, cents % 100)),
    })
}

fn tracks(connection: &Connection, sql: &str, argument: i64) -> rusqlite::Result<Vec<Track>> {
    connection.prepare_cached(sql)?.query_map([argument], track)?.collect()
}

/// Serves until killed.
pub async fn serve(listener: TcpListener, path: &Path, writer: Writer) -> Result<(), Failure> {
    let service = MusicService { path: Arc::new(path.to_owned()), writer };
    let incoming = ::tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    ::tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
    Ok(())
}

#[derive(Clone)]
struct MusicService {
    path: Arc<PathBuf>,
    writer: Writer,
}

impl NamedService for MusicService {
    const NAME: &'static str = "baseline.v1.MusicService";
}

struct Get(Arc<PathBuf>);
struct List(Arc<PathBuf>);
struct Create(Writer);
struct Ingest(Writer);

fn failed(failure: Failure) -> Status {
    Status::internal(failure.to_string())
}

impl UnaryService<GetTrackRequest> for Get {
    type Response = Track;
    type Future = Ready<Result<Response<Track>, Status>>;

    fn call(&mut self, request: Request<GetTrackRequest>) -> Self::Future {
        let id = i64::from(request.into_inner().id.unwrap_or_default());
        let found = database::read(&self.0, |connection| tracks(connection, GET, id)).map_err(failed);
        ready(found.and_then(|mut found| found.pop().map(Response::new).ok_or_else(|| Status::not_found("no such track"))))
    }
}

impl UnaryService<ListTracksRequest> for List {
    type Response = ListTracksResponse;
    type Future = Ready<Result<Response<ListTracksResponse>, Status>>;

    fn call(&mut self, request: Request<ListTracksRequest>) -> Self::Future {
        let size = i64::from(request.into_inner().page_size.unwrap_or(20));
        let found = database::read(&self.0, |connection| tracks(connection, LIST, size)).map_err(failed);
        ready(found.map(|tracks| Response::new(ListTracksResponse { tracks })))
    }
}

/// One row, answered when it is durable.
impl UnaryService<CreateArtistRequest> for Create {
    type Response = Artist;
    type Future = BoxFuture<Response<Artist>, Status>;

    fn call(&mut self, request: Request<CreateArtistRequest>) -> Self::Future {
        let writer = self.0.clone();
        Box::pin(async move {
            let artist = request.into_inner().artist.ok_or_else(|| Status::invalid_argument("no artist"))?;
            writer.write(vec![row(&artist)]).await.map_err(Status::already_exists)?;
            Ok(Response::new(Artist { revision: Some(1), ..artist }))
        })
    }
}

/// A stream of rows in commits of a thousand, answered at its end.
impl ClientStreamingService<IngestArtistsRequest> for Ingest {
    type Response = IngestArtistsResponse;
    type Future = BoxFuture<Response<IngestArtistsResponse>, Status>;

    fn call(&mut self, request: Request<Streaming<IngestArtistsRequest>>) -> Self::Future {
        Box::pin(ingest(self.0.clone(), request.into_inner()))
    }
}

async fn ingest(writer: Writer, mut stream: Streaming<IngestArtistsRequest>) -> Result<Response<IngestArtistsResponse>, Status> {
    let (mut batch, mut through) = (Vec::with_capacity(INGEST_BATCH), 0);
    while let Some(message) = stream.message().await? {
        batch.push(row(&message.artist.unwrap_or_default()));
        through += 1;
        if batch.len() == INGEST_BATCH {
            writer.write(std::mem::take(&mut batch)).await.map_err(Status::already_exists)?;
        }
    }
    writer.write(batch).await.map_err(Status::already_exists)?;
    Ok(Response::new(IngestArtistsResponse { through: Some(through) }))
}

fn row(artist: &Artist) -> writer::Artist {
    writer::Artist { id: i64::from(artist.id.unwrap_or_default()), name: artist.name.clone().unwrap_or_default() }
}

impl<B> Service<http::Request<B>> for MusicService
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
    B::Data: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let MusicService { path, writer } = self.clone();
        match request.uri().path() {
            "/baseline.v1.MusicService/GetTrack" => Box::pin(async move { Ok(grpc().unary(Get(path), request).await) }),
            "/baseline.v1.MusicService/ListTracks" => Box::pin(async move { Ok(grpc().unary(List(path), request).await) }),
            "/baseline.v1.MusicService/CreateArtist" => Box::pin(async move { Ok(grpc().unary(Create(writer), request).await) }),
            _ => Box::pin(async move { Ok(grpc().client_streaming(Ingest(writer), request).await) }),
        }
    }
}

fn grpc<E: prost::Message + 'static, D: prost::Message + Default + 'static>() -> Grpc<ProstCodec<E, D>> {
    Grpc::new(ProstCodec::default())
}
