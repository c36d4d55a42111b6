//! What a connection watches: by channel, and as one stream of all that they are told.
//!
//! Nothing queues here. What the connection does not take waits in each watch's own bounded queue, and a watch whose queue
//! overflows ends the connection: they share one socket, and it is that which is slow.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fourfold_engine::{Delivery, End, Rights, Subscription};
use fourfold_op::Cursor;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, FutureExt};
use futures_util::stream::{Abortable, BoxStream, SelectAll};
use tokio::time::Instant;

use crate::subscribe::Asked;

/// All of one connection.
#[derive(Default)]
pub(crate) struct Watches {
    /// Boxed: a map has places for four, and most connections watch one channel.
    by_channel: HashMap<Arc<str>, Box<Watching>>,
    told: SelectAll<Abortable<BoxStream<'static, Told>>>,
    pub(crate) resets: Resets,
}

/// Channels that a reset ended, with where: who recovers from before it has not recovered.
#[derive(Default)]
pub(crate) struct Resets(VecDeque<(Arc<str>, Cursor)>);

/// One channel.
pub(crate) struct Watching {
    pub(crate) asked: Asked,
    pub(crate) rights: Rights,
    /// From where to go on after what was pushed.
    pub(crate) cursor: Cursor,
    /// Its own token has ended: when it ends unless another is shown.
    pub(crate) lapses_at: Option<Instant>,
    abort: AbortHandle,
}

/// What a channel is told.
pub(crate) struct Told {
    pub(crate) channel: Arc<str>,
    pub(crate) what: Result<Delivery, End>,
}

impl Watches {
    pub(crate) fn len(&self) -> usize {
        self.by_channel.len()
    }

    pub(crate) fn has(&self, channel: &str) -> bool {
        self.by_channel.contains_key(channel)
    }

    pub(crate) fn channels(&self) -> Vec<Arc<str>> {
        self.by_channel.keys().cloned().collect()
    }

    pub(crate) fn get(&self, channel: &str) -> Option<&Watching> {
        self.by_channel.get(channel).map(Box::as_ref)
    }

    pub(crate) fn watching(&mut self, channel: &str) -> Option<&mut Watching> {
        self.by_channel.get_mut(channel).map(Box::as_mut)
    }

    /// Those whose own token has ended, and when each ends.
    pub(crate) fn lapsing(&self) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        self.by_channel.iter().filter_map(|(channel, watching)| Some((channel, watching.lapses_at?)))
    }

    /// Adds a channel whose watch has begun.
    pub(crate) fn insert(&mut self, channel: &str, asked: Asked, subscription: Subscription) {
        let channel: Arc<str> = channel.into();
        let (rights, cursor) = (subscription.rights(), subscription.cursor().clone());
        let abort = self.push(&channel, subscription);
        self.resets.0.retain(|(of, _)| *of != channel);
        self.by_channel.insert(channel, Box::new(Watching { asked, rights, cursor, lapses_at: None, abort }));
    }

    /// Puts another watch in the place of a channel's present one.
    pub(crate) fn replace(&mut self, channel: &Arc<str>, subscription: Subscription) {
        let rights = subscription.rights();
        let abort = self.push(channel, subscription);
        match self.by_channel.get_mut(channel) {
            Some(watching) => (watching.abort, watching.rights, watching.lapses_at) = (abort, rights, None),
            None => abort.abort(),
        }
    }

    /// Ends a channel; nothing more of it is told.
    pub(crate) fn remove(&mut self, channel: &str) -> Option<Box<Watching>> {
        let watching = self.by_channel.remove(channel)?;
        watching.abort.abort();
        Some(watching)
    }

    /// Lets a channel be silent until its watch is replaced.
    pub(crate) fn silence(&mut self, channel: &str) -> Option<&mut Watching> {
        let watching = self.by_channel.get_mut(channel)?;
        watching.abort.abort();
        Some(watching)
    }

    /// The next thing that any of them is told; none while there are none.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        self.told.next().await
    }

    /// What is there to be told at once.
    pub(crate) fn next_ready(&mut self) -> Option<Told> {
        self.told.next().now_or_never().flatten()
    }

    fn push(&mut self, channel: &Arc<str>, subscription: Subscription) -> AbortHandle {
        let (abort, registration) = AbortHandle::new_pair();
        self.told.push(Abortable::new(told(channel.clone(), subscription), registration));
        abort
    }
}

impl Resets {
    /// Remembers that what a channel was told no longer holds.
    pub(crate) fn note(&mut self, channel: Arc<str>, cursor: Cursor, max: usize) {
        while self.0.len() >= max.max(1) {
            self.0.pop_front();
        }
        self.0.push_back((channel, cursor));
    }

    /// Whether a channel was reset after a place.
    pub(crate) fn any_after(&self, channel: &str, from: &Cursor) -> bool {
        let before = |cursor: &Cursor| cursor.epoch != from.epoch || from.after <= cursor.after;
        self.0.iter().any(|(of, cursor)| of.as_ref() == channel && before(cursor))
    }
}

/// A watch as a stream that ends after its end. It is boxed, since the stream has room for several of what it goes on with.
fn told(channel: Arc<str>, subscription: Subscription) -> BoxStream<'static, Told> {
    let stream = futures_util::stream::unfold(Some(Box::new(subscription)), move |subscription| {
        let channel = channel.clone();
        async move {
            let mut subscription = subscription?;
            let what = subscription.next().await;
            let rest = what.is_ok().then_some(subscription);
            Some((Told { channel, what }, rest))
        }
    });
    stream.boxed()
}
