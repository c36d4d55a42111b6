//! Groups: watches that judge every event alike, so that each event is judged once for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use fourfold_model::Model;
use fourfold_plan::{Images, Verdict, WatchPlan};
use parking_lot::Mutex;

use super::delivery::Item;
use super::logged::{Logged, Shared};
use super::queue::Queue;

/// Watches with one plan.
pub(super) struct Group {
    /// Grows with each group, so that what is found for an event has an order.
    pub id: u64,
    pub plan: WatchPlan,
    members: Mutex<HashMap<u64, Arc<Queue>>>,
}

impl Group {
    pub fn new(id: u64, plan: WatchPlan) -> Group {
        Group { id, plan, members: Mutex::default() }
    }

    pub fn join(&self, seat: u64, queue: Arc<Queue>) {
        self.members.lock().insert(seat, queue);
    }

    /// Whether nobody is left.
    pub fn leave(&self, seat: u64) -> bool {
        let mut members = self.members.lock();
        members.remove(&seat);
        members.is_empty()
    }

    /// Hands a judged commit, whose last position is given, to each member.
    pub fn hand_on(&self, judged: &Judged, last: u64) {
        let members = self.members.lock();
        for queue in members.values() {
            match judged {
                Judged::Items(items) => queue.push(items),
                Judged::Reset => queue.reset(last),
            }
        }
    }
}

/// What a commit is to a group.
pub(super) enum Judged {
    /// These, in order; maybe none.
    Items(Vec<Item>),
    /// The rights of the group's callers change with it, or it cannot be judged.
    Reset,
}

/// A commit while it is judged: what is made of an event for one group serves the others.
pub(super) struct Commit<'a> {
    model: &'a Model,
    generation: u32,
    events: &'a [Arc<Logged>],
    images: Vec<Option<Images>>,
    shared: Vec<Option<Arc<Shared>>>,
}

impl<'a> Commit<'a> {
    pub fn new(model: &'a Model, generation: u32, events: &'a [Arc<Logged>]) -> Commit<'a> {
        Commit { model, generation, events, images: vec![None; events.len()], shared: events.iter().map(|_| None).collect() }
    }

    /// Judges some of its events, by their place in it.
    pub fn judge(&mut self, plan: &WatchPlan, places: impl Iterator<Item = usize>) -> Judged {
        let mut items = Vec::new();
        for place in places {
            match self.verdict(plan, place) {
                Verdict::Ignore => {}
                Verdict::Reset => return Judged::Reset,
                verdict => items.extend(Item::of(self.shared(place), verdict)),
            }
        }
        if let Some(last) = items.last_mut() {
            last.last = true;
        }
        Judged::Items(items)
    }

    fn verdict(&mut self, plan: &WatchPlan, place: usize) -> Verdict {
        let logged = &self.events[place];
        // Written under a later model: this one's rules say nothing of it.
        if logged.event.generation > self.generation {
            return Verdict::Reset;
        }
        if self.images[place].is_none() {
            self.images[place] = logged.images(self.model).cloned();
        }
        match &mut self.images[place] {
            Some(images) => plan.judge(&logged.event, images),
            // What cannot be read may be anything.
            None => Verdict::Reset,
        }
    }

    fn shared(&mut self, place: usize) -> &Arc<Shared> {
        self.shared[place].get_or_insert_with(|| Shared::new(self.events[place].clone()))
    }
}
