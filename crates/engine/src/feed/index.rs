//! The index: which groups an event may concern, by the values that a field had and has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fourfold_model::{EntityId, FieldId, Model, Value};
use fourfold_plan::WatchPlan;

use super::group::Group;
use super::logged::Logged;
use super::queue::Queue;

/// Every group, by what it must be shown.
#[derive(Default)]
pub(super) struct Index {
    groups: HashMap<WatchPlan, Arc<Group>>,
    entities: HashMap<EntityId, Watched>,
    last: u64,
}

/// The groups of one entity.
#[derive(Default)]
struct Watched {
    /// Those that ask for a value of a field.
    equal: HashMap<FieldId, HashMap<Value, Bucket>>,
    /// All others: they are shown every event.
    rest: Bucket,
}

type Bucket = BTreeMap<u64, Arc<Group>>;

/// A group, and the event that may concern it, by its place in the commit.
pub(super) type Found = (Arc<Group>, usize);

impl Index {
    /// Puts a watch in.
    pub fn insert(&mut self, plan: &WatchPlan, seat: u64, queue: Arc<Queue>) {
        let group = match self.groups.get(plan) {
            Some(group) => group.clone(),
            None => self.add(plan),
        };
        group.join(seat, queue);
    }

    /// Takes a watch out.
    pub fn remove(&mut self, plan: &WatchPlan, seat: u64) {
        let Some(group) = self.groups.get(plan).cloned() else { return };
        if !group.leave(seat) {
            return;
        }
        self.groups.remove(plan);
        for place in plan.places() {
            let Some(watched) = self.entities.get_mut(&place.entity) else { continue };
            match place.equal {
                None => drop(watched.rest.remove(&group.id)),
                Some((field, values)) => watched.forget(field, &values, group.id),
            }
            if watched.is_empty() {
                self.entities.remove(&place.entity);
            }
        }
    }

    fn add(&mut self, plan: &WatchPlan) -> Arc<Group> {
        self.last += 1;
        let group = Arc::new(Group::new(self.last, plan.clone()));
        self.groups.insert(plan.clone(), group.clone());
        for place in plan.places() {
            let watched = self.entities.entry(place.entity).or_default();
            match place.equal {
                None => drop(watched.rest.insert(group.id, group.clone())),
                Some((field, values)) => watched.remember(field, values, &group),
            }
        }
        group
    }

    /// Whether anyone asks for events of an entity.
    pub fn watches(&self, entity: EntityId) -> bool {
        self.entities.contains_key(&entity)
    }

    /// The groups that the events of a commit may concern: each group's together, and in order.
    pub fn find(&self, model: &Model, commit: &[Arc<Logged>]) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for (place, logged) in commit.iter().enumerate() {
            if let Some(watched) = self.entities.get(&logged.event.entity) {
                watched.find(model, logged, &mut |group| found.push((group.clone(), place)));
            }
        }
        found.sort_unstable_by_key(|(group, place)| (group.id, *place));
        // One may be found by the value before and by that after.
        found.dedup_by_key(|(group, place)| (group.id, *place));
        found
    }
}

impl Watched {
    fn find(&self, model: &Model, logged: &Logged, found: &mut dyn FnMut(&Arc<Group>)) {
        self.rest.values().for_each(&mut *found);
        let Some(images) = logged.images(model) else {
            // Nobody knows whom it concerns, so it concerns all.
            return self.equal.values().flat_map(HashMap::values).flat_map(BTreeMap::values).for_each(found);
        };
        for (field, buckets) in &self.equal {
            for value in images.values(*field) {
                buckets.get(value).into_iter().flat_map(BTreeMap::values).for_each(&mut *found);
            }
        }
    }

    fn remember(&mut self, field: FieldId, values: Vec<Value>, group: &Arc<Group>) {
        let buckets = self.equal.entry(field).or_default();
        for value in values {
            buckets.entry(value).or_default().insert(group.id, group.clone());
        }
    }

    fn forget(&mut self, field: FieldId, values: &[Value], group: u64) {
        let Some(buckets) = self.equal.get_mut(&field) else { return };
        for value in values {
            if let Some(bucket) = buckets.get_mut(value) {
                bucket.remove(&group);
                if bucket.is_empty() {
                    buckets.remove(value);
                }
            }
        }
        if buckets.is_empty() {
            self.equal.remove(&field);
        }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.equal.is_empty()
    }
}
