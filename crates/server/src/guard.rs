//! A connection that passes on only what [`Wire`] lets through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::seats::Seat;
use crate::wire::{HeadLimits, Verdict, Wire};

/// The target of the request that stands for one that was refused.
pub(crate) const REFUSED: &str = "/refused";
/// The service answers it with the reason, and the library closes the connection after that answer, in its turn.
const STAND_IN: &[u8] = b"GET /refused HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// After an early answer, so many bytes are still read and dropped, so that the answer is not lost to a reset.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);

/// A checked HTTP/1.1 connection; it keeps its seat until it is dropped, as a tunnel too.
pub struct Guard<S> {
    io: S,
    seat: Seat,
    wire: Wire,
    /// Bytes that were read and not passed on.
    held: Vec<u8>,
    /// How many of them are judged good.
    good: usize,
    refused: bool,
    /// Whether held bytes can have become good since they were judged.
    decided: bool,
    /// Who reads, when an upgrade is being decided.
    reader: Option<Waker>,
    linger: Linger,
}

#[derive(Default)]
enum Linger {
    #[default]
    Not,
    Draining(Pin<Box<Sleep>>, usize),
    Done,
}

impl<S> Guard<S> {
    /// A connection whose first bytes were already read.
    pub fn new(io: S, seat: Seat, limits: HeadLimits, first: Vec<u8>) -> Guard<S> {
        let mut guard = Guard {
            io,
            seat,
            wire: Wire::new(limits),
            held: first,
            good: 0,
            refused: false,
            decided: false,
            reader: None,
            linger: Linger::Not,
        };
        // A body cannot be malformed before its head was read.
        let _ = guard.judge_held();
        guard
    }

    /// Judges what is held; the error is a malformed body.
    fn judge_held(&mut self) -> io::Result<()> {
        match self.wire.check(&self.held[self.good..]) {
            Verdict::Pass(more) => self.good += more,
            Verdict::RefuseHead(more, error) => {
                self.held.truncate(self.good + more);
                self.stand_in(error);
                self.good = self.held.len();
            }
            Verdict::RefuseBody => return Err(malformed_body()),
        }
        if self.good < self.held.len() && self.wire.expects_head() {
            self.seat.link().head_began();
        }
        Ok(())
    }

    fn stand_in(&mut self, error: fourfold_op::Error) {
        self.seat.link().refuse(error);
        self.held.extend_from_slice(STAND_IN);
        self.refused = true;
    }

    /// Passes on held bytes that are good.
    fn pass(&mut self, buf: &mut ReadBuf<'_>) {
        let passed = self.good.min(buf.remaining());
        buf.put_slice(&self.held[..passed]);
        self.good -= passed;
        if passed == self.held.len() {
            // An idle connection holds no buffer.
            self.held = Vec::new();
        } else {
            self.held.drain(..passed);
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads into the caller's buffer and takes back what may not pass yet.
    fn read_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<Step>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if read.is_empty() {
            return Poll::Ready(Ok(Step::Done));
        }
        match self.wire.check(read) {
            Verdict::Pass(n) if n == read.len() => return Poll::Ready(Ok(Step::Done)),
            Verdict::Pass(n) => {
                self.held.extend_from_slice(&read[n..]);
                buf.set_filled(before + n);
                if self.wire.expects_head() {
                    self.seat.link().head_began();
                }
            }
            Verdict::RefuseHead(n, error) => {
                buf.set_filled(before + n);
                self.stand_in(error);
                self.good = self.held.len();
            }
            Verdict::RefuseBody => return Poll::Ready(Err(malformed_body())),
        }
        let passed = buf.filled().len() > before;
        Poll::Ready(Ok(if passed { Step::Done } else { Step::Again }))
    }

    /// Reads more of what is held.
    fn read_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        let mut space = [0; 4096];
        let mut more = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut more))?;
        if more.filled().is_empty() {
            return Poll::Ready(Ok(Step::Done));
        }
        self.held.extend_from_slice(more.filled());
        self.judge_held()?;
        Poll::Ready(Ok(Step::Again))
    }
}

enum Step {
    Done,
    Again,
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.good > 0 {
                this.pass(buf);
                return Poll::Ready(Ok(()));
            }
            // Nothing more is read from one that was refused, nor before an upgrade is decided.
            if this.refused {
                return Poll::Pending;
            }
            if this.wire.is_undecided() {
                this.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let step = if this.held.is_empty() { this.read_through(cx, buf) } else { this.judge_and_read(cx) };
            match ready!(step)? {
                Step::Done => return Poll::Ready(Ok(())),
                Step::Again => {}
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Judges what came while an upgrade was being decided, else reads on.
    fn judge_and_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if std::mem::take(&mut self.decided) {
            self.judge_held()?;
            return Poll::Ready(Ok(Step::Again));
        }
        self.read_held(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    fn wrote(&mut self, first: &[u8], result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = result {
            self.seat.link().progressed();
            if self.wire.is_undecided() {
                self.wire.answered(first);
                self.decided = true;
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
            }
        }
    }

    /// Reads and drops what the other side still sends, for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Linger::Not = self.linger {
            self.linger = Linger::Draining(Box::pin(tokio::time::sleep(LINGER)), 0);
        }
        let Linger::Draining(until, dropped) = &mut self.linger else { return Poll::Ready(()) };
        let mut space = [0; 4096];
        while *dropped < LINGER_BYTES_MAX && until.as_mut().poll(cx).is_pending() {
            let mut more = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut more) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !more.filled().is_empty() => *dropped += more.filled().len(),
                Poll::Ready(_) => break,
            }
        }
        self.linger = Linger::Done;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.wrote(buf, &result);
        result
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&b""[..], |buf| buf);
        this.wrote(first, &result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Linger::Not = this.linger {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        }
        ready!(this.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

fn malformed_body() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the chunked body is malformed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::seats::{SeatLimits, Seats};

    #[tokio::test]
    async fn what_was_passed_on_is_not_held() {
        let seat = Seats::open(SeatLimits::default()).take([127, 0, 0, 1].into()).unwrap();
        let head = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let mut guard = Guard::new(tokio::io::empty(), seat, HeadLimits::default(), head.to_vec());
        let mut passed = [0; 100];
        assert_eq!(guard.read(&mut passed[..10]).await.unwrap(), 10);
        assert_eq!(guard.read(&mut passed[10..]).await.unwrap(), head.len() - 10);
        assert_eq!((&passed[..head.len()], guard.held.capacity()), (&head[..], 0));
    }
}
