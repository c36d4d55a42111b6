//! What is said in channels, and what their subscribers are told.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{Row, SmolStr};
use parking_lot::Mutex;

use crate::feed::Delivery;

/// A subscriber, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The connection's id, of which there is only one.
    pub id: Arc<str>,
    /// The issuer of its caller's token; empty for an anonymous one.
    pub issuer: Arc<str>,
    /// Its caller; empty for an anonymous one.
    pub user: Arc<str>,
}

/// A publication of a channel without a stream.
#[derive(Debug)]
pub struct Publication {
    /// Its place in its channel: grows by one.
    pub offset: u64,
    /// One JSON value.
    pub data: Arc<str>,
    /// Who published it.
    pub by: Client,
    /// What was made of it for those who are told now.
    frames: Mutex<Vec<Frame>>,
}

/// A publication as it is told in one form, under one name of its channel.
#[derive(Debug)]
struct Frame {
    form: &'static str,
    channel: Arc<str>,
    bytes: Bytes,
}

/// Names of one channel, in all forms, under which the bytes of a publication are shared; more are made for each anew.
const FRAMES_MAX: usize = 4;

impl Publication {
    pub(super) fn new(offset: u64, data: Arc<str>, by: Client) -> Publication {
        Publication { offset, data, by, frames: Mutex::default() }
    }

    /// Hands on the bytes of this publication in a form, as the channel is named: made for the first of all who are told, then kept.
    pub fn encoded<T>(&self, form: &'static str, channel: &Arc<str>, make: impl FnOnce() -> Bytes, hand_on: impl FnOnce(&[u8]) -> T) -> T {
        let mut frames = self.frames.lock();
        if let Some(frame) = frames.iter().find(|frame| frame.form == form && frame.channel == *channel) {
            return hand_on(&frame.bytes);
        }
        let bytes = make();
        if frames.len() < FRAMES_MAX {
            frames.push(Frame { form, channel: channel.clone(), bytes: bytes.clone() });
        }
        drop(frames);
        hand_on(&bytes)
    }
}

/// A signal: told to who is there, and gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Which of the channel's signals.
    pub name: SmolStr,
    /// Whose.
    pub by: Client,
}

/// A subscriber that tells of itself.
#[derive(Clone, Debug)]
pub struct Present {
    /// Who.
    pub client: Client,
    /// The channel's presence fields, in their order.
    pub info: Row,
    /// Which of its subscriptions says so: another one may have taken its place when it ends.
    pub subscription: u128,
}

/// What is said in a channel.
#[derive(Clone, Debug)]
pub enum Said {
    /// Something new; the bus gives it its place.
    Publication {
        /// One JSON value.
        data: Arc<str>,
        /// Who publishes it.
        by: Client,
    },
    /// A signal.
    Signal(Arc<Signal>),
    /// A subscriber is there, still or anew.
    Present(Arc<Present>),
    /// A subscriber is there no longer, unless by another subscription.
    Absent(Arc<Present>),
}

/// One thing that a subscriber is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// A row of the stream has changed. Boxed: of all that waits for its readers a channel keeps many, and each is as large as the largest.
    Row(Box<Delivery>),
    /// Something was published where there is no stream.
    Publication(Arc<Publication>),
    /// A signal of another subscriber.
    Signal(Arc<Signal>),
    /// A subscriber tells of itself, for the first time or anew.
    Joined(Arc<Present>),
    /// It is there no longer.
    Left(Arc<Present>),
}
