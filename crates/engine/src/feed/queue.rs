//! What waits for one watch's reader: bounded, whole commits, never waited for.

use std::collections::VecDeque;

use fourfold_op::Limits;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::delivery::Item;

/// The queue of one watch: the tailer pushes, the subscription takes.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    woken: Notify,
    deliveries_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    /// Up to here its subscription has everything by another way.
    from: u64,
    ended: Option<Why>,
    /// Whether something waited when it was ended, or came later.
    dropped: bool,
}

/// Why a watch ends, without the cursor, which only its subscription knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Bye,
    Slow,
    Expired,
    Reset,
}

impl Queue {
    pub fn new(limits: &Limits) -> Queue {
        Queue {
            inner: Mutex::default(),
            woken: Notify::new(),
            deliveries_max: limits.watch_queue_deliveries_max,
            bytes_max: limits.watch_queue_bytes_max,
        }
    }

    /// Everything up to here comes to the subscription by another way.
    pub fn begin_after(&self, position: u64) {
        self.inner.lock().from = position;
    }

    /// Puts a commit in, or ends the watch when it has no room. An empty queue takes any commit: one is bounded itself.
    pub fn push(&self, commit: &[Item]) {
        let mut inner = self.inner.lock();
        let from = inner.from;
        let fresh = commit.iter().filter(|item| item.position() > from);
        let (count, bytes) = fresh.clone().fold((0, 0), |(count, bytes), item| (count + 1, bytes + item.bytes()));
        if count == 0 {
            return;
        }
        if inner.ended.is_some() {
            inner.dropped = true;
            return;
        }
        let full = inner.items.len() + count > self.deliveries_max || inner.bytes + bytes > self.bytes_max;
        if full && !inner.items.is_empty() {
            inner.end(Why::Slow);
        } else {
            inner.bytes += bytes;
            inner.items.extend(fresh.cloned());
        }
        drop(inner);
        self.woken.notify_one();
    }

    /// Ends the watch where its rights change with a commit; not with one that its subscription has come behind by another way: a node may be
    /// slower than the one that its reader comes from.
    pub fn reset(&self, commit_last: u64) {
        let from = self.inner.lock().from;
        if commit_last > from {
            self.end(Why::Reset);
        }
    }

    /// Ends the watch, now: what waits is dropped, for its cursor leads back to it.
    pub fn end(&self, why: Why) {
        self.inner.lock().end(why);
        self.woken.notify_one();
    }

    pub fn take(&self) -> Option<Item> {
        let mut inner = self.inner.lock();
        let item = inner.items.pop_front()?;
        inner.bytes -= item.bytes();
        if inner.items.is_empty() {
            // What was once full is not held by those who hear nothing.
            inner.items = VecDeque::new();
        }
        Some(item)
    }

    pub fn ended(&self) -> Option<Why> {
        self.inner.lock().ended
    }

    /// Whether nothing waits and nothing was dropped.
    pub fn is_quiet(&self) -> bool {
        let inner = self.inner.lock();
        inner.items.is_empty() && !inner.dropped
    }

    /// Resolves when something was pushed, or the watch was ended, since the last look.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Inner {
    fn end(&mut self, why: Why) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(why);
        self.dropped = !self.items.is_empty();
        self.items = VecDeque::new();
        self.bytes = 0;
    }
}
