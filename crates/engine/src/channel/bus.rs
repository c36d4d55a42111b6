//! The bus: carries what is said in channels beside the log, to every process that serves them.
//!
//! Publications without a stream, signals and presence go over it; nothing of them is in the log. Rows of a stream are commits, and come by the
//! [feed](crate::feed). What is said is heard here at once; over a store that other processes share it is also sent to those
//! ([`nodes`](super::nodes)).

use std::sync::{Arc, Weak};

use fourfold_op::{Cursor, Error};

use super::Topic;
use super::hall::Hall;
use super::nodes::Nodes;
use super::said::Said;
use super::words::Say;

/// Says what is said.
pub(super) struct Bus {
    hall: Weak<Hall>,
    nodes: Option<Arc<Nodes>>,
}

impl Bus {
    pub fn new(hall: &Arc<Hall>, nodes: Option<Arc<Nodes>>) -> Bus {
        Bus { hall: Arc::downgrade(hall), nodes }
    }

    /// Says it to all who hear. It never waits: what goes to other processes has a bounded queue of its own.
    ///
    /// The answer is where a publication stands here.
    ///
    /// # Errors
    /// `overloaded` for more channels than there may be, and for publications that wait for other processes; `limit_exceeded` for more presence.
    pub fn say(&self, topic: &Topic, said: Said) -> Result<Option<Cursor>, Error> {
        let Some(hall) = self.hall.upgrade() else { return Ok(None) };
        let Some(nodes) = &self.nodes else { return hall.hear(topic, said) };
        if matches!(said, Said::Publication { .. }) {
            // First, so that one that cannot be sent is heard nowhere.
            nodes.send(&Say::In(topic, &said))?;
            return hall.hear(topic, said);
        }
        let heard = hall.hear(topic, said.clone())?;
        // A signal is gone then, and presence is said again.
        let _ = nodes.send(&Say::In(topic, &said));
        Ok(heard)
    }

    /// Takes leave of the other processes.
    pub fn close(&self) {
        if let Some(nodes) = &self.nodes {
            nodes.close();
        }
    }
}
