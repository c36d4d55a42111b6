//! What one process holds of channels: who hears, what is kept, who is present. None of it is in the log, and all of it is bounded.

#[cfg(feature = "nodes")]
mod others;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fourfold_model::SharedModel;
use fourfold_op::{Cursor, Epoch, Error, ErrorCode, Limits};
use parking_lot::Mutex;

use super::Topic;
use super::history::History;
use super::mailbox::{Ended, Mailbox};
use super::presence::{Presence, PresenceStats};
use super::said::{Client, Present, Publication, Said, Told};
use crate::feed::Closing;

/// Below so many channels nothing is swept.
const SWEEP_MIN: usize = 1_024;

/// Every channel of which something is held.
pub(super) struct Hall {
    model: SharedModel,
    limits: Limits,
    /// Names this start: the first part of the epoch of each channel.
    start: String,
    rooms: Mutex<Rooms>,
    opened: AtomicU64,
    /// Of all publications that are kept.
    history_bytes: AtomicUsize,
}

#[derive(Default)]
struct Rooms {
    held: HashMap<Topic, Arc<Room>>,
    /// When there are so many, those in which nothing is left are swept out.
    sweep_at: usize,
    closing: Option<Closing>,
}

/// What is held of one channel.
pub(super) struct Room {
    pub epoch: Epoch,
    inner: Mutex<Inner>,
}

struct Inner {
    mailboxes: HashMap<u64, Arc<Mailbox>>,
    last: u64,
    history: History,
    presence: Presence,
    /// It was taken out of the hall: who still knows it must look again.
    gone: bool,
}

/// A subscriber's place in a room.
pub(super) struct Entered {
    pub room: Arc<Room>,
    pub number: u64,
    pub mailbox: Arc<Mailbox>,
    /// Where the subscriber begins.
    pub cursor: Cursor,
    /// What it missed; `None` where that cannot be told any more, or it did not ask.
    pub missed: Option<Vec<Arc<Publication>>>,
}

impl Hall {
    pub fn new(model: SharedModel, limits: Limits) -> Hall {
        // Eight digits tell this start from those before it.
        let start: String = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
        Hall { model, limits, start, rooms: Mutex::default(), opened: AtomicU64::new(0), history_bytes: AtomicUsize::new(0) }
    }

    /// Lets a subscriber in; with a cursor it is given what it missed since.
    pub fn enter(&self, topic: &Topic, client: Client, notices: bool, after: Option<&Cursor>) -> Result<Entered, Error> {
        let mut rooms = self.rooms.lock();
        if let Some(closing) = rooms.closing {
            return Err(crate::feed::closed(closing));
        }
        let room = self.open(&mut rooms, topic)?;
        // Within the lock of all rooms, so that none is swept between being found and being entered.
        let entered = room.enter(Mailbox::new(client, notices, &self.limits), after, &self.limits);
        drop(rooms);
        entered
    }

    /// Takes what is said to those whom it concerns.
    pub fn hear(&self, topic: &Topic, said: Said) -> Result<Option<Cursor>, Error> {
        match said {
            Said::Publication { data, by } => loop {
                let room = self.open(&mut self.rooms.lock(), topic)?;
                let mut inner = room.inner.lock();
                if !inner.gone {
                    self.publish(&mut inner, data, by);
                    return Ok(Some(room.cursor(&inner)));
                }
            },
            Said::Signal(signal) => {
                let told = Told::Signal(signal.clone());
                self.in_room(topic, |inner| inner.tell(&told, |mailbox| mailbox.client.id != signal.by.id));
                Ok(None)
            }
            Said::Present(present) => {
                let put = self.in_room(topic, |inner| inner.put(&present, None, &self.limits));
                put.unwrap_or(Ok(())).map(|()| None)
            }
            Said::Absent(present) => {
                self.in_room(topic, |inner| {
                    let left = inner.presence.remove(&present);
                    inner.tell_left(left);
                });
                Ok(None)
            }
        }
    }

    /// Whether a connection is subscribed: its mailbox.
    pub fn mailbox(&self, topic: &Topic, client: &str) -> Option<Arc<Mailbox>> {
        let find = |inner: &mut Inner| inner.mailboxes.values().find(|mailbox| &*mailbox.client.id == client).cloned();
        self.in_room(topic, find).flatten()
    }

    /// Who is present.
    pub fn present(&self, topic: &Topic) -> Vec<Arc<Present>> {
        self.in_room(topic, |inner| inner.present().all()).unwrap_or_default()
    }

    /// How many are present.
    pub fn present_stats(&self, topic: &Topic) -> PresenceStats {
        self.in_room(topic, |inner| inner.present().stats()).unwrap_or_default()
    }

    /// The publications that are kept, in either order, and how far the channel has come.
    ///
    /// # Errors
    /// `cursor_expired` for a place in another epoch.
    pub fn history(&self, topic: &Topic, page: &super::HistoryPage) -> Result<(Vec<Arc<Publication>>, Cursor), Error> {
        let Some(room) = self.rooms.lock().held.get(topic).cloned() else {
            let nowhere = Cursor { epoch: Epoch(Arc::from(format!("{}x", self.start))), after: 0, skip: None };
            return super::stream::since(page, &nowhere.epoch).map(|_| (Vec::new(), nowhere));
        };
        let mut inner = room.inner.lock();
        self.counting(&mut inner, |inner| inner.history.drop_old());
        let since = super::stream::since(page, &room.epoch)?;
        let all = inner.history.all();
        let found: Vec<Arc<Publication>> = match page.reverse {
            false => all.filter(|kept| since.is_none_or(|since| kept.offset > since)).take(page.limit).cloned().collect(),
            true => all.rev().filter(|kept| since.is_none_or(|since| kept.offset < since)).take(page.limit).cloned().collect(),
        };
        let cursor = room.cursor(&inner);
        Ok((found, cursor))
    }

    /// Takes a subscriber out, and the room with it where nothing is left.
    pub fn leave(&self, topic: &Topic, room: &Room, number: u64) {
        let mut rooms = self.rooms.lock();
        let mut inner = room.inner.lock();
        inner.mailboxes.remove(&number);
        inner.history.touch();
        if inner.is_forgotten() && !inner.gone {
            inner.gone = true;
            rooms.held.remove(topic);
        }
    }

    /// Ends every subscription, and lets none begin any more.
    pub fn close(&self, closing: Closing) {
        let mut rooms = self.rooms.lock();
        let closing = *rooms.closing.get_or_insert(closing);
        for room in rooms.held.values() {
            room.inner.lock().mailboxes.values().for_each(|mailbox| mailbox.end(Ended::Closed(closing)));
        }
    }

    /// Lets those go who did not refresh themselves.
    pub fn sweep_presence(&self, topic: &Topic) {
        self.in_room(topic, Inner::end_presence);
    }

    fn open(&self, rooms: &mut Rooms, topic: &Topic) -> Result<Arc<Room>, Error> {
        if let Some(room) = rooms.held.get(topic)
            && !self.forget(room, Inner::is_forgotten)
        {
            return Ok(room.clone());
        }
        rooms.held.remove(topic);
        if rooms.held.len() >= rooms.sweep_at.max(SWEEP_MIN).min(self.limits.channels_max) {
            self.sweep(rooms, Inner::is_forgotten);
        }
        if rooms.held.len() >= self.limits.channels_max {
            self.sweep(rooms, Inner::is_idle);
        }
        if rooms.held.len() >= self.limits.channels_max {
            let message = format!("{} channels are open (limit `channels_max`); try again later", self.limits.channels_max);
            return Err(Error::new(ErrorCode::Overloaded, message));
        }
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let declared = self.model.channel(topic.channel).history;
        let room = Arc::new(Room {
            epoch: Epoch(Arc::from(format!("{}{number}", self.start))),
            inner: Mutex::new(Inner {
                mailboxes: HashMap::new(),
                last: 0,
                history: History::new(declared),
                presence: Presence::default(),
                gone: false,
            }),
        });
        rooms.held.insert(topic.clone(), room.clone());
        Ok(room)
    }

    /// Takes out the rooms that may go.
    fn sweep(&self, rooms: &mut Rooms, may_go: impl Fn(&Inner) -> bool) {
        rooms.held.retain(|_, room| !self.forget(room, &may_go));
        rooms.sweep_at = rooms.held.len() * 2;
    }

    /// Whether a room goes now: who still knows it looks again.
    fn forget(&self, room: &Room, may_go: impl Fn(&Inner) -> bool) -> bool {
        let mut inner = room.inner.lock();
        self.counting(&mut inner, |inner| inner.history.drop_old());
        inner.gone = may_go(&inner);
        inner.gone
    }

    fn publish(&self, inner: &mut Inner, data: Arc<str>, by: Client) {
        let room_left = self.limits.channels_history_bytes_max.saturating_sub(self.history_bytes.load(Ordering::Relaxed));
        let bytes_max = self.limits.channel_history_bytes_max;
        let publication = self.counting(inner, |inner| inner.history.push(data, by, bytes_max, room_left));
        inner.tell(&Told::Publication(publication), |_| true);
    }

    /// Does something to a history, and counts its bytes anew.
    fn counting<T>(&self, inner: &mut Inner, change: impl FnOnce(&mut Inner) -> T) -> T {
        let before = inner.history.bytes();
        let result = change(inner);
        let after = inner.history.bytes();
        match after >= before {
            true => self.history_bytes.fetch_add(after - before, Ordering::Relaxed),
            false => self.history_bytes.fetch_sub(before - after, Ordering::Relaxed),
        };
        result
    }

    fn in_room<T>(&self, topic: &Topic, then: impl FnOnce(&mut Inner) -> T) -> Option<T> {
        let room = self.rooms.lock().held.get(topic).cloned()?;
        let mut inner = room.inner.lock();
        Some(then(&mut inner))
    }
}

impl Room {
    fn enter(self: &Arc<Room>, mailbox: Mailbox, after: Option<&Cursor>, limits: &Limits) -> Result<Entered, Error> {
        let mut inner = self.inner.lock();
        if inner.mailboxes.len() >= limits.channel_subscribers_max {
            let message = format!("{} subscribers are in it (limit `channel_subscribers_max`)", limits.channel_subscribers_max);
            return Err(Error::new(ErrorCode::Overloaded, message));
        }
        let after = after.filter(|after| after.epoch.0.is_empty() || after.epoch == self.epoch);
        let missed = after.and_then(|after| inner.history.after(after.after));
        inner.last += 1;
        let (number, mailbox) = (inner.last, Arc::new(mailbox));
        inner.mailboxes.insert(number, mailbox.clone());
        let cursor = match (&missed, after) {
            (Some(_), Some(after)) => Cursor { epoch: self.epoch.clone(), ..after.clone() },
            _ => self.cursor(&inner),
        };
        Ok(Entered { room: self.clone(), number, mailbox, cursor, missed })
    }

    fn cursor(&self, inner: &Inner) -> Cursor {
        Cursor { epoch: self.epoch.clone(), after: inner.history.offset(), skip: None }
    }
}

impl Inner {
    /// Whether nobody is there and nothing is kept, for so long that nobody comes back to where it was.
    fn is_forgotten(&self) -> bool {
        self.is_idle() && self.history.is_over()
    }

    /// Whether nobody is there and nothing is kept.
    fn is_idle(&self) -> bool {
        self.mailboxes.is_empty() && self.history.is_empty() && self.presence.is_empty()
    }

    fn tell(&self, told: &Told, whom: impl Fn(&Mailbox) -> bool) {
        self.mailboxes.values().filter(|mailbox| whom(mailbox)).for_each(|mailbox| mailbox.push(told));
    }

    fn tell_left(&self, left: impl IntoIterator<Item = Arc<Present>>) {
        for present in left {
            self.tell(&Told::Left(present), |mailbox| mailbox.notices);
        }
    }

    fn put(&mut self, present: &Arc<Present>, node: Option<&Arc<str>>, limits: &Limits) -> Result<(), Error> {
        self.end_presence();
        if self.presence.put(present, node, limits)? {
            self.tell(&Told::Joined(present.clone()), |mailbox| mailbox.notices);
        }
        Ok(())
    }

    /// Who is present, without those that were not refreshed.
    fn present(&mut self) -> &Presence {
        self.end_presence();
        &self.presence
    }

    /// Takes out those that were not refreshed, and tells that they left.
    fn end_presence(&mut self) {
        let ended = self.presence.take_ended();
        self.tell_left(ended);
    }
}
