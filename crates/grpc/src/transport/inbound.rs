//! The messages of a stream, decoded in the task that takes them.
//!
//! `connectrpc` reads a body in a task of its own and hands each message over through a channel. Between two tasks a message of a row costs
//! more than the row, so the body of a stream is lent to who answers it. What is left of it comes back at the end, for `connectrpc` to drain.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use connectrpc::ConnectError;
use connectrpc::dispatcher::RequestStream;
use connectrpc::envelope::Envelope;
use futures_util::Stream;
use http_body::{Body as _, Frame, SizeHint};

use super::{Body, BodyError, Messages, status};
use crate::error::Status;

/// Splits the body of a request: what `connectrpc` reads, and what lends the body.
pub(super) fn split(body: Body, message_bytes_max: usize) -> (Rest, Lender) {
    let desk = Desk(Arc::new(Mutex::new(State { body: Some(body), is_open: false, waker: None })));
    (Rest(desk.clone()), Lender(Arc::new(Loan { desk, message_bytes_max })))
}

/// Where the body lies while it is not lent.
#[derive(Clone)]
struct Desk(Arc<Mutex<State>>);

struct State {
    body: Option<Body>,
    /// Whether it will not be lent any more.
    is_open: bool,
    waker: Option<Waker>,
}

impl Desk {
    /// No step under the lock leaves the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body for `connectrpc`: it waits while there is a lender or a reader, then holds what was not read.
pub(super) struct Rest(Desk);

impl http_body::Body for Rest {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.0.state();
        if !state.is_open {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let Some(body) = &mut state.body else { return Poll::Ready(None) };
        Pin::new(body).poll_frame(context).map_err(BodyError)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.state().body.as_ref().map(http_body::Body::size_hint).unwrap_or_default()
    }
}

/// Lends the body once.
#[derive(Clone)]
pub(super) struct Lender(Arc<Loan>);

struct Loan {
    desk: Desk,
    message_bytes_max: usize,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        state.is_open = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl Lender {
    /// The messages of the body, which are not compressed. `idle` is what `connectrpc` would tell of it, nothing: while it is held the rest
    /// of the body is not drained.
    pub(super) fn lend(self, idle: RequestStream) -> Messages {
        let body = self.0.desk.state().body.take();
        Box::pin(Inbound { body, read: BytesMut::new(), has_ended: false, loan: self.0, _idle: idle })
    }
}

struct Inbound {
    /// `None` when it was lent before.
    body: Option<Body>,
    read: BytesMut,
    has_ended: bool,
    loan: Arc<Loan>,
    _idle: RequestStream,
}

impl Inbound {
    /// The next message of what was read; `None` when more has to be read.
    fn decode(&mut self) -> Result<Option<Bytes>, ConnectError> {
        let Some(envelope) = Envelope::decode_with_limit(&mut self.read, self.loan.message_bytes_max)? else { return Ok(None) };
        if envelope.is_compressed() {
            return Err(ConnectError::internal("a message is marked as compressed, and no header says how"));
        }
        self.has_ended = envelope.is_end_stream();
        Ok((!self.has_ended).then_some(envelope.data))
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, ConnectError>>> {
        loop {
            match self.decode().transpose() {
                None if self.has_ended => return Poll::Ready(None),
                None => {}
                message => return Poll::Ready(message),
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => self.read.extend(frame.into_data().ok()),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(ConnectError::internal(format!("the request was not read to its end: {error}")))));
                }
                None if self.read.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(ConnectError::invalid_argument("the request ends within a message")))),
            }
        }
    }
}

impl Stream for Inbound {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let inbound = self.get_mut();
        if inbound.has_ended {
            return Poll::Ready(None);
        }
        let message = ready!(inbound.poll_message(context));
        inbound.has_ended = !matches!(message, Some(Ok(_)));
        Poll::Ready(message.map(|message| message.map_err(status)))
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.loan.desk.state().body = self.body.take();
    }
}
