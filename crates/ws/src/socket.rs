//! A WebSocket under the limits of the edge: messages in and out, and how it ends (RFC 6455 §7).

use std::time::Duration;

use fourfold_op::Limits;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

/// For a write to a client that does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// For the other side's part in a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why a connection ends: a code of the WebSocket, or of the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End(pub(crate) u16, pub(crate) &'static str);

pub(crate) const SLOW: End = End(3008, "slow");
const PROTOCOL_ERROR: End = End(1002, "protocol error");
const NOT_UTF8: End = End(1007, "not UTF-8");
const TOO_LARGE: End = End(1009, "message too large");
pub(crate) const INTERNAL: End = End(1011, "internal error");

/// `None`: the other side has gone, or closes.
pub(crate) type Ended = Option<End>;

pub(crate) struct Socket<S>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The server's side of a stream that was upgraded.
    pub(crate) async fn open(stream: S, limits: &Limits) -> Socket<S> {
        let config = WebSocketConfig::default()
            .read_buffer_size(8 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(limits.websocket_out_bytes_max + limits.page_bytes_max * 2)
            .max_message_size(Some(limits.websocket_message_bytes_max))
            .max_frame_size(Some(limits.websocket_message_bytes_max));
        Socket(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
    }

    /// The next text or binary message. It can be cancelled at any time.
    pub(crate) async fn next(&mut self) -> Result<Message, Ended> {
        loop {
            match self.0.next().await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(message),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(SocketError::Capacity(_))) => return Err(Some(TOO_LARGE)),
                Some(Err(SocketError::Utf8(_))) => return Err(Some(NOT_UTF8)),
                Some(Err(SocketError::Protocol(_))) => return Err(Some(PROTOCOL_ERROR)),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
            }
        }
    }

    /// Sends, and waits until it is written: nothing queues here. A client that does not read is slow.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Ended> {
        let mut sending = self.0.send(message);
        let sent = match (&mut sending).now_or_never() {
            Some(sent) => Ok(sent),
            None => timeout(WRITE_WITHIN, sending).await,
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SocketError::Utf8(_))) => Err(Some(INTERNAL)),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(SLOW)),
        }
    }

    /// Closes: says why, or answers the other side's close, and waits a moment for it to leave.
    pub(crate) async fn close(mut self, ended: Ended) {
        let closing = async {
            if let Some(End(code, reason)) = ended {
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                let _gone = self.0.close(Some(frame)).await;
            }
            while let Some(Ok(_)) = self.0.next().await {}
        };
        let _late = timeout(CLOSE_WITHIN, closing).await;
    }
}
