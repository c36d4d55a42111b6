//! One connection: the init, then operations, pings, and the end of its credential.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_op::{Authenticate, Authenticated, Context, Deadline, Error, RequestId};
use fourfold_socket::{Draft, Ended as SocketEnded, Kind, Limits, Message, Socket};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::message::{self, Received};
use super::operation::{Operation, Operations, Said, Stage};
use super::{Close, Opening};
use crate::GraphQl;
use crate::error::write_list;
use crate::parse::request::Asked;

/// Between our pings (RFC 6455 §5.5.2).
const PING: Duration = Duration::from_secs(25);
/// For a sign of life after a ping.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// For a write to a client that does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// For the client's half of the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// For an operation, where the server sets no deadline.
const OPERATION_WITHIN: Duration = Duration::from_secs(30);
/// Results are written together up to this many bytes; one may be larger.
const WRITE_BYTES: usize = 64 << 10;

/// Runs a connection to its end.
pub(super) async fn run<S>(face: &GraphQl, stream: S, opening: Opening, authenticate: &dyn Authenticate)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // What waits to be written is at most one batch: nothing is fed before the last one is flushed.
    let limits = Limits { message_bytes_max: face.engine.limits().websocket_message_bytes_max, out_bytes_max: usize::MAX };
    let socket = Socket::new(stream, limits);
    let now = Instant::now();
    let until = opening.context.deadline.0.map(|at| at.saturating_duration_since(std::time::Instant::now()));
    let mut connection = Connection {
        face,
        authenticate,
        socket,
        within: until.filter(|left| !left.is_zero()).unwrap_or(OPERATION_WITHIN),
        context: opening.context,
        bearer: opening.bearer,
        caller: None,
        operations: Operations::default(),
        begun: 0,
        init_until: now + Duration::from_millis(face.engine.limits().graphql_init_ms),
        next_ping: now + PING,
        pong_until: None,
        ending: false,
    };
    let ended = if opening.acceptable { connection.serve().await } else { Err(Some(unacceptable())) };
    let Err(close) = ended else { return };
    let Connection { socket, operations, .. } = connection;
    // Nothing is watched while the close is waited for.
    drop(operations);
    socket.close(close.as_ref().map(|close| (close.code, close.reason.as_str())), CLOSE_WITHIN).await;
}

fn unacceptable() -> Close {
    Close::new(4406, format!("Subprotocol not acceptable; offer `{}`", super::SUBPROTOCOL))
}

struct Connection<'a, S> {
    face: &'a GraphQl,
    authenticate: &'a dyn Authenticate,
    socket: Socket<S>,
    /// How long an operation may take.
    within: Duration,
    context: Context,
    bearer: Option<String>,
    /// Who it is, since the init.
    caller: Option<Caller>,
    operations: Operations<'a>,
    /// How many have begun so far.
    begun: u64,
    init_until: Instant,
    next_ping: Instant,
    /// A ping that is not answered must be by then.
    pong_until: Option<Instant>,
    /// Whether it ends when its operations have.
    ending: bool,
}

struct Caller {
    authenticated: Authenticated,
    /// When the credential ends.
    until: Option<Instant>,
}

/// `None`: the other side has gone, or goes.
type Ended = Option<Close>;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    async fn serve(&mut self) -> Result<(), Ended> {
        let engine = Arc::clone(&self.face.engine);
        let mut closed = std::pin::pin!(engine.watches_closed());
        loop {
            if self.ending && self.operations.len() == 0 {
                return Err(Some(Close::restart()));
            }
            let wake = self.wake();
            tokio::select! {
                // Boxed: between messages there is no room held for all that one may ask.
                message = self.socket.next() => Box::pin(self.message(message)).await?,
                Some((id, said)) = self.operations.next() => self.said(id, said).await?,
                () = sleep_until(wake) => self.woken().await?,
                _ = &mut closed, if !self.ending => self.ending = true,
            }
        }
    }

    /// When something is due without a message.
    fn wake(&self) -> Instant {
        let due = match &self.caller {
            Some(caller) => caller.until,
            None => Some(self.init_until),
        };
        [due, self.pong_until].into_iter().flatten().fold(self.next_ping, Instant::min)
    }

    async fn woken(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        match &self.caller {
            None if now >= self.init_until => {
                return Err(Some(Close::new(4408, "Connection initialisation timeout (limit `graphql_init_ms`)")));
            }
            Some(caller) if caller.until.is_some_and(|until| now >= until) => return Err(Some(Close::forbidden("the token has expired"))),
            _ => {}
        }
        if self.pong_until.is_some_and(|until| now >= until) {
            return Err(None);
        }
        if now >= self.next_ping {
            self.next_ping = now + PING;
            self.pong_until = Some(now + PONG_WITHIN);
            self.socket.feed_ping();
            self.flush().await?;
        }
        Ok(())
    }

    async fn message(&mut self, message: Result<Message, SocketEnded>) -> Result<(), Ended> {
        self.pong_until = None;
        match message {
            Ok(Message::Text(text)) => self.received(message::parse(&text).map_err(Some)?).await,
            Ok(Message::Binary(_)) => Err(Some(Close::bad("messages are text"))),
            Ok(Message::Ping | Message::Pong) => Ok(()),
            Err(SocketEnded::TooLarge) => Err(Some(Close::new(1009, "Message too big (limit `websocket_message_bytes_max`)"))),
            Err(SocketEnded::NotUtf8) => Err(Some(Close::new(1007, "Not UTF-8"))),
            Err(SocketEnded::Protocol) => Err(Some(Close::new(1002, "Protocol error"))),
            Err(SocketEnded::Closed | SocketEnded::Gone) => Err(None),
        }
    }

    async fn received(&mut self, received: Received) -> Result<(), Ended> {
        match received {
            Received::Init { token } => {
                self.init(token)?;
                self.say(message::ack()).await
            }
            Received::Ping { payload } => self.say(message::pong(payload)).await,
            Received::Pong => Ok(()),
            Received::Subscribe { id, asked } => self.subscribe(id, asked).await,
            Received::Complete { id } => {
                self.operations.cancel(&id);
                Ok(())
            }
        }
    }

    fn init(&mut self, token: Option<String>) -> Result<(), Ended> {
        if self.caller.is_some() {
            return Err(Some(Close::new(4429, "Too many initialisation requests")));
        }
        let token = token.or_else(|| self.bearer.take());
        let authenticated = self.authenticate.authenticate(token.as_deref());
        let authenticated = authenticated.map_err(|error| Some(Close::forbidden(&error.public.message)))?;
        // One beyond what a clock can hold never comes.
        let until = authenticated.expires_at_us().and_then(|at_us| Instant::now().checked_add(left(at_us)));
        self.caller = Some(Caller { authenticated, until });
        Ok(())
    }

    async fn subscribe(&mut self, id: Arc<str>, asked: Box<Asked>) -> Result<(), Ended> {
        let Some(caller) = &self.caller else { return Err(Some(Close::new(4401, "Unauthorized: send `connection_init` first"))) };
        if self.operations.has(&id) {
            return Err(Some(Close::new(4409, format!("Subscriber for {id} already exists"))));
        }
        if self.ending {
            // Its client asks again where it comes back.
            return Ok(());
        }
        self.begun += 1;
        let context = Context {
            principal: caller.authenticated.principal.clone(),
            deadline: Deadline(Some(std::time::Instant::now() + self.within)),
            idempotency: None,
            request: RequestId(format!("{}.{}", self.context.request.0, self.begun).into()),
        };
        let operations_max = self.face.engine.limits().graphql_socket_operations_max;
        if self.operations.len() >= operations_max {
            let error = Error::limit("graphql_socket_operations_max", operations_max, "operations at once on one socket");
            let mut list = Vec::new();
            write_list(&mut list, &[error.into()], &context);
            return self.say(message::error(&id, &list)).await;
        }
        let expires_at_us = caller.authenticated.expires_at_us();
        self.operations.begin(id, Operation { face: self.face, context, expires_at_us, stage: Stage::Asked(asked) });
        Ok(())
    }

    /// Writes what an operation says, and with it what others say at once.
    async fn said(&mut self, id: Arc<str>, said: Said) -> Result<(), Ended> {
        let mut bytes = 0;
        let mut next = Some((id, said));
        while let Some((id, said)) = next {
            let json = match said {
                Said::Next(result) => message::next(&id, &result),
                Said::Error(errors) => message::error(&id, &errors),
                Said::Complete => message::complete(&id),
                Said::Close(close) => {
                    self.flush().await?;
                    return Err(Some(close));
                }
                Said::Bye => {
                    self.ending = true;
                    Vec::new()
                }
            };
            bytes += json.len();
            if !json.is_empty() {
                self.feed(&json)?;
            }
            next = if bytes < WRITE_BYTES { self.operations.next().now_or_never().flatten() } else { None };
        }
        self.flush().await
    }

    async fn say(&mut self, json: Vec<u8>) -> Result<(), Ended> {
        self.feed(&json)?;
        self.flush().await
    }

    fn feed(&mut self, json: &[u8]) -> Result<(), Ended> {
        std::str::from_utf8(json).map_err(|_| Some(Close::new(1011, "Internal error")))?;
        self.socket.feed(Kind::Text, Draft::from(json)).map_err(|_| None)
    }

    /// Waits until all of it is written: nothing queues here. A client that does not read is slow.
    async fn flush(&mut self) -> Result<(), Ended> {
        match timeout(WRITE_WITHIN, self.socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(Close::slow())),
        }
    }
}

/// How long until a moment: microseconds since 1970, UTC.
fn left(at_us: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_micros(u64::try_from(at_us).unwrap_or_default()).saturating_sub(now)
}
