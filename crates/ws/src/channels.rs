//! The declared channels of a connection: by name, and as one stream of all that they are told.
//!
//! Nothing queues here: what the connection does not take waits in each subscription's own bounded queues.

use std::collections::HashMap;
use std::sync::Arc;

use fourfold_engine::channel::Join;
use fourfold_engine::{ChannelEnd, ChannelSubscription, Told};
use fourfold_op::Cursor;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, FutureExt};
use futures_util::stream::{Abortable, BoxStream, SelectAll};
use tokio::time::Instant;

use crate::channel_named::Named;
use crate::subscribe::Form;

/// All of one connection.
#[derive(Default)]
pub(crate) struct Channels {
    /// Boxed: a map has places for four, and most connections have one channel.
    by_name: HashMap<Arc<str>, Box<Joined>>,
    told: SelectAll<Abortable<BoxStream<'static, Said>>>,
}

/// One channel, as often as it is begun.
pub(crate) struct Joined {
    pub(crate) named: Named,
    pub(crate) join: Join,
    /// How rows are shown, where there is a stream.
    pub(crate) form: Option<Form>,
    /// From where to go on after what was pushed.
    pub(crate) cursor: Cursor,
    /// Its own token has ended: when it ends unless another is shown.
    pub(crate) lapses_at: Option<Instant>,
    abort: AbortHandle,
}

/// What a channel is told: what there was at once, or how it ended.
pub(crate) struct Said {
    pub(crate) channel: Arc<str>,
    pub(crate) what: Result<Vec<Told>, ChannelEnd>,
}

/// Told together, of one channel.
const TOGETHER: usize = 64;

impl Channels {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn has(&self, channel: &str) -> bool {
        self.by_name.contains_key(channel)
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.by_name.keys().cloned().collect()
    }

    pub(crate) fn get_mut(&mut self, channel: &str) -> Option<&mut Joined> {
        self.by_name.get_mut(channel).map(Box::as_mut)
    }

    /// Those whose own token has ended, and when each ends.
    pub(crate) fn lapsing(&self) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        self.by_name.iter().filter_map(|(channel, joined)| Some((channel, joined.lapses_at?)))
    }

    /// Adds a channel, or puts another subscription in the place of its present one.
    pub(crate) fn insert(
        &mut self,
        channel: &Arc<str>,
        (named, join, form): (Named, Join, Option<Form>),
        subscription: ChannelSubscription,
    ) {
        let cursor = subscription.cursor().clone();
        let (abort, registration) = AbortHandle::new_pair();
        self.told.push(Abortable::new(told(channel.clone(), subscription), registration));
        let joined = Box::new(Joined { named, join, form, cursor, lapses_at: None, abort });
        if let Some(before) = self.by_name.insert(channel.clone(), joined) {
            before.abort.abort();
        }
    }

    /// Ends a channel; nothing more of it is told.
    pub(crate) fn remove(&mut self, channel: &str) -> Option<Box<Joined>> {
        let joined = self.by_name.remove(channel)?;
        joined.abort.abort();
        Some(joined)
    }

    /// The next thing that any of them is told; none while there are none.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        self.told.next().await
    }

    /// What is there to be told at once.
    pub(crate) fn next_ready(&mut self) -> Option<Said> {
        self.told.next().now_or_never().flatten()
    }
}

/// A subscription as a stream that ends after its end. It is boxed, since the stream has room for several of what it goes on with.
fn told(channel: Arc<str>, subscription: ChannelSubscription) -> BoxStream<'static, Said> {
    let stream = futures_util::stream::unfold(Some(Box::new(subscription)), move |subscription| {
        let channel = channel.clone();
        async move {
            let mut subscription = subscription?;
            let what = subscription.next_together(TOGETHER).await;
            let rest = what.is_ok().then_some(subscription);
            Some((Said { channel, what }, rest))
        }
    });
    stream.boxed()
}
