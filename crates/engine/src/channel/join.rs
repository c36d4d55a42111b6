//! Who may take part: a channel's rules, judged for a caller and a parameter, and followed as long as the caller takes part.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use fourfold_model::{ChannelId, SharedModel};
use fourfold_op::{Context, Deadline, Error, ErrorCode, Limits, WatchChange};
use fourfold_plan::{Admission, Admitted, PreparedWatch, admit};
use fourfold_store::{Store, StoreError};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Topic;
use crate::feed::{End, Feed, Subscription};

/// The rules of one declared channel, prepared.
pub(super) struct Rules {
    pub join: Admission,
    pub publish: Admission,
    follow: Option<Arc<PreparedWatch>>,
}

/// The rules of every declared channel: each prepared when it is first asked for.
pub(super) struct AllRules {
    model: SharedModel,
    limits: Limits,
    prepared: Vec<OnceLock<Arc<Rules>>>,
}

impl AllRules {
    pub fn new(model: &SharedModel, limits: &Limits) -> AllRules {
        let prepared = model.channels.iter().map(|_| OnceLock::new()).collect();
        AllRules { model: model.clone(), limits: limits.clone(), prepared }
    }

    pub fn of(&self, channel: ChannelId) -> Result<Arc<Rules>, Error> {
        let place = self.prepared.get(usize::from(channel.0)).ok_or_else(|| Error::internal("a channel that is not there"))?;
        if let Some(rules) = place.get() {
            return Ok(rules.clone());
        }
        let definition = self.model.channel(channel);
        let rules = Arc::new(Rules {
            join: Admission::prepare(&self.model, channel, definition.join.as_ref())?,
            publish: Admission::prepare(&self.model, channel, definition.publish.as_ref())?,
            follow: admit::follow(&self.model, channel, &self.limits)?.map(Arc::new),
        });
        Ok(place.get_or_init(|| rules).clone())
    }
}

/// Whether a rule holds now: at most one read by key.
pub(super) async fn holds(store: &dyn Store, rule: &Admission, context: &Context, topic: &Topic) -> Result<bool, Error> {
    match rule.bind(context, &topic.parameter)? {
        Admitted::Decided(holds) => Ok(holds),
        Admitted::Ask(plan) => {
            let snapshot = store.read(std::slice::from_ref(&*plan), &context.deadline).await;
            let snapshot = snapshot.map_err(|StoreError::Refused(error)| error)?;
            Ok(snapshot.answers.first().is_some_and(Admitted::passed))
        }
    }
}

/// A channel that is not there and one that is not for this caller are refused alike.
pub(super) fn refused(model: &SharedModel, topic: &Topic) -> Error {
    let channel = model.channel(topic.channel);
    let message = format!("no channel `{}` of this `{}` is open to this caller", channel.name, channel.param.name);
    Error::new(ErrorCode::PermissionDenied, message)
}

/// A right to take part, as long as it lasts.
pub(super) struct Guard {
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    rules: Arc<Rules>,
    context: Context,
    topic: Topic,
    /// Tells when the rule no longer holds; none where no row decides it.
    watch: Option<Box<Subscription>>,
    expires: Option<Instant>,
    /// Of the credential's end, where no watch knows of it.
    timer: Option<Pin<Box<Sleep>>>,
}

/// How a right to take part ends.
#[derive(Clone, Debug)]
pub(super) enum Lost {
    /// The rule no longer holds.
    Revoked,
    /// The credential has ended.
    Expired,
    /// The server ends.
    Bye,
    /// The rules themselves are replaced, or cannot be followed any more.
    Reset,
}

impl Guard {
    /// Begins to follow the join rule, where it holds.
    pub async fn begin(
        (store, feed, rules): (Arc<dyn Store>, Arc<Feed>, Arc<Rules>),
        context: &Context,
        topic: &Topic,
        expires: Option<Instant>,
    ) -> Result<Guard, Error> {
        let mut guard = Guard { store, feed, rules, context: context.clone(), topic: topic.clone(), watch: None, expires, timer: None };
        match guard.renew().await? {
            true => {
                // Only the request was in a hurry.
                guard.context.deadline = Deadline(None);
                Ok(guard)
            }
            false => Err(refused(guard.feed.model(), topic)),
        }
    }

    /// Follows the rule from now on; whether it holds. Followed first and judged then, so that no change falls between.
    async fn renew(&mut self) -> Result<bool, Error> {
        let watch = match &self.rules.follow {
            None => None,
            Some(prepared) => {
                let plan = prepared.bind(&self.context, std::slice::from_ref(&self.topic.parameter))?;
                Some(Box::new(self.feed.follow(plan, &self.context.deadline, self.expires).await?.0))
            }
        };
        let holds = holds(&*self.store, &self.rules.join, &self.context, &self.topic).await?;
        self.watch = watch;
        Ok(holds)
    }

    /// Resolves when the right has ended. It can be cancelled at any time.
    pub async fn lost(&mut self) -> Lost {
        loop {
            let Some(watch) = &mut self.watch else {
                let Some(at) = self.expires else { return std::future::pending().await };
                self.timer.get_or_insert_with(|| Box::pin(sleep_until(at))).await;
                return Lost::Expired;
            };
            match watch.next().await {
                Ok(told) if told.change == WatchChange::Left => return Lost::Revoked,
                Ok(_) => {}
                Err(End::CredentialEnded(_)) => return Lost::Expired,
                Err(End::Bye(_)) => return Lost::Bye,
                // What decides the rule has changed, or was not followed to its end: it is judged anew.
                // Boxed, as it is rare and large: whoever waits holds the room of all that it may do.
                Err(End::Reset(_) | End::Slow(_) | End::Expired) => match Box::pin(self.renew()).await {
                    Ok(true) => {}
                    Ok(false) => return Lost::Revoked,
                    Err(_) => return Lost::Reset,
                },
            }
        }
    }
}
