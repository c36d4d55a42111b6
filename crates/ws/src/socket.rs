//! A WebSocket under the limits of the edge: messages in and out, and how it ends (RFC 6455 §7).

use std::time::Duration;

use fourfold_op::Limits;
use fourfold_socket as raw;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

pub(crate) use raw::{Draft, Kind};

use crate::ending::{End, NOT_UTF8, PROTOCOL_ERROR, SLOW, TOO_LARGE};

/// For a write to a client that does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// For the other side's part in a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// `None`: the other side has gone, or closes.
pub(crate) type Ended = Option<End>;

/// What a client says.
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

pub(crate) struct Socket<S>(raw::Socket<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The server's side of a stream that was upgraded.
    pub(crate) fn open(stream: S, limits: &Limits) -> Socket<S> {
        Socket(raw::Socket::new(
            stream,
            raw::Limits {
                message_bytes_max: limits.websocket_message_bytes_max,
                out_bytes_max: limits.websocket_out_bytes_max + limits.page_bytes_max * 2,
            },
        ))
    }

    /// The next text or binary message. It can be cancelled at any time.
    pub(crate) async fn next(&mut self) -> Result<Message, Ended> {
        loop {
            match self.0.next().await {
                Ok(raw::Message::Text(text)) => return Ok(Message::Text(text)),
                Ok(raw::Message::Binary(bytes)) => return Ok(Message::Binary(bytes)),
                Ok(raw::Message::Ping | raw::Message::Pong) => {}
                Err(ended) => return Err(end(ended)),
            }
        }
    }

    /// Sends, and waits until it is written: nothing queues here. A client that does not read is slow.
    pub(crate) async fn send(&mut self, kind: Kind, message: Draft) -> Result<(), Ended> {
        self.0.feed(kind, message).map_err(end)?;
        let mut flushing = std::pin::pin!(self.0.flush());
        match flushing.as_mut().now_or_never() {
            Some(sent) => sent.map_err(end),
            None => timeout(WRITE_WITHIN, flushing).await.map_err(|_| Some(SLOW))?.map_err(end),
        }
    }

    /// Closes: says why, or answers the other side's close, and waits a moment for it to leave.
    pub(crate) async fn close(self, ended: Ended) {
        self.0.close(ended.map(|End(code, reason)| (code, reason)), CLOSE_WITHIN).await;
    }
}

fn end(ended: raw::Ended) -> Ended {
    match ended {
        raw::Ended::Protocol => Some(PROTOCOL_ERROR),
        raw::Ended::NotUtf8 => Some(NOT_UTF8),
        raw::Ended::TooLarge => Some(TOO_LARGE),
        raw::Ended::Closed | raw::Ended::Gone => None,
    }
}
