//! A channel as its subscriber has it.

use std::collections::VecDeque;
use std::sync::Arc;

use fourfold_op::Cursor;
use tokio::time::Instant;

use super::Topic;
use super::bus::Bus;
use super::hall::{Entered, Hall};
use super::join::{Guard, Lost};
use super::mailbox::Ended;
use super::presence::REFRESH;
use super::said::{Present, Publication, Said, Told};
use super::stream::Stream;
use crate::feed::{Closing, Delivery, End};

/// How a subscription ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEnd {
    /// The join rule no longer holds.
    Revoked,
    /// As any watch ends; a cursor is one of this channel.
    Ended(End),
}

/// A subscription to a channel; dropping it ends it.
pub struct ChannelSubscription {
    guard: Guard,
    seat: Seat,
    stream: Option<Box<Stream>>,
    backlog: VecDeque<Arc<Publication>>,
    recovered: Option<bool>,
    /// Where it is, in a channel without a stream.
    cursor: Cursor,
    ended: Option<ChannelEnd>,
}

/// A place in the hall: given back when it is dropped.
pub(super) struct Seat {
    pub hall: Arc<Hall>,
    pub bus: Arc<Bus>,
    pub topic: Topic,
    pub entered: Entered,
    /// What it tells of itself, and when it is to be told again.
    pub present: Option<(Arc<Present>, Instant)>,
}

impl ChannelSubscription {
    pub(super) fn new(guard: Guard, mut seat: Seat, stream: Option<Stream>, recovered: Option<bool>) -> ChannelSubscription {
        let missed = seat.entered.missed.take().unwrap_or_default();
        let cursor = seat.entered.cursor.clone();
        ChannelSubscription { guard, seat, stream: stream.map(Box::new), backlog: missed.into(), recovered, cursor, ended: None }
    }

    /// From where to go on after what was told so far.
    pub fn cursor(&self) -> &Cursor {
        self.stream.as_ref().map_or(&self.cursor, |stream| stream.cursor())
    }

    /// Whether it goes on from where it was asked to; `None` where it was not asked.
    pub fn recovered(&self) -> Option<bool> {
        self.recovered
    }

    /// The next thing to be told. It can be cancelled at any time: nothing is lost.
    ///
    /// # Errors
    /// How it has ended, now and at each later call.
    pub async fn next(&mut self) -> Result<Told, ChannelEnd> {
        while self.ended.is_none() {
            if let Some(told) = self.step().await {
                return Ok(told);
            }
        }
        Err(self.ended.clone().unwrap_or(ChannelEnd::Revoked))
    }

    /// The next thing to be told, and what waits already behind it, up to so many.
    ///
    /// # Errors
    /// As [`next`](ChannelSubscription::next).
    pub async fn next_together(&mut self, items_max: usize) -> Result<Vec<Told>, ChannelEnd> {
        let mut together = vec![self.next().await?];
        if self.ended.is_none() && self.backlog.is_empty() {
            self.seat.entered.mailbox.take_more(&mut together, items_max);
            let last = together.iter().rev().find_map(|told| if let Told::Publication(last) = told { Some(last.offset) } else { None });
            self.cursor.after = last.unwrap_or(self.cursor.after);
        }
        Ok(together)
    }

    async fn step(&mut self) -> Option<Told> {
        let refresh_at = self.seat.present.as_ref().map(|(_, at)| *at);
        let end = tokio::select! {
            biased;
            lost = self.guard.lost() => self.end_of(&lost),
            publication = first(&mut self.backlog) => return Some(self.published(publication)),
            told = self.seat.entered.mailbox.next() => match told {
                Ok(Told::Publication(publication)) => return Some(self.published(publication)),
                Ok(told) => return Some(told),
                Err(ended) => self.end_of_mailbox(ended),
            },
            told = row(&mut self.stream) => match told {
                Ok(delivery) => return Some(Told::Row(Box::new(delivery))),
                Err(end) => ChannelEnd::Ended(end),
            },
            () = until(refresh_at) => {
                self.seat.refresh();
                return None;
            }
        };
        self.seat.leave_presence();
        self.ended = Some(end);
        None
    }

    fn published(&mut self, publication: Arc<Publication>) -> Told {
        self.cursor.after = publication.offset;
        Told::Publication(publication)
    }

    fn end_of(&self, lost: &Lost) -> ChannelEnd {
        let cursor = self.cursor().clone();
        ChannelEnd::Ended(match lost {
            Lost::Revoked => return ChannelEnd::Revoked,
            Lost::Expired => End::CredentialEnded(cursor),
            Lost::Bye => End::Bye(cursor),
            Lost::Reset => End::Reset(cursor),
        })
    }

    fn end_of_mailbox(&self, ended: Ended) -> ChannelEnd {
        let cursor = self.cursor().clone();
        ChannelEnd::Ended(match ended {
            Ended::Slow => End::Slow(cursor),
            Ended::Closed(Closing::Drain) => End::Bye(cursor),
            Ended::Closed(Closing::Replaced) => End::Reset(cursor),
        })
    }
}

impl Seat {
    fn refresh(&mut self) {
        let Some((present, at)) = &mut self.present else { return };
        *at = Instant::now() + REFRESH;
        // An entry that is there already is only kept longer: nothing is refused.
        let _ = self.bus.say(&self.topic, Said::Present(present.clone()));
        self.hall.sweep_presence(&self.topic);
    }

    fn leave_presence(&mut self) {
        if let Some((present, _)) = self.present.take() {
            // It says nothing new where it cannot be said: the entry ends by itself.
            let _ = self.bus.say(&self.topic, Said::Absent(present));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave_presence();
        self.hall.leave(&self.topic, &self.entered.room, self.entered.number);
    }
}

async fn first(backlog: &mut VecDeque<Arc<Publication>>) -> Arc<Publication> {
    match backlog.pop_front() {
        Some(publication) => publication,
        None => std::future::pending().await,
    }
}

async fn row(stream: &mut Option<Box<Stream>>) -> Result<Delivery, End> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a subscriber holds while it waits, in bytes.
    fn held<'a, F: 'a>(_: impl Fn(&'a mut ChannelSubscription) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_subscriber_that_waits_holds_no_room_for_what_is_rare() {
        let bytes = (size_of::<ChannelSubscription>(), held(ChannelSubscription::next));
        assert!(bytes.0 <= 512 && bytes.1 <= 1_792, "{bytes:?} bytes");
    }
}
