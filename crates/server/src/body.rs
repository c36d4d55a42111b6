//! Bodies: one boxed type for all faces, and the limits of what a client sends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fourfold_op::{Error, ErrorCode, LimitHit};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// What a failed body says.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request's or an answer's body, the same on each face.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BodyError>;

/// A body of nothing; it allocates nothing.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// How large and how slow a request's body may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes in all; `None` for a stream.
    pub bytes_max: Option<u64>,
    /// How long nothing at all may come; `None` for a stream that may be idle.
    pub grace: Option<Duration>,
    /// Bytes a second after that.
    pub bytes_per_second_min: u64,
}

impl Default for BodyLimits {
    fn default() -> BodyLimits {
        BodyLimits { bytes_max: Some(1 << 20), grace: Some(Duration::from_secs(10)), bytes_per_second_min: 1024 }
    }
}

impl BodyLimits {
    /// `limit_exceeded` by size.
    pub fn too_large(max: u64) -> Error {
        limit("body_bytes_max", max, "bytes", 413)
    }

    fn too_slow(&self) -> Error {
        limit("body_bytes_per_second_min", self.bytes_per_second_min, "bytes a second", 408)
    }
}

fn limit(name: &'static str, value: u64, unit: &'static str, http: u16) -> Error {
    let relation = if http == 408 { "fewer" } else { "more" };
    let mut error = Error::new(ErrorCode::LimitExceeded, format!("{relation} than {value} {unit} (limit `{name}`)"));
    error.public.limit = Some(LimitHit { name, value, unit, http });
    error
}

/// A request's body under its limits; what breaks one is an [`Error`] inside the [`BodyError`].
pub fn limited(incoming: Incoming, limits: BodyLimits) -> Body {
    if incoming.is_end_stream() {
        return empty();
    }
    Limited { incoming, limits, seen: 0, began: None, timer: None }.boxed_unsync()
}

struct Limited {
    incoming: Incoming,
    limits: BodyLimits,
    seen: u64,
    /// When the body was first waited for.
    began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            return this.poll_slow(cx).map(|error| Some(Err(error.into())));
        };
        Poll::Ready(frame.map(|frame| this.count(frame?)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Limited {
    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        self.seen += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        match self.limits.bytes_max {
            Some(max) if self.seen > max => Err(BodyLimits::too_large(max).into()),
            _ => Ok(frame),
        }
    }

    /// Ready when the body is slower than it may be.
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(grace) = self.limits.grace else { return Poll::Pending };
        let began = *self.began.get_or_insert_with(Instant::now);
        let earned = Duration::from_millis(self.seen.saturating_mul(1000) / self.limits.bytes_per_second_min.max(1));
        let until = began + grace + earned.min(Duration::from_secs(86_400));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(self.limits.too_slow())
    }
}

/// Counts a streamed answer as unfinished until it is dropped.
pub(crate) struct Streamed {
    pub body: Body,
    pub link: std::sync::Arc<crate::seats::Link>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.link.answered();
    }
}
