//! Watches by a plan that was bound elsewhere, and reads of the log by today's rules: what channels are made of.

use std::sync::Arc;

use fourfold_op::{Cursor, Deadline, Error};
use fourfold_plan::{Images, WatchPlan};
use fourfold_store::{Entities, StoreError};
use tokio::time::Instant;

use super::Feed;
use super::delivery::{Delivery, Item};
use super::logged::{Logged, Shared};
use super::subscription::{Subscription, Times};
use super::tail::READ;

impl Feed {
    /// Watches from now on, with the memberships of this moment; also the plan that holds them.
    pub(crate) async fn follow(
        self: &Arc<Feed>,
        plan: WatchPlan,
        deadline: &Deadline,
        expires: Option<Instant>,
    ) -> Result<(Subscription, WatchPlan), Error> {
        let head = self.store.head(None).await;
        let seat = self.sit(&head)?;
        let (plan, start) = match plan.membership() {
            None => (plan, Cursor { epoch: head.epoch, after: head.position, skip: None }),
            Some(_) => self.with_members(plan, deadline).await?,
        };
        Ok((Subscription::new(seat, plan.clone(), start, None, Times { expires, bookmark_every: None }), plan))
    }

    /// The plan with its caller's memberships, and of which moment they are.
    pub(crate) async fn with_members(&self, plan: WatchPlan, deadline: &Deadline) -> Result<(WatchPlan, Cursor), Error> {
        let reads: Vec<_> = plan.membership().into_iter().collect();
        let snapshot = self.store.read(&reads, deadline).await.map_err(|StoreError::Refused(error)| error)?;
        let cursor = snapshot.place()?.clone();
        match snapshot.answers.first() {
            Some(members) => Ok((plan.with_members(members)?, cursor)),
            None => Ok((plan, cursor)),
        }
    }

    /// What the events after a position, and up to another, are to a plan: each event by itself, by the memberships that the plan holds. Also how
    /// many bytes they take, roughly.
    pub(crate) async fn replay(&self, plan: &WatchPlan, after: &Cursor, through: u64) -> Result<(Vec<Delivery>, usize), Error> {
        let of = Entities::Some(vec![plan.entity()]);
        let (mut told, mut bytes, mut after) = (Vec::new(), 0, after.clone());
        while after.after < through {
            let tail = self.store.events(&after, &of, READ).await.map_err(|StoreError::Refused(error)| error)?;
            let events = tail.events.into_iter().filter(|event| event.position.0.get() <= through);
            for event in events.filter(|event| event.entity == plan.entity() && event.generation <= self.generation) {
                let Ok(mut images) = Images::of(&self.model, &event) else { continue };
                let verdict = plan.judge(&event, &mut images);
                let logged = Logged::new(event);
                // Made now: what is shown is taken from its images.
                if logged.images(&self.model).is_some()
                    && let Some(item) = Item::of(&Shared::new(logged), verdict)
                {
                    bytes += item.bytes();
                    told.push(Delivery::of(item, &tail.through.epoch));
                }
            }
            if tail.through.after <= after.after {
                break;
            }
            after = tail.through;
        }
        Ok((told, bytes))
    }
}
