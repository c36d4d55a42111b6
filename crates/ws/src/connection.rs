//! One connection: commands in, replies out, pings, and the end of its credential.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::Engine;
use fourfold_op::{Authenticate, Authenticated, Context, Deadline, Error, ErrorCode, RequestId};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::parse::{self, Command, Kind};
use crate::render;
use crate::rpc::Call;

/// Between our pings.
const PING: Duration = Duration::from_secs(25);
/// For the answer to a ping.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// For the first command, which must be a connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For a write to a client that does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// After a token's end, for its refresh: clients ask at its very end.
const REFRESH_WITHIN: Duration = Duration::from_secs(25);
/// For a call, where the server sets no deadline.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// Replies of one frame are sent together up to this many bytes.
const FRAME_BYTES: usize = 64 << 10;

/// Why a connection ends, in the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End(u16, &'static str);

const EXPIRED: End = End(3005, "expired");
const SLOW: End = End(3008, "slow");
const NO_PONG: End = End(3012, "no pong");
const INVALID_TOKEN: End = End(3500, "invalid token");
const BAD_REQUEST: End = End(3501, "bad request");
const STALE: End = End(3502, "stale");
const TOO_LARGE: End = End(1009, "message too large");

/// Who is at the other end.
pub(crate) struct Peer {
    engine: Arc<Engine>,
    authenticate: Arc<dyn Authenticate>,
    context: Context,
    bearer: Option<String>,
    call_within: Duration,
    connected: Option<Connected>,
}

struct Connected {
    /// Whom its token names; what it is known by to itself.
    authenticated: Authenticated,
    client: String,
}

impl Peer {
    pub(crate) fn new(engine: Arc<Engine>, authenticate: Arc<dyn Authenticate>, context: Context, bearer: Option<String>) -> Peer {
        let until = context.deadline.0.map(|at| at.saturating_duration_since(std::time::Instant::now()));
        let call_within = until.filter(|left| !left.is_zero()).unwrap_or(CALL_WITHIN);
        Peer { engine, authenticate, context, bearer, call_within, connected: None }
    }
}

/// Runs a connection to its end.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: Peer) {
    let limits = peer.engine.limits();
    let config = WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.websocket_out_bytes_max + limits.page_bytes_max * 2)
        .max_message_size(Some(limits.websocket_message_bytes_max))
        .max_frame_size(Some(limits.websocket_message_bytes_max));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let mut connection = Connection { socket, peer, next_ping: Instant::now() + PING, pong_until: None, opened: Instant::now() };
    if let Err(Some(end)) = connection.serve().await {
        connection.close(end).await;
    }
}

struct Connection<S> {
    socket: WebSocketStream<S>,
    peer: Peer,
    next_ping: Instant,
    /// A ping that is not answered must be by then.
    pong_until: Option<Instant>,
    opened: Instant,
}

/// `None`: the other side has gone.
type Ended = Option<End>;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn serve(&mut self) -> Result<(), Ended> {
        loop {
            let wake = self.wake();
            tokio::select! {
                message = self.socket.next() => self.message(message).await?,
                () = sleep_until(wake) => self.woken().await?,
            }
        }
    }

    /// When something is due without a message.
    fn wake(&self) -> Instant {
        let connect_until = self.peer.connected.is_none().then(|| self.opened + CONNECT_WITHIN);
        [Some(self.next_ping), self.pong_until, connect_until, self.expires_at()].into_iter().flatten().min().unwrap_or(self.next_ping)
    }

    fn expires_at(&self) -> Option<Instant> {
        let left = left_seconds(&self.peer.connected.as_ref()?.authenticated)?;
        let until_end = left.saturating_add(REFRESH_WITHIN.as_secs() as i64);
        // A day at most, so that a far end does not overflow a clock; it is asked again then.
        Some(Instant::now() + Duration::from_secs(u64::try_from(until_end).unwrap_or(0).min(86_400)))
    }

    async fn woken(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        match &self.peer.connected {
            None if now >= self.opened + CONNECT_WITHIN => return Err(Some(STALE)),
            Some(connected) if left_seconds(&connected.authenticated).is_some_and(|left| left <= -(REFRESH_WITHIN.as_secs() as i64)) => {
                return Err(Some(EXPIRED));
            }
            _ => {}
        }
        if self.pong_until.is_some_and(|until| now >= until) {
            return Err(Some(NO_PONG));
        }
        if now >= self.next_ping {
            self.next_ping = now + PING;
            if self.peer.connected.is_some() {
                self.pong_until = Some(now + PONG_WITHIN);
                self.send(b"{}".to_vec()).await?;
            }
        }
        Ok(())
    }

    async fn message(&mut self, message: Option<Result<Message, SocketError>>) -> Result<(), Ended> {
        match message {
            Some(Ok(Message::Text(text))) => self.frame(text.as_str()).await,
            Some(Ok(Message::Binary(_))) => Err(Some(BAD_REQUEST)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Err(SocketError::Capacity(_))) => Err(Some(TOO_LARGE)),
            Some(Err(SocketError::Utf8(_))) => Err(Some(End(1007, "not UTF-8"))),
            Some(Err(SocketError::Protocol(_))) => Err(Some(End(1002, "protocol error"))),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(None),
        }
    }

    /// The commands of one frame, in their order; their replies go out together.
    async fn frame(&mut self, text: &str) -> Result<(), Ended> {
        let depth_max = self.peer.engine.limits().json_depth_max;
        let mut out = Vec::new();
        let mut result = Ok(());
        for line in parse::lines(text) {
            result = match parse::command(line, depth_max) {
                Ok(command) => self.command(command, &mut out).await,
                Err(_) => Err(Some(BAD_REQUEST)),
            };
            if result.is_err() {
                break;
            }
            if out.len() >= FRAME_BYTES {
                self.send(std::mem::take(&mut out)).await?;
            }
        }
        if !out.is_empty() {
            self.send(out).await?;
        }
        result
    }

    async fn command(&mut self, command: Command<'_>, out: &mut Vec<u8>) -> Result<(), Ended> {
        let id = command.id;
        match (command.kind, self.peer.connected.is_some()) {
            (Kind::Connect { token }, false) => self.peer.connect(id, token, out),
            (Kind::Pong, _) => {
                self.pong_until = None;
                Ok(())
            }
            // A second connect, or anything before the first.
            (Kind::Connect { .. }, true) | (_, false) => Err(Some(BAD_REQUEST)),
            (Kind::Send, _) => Ok(()),
            (_, true) if id == 0 => Err(Some(BAD_REQUEST)),
            (Kind::Refresh { token }, _) => self.peer.refresh(id, token, out),
            (Kind::Ping, _) => {
                render::empty(out, id, "ping");
                Ok(())
            }
            (Kind::Later(name), _) => {
                render::error(out, id, &Error::new(ErrorCode::Unimplemented, format!("`{name}` is not served yet")));
                Ok(())
            }
            (Kind::Rpc { method, data }, _) => {
                match self.peer.call(id).answer(&method, data).await {
                    Ok(answer) => render::answered(out, id, &answer),
                    Err(error) => render::error(out, id, &error),
                }
                Ok(())
            }
        }
    }

    /// Sends, and waits until it is written: nothing queues here. A client that does not read is slow.
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), Ended> {
        let text = String::from_utf8(bytes).map_err(|_| Some(End(1011, "internal error")))?;
        match timeout(WRITE_WITHIN, self.socket.send(Message::Text(text.into()))).await {
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

impl Peer {
    fn connect(&mut self, id: u32, token: Option<String>, out: &mut Vec<u8>) -> Result<(), Ended> {
        let token = token.or_else(|| self.bearer.take());
        let Some(authenticated) = self.admit(id, token.as_deref(), out)? else { return Ok(()) };
        let client = self.context.request.0.to_string();
        let ttl = ttl(&authenticated);
        render::connected(out, id, "connect", &escaped(&client), PING.as_secs(), ttl);
        self.connected = Some(Connected { authenticated, client });
        Ok(())
    }

    fn refresh(&mut self, id: u32, token: Option<String>, out: &mut Vec<u8>) -> Result<(), Ended> {
        let Some(token) = token else { return Err(Some(BAD_REQUEST)) };
        let Some(authenticated) = self.admit(id, Some(&token), out)? else { return Ok(()) };
        let Some(connected) = &mut self.connected else { return Err(Some(BAD_REQUEST)) };
        let same = connected.authenticated.principal.subject == authenticated.principal.subject
            && connected.authenticated.principal.issuer == authenticated.principal.issuer;
        if !same {
            // A connection never becomes another's.
            return Err(Some(INVALID_TOKEN));
        }
        render::connected(out, id, "refresh", &escaped(&connected.client), PING.as_secs(), ttl(&authenticated));
        connected.authenticated = authenticated;
        Ok(())
    }

    /// Whom a token names. An expired one is told, so that the client fetches another; a wrong one ends the connection.
    fn admit(&self, id: u32, token: Option<&str>, out: &mut Vec<u8>) -> Result<Option<Authenticated>, Ended> {
        match self.authenticate.authenticate(token) {
            Ok(authenticated) => Ok(Some(authenticated)),
            Err(error) if error.code == ErrorCode::Unauthenticated && token.is_some() => Err(Some(INVALID_TOKEN)),
            Err(error) => {
                render::error(out, id, &error);
                Ok(None)
            }
        }
    }

    fn call(&self, id: u32) -> Call<'_> {
        let mut context = self.context.clone();
        if let Some(connected) = &self.connected {
            context.principal = connected.authenticated.principal.clone();
        }
        context.deadline = Deadline(Some(std::time::Instant::now() + self.call_within));
        context.idempotency = None;
        context.request = RequestId(format!("{}.{id}", self.context.request.0).into());
        Call { engine: &self.engine, context }
    }
}

fn ttl(authenticated: &Authenticated) -> Option<u32> {
    left_seconds(authenticated).map(|left| u32::try_from(left.max(1)).unwrap_or(u32::MAX))
}

/// Seconds until a token ends; negative when it has.
fn left_seconds(authenticated: &Authenticated) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    authenticated.expires_at.map(|at| at.saturating_sub(now))
}

/// A request id may come from a proxy: only what needs no escape in JSON is kept.
fn escaped(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_graphic() && !matches!(letter, '"' | '\\')).collect()
}
