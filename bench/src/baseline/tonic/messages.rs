//! The messages, their fields numbered as in Fourfold's own `.proto`.

/// A track.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Track {
    #[prost(int32, optional, tag = "1")]
    pub id: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    pub revision: Option<i64>,
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    #[prost(int32, optional, tag = "4")]
    pub album_id: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub media_type_id: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    pub genre_id: Option<i32>,
    #[prost(string, optional, tag = "7")]
    pub composer: Option<String>,
    #[prost(int32, optional, tag = "8")]
    pub milliseconds: Option<i32>,
    #[prost(int32, optional, tag = "9")]
    pub bytes: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub unit_price: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GetTrackRequest {
    #[prost(int32, optional, tag = "1")]
    pub id: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ListTracksRequest {
    #[prost(int32, optional, tag = "1")]
    pub page_size: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ListTracksResponse {
    #[prost(message, repeated, tag = "1")]
    pub tracks: Vec<Track>,
}

/// What a create sends and answers, and what an ingest sends many of.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Artist {
    #[prost(int32, optional, tag = "1")]
    pub id: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    pub revision: Option<i64>,
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateArtistRequest {
    #[prost(message, optional, tag = "1")]
    pub artist: Option<Artist>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct IngestArtistsRequest {
    #[prost(message, optional, tag = "3")]
    pub artist: Option<Artist>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct IngestArtistsResponse {
    #[prost(int64, optional, tag = "1")]
    pub through: Option<i64>,
}
