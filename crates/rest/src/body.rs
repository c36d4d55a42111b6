//! Bodies of requests and answers.

use bytes::Bytes;
use fourfold_op::{Error, ErrorCode};
use http_body_util::{BodyExt, Empty, Full};

/// What a failed body says.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request's or an answer's body, the same on each face.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BodyError>;

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A request's whole body; the server has bounded it.
pub(crate) async fn whole(body: Body) -> Result<Bytes, Error> {
    body.collect().await.map(http_body_util::Collected::to_bytes).map_err(failed)
}

/// A limit of the server's is told as it is; anything else is a client that went away.
pub(crate) fn failed(error: BodyError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(other) => Error::new(ErrorCode::Cancelled, "the body ended before it was whole").with_private(other),
    }
}
