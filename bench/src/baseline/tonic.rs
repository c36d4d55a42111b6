//! A static tonic service over the same statements: what `tonic-build` would generate, written out, so that no compiler of
//! `.proto` is needed to build the bench.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tonic::body::Body;
use ::tonic::codegen::{BoxFuture, Service, StdError};
use ::tonic::server::{Grpc, NamedService, UnaryService};
use ::tonic::{Request, Response, Status};
use rusqlite::{Connection, Row};
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;

use super::database;
use crate::Failure;

/// A track, its fields numbered as in Fourfold's own `.proto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Track {
    #[prost(int32, optional, tag = "1")]
    id: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    revision: Option<i64>,
    #[prost(string, optional, tag = "3")]
    name: Option<String>,
    #[prost(int32, optional, tag = "4")]
    album_id: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    media_type_id: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    genre_id: Option<i32>,
    #[prost(string, optional, tag = "7")]
    composer: Option<String>,
    #[prost(int32, optional, tag = "8")]
    milliseconds: Option<i32>,
    #[prost(int32, optional, tag = "9")]
    bytes: Option<i32>,
    #[prost(string, optional, tag = "10")]
    unit_price: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetTrackRequest {
    #[prost(int32, optional, tag = "1")]
    id: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListTracksRequest {
    #[prost(int32, optional, tag = "1")]
    page_size: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListTracksResponse {
    #[prost(message, repeated, tag = "1")]
    tracks: Vec<Track>,
}

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
pub async fn serve(listener: TcpListener, path: &Path) -> Result<(), Failure> {
    let service = TrackService(Arc::new(path.to_owned()));
    let incoming = ::tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    ::tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
    Ok(())
}

#[derive(Clone)]
struct TrackService(Arc<PathBuf>);

impl NamedService for TrackService {
    const NAME: &'static str = "baseline.v1.TrackService";
}

struct Get(Arc<PathBuf>);
struct List(Arc<PathBuf>);

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

impl<B> Service<http::Request<B>> for TrackService
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
        let path = self.0.clone();
        match request.uri().path() {
            "/baseline.v1.TrackService/GetTrack" => {
                Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(Get(path), request).await) })
            }
            _ => Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(List(path), request).await) }),
        }
    }
}
