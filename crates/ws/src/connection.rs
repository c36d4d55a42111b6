//! One connection: commands in, replies out, pings, and the end of its credential.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use crate::channels::Channels;
use crate::codec::{Codec, Out};
use crate::ending::{BAD_REQUEST, EXPIRED, End, INTERNAL, NO_PONG, STALE};
use crate::message::{Answer, Command, ConnectRequest, Kind, Malformed, Nothing, RpcRequest, RpcResult};
use crate::peer::{PING, Peer, Refused};
use crate::socket::{Ended, Message, Socket};
use crate::watches::Watches;

/// For the answer to a ping.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// For the first command, which must be a connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// After a token's end, for its refresh: clients ask at its very end.
const REFRESH_WITHIN: Duration = Duration::from_secs(25);
/// A wake that comes so much later than it was due: this process stood still, and what clients said meanwhile may wait unread.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// What there is to send goes out together up to this many bytes.
pub(crate) const FRAME_BYTES: usize = 64 << 10;

/// When a channel ends whose own token has just ended, and whether that is the first of all: clients ask for another token at its very end.
pub(crate) fn lapse(first: &mut Option<Instant>) -> Instant {
    let at = Instant::now() + REFRESH_WITHIN;
    first.get_or_insert(at);
    at
}

/// Runs a connection to its end.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(stream: S, codec: Codec, peer: Box<Peer>) {
    let socket = Socket::open(stream, peer.engine.limits());
    let opened = Instant::now();
    let (watches, channels) = (Watches::default(), Channels::default());
    let mut connection = Connection {
        socket,
        codec,
        peer,
        watches,
        channels,
        next_ping: opened + PING,
        pong_until: None,
        opened,
        lapses_at: None,
        ending: None,
    };
    if let Err(ended) = connection.serve().await {
        let Connection { socket, watches, channels, .. } = connection;
        // Whoever goes is no longer present while the close is waited for.
        drop((watches, channels));
        socket.close(ended).await;
    }
}

pub(crate) struct Connection<S> {
    socket: Socket<S>,
    pub(crate) codec: Codec,
    pub(crate) peer: Box<Peer>,
    pub(crate) watches: Watches,
    /// Those that the model declares.
    pub(crate) channels: Channels,
    next_ping: Instant,
    /// A ping that is not answered must be by then.
    pong_until: Option<Instant>,
    /// Since when it may connect.
    opened: Instant,
    /// When the first of the channels may end whose own token has.
    pub(crate) lapses_at: Option<Instant>,
    /// Why it ends, once what is in flight is answered.
    pub(crate) ending: Option<End>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn serve(&mut self) -> Result<(), Ended> {
        let engine = self.peer.engine.clone();
        let mut closed = std::pin::pin!(engine.watches_closed());
        let mut wake = std::pin::pin!(sleep_until(self.wake()));
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    // Boxed: between messages there is no room held for all that one may ask.
                    Box::pin(self.message(message?)).await?;
                    wake.as_mut().reset(self.wake());
                }
                Some(told) = self.watches.next() => {
                    self.push(told).await?;
                    if self.lapses_at.is_some() {
                        wake.as_mut().reset(self.wake());
                    }
                }
                Some(said) = self.channels.next() => {
                    self.push_said(said).await?;
                    if self.lapses_at.is_some() {
                        wake.as_mut().reset(self.wake());
                    }
                }
                closing = &mut closed => self.leave(closing).await?,
                () = &mut wake => {
                    if wake.deadline().elapsed() >= STOOD_STILL {
                        self.give_time_again();
                    } else {
                        self.woken().await?;
                    }
                    // Never in the past: how late the next one comes is seen by when it was due.
                    wake.as_mut().reset(self.wake().max(Instant::now()));
                }
            }
            if let Some(end) = self.ending {
                return Err(Some(end));
            }
        }
    }

    /// When something is due without a message.
    fn wake(&self) -> Instant {
        let connect_until = (!self.peer.is_connected()).then(|| self.opened + CONNECT_WITHIN);
        [Some(self.next_ping), self.pong_until, connect_until, self.expires_at(), self.lapses_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.next_ping)
    }

    fn expires_at(&self) -> Option<Instant> {
        let left = self.peer.left_seconds()?;
        let until_end = left.saturating_add(REFRESH_WITHIN.as_secs() as i64);
        // A day at most, so that a far end does not overflow a clock; it is asked again then.
        Some(Instant::now() + Duration::from_secs(u64::try_from(until_end).unwrap_or(0).min(86_400)))
    }

    /// A client is not to blame for the time in which nobody listened to it.
    fn give_time_again(&mut self) {
        let now = Instant::now();
        self.opened = now;
        self.pong_until = self.pong_until.map(|_| now + PONG_WITHIN);
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
        if self.lapses_at.is_some_and(|at| now >= at) {
            self.end_lapsed(now).await?;
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

    async fn message(&mut self, message: Message) -> Result<(), Ended> {
        match (message, self.codec) {
            (Message::Text(text), Codec::Json) => self.frame(text.as_bytes()).await,
            (Message::Binary(bytes), Codec::Protobuf) => self.frame(&bytes).await,
            _ => Err(Some(BAD_REQUEST)),
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
        match kind {
            Kind::Rpc(request) if self.peer.fixture.echo && request.method == "echo" => {
                out.answer(id, Answer::Rpc(RpcResult { data: request.data }));
            }
            Kind::Rpc(request) => return self.call(id, &request, out).await,
            Kind::Refresh(request) => return self.refresh(id, &request.token, out).await,
            Kind::Subscribe(request) => self.subscribe(id, &request, out).await,
            Kind::Unsubscribe(request) => self.unsubscribe(id, &request.channel, out),
            Kind::Ping(_) => out.answer(id, Answer::Ping(Nothing {})),
            kind @ (Kind::Publish(_) | Kind::Presence(_) | Kind::PresenceStats(_) | Kind::History(_)) => {
                self.on_channel(id, kind, out).await
            }
            Kind::SubRefresh(request) => return self.sub_refresh(id, &request, out).await,
            // A one-way message: nothing takes one.
            Kind::Connect(_) | Kind::Send(_) => {}
        }
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
        let mut subs = request.subs;
        if let Some(personal) = self.peer.personal() {
            subs.entry(personal).or_default();
        }
        for (channel, mut sub) in subs {
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
                Some(said) = self.channels.next(), if self.ending.is_none() => {
                    self.send(out).await?;
                    self.push_said(said).await?;
                }
            }
        };
        match answer {
            Ok(data) => out.answer(id, Answer::Rpc(RpcResult { data: data.into() })),
            Err(error) => out.error(id, &error),
        }
        Ok(())
    }

    /// Sends what was appended, and waits until it is written.
    pub(crate) async fn send(&mut self, out: &mut Out) -> Result<(), Ended> {
        if out.is_empty() {
            return Ok(());
        }
        let (kind, message) = out.take().map_err(|_| Some(INTERNAL))?;
        self.socket.send(kind, message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each connection holds for as long as it lasts, asked or not, in bytes.
    fn held<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_holds_no_room_for_what_is_not_asked() {
        let bytes = held(run::<tokio::io::DuplexStream>);
        assert!(bytes <= 2_048, "{bytes} bytes");
    }
}
