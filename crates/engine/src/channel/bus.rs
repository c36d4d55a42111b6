//! The bus: carries what is said in channels beside the log, to every process that serves them.
//!
//! Publications without a stream, signals and presence go over it; nothing of them is in the log. Rows of a stream are commits, and come by the
//! [feed](crate::feed). What is said is heard here at once; over a store that other processes share it is also sent to those
//! (`nodes.rs`), in a build that can open one.

use std::sync::{Arc, Weak};

use fourfold_op::{Cursor, Error};

use super::Topic;
use super::hall::Hall;
#[cfg(feature = "nodes")]
use super::nodes::Nodes;
use super::said::Said;

/// Says what is said.
pub(super) struct Bus {
    hall: Weak<Hall>,
    #[cfg(feature = "nodes")]
    nodes: Option<Arc<Nodes>>,
}

impl Bus {
    /// The bus of one process.
    pub fn new(hall: &Arc<Hall>) -> Bus {
        Bus {
            hall: Arc::downgrade(hall),
            #[cfg(feature = "nodes")]
            nodes: None,
        }
    }

    /// One that goes to other processes too.
    #[cfg(feature = "nodes")]
    pub fn with(hall: &Arc<Hall>, nodes: Arc<Nodes>) -> Bus {
        Bus { hall: Arc::downgrade(hall), nodes: Some(nodes) }
    }

    /// Says it to all who hear. It never waits: what goes to other processes has a bounded queue of its own.
    ///
    /// The answer is where a publication stands here.
    ///
    /// # Errors
    /// `overloaded` for more channels than there may be, and for publications that wait for other processes; `limit_exceeded` for more presence.
    pub fn say(&self, topic: &Topic, said: Said) -> Result<Option<Cursor>, Error> {
        let Some(hall) = self.hall.upgrade() else { return Ok(None) };
        #[cfg(feature = "nodes")]
        if let Some(nodes) = &self.nodes {
            return nodes.say(&hall, topic, said);
        }
        hall.hear(topic, said)
    }

    /// Takes leave of the other processes.
    pub fn close(&self) {
        #[cfg(feature = "nodes")]
        if let Some(nodes) = &self.nodes {
            nodes.close();
        }
    }
}
