//! The other processes over one store: what they say in channels, and who of those that are present is theirs.
//!
//! Each engine is a node with a name of its own, and numbers what it says. A number that came before is not heard again; one that is missing
//! shows that something was lost: then those present are asked for anew, and subscribers of channels that only live in memory begin anew. A node
//! says that it is there; one that has not for as long as its lease lasts is gone, and all whom it had present with it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fourfold_model::SharedModel;
use fourfold_op::{Cursor, Error, Limits};
use fourfold_store::bus::Bus;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Topic;
use super::hall::Hall;
use super::said::Said;
use super::words::{Heard, Say, Words};

/// How often a node says that it is there.
pub const ALIVE_EVERY: Duration = Duration::from_secs(4);
/// How long a node is there after it last said anything.
pub const NODE_LEASE: Duration = Duration::from_secs(15);
/// How often it is looked who is gone, and who is to be told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often rooms are looked through for presence that was not refreshed.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// This engine among the others.
pub(super) struct Nodes {
    name: Arc<str>,
    model: SharedModel,
    bus: Arc<dyn Bus>,
    /// The number of the last text that was sent.
    last: Mutex<u64>,
    closed: watch::Sender<bool>,
}

impl Nodes {
    /// Joins the others: hears them for as long as the hall is there.
    pub fn join(hall: &Arc<Hall>, model: &SharedModel, limits: &Limits, bus: Arc<dyn Bus>) -> Arc<Nodes> {
        let heard = bus.hear();
        let name = uuid::Uuid::new_v4().simple().to_string().into();
        let nodes = Arc::new(Nodes { name, model: model.clone(), bus, last: Mutex::new(0), closed: watch::Sender::new(false) });
        let others = Others {
            nodes: nodes.clone(),
            hall: Arc::downgrade(hall),
            limits: limits.clone(),
            known: HashMap::new(),
            asks: true,
            tells: false,
            said_at: None,
            swept_at: Instant::now(),
        };
        tokio::spawn(others.run(heard));
        nodes
    }

    /// Says it here and to the others.
    ///
    /// # Errors
    /// Those of both; what is not sent of a signal is gone, and presence is said again.
    pub fn say(&self, hall: &Hall, topic: &Topic, said: Said) -> Result<Option<Cursor>, Error> {
        if matches!(said, Said::Publication { .. }) {
            // First, so that one that cannot be sent is heard nowhere.
            self.send(&Say::In(topic, &said))?;
            return hall.hear(topic, said);
        }
        let heard = hall.hear(topic, said.clone())?;
        let _ = self.send(&Say::In(topic, &said));
        Ok(heard)
    }

    /// Sends it to the others, with the next number.
    ///
    /// # Errors
    /// `overloaded` where too much waits; `limit_exceeded` for what is too long. The number is then the next one's.
    pub fn send(&self, say: &Say<'_>) -> Result<(), Error> {
        let mut last = self.last.lock();
        if *self.closed.borrow() {
            return Ok(());
        }
        self.bus.send(say.write(&self.model, &self.name, *last + 1))?;
        *last += 1;
        Ok(())
    }

    /// Says that it ends, and nothing after that.
    pub fn close(&self) {
        // Where there is no room for it, the lease ends by itself.
        let _ = self.send(&Say::Bye);
        self.closed.send_replace(true);
    }
}

/// What is known of the others.
struct Others {
    nodes: Arc<Nodes>,
    hall: Weak<Hall>,
    limits: Limits,
    known: HashMap<Arc<str>, Known>,
    /// Whether those present are to be asked for.
    asks: bool,
    /// Whether somebody asked.
    tells: bool,
    said_at: Option<Instant>,
    swept_at: Instant,
}

struct Known {
    last: u64,
    heard_at: Instant,
}

impl Others {
    async fn run(mut self, mut heard: mpsc::Receiver<Arc<str>>) {
        let mut closed = self.nodes.closed.subscribe();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = closed.wait_for(|closed| *closed) => return,
                _ = look.tick() => {}
                text = heard.recv() => match text {
                    Some(text) => {
                        let Some(hall) = self.hall.upgrade() else { return self.nodes.close() };
                        self.hear(&hall, &text);
                        continue;
                    }
                    // The store is closed.
                    None => return,
                }
            }
            let Some(hall) = self.hall.upgrade() else { return self.nodes.close() };
            self.look(&hall);
        }
    }

    fn hear(&mut self, hall: &Hall, text: &str) {
        let Some(words) = Words::read(text).filter(|words| words.node != &*self.nodes.name) else { return };
        let (node, number, now) = (Arc::<str>::from(words.node), words.number, Instant::now());
        match self.known.get_mut(&node) {
            // It was sent again.
            Some(known) if number <= known.last => return,
            Some(known) => {
                let lost = number > known.last + 1;
                (known.last, known.heard_at) = (number, now);
                if lost {
                    self.asks = true;
                    hall.interrupt();
                }
            }
            None => {
                self.known.insert(node.clone(), Known { last: number, heard_at: now });
                // What it said before was not heard.
                self.asks = true;
            }
        }
        match words.heard(&self.nodes.model, &self.limits) {
            Some(Heard::Said(topic, said)) => hall.hear_from(&node, &topic, said),
            Some(Heard::Hello) => self.tells = true,
            Some(Heard::Bye) => {
                self.known.remove(&node);
                hall.forget_node(&node);
            }
            Some(Heard::Alive) | None => {}
        }
    }

    fn look(&mut self, hall: &Hall) {
        let now = Instant::now();
        let gone = self.known.extract_if(|_, known| now.saturating_duration_since(known.heard_at) >= NODE_LEASE);
        gone.for_each(|(node, _)| hall.forget_node(&node));
        if now.saturating_duration_since(self.swept_at) >= SWEEP_EVERY {
            self.swept_at = now;
            hall.sweep_all();
        }
        if std::mem::take(&mut self.tells) {
            for (topic, said) in hall.own_presence() {
                // What has no room now is said when it is refreshed.
                if self.nodes.send(&Say::In(&topic, &said)).is_err() {
                    break;
                }
            }
        }
        if self.asks {
            self.asks = self.nodes.send(&Say::Hello).is_err();
            self.said_at = Some(now);
        }
        if self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= ALIVE_EVERY) {
            self.said_at = Some(now);
            // It is said again.
            let _ = self.nodes.send(&Say::Alive);
        }
    }
}
