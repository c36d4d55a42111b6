//! A WebSocket over its stream.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frame::Opcode;
use crate::incoming::{Fault, Incoming, Received};
use crate::outgoing::{Draft, Outgoing};

/// Bytes that are read at once, over the stack.
const READ_BYTES: usize = 8 << 10;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8, which whoever sends it answers for.
    Text,
    /// Any bytes.
    Binary,
}

/// What the other side says.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, which is answered already.
    Ping,
    /// A pong.
    Pong,
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A frame broke the protocol: 1002.
    Protocol,
    /// A text message, or the reason of a close, was not UTF-8: 1007.
    NotUtf8,
    /// A message was larger than its limit: 1009.
    TooLarge,
    /// The other side closes.
    Closed,
    /// The stream has ended, or failed.
    Gone,
}

/// The limits of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message that comes.
    pub message_bytes_max: usize,
    /// Bytes that wait to be written.
    pub out_bytes_max: usize,
}

/// The server's side of a WebSocket. It holds no buffer while nothing is under way.
pub struct Socket<S> {
    stream: S,
    limits: Limits,
    incoming: Incoming,
    out: Outgoing,
    /// Whether the stream was written to and not flushed since.
    is_unflushed: bool,
    /// What the newest ping that is not answered yet carried: of several only it is (RFC 6455 §5.5.3).
    ping: Option<Vec<u8>>,
    /// Whether the other side has closed; its close is answered then.
    is_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket over a stream on which the handshake is done.
    pub fn new(stream: S, limits: Limits) -> Socket<S> {
        Socket {
            stream,
            limits,
            incoming: Incoming::default(),
            out: Outgoing::default(),
            is_unflushed: false,
            ping: None,
            is_closed: false,
        }
    }

    /// The next message. It can be cancelled at any time.
    ///
    /// # Errors
    /// Why there is none; [`close`](Socket::close) it then.
    pub async fn next(&mut self) -> Result<Message, Ended> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Puts a message behind those that wait to be written; it goes out with [`flush`](Socket::flush).
    ///
    /// # Errors
    /// [`Ended::Gone`] where more would wait than the limit allows.
    pub fn feed(&mut self, kind: Kind, message: Draft) -> Result<(), Ended> {
        if self.out.len() + message.len() > self.limits.out_bytes_max {
            return Err(Ended::Gone);
        }
        let opcode = if kind == Kind::Text { Opcode::Text } else { Opcode::Binary };
        self.out.push(opcode, message);
        Ok(())
    }

    /// Puts a ping behind what waits to be written.
    pub fn feed_ping(&mut self) {
        self.out.push(Opcode::Ping, Draft::default());
    }

    /// Waits until everything is written. It can be cancelled at any time, and goes on with the next call.
    ///
    /// # Errors
    /// [`Ended::Gone`].
    pub async fn flush(&mut self) -> Result<(), Ended> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Ends it: says why, or answers the other side's close, and waits a moment for it to leave.
    pub async fn close(mut self, why: Option<(u16, &str)>, within: Duration) {
        let closing = async {
            if let Some(why) = why.filter(|_| !self.is_closed) {
                self.out.push_close(Some(why));
            }
            self.flush().await?;
            if !self.is_closed {
                poll_fn(|cx| self.poll_left(cx)).await?;
            }
            Ok::<(), Ended>(())
        };
        let _late = tokio::time::timeout(within, closing).await;
    }

    /// Bytes of the buffers that it holds; 0 while nothing is under way.
    pub fn held_bytes(&self) -> usize {
        self.incoming.held() + self.out.held() + self.ping.as_ref().map_or(0, Vec::capacity)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        loop {
            if self.is_closed {
                return Poll::Ready(Err(Ended::Closed));
            }
            // What answers a ping goes out when it can; what comes does not wait for it.
            if let Poll::Ready(Err(ended)) = self.poll_flush(cx) {
                return Poll::Ready(Err(ended));
            }
            if let Some(received) = self.incoming.next(self.limits.message_bytes_max)? {
                return Poll::Ready(self.received(received, cx));
            }
            ready!(self.poll_read(cx))?;
        }
    }

    fn received(&mut self, received: Received, cx: &mut Context<'_>) -> Result<Message, Ended> {
        match received {
            Received::Text(text) => Ok(Message::Text(text)),
            Received::Binary(bytes) => Ok(Message::Binary(bytes)),
            Received::Pong => Ok(Message::Pong),
            Received::Ping(payload) => {
                self.ping = Some(payload);
                match self.poll_flush(cx) {
                    Poll::Ready(Err(ended)) => Err(ended),
                    _ => Ok(Message::Ping),
                }
            }
            Received::Close(code) => {
                self.is_closed = true;
                self.out.push_close(code.map(|code| (code, "")));
                Err(Ended::Closed)
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
            Ok(()) if !read.filled().is_empty() => {
                self.incoming.take(read.filled());
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err(Ended::Gone)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            if let Some(payload) = self.ping.take_if(|_| self.out.is_empty()) {
                self.out.push(Opcode::Pong, Draft::from(&*payload));
            }
            if self.out.is_empty() {
                break;
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.out.rest())) {
                Ok(written @ 1..) => self.out.wrote(written),
                _ => return Poll::Ready(Err(Ended::Gone)),
            }
            self.is_unflushed = true;
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(|_| Ended::Gone)?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Until the other side closes too.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while !self.incoming.skim() {
            ready!(self.poll_read(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        match fault {
            Fault::Protocol => Ended::Protocol,
            Fault::NotUtf8 => Ended::NotUtf8,
            Fault::TooLarge => Ended::TooLarge,
        }
    }
}
