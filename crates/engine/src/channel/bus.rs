//! The bus: carries what is said in channels beside the log, to every process that serves them.
//!
//! Publications without a stream, signals and presence go over it; nothing of them is in the log. Rows of a stream are commits, and come by the
//! [feed](crate::feed). In one process it hands on what is said at once ([`Memory`]); one over a network would carry it to all.

use std::sync::Weak;

use fourfold_op::{Cursor, Error};

use super::Topic;
use super::hall::Hall;
use super::said::Said;

/// Carries what is said.
pub trait Bus: Send + Sync {
    /// Says it to all who hear, in one order for each channel. It never waits: a bus over a network has a bounded queue of its own.
    ///
    /// The answer is where a publication stands, where that is known at once.
    ///
    /// # Errors
    /// `overloaded` for more channels than there may be, `limit_exceeded` for more presence.
    fn say(&self, topic: &Topic, said: Said) -> Result<Option<Cursor>, Error>;
}

/// The bus of one process.
pub(super) struct Memory(pub Weak<Hall>);

impl Bus for Memory {
    fn say(&self, topic: &Topic, said: Said) -> Result<Option<Cursor>, Error> {
        match self.0.upgrade() {
            Some(hall) => hall.hear(topic, said),
            None => Ok(None),
        }
    }
}
