//! One connection: commands in, replies out, pings, and the end of its credential.

use std::time::Duration;

use fourfold_op::{Error, ErrorCode};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::codec::{Codec, Malformed, Out};
use crate::message::{Answer, Command, ConnectRequest, Kind, Nothing, RpcRequest, RpcResult};
use crate::peer::{Peer, Refused};
use crate::watches::Watches;

/// Between our pings.
pub(crate) const PING: Duration = Duration::from_secs(25);
/// For the answer to a ping.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// For the first command, which must be a connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For a write to a client that does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// After a token's end, for its refresh: clients ask at its very end.
const REFRESH_WITHIN: Duration = Duration::from_secs(25);
/// What there is to send goes out together up to this many bytes.
pub(crate) const FRAME_BYTES: usize = 64 << 10;

/// Why a connection ends, in the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End(u16, &'static str);

pub(crate) const DRAIN: End = End(3001, "shutdown");
const EXPIRED: End = End(3005, "expired");
pub(crate) const SLOW: End = End(3008, "slow");
const NO_PONG: End = End(3012, "no pong");
pub(crate) const INVALID_TOKEN: End = End(3500, "invalid token");
pub(crate) const BAD_REQUEST: End = End(3501, "bad request");
const STALE: End = End(3502, "stale");
const TOO_LARGE: End = End(1009, "message too large");

/// `None`: the other side has gone.
pub(crate) type Ended = Option<End>;

/// Runs a connection to its end.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(stream: S, codec: Codec, peer: Peer) {
    let limits = peer.engine.limits();
    let config = WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.websocket_out_bytes_max + limits.page_bytes_max * 2)
        .max_message_size(Some(limits.websocket_message_bytes_max))
        .max_frame_size(Some(limits.websocket_message_bytes_max));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let opened = Instant::now();
    let mut connection =
        Connection { socket, codec, peer, watches: Watches::default(), next_ping: opened + PING, pong_until: None, opened, ending: None };
    if let Err(Some(end)) = connection.serve().await {
        connection.close(end).await;
    }
}

pub(crate) struct Connection<S> {
    socket: WebSocketStream<S>,
    pub(crate) codec: Codec,
    pub(crate) peer: Peer,
    pub(crate) watches: Watches,
    next_ping: Instant,
    /// A ping that is not answered must be by then.
    pong_until: Option<Instant>,
    opened: Instant,
    /// Why it ends, once what is in flight is answered.
    pub(crate) ending: Option<End>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn serve(&mut self) -> Result<(), Ended> {
        let engine = self.peer.engine.clone();
        let mut closed = std::pin::pin!(engine.watches_closed());
        loop {
            let wake = self.wake();
            tokio::select! {
                message = self.socket.next() => self.message(message).await?,
                Some(told) = self.watches.next() => self.push(told).await?,
                closing = &mut closed => self.leave(closing).await?,
                () = sleep_until(wake) => self.woken().await?,
            }
            if let Some(end) = self.ending {
                return Err(Some(end));
            }
        }
    }

    /// When something is due without a message.
    fn wake(&self) -> Instant {
        let connect_until = (!self.peer.is_connected()).then(|| self.opened + CONNECT_WITHIN);
        [Some(self.next_ping), self.pong_until, connect_until, self.expires_at()].into_iter().flatten().min().unwrap_or(self.next_ping)
    }

    fn expires_at(&self) -> Option<Instant> {
        let left = self.peer.left_seconds()?;
        let until_end = left.saturating_add(REFRESH_WITHIN.as_secs() as i64);
        // A day at most, so that a far end does not overflow a clock; it is asked again then.
        Some(Instant::now() + Duration::from_secs(u64::try_from(until_end).unwrap_or(0).min(86_400)))
    }

    async fn woken(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if !self.peer.is_connected() && now >= self.opened + CONNECT_WITHIN {
            return Err(Some(STALE));
        }
        if self.peer.left_seconds().is_some_and(|left| left <= -(REFRESH_WITHIN.as_secs() as i64)) {
            return Err(Some(EXPIRED));
        }
        if self.pong_until.is_some_and(|until| now >= until) {
            return Err(Some(NO_PONG));
        }
        if now >= self.next_ping {
            self.next_ping = now + PING;
            if self.peer.is_connected() {
                self.pong_until = Some(now + PONG_WITHIN);
                let mut out = Out::new(self.codec);
                out.ping();
                self.send(&mut out).await?;
            }
        }
        Ok(())
    }

    async fn message(&mut self, message: Option<Result<Message, SocketError>>) -> Result<(), Ended> {
        match (message, self.codec) {
            (Some(Ok(Message::Text(text))), Codec::Json) => self.frame(text.as_bytes()).await,
            (Some(Ok(Message::Binary(bytes))), Codec::Protobuf) => self.frame(&bytes).await,
            (Some(Ok(Message::Text(_) | Message::Binary(_))), _) => Err(Some(BAD_REQUEST)),
            (Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))), _) => Ok(()),
            (Some(Err(SocketError::Capacity(_))), _) => Err(Some(TOO_LARGE)),
            (Some(Err(SocketError::Utf8(_))), _) => Err(Some(End(1007, "not UTF-8"))),
            (Some(Err(SocketError::Protocol(_))), _) => Err(Some(End(1002, "protocol error"))),
            (Some(Ok(Message::Close(_)) | Err(_)) | None, _) => Err(None),
        }
    }

    /// The commands of one frame, in their order; their replies go out together.
    async fn frame(&mut self, frame: &[u8]) -> Result<(), Ended> {
        let depth_max = self.peer.engine.limits().json_depth_max;
        let mut out = Out::new(self.codec);
        let mut result = Ok(());
        for command in self.codec.commands(frame, depth_max) {
            result = match command {
                Ok(command) => self.command(command, &mut out).await,
                Err(Malformed) => Err(Some(BAD_REQUEST)),
            };
            if result.is_err() || self.ending.is_some() {
                break;
            }
            if out.len() >= FRAME_BYTES {
                self.send(&mut out).await?;
            }
        }
        self.send(&mut out).await?;
        result
    }

    async fn command(&mut self, Command { id, kind }: Command, out: &mut Out) -> Result<(), Ended> {
        let kind = match (kind, self.peer.is_connected()) {
            (None, _) if id == 0 => {
                self.pong_until = None;
                return Ok(());
            }
            (Some(Kind::Connect(request)), false) => return self.connect(id, request, out).await,
            (Some(Kind::Send(_)), true) => return Ok(()),
            // No command that is known, a second connect, or anything before the first.
            (None | Some(Kind::Connect(_)), _) | (_, false) => return Err(Some(BAD_REQUEST)),
            (_, true) if id == 0 => return Err(Some(BAD_REQUEST)),
            (Some(kind), true) => kind,
        };
        self.asked(id, kind, out).await
    }

    /// Answers a command of a client that has connected.
    async fn asked(&mut self, id: u32, kind: Kind, out: &mut Out) -> Result<(), Ended> {
        let later = match kind {
            Kind::Rpc(request) => return self.call(id, &request, out).await,
            Kind::Refresh(request) => return self.refresh(id, &request.token, out).await,
            Kind::Subscribe(request) => {
                self.subscribe(id, &request, out).await;
                return Ok(());
            }
            Kind::Unsubscribe(request) => {
                self.unsubscribe(id, &request.channel, out);
                return Ok(());
            }
            Kind::Ping(_) => {
                out.answer(id, Answer::Ping(Nothing {}));
                return Ok(());
            }
            Kind::Publish(_) => "publish",
            Kind::Presence(_) => "presence",
            Kind::PresenceStats(_) => "presence_stats",
            Kind::History(_) => "history",
            Kind::SubRefresh(_) => "sub_refresh",
            // A one-way message: nothing takes one.
            Kind::Connect(_) | Kind::Send(_) => return Ok(()),
        };
        out.error(id, &Error::new(ErrorCode::Unimplemented, format!("`{later}` is not served yet")));
        Ok(())
    }

    /// Admits a client; the channels that it has from another connection go on in the same reply, but for those that are refused.
    async fn connect(&mut self, id: u32, request: ConnectRequest, out: &mut Out) -> Result<(), Ended> {
        let mut result = match self.peer.connect(&request.token) {
            Ok(result) => result,
            Err(Refused::Error(error)) => {
                out.error(id, &error);
                return Ok(());
            }
            Err(Refused::End(end)) => return Err(Some(end)),
        };
        let mut room = self.peer.engine.limits().websocket_out_bytes_max;
        for (channel, mut sub) in request.subs {
            sub.channel.clone_from(&channel);
            if let Ok(subscribed) = self.begin(id, &sub, &mut room).await {
                result.subs.insert(channel, subscribed);
            }
        }
        out.answer(id, Answer::Connect(result));
        Ok(())
    }

    /// Answers a call. What is watched is told meanwhile, after the replies that came before it.
    async fn call(&mut self, id: u32, request: &RpcRequest, out: &mut Out) -> Result<(), Ended> {
        let mut answer = std::pin::pin!(self.peer.call(id).answer(&request.method, &request.data));
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer,
                Some(told) = self.watches.next(), if self.ending.is_none() => {
                    self.send(out).await?;
                    self.push(told).await?;
                }
            }
        };
        match answer {
            Ok(data) => out.answer(id, Answer::Rpc(RpcResult { data: data.into() })),
            Err(error) => out.error(id, &error),
        }
        Ok(())
    }

    /// Sends, and waits until it is written: nothing queues here. A client that does not read is slow.
    pub(crate) async fn send(&mut self, out: &mut Out) -> Result<(), Ended> {
        if out.is_empty() {
            return Ok(());
        }
        let message = out.take().map_err(|_| Some(End(1011, "internal error")))?;
        match timeout(WRITE_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(SLOW)),
        }
    }

    async fn close(&mut self, End(code, reason): End) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let closing = async {
            let _gone = self.socket.close(Some(frame)).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        let _late = timeout(Duration::from_secs(1), closing).await;
    }
}
