//! Group commit: single writes that come while others are being written become one transaction.
//!
//! Each member stays a commit of its own, with its own record in the outbox and its own answer; no two are about the same row, so they could
//! have come in any order. What the database refuses ends a transaction, and with it every member's. So whoever meets a row that is there already
//! leaves the group, and anything else that is met undoes it: those who left, or all, then go on alone, as if there were no groups.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fourfold_model::{Default as FieldDefault, EntityId, Value};
use fourfold_op::Change;
use fourfold_plan::{Settled, WritePlan};
use fourfold_store::{CommitError, Committed, Side};
use futures_util::future::{join, join_all};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::texts::{TableTexts, Texts};
use super::write::{Heads, key_text};
use super::{Committing, Done, Stop, at_commit, begin, ended, put_and_commit};
use crate::Inner;
use crate::error::Fail;
use crate::lent::Lent;
use crate::limits::GROUP_LOCK_WAIT_MAX;
use crate::pooled::Pooled;

/// Commits of one group.
const MEMBERS_MAX: usize = 64;
/// Bytes of the events of a group of several.
const BYTES_MAX: usize = 1 << 20;
/// One row for each member, in their order.
const OUTBOX: &str = "INSERT INTO fourfold_outbox (count, generation, at, by, events) SELECT count, $4, $5, by, events \
    FROM unnest($1::int8[], $2::text[], $3::bytea[]) WITH ORDINALITY AS m(count, by, events, place) ORDER BY place";

/// What became of a member: its commit's outcome, or its plan, which is to go on alone.
type Told = Result<Result<Committed, CommitError>, WritePlan>;

/// The commits of one node that wait for a group to be written. One group at a time: more would be smaller, and wait for the same disk.
#[derive(Default)]
pub struct Groups(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    members: VecDeque<Member>,
    /// Somebody writes a group, and then the next.
    led: bool,
}

/// A commit that waits.
struct Member {
    plan: WritePlan,
    tell: oneshot::Sender<Told>,
}

/// Commits a plan as a member of a group; gives it back where it cannot be one.
pub async fn commit(inner: &Arc<Inner>, plan: WritePlan, side: &[Side]) -> Told {
    if !side.is_empty() || !may_be_member(inner, &plan) {
        return Err(plan);
    }
    let (tell, told) = oneshot::channel();
    if inner.groups.enter(Member { plan, tell }) {
        tokio::spawn(lead(inner.clone()));
    }
    told.await.unwrap_or_else(|_| Ok(Err(CommitError::Unknown("the commit's task ended".into()))))
}

/// A write of one row, to a table whose refusals are foreseen, that takes one counter's numbers at most: their order is the members'.
fn may_be_member(inner: &Inner, plan: &WritePlan) -> bool {
    if plan.len() != 1 || plan.each() || plan.deletes(0) {
        return false;
    }
    let id = plan.head(0).entity;
    let entity = plan.model().entity(id);
    let counters = entity.fields.iter().filter(|field| matches!(field.default, Some(FieldDefault::Next))).count();
    let foreseen = plan.updates(0) || entity.uniques.is_empty() || inner.texts(plan.model()).table(id).is_ok_and(TableTexts::takes_arrays);
    foreseen && counters <= 1 && !inner.adopted.read().contains_key(&entity.number)
}

impl Groups {
    /// Adds a commit; whether somebody is to lead.
    fn enter(&self, member: Member) -> bool {
        let mut queue = self.0.lock();
        queue.members.push_back(member);
        !std::mem::replace(&mut queue.led, true)
    }

    /// The next group, of one model and of different rows; `None` where nobody waits: then nobody leads any more.
    fn next(&self) -> Option<Vec<Member>> {
        let mut queue = self.0.lock();
        let Some(first) = queue.members.front() else {
            queue.led = false;
            return None;
        };
        let (fingerprint, mut keys) = (first.plan.model().fingerprint, HashSet::new());
        let (mut group, mut left) = (Vec::new(), VecDeque::new());
        while group.len() < MEMBERS_MAX
            && let Some(member) = queue.members.pop_front()
        {
            let head = member.plan.head(0);
            let fits = member.plan.model().fingerprint == fingerprint && head.key.is_none_or(|key| keys.insert((head.entity, key.clone())));
            if fits { group.push(member) } else { left.push_back(member) }
        }
        left.append(&mut queue.members);
        queue.members = left;
        Some(group)
    }
}

/// Writes groups until nobody waits.
async fn lead(inner: Arc<Inner>) {
    while let Some(group) = inner.groups.next() {
        let (plans, tells): (Vec<WritePlan>, Vec<_>) = group.into_iter().map(|member| (member.plan, member.tell)).unzip();
        let told: Vec<Told> = match together(&inner, &plans).await {
            Ok(outcomes) => outcomes.into_iter().zip(plans).map(|(outcome, plan)| outcome.ok_or(plan)).collect(),
            Err(Stop::Refused(unknown @ CommitError::Unknown(_))) => plans.iter().map(|_| Ok(Err(unknown.clone()))).collect(),
            Err(_) => plans.into_iter().map(Err).collect(),
        };
        for (tell, told) in tells.into_iter().zip(told) {
            // Whoever does not wait any more is gone with the server.
            let _ = tell.send(told);
        }
    }
}

/// What became of each; `None` of whoever is to go on alone.
type Outcomes = Vec<Option<Result<Committed, CommitError>>>;

/// One transaction for all. [`Stop::Refused`] says that nobody knows what became of it; after any other stop nothing of it is written.
async fn together(inner: &Inner, plans: &[WritePlan]) -> Done<Outcomes> {
    let Some(first) = plans.first() else { return Ok(Vec::new()) };
    let texts = inner.texts(first.model());
    let lent = Lent::take(&inner.pooled).await?;
    let mut places: Vec<Place> = Vec::with_capacity(plans.len());
    let client = lent.client()?;
    places.extend(plans.iter().map(|plan| Place {
        committing: Committing::new(inner, client, &texts, plan),
        settled: None,
        outcome: None,
    }));
    let done = match written(inner, client, &texts, &mut places).await {
        Ok(()) => committed(client, &places).await,
        Err(Stop::Refused(_)) => Err(Stop::Again),
        Err(stop) => Err(stop),
    };
    let outcomes = places.into_iter().map(|place| place.outcome).collect();
    ended(inner, lent, done.map(|()| outcomes)).await
}

/// A member in the group's transaction.
struct Place<'a> {
    committing: Committing<'a>,
    /// What it writes, while it belongs to the group.
    settled: Option<Box<Settled>>,
    outcome: Option<Result<Committed, CommitError>>,
}

impl Place<'_> {
    /// Leaves the group before anything of it is written: refused, or to go on alone. A number that a counter gave would be lost with that.
    fn leave(&mut self, refused: Option<CommitError>) -> Done<()> {
        if !self.committing.given.is_empty() {
            return Err(Stop::Again);
        }
        self.settled = None;
        self.outcome = refused.map(Err);
        Ok(())
    }

    /// Whether its key was named, so that its row may have been there before.
    fn is_keyed(&self) -> bool {
        self.committing.plan.head(0).key.is_some()
    }

    /// Takes in what its step came to.
    fn settle(&mut self, settled: Done<(fourfold_store::SettledStep, Box<Settled>)>) -> Done<()> {
        let (step, settled) = match settled {
            Err(Stop::Refused(refused)) => return self.leave(Some(refused)),
            settled => settled?,
        };
        if settled.change.is_some()
            && let Err(Stop::Refused(refused)) = self.committing.event(&settled)
        {
            return self.leave(Some(refused));
        }
        self.outcome = Some(Ok(Committed { steps: vec![Ok(step)], cursor: None }));
        if self.committing.may_meet_another(&settled)? {
            return self.leave(None);
        }
        self.settled = settled.change.is_some().then_some(settled);
        Ok(())
    }
}

impl Committing<'_> {
    /// Whether a change may be refused for another row's sake.
    fn may_meet_another(&self, settled: &Settled) -> Done<bool> {
        let mut unique = self.texts.table(settled.entity)?.unique_names.iter().flat_map(|(_, fields)| fields);
        Ok(settled.change == Some(Change::Updated) && unique.any(|field| settled.changed_fields.contains(field)))
    }

    /// Writes a row by statements of its own.
    async fn write_alone(&self, settled: &Settled, keyed: bool) -> Done<()> {
        match settled.change {
            Some(Change::Created) => self.insert(settled, keyed).await,
            _ => self.update(settled).await,
        }
    }

    /// Inserts rows that can be sent as arrays, in the order of their keys, so that two who insert the same do not wait for each other; the keys
    /// of those that met no others.
    async fn insert_together(&self, entity: EntityId, mut rows: Vec<(&Settled, bool)>) -> Done<(EntityId, HashSet<Value>)> {
        rows.sort_by_cached_key(|(settled, _)| key_text(&settled.key));
        let keyed: Vec<&Settled> = rows.iter().filter(|(_, keyed)| *keyed).map(|(settled, _)| *settled).collect();
        let rows: Vec<&Settled> = rows.into_iter().map(|(settled, _)| settled).collect();
        let asked = async { if keyed.is_empty() { Ok(()) } else { self.not_deleted_meanwhile(entity, &keyed).await } };
        let (inserted, asked) = join(self.insert_rows(entity, &rows), asked).await;
        let inserted = inserted?;
        asked?;
        Ok((entity, inserted))
    }
}

/// Settles and writes all members' rows.
async fn written(inner: &Inner, client: &Pooled, texts: &Texts, places: &mut [Place<'_>]) -> Done<()> {
    let Some(first) = places.first() else { return Ok(()) };
    let mut heads = Heads::default();
    places.iter().for_each(|place| heads.add(place.committing.plan));
    let settings = format!(" SET LOCAL lock_timeout = {};", GROUP_LOCK_WAIT_MAX.as_millis());
    let (now, loaded) = begin(inner, client, &texts.model, &settings, first.committing.load_heads(heads)).await?;
    let mut loaded: HashMap<_, _> = loaded.into_iter().collect();
    for Place { committing, .. } in places.iter_mut() {
        committing.moment.now = now;
        let head = committing.plan.head(0);
        let found = head.key.and_then(|key| loaded.remove_entry(&(head.entity, key.clone())));
        committing.loaded.extend(found);
    }
    let settled = all(join_all(places.iter_mut().map(|place| place.committing.settled(0))).await)?;
    for (place, settled) in places.iter_mut().zip(settled) {
        place.settle(settled)?;
    }
    let inserted = insert(texts, places).await?;
    for place in places.iter_mut() {
        let Some(settled) = place.settled.as_deref().filter(|settled| takes_arrays(texts, settled)) else { continue };
        match inserted.get(&settled.entity).is_some_and(|keys| keys.contains(&settled.key)) {
            true => place.committing.counted(settled).await?,
            false => place.leave(None)?,
        }
    }
    Ok(())
}

/// Sends all members' rows at once; of each entity the keys of those that were inserted together.
async fn insert(texts: &Texts, places: &[Place<'_>]) -> Done<HashMap<EntityId, HashSet<Value>>> {
    let (mut arrays, mut alone) = (BTreeMap::<u16, Vec<(&Settled, bool)>>::new(), Vec::new());
    for place in places {
        let Some(settled) = place.settled.as_deref() else { continue };
        match takes_arrays(texts, settled) {
            true => arrays.entry(settled.entity.0).or_default().push((settled, place.is_keyed())),
            false => alone.push(place.committing.write_alone(settled, place.is_keyed())),
        }
    }
    let Some(first) = places.first() else { return Ok(HashMap::new()) };
    let arrays = arrays.into_iter().map(|(entity, rows)| first.committing.insert_together(EntityId(entity), rows));
    let (inserted, alone) = join(join_all(arrays), join_all(alone)).await;
    for done in all(alone)? {
        done?;
    }
    all(inserted)?.into_iter().collect()
}

/// Whether a row is inserted with others of its entity.
fn takes_arrays(texts: &Texts, settled: &Settled) -> bool {
    settled.change == Some(Change::Created) && texts.table(settled.entity).is_ok_and(TableTexts::takes_arrays)
}

/// All that came of statements that were sent together, where none failed; refusals are results. Statements that were prepared for other tables
/// are told first: whoever goes on alone would meet them again.
fn all<T>(results: Vec<Done<T>>) -> Done<Vec<Done<T>>> {
    let (mut done, mut failed) = (Vec::with_capacity(results.len()), None);
    for result in results {
        match result {
            Err(stop @ Stop::Failed(Fail::Stale)) => return Err(stop),
            Err(stop) if !matches!(stop, Stop::Refused(_)) => failed = failed.or(Some(stop)),
            result => done.push(result),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Puts the members' events into the outbox, and commits. Numbers of a counter stand in the order in which it gave them.
async fn committed(client: &Pooled, places: &[Place<'_>]) -> Done<()> {
    let mut writing: Vec<&Committing> = places.iter().filter(|place| place.settled.is_some()).map(|place| &place.committing).collect();
    let Some(first) = writing.first().copied() else {
        return client.batch_execute("COMMIT").await.map_err(|error| at_commit(&error));
    };
    if writing.len() > 1 && writing.iter().map(|committing| committing.bytes).sum::<usize>() > BYTES_MAX {
        return Err(Stop::Again);
    }
    writing.sort_by_key(|committing| committing.given.iter().next().copied());
    let counts: Vec<i64> = writing.iter().map(|committing| committing.count()).collect();
    let by: Vec<&str> = writing.iter().map(|committing| committing.plan.by().as_ref()).collect();
    let events: Vec<&[u8]> = writing.iter().map(|committing| committing.record.bytes()).collect();
    put_and_commit(client, OUTBOX, &[&counts, &by, &events, &first.generation(), &first.moment.now]).await
}
