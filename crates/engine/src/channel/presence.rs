//! Who is present in a channel: entries that end unless they are refreshed.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fourfold_op::{Error, Limits};
use tokio::time::Instant;

use super::said::Present;

/// How long an entry lasts.
const TTL: Duration = Duration::from_secs(60);
/// How often a subscription refreshes its own.
pub(super) const REFRESH: Duration = Duration::from_secs(27);

/// The entries of one channel, by connection.
#[derive(Debug, Default)]
pub(super) struct Presence(HashMap<Arc<str>, Entry>);

#[derive(Debug)]
struct Entry {
    present: Arc<Present>,
    until: Instant,
    /// Whose it is; `None`: ours.
    node: Option<Arc<str>>,
}

/// How many are present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceStats {
    /// Connections.
    pub clients: usize,
    /// Callers; all anonymous ones are one.
    pub users: usize,
}

impl Presence {
    /// Puts an entry in, or keeps it longer; whether it says something new.
    /// `node` is whose it is; `None`: ours.
    pub fn put(&mut self, present: &Arc<Present>, node: Option<&Arc<str>>, limits: &Limits) -> Result<bool, Error> {
        let until = Instant::now() + TTL;
        if let Some(entry) = self.0.get_mut(&present.client.id) {
            entry.until = until;
            let is_new = entry.present.info != present.info || entry.present.client != present.client;
            entry.present = present.clone();
            entry.node = node.cloned();
            return Ok(is_new);
        }
        if self.0.len() >= limits.channel_presence_max {
            return Err(Error::limit("channel_presence_max", limits.channel_presence_max, "subscribers present"));
        }
        self.0.insert(present.client.id.clone(), Entry { present: present.clone(), until, node: node.cloned() });
        Ok(true)
    }

    /// Takes an entry out, where it is still of this subscription.
    pub fn remove(&mut self, present: &Present) -> Option<Arc<Present>> {
        let entry = self.0.get(&present.client.id)?;
        if entry.present.subscription != present.subscription {
            return None;
        }
        self.0.remove(&present.client.id).map(|entry| entry.present)
    }

    /// Takes out those that were not refreshed.
    pub fn take_ended(&mut self) -> Vec<Arc<Present>> {
        let now = Instant::now();
        self.0.extract_if(|_, entry| entry.until <= now).map(|(_, entry)| entry.present).collect()
    }

    /// Takes out those of a node.
    #[cfg(feature = "nodes")]
    pub fn take_of(&mut self, node: &str) -> Vec<Arc<Present>> {
        self.0.extract_if(|_, entry| entry.node.as_deref() == Some(node)).map(|(_, entry)| entry.present).collect()
    }

    /// Our own.
    #[cfg(feature = "nodes")]
    pub fn own(&self) -> impl Iterator<Item = &Arc<Present>> {
        self.0.values().filter(|entry| entry.node.is_none()).map(|entry| &entry.present)
    }

    /// Everyone, by connection.
    pub fn all(&self) -> Vec<Arc<Present>> {
        let mut all: Vec<Arc<Present>> = self.0.values().map(|entry| entry.present.clone()).collect();
        all.sort_unstable_by(|a, b| a.client.id.cmp(&b.client.id));
        all
    }

    pub fn stats(&self) -> PresenceStats {
        let users: HashSet<(&str, &str)> =
            self.0.values().map(|entry| (&*entry.present.client.issuer, &*entry.present.client.user)).collect();
        PresenceStats { clients: self.0.len(), users: users.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
