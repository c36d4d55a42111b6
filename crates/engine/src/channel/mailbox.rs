//! What waits for one subscriber beside the rows of its stream: bounded, never waited for.

use std::collections::VecDeque;
use std::sync::Arc;

use fourfold_op::Limits;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::said::{Client, Told};
use crate::feed::Closing;

/// What a notice costs in memory beside its data, in bytes, roughly.
const NOTICE_BYTES: usize = 128;

/// The mailbox of one subscriber.
pub(super) struct Mailbox {
    pub client: Client,
    /// Whether it wants to be told who comes and goes.
    pub notices: bool,
    inner: Mutex<Inner>,
    woken: Notify,
    items_max: usize,
    bytes_max: usize,
    signals_max: u32,
}

#[derive(Default)]
struct Inner {
    told: VecDeque<Told>,
    bytes: usize,
    ended: Option<Ended>,
    /// When its newest signals were said, oldest first: one second of them.
    signals: VecDeque<Instant>,
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Slow,
    Closed(Closing),
}

impl Mailbox {
    pub fn new(client: Client, notices: bool, limits: &Limits) -> Mailbox {
        Mailbox {
            client,
            notices,
            inner: Mutex::default(),
            woken: Notify::new(),
            items_max: limits.watch_queue_deliveries_max,
            bytes_max: limits.watch_queue_bytes_max,
            signals_max: limits.channel_signals_per_second_max,
        }
    }

    /// Puts something in. Where there is no room a publication ends the subscription, so that it is not missed in silence; all else is dropped.
    pub fn push(&self, told: &Told) {
        let mut inner = self.inner.lock();
        if inner.ended.is_some() {
            return;
        }
        let bytes = bytes_of(told);
        let full = inner.told.len() >= self.items_max || inner.bytes + bytes > self.bytes_max;
        match (full && !inner.told.is_empty(), told) {
            (false, _) => {
                inner.bytes += bytes;
                inner.told.push_back(told.clone());
            }
            (true, Told::Publication(_)) => inner.end(Ended::Slow),
            (true, _) => return,
        }
        drop(inner);
        self.woken.notify_one();
    }

    pub fn end(&self, ended: Ended) {
        self.inner.lock().end(ended);
        self.woken.notify_one();
    }

    /// The next thing, or why there is none any more. It can be cancelled at any time.
    pub async fn next(&self) -> Result<Told, Ended> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.woken.notified().await;
        }
    }

    /// What is there at once.
    pub fn take(&self) -> Option<Result<Told, Ended>> {
        let mut inner = self.inner.lock();
        if let Some(ended) = inner.ended {
            return Some(Err(ended));
        }
        let told = inner.told.pop_front()?;
        inner.bytes -= bytes_of(&told);
        inner.release();
        Some(Ok(told))
    }

    /// Takes what is there at once, until there are so many; an end waits for the next call.
    pub fn take_more(&self, together: &mut Vec<Told>, items_max: usize) {
        let mut inner = self.inner.lock();
        let more = inner.told.len().min(items_max.saturating_sub(together.len()));
        let taken = together.len();
        together.extend(inner.told.drain(..more));
        inner.bytes -= together.iter().skip(taken).map(bytes_of).sum::<usize>();
        inner.release();
    }

    /// Takes one of the signals that it may say now; else in how many milliseconds it may.
    pub fn take_signal(&self) -> Result<(), u64> {
        const SECOND_MS: u64 = 1_000;
        let (now, mut inner) = (Instant::now(), self.inner.lock());
        let age = |at: &Instant| now.saturating_duration_since(*at).as_millis() as u64;
        while inner.signals.pop_front_if(|at| age(at) >= SECOND_MS).is_some() {}
        if inner.signals.len() < self.signals_max as usize {
            inner.signals.push_back(now);
            return Ok(());
        }
        Err(inner.signals.front().map_or(SECOND_MS, |oldest| SECOND_MS - age(oldest)))
    }
}

impl Inner {
    /// What waits is dropped: of publications its reader has the place.
    fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
        self.told = VecDeque::new();
        self.bytes = 0;
    }

    /// What was once full is not held by those who hear nothing.
    fn release(&mut self) {
        if self.told.is_empty() {
            self.told = VecDeque::new();
        }
    }
}

fn bytes_of(told: &Told) -> usize {
    NOTICE_BYTES
        + match told {
            Told::Publication(publication) => Arc::as_ref(publication).data.len(),
            _ => 0,
        }
}
