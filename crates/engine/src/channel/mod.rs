//! Channels that the model declares: `chat` of a room, with its stream, who is present, and signals.
//!
//! ```text
//! Engine::channel → rules (join.rs) → Guard: ends what it let in when the rule no longer holds
//!                 → stream: a watch of its entity's rows, from the log        ┐
//!                 → hall: publications without a stream, signals, presence    ┴→ ChannelSubscription::next
//! ```
//!
//! A stream is the log: what is published there is a row, under the rules of its entity, and each change of a row is told. All else is in memory:
//! it goes over the bus, is kept by the hall and never touches the log. Read `said.rs`, `subscription.rs`, `hall.rs`, then `join.rs`; of other
//! processes over the same store `nodes.rs`.

mod bus;
mod hall;
mod history;
mod join;
mod mailbox;
#[cfg(feature = "nodes")]
pub mod nodes;
mod presence;
mod publish;
mod said;
mod stream;
mod subscription;
#[cfg(feature = "nodes")]
mod words;

pub use presence::PresenceStats;
pub use publish::{Published, Publishing};
pub use said::{Client, Present, Publication, Said, Signal, Told};
pub use stream::{HistoryPage, Past};
pub use subscription::{ChannelEnd, ChannelSubscription};

use std::sync::Arc;

use fourfold_model::{ChannelId, FieldId, SharedModel, Value};
use fourfold_op::{Context, Cursor, Error, ErrorCode, Limits};
use fourfold_plan::admit;
use tokio::time::Instant;

use crate::Engine;
use crate::feed::{Closing, expires_at};
use hall::Hall;
use join::{AllRules, Guard, Rules, holds, refused};
use presence::REFRESH;
use subscription::Seat;

/// One of the channels that a declaration makes: `chat` of one room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The declaration.
    pub channel: ChannelId,
    /// The key of the row, or the scalar, that it is of.
    pub parameter: Value,
}

/// A channel, as a caller asks it things.
pub struct Channel<'e> {
    engine: &'e Engine,
    context: &'e Context,
    topic: Topic,
    rules: Arc<Rules>,
}

/// How a caller wants to subscribe.
#[derive(Clone, Debug)]
pub struct Join {
    /// The connection's id, of which there is only one.
    pub client: Arc<str>,
    /// After what place; `None`: from now on. An empty epoch stands for the present one.
    pub after: Option<Cursor>,
    /// What it tells of itself, by presence field; `None`: nothing, and it is not among those present.
    pub presence: Option<Vec<(FieldId, Value)>>,
    /// Whether it wants to be told who comes and goes.
    pub notices: bool,
    /// When its credential ends: microseconds since 1970, UTC; `None`: never.
    pub expires_at_us: Option<i64>,
}

/// All that channels of one engine share.
pub(crate) struct Channels {
    rules: AllRules,
    hall: Arc<Hall>,
    bus: Arc<bus::Bus>,
}

impl Channels {
    pub fn new(model: &SharedModel, limits: &Limits) -> Channels {
        let hall = Arc::new(Hall::new(model.clone(), limits.clone()));
        Channels { rules: AllRules::new(model, limits), bus: Arc::new(bus::Bus::new(&hall)), hall }
    }

    /// With this bus they are also those of the others that are on it.
    #[cfg(feature = "nodes")]
    pub fn join(&mut self, model: &SharedModel, limits: &Limits, bus: Arc<dyn fourfold_store::Bus>) {
        if !model.channels.is_empty() {
            let nodes = nodes::Nodes::join(&self.hall, model, limits, bus);
            self.bus = Arc::new(bus::Bus::with(&self.hall, nodes));
        }
    }

    /// Ends every subscription, and lets none begin any more.
    pub fn close(&self, closing: Closing) {
        self.hall.close(closing);
        self.bus.close();
    }
}

impl Engine {
    /// A channel of the model, for a caller; `parameter` is of the type that [`param_base`](fourfold_model::Channel::param_base) tells.
    ///
    /// # Errors
    /// `internal` for a declaration that is not there.
    pub fn channel<'e>(&'e self, context: &'e Context, channel: ChannelId, parameter: Value) -> Result<Channel<'e>, Error> {
        let rules = self.channels.rules.of(channel)?;
        Ok(Channel { engine: self, context, topic: Topic { channel, parameter }, rules })
    }
}

impl Channel<'_> {
    /// Subscribes: for as long as the join rule holds and the credential lasts.
    ///
    /// A place from which not everything can be told any more is no error: [`ChannelSubscription::recovered`] says so, and it begins now.
    ///
    /// # Errors
    /// `permission_denied` where the join rule does not hold, whether the parameter's row is there or not; `invalid_argument` for a parameter or
    /// presence of another type; `token_expired`; `limit_exceeded` for too many who are present; `overloaded` for too many subscribers, channels
    /// or watches; `unavailable` while the engine is closed; those of [`Engine::watch`].
    pub async fn subscribe(&self, join: &Join) -> Result<ChannelSubscription, Error> {
        let expires = expires_at(join.expires_at_us)?;
        let engine = self.engine;
        let beneath = (engine.store.clone(), engine.feed.clone(), self.rules.clone());
        let guard = Guard::begin(beneath, self.context, &self.topic, expires).await?;
        let client = self.client(&join.client);
        let present = match &join.presence {
            None => None,
            Some(given) => Some(self.present(&client, given)?),
        };
        let (stream, recovered) = self.begin_stream(join).await?;
        let is_free = stream.is_none();
        let after = join.after.as_ref().filter(|_| is_free);
        let hall = engine.channels.hall.clone();
        let entered = hall.enter(&self.topic, client, join.notices, after)?;
        let recovered = if is_free { after.map(|_| entered.missed.is_some()) } else { recovered };
        let mut seat = Seat { hall, bus: engine.channels.bus.clone(), topic: self.topic.clone(), entered, present: None };
        if let Some(present) = present {
            seat.bus.say(&self.topic, Said::Present(present.clone()))?;
            seat.present = Some((present, Instant::now() + REFRESH));
        }
        Ok(ChannelSubscription::new(guard, seat, stream, recovered))
    }

    /// Tells the other subscribers something that is not kept.
    ///
    /// # Errors
    /// `invalid_argument` for a signal that the channel does not have; `failed_precondition` for a connection that is not subscribed;
    /// `rate_limited` beyond `channel_signals_per_second_max`.
    pub fn signal(&self, client: &str, name: &str) -> Result<(), Error> {
        let signals = &self.engine.model.channel(self.topic.channel).signals;
        let Some(name) = signals.iter().find(|signal| *signal == name) else {
            let known: Vec<String> = signals.iter().map(|signal| format!("`{signal}`")).collect();
            let expected = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
            let channel = &self.engine.model.channel(self.topic.channel).name;
            return Err(Error::invalid_at("/signal", format!("no such signal of `{channel}`; {expected}")));
        };
        let mailbox = self.subscribed(client)?;
        if let Err(wait_ms) = mailbox.take_signal() {
            let most = self.engine.limits.channel_signals_per_second_max;
            let message = format!("more than {most} signals a second (limit `channel_signals_per_second_max`)");
            let mut error = Error::new(ErrorCode::RateLimited, message);
            error.public.retry_after_ms = Some(wait_ms);
            return Err(error);
        }
        let signal = Signal { name: name.clone(), by: mailbox.client.clone() };
        self.engine.channels.bus.say(&self.topic, Said::Signal(Arc::new(signal))).map(|_| ())
    }

    /// Who is present, by connection.
    ///
    /// # Errors
    /// `permission_denied` where the join rule does not hold; `failed_precondition` where the channel declares no presence.
    pub async fn presence(&self) -> Result<Vec<Arc<Present>>, Error> {
        self.with_presence().await?;
        Ok(self.engine.channels.hall.present(&self.topic))
    }

    /// How many are present.
    ///
    /// # Errors
    /// As [`Channel::presence`].
    pub async fn presence_stats(&self) -> Result<PresenceStats, Error> {
        self.with_presence().await?;
        Ok(self.engine.channels.hall.present_stats(&self.topic))
    }

    async fn with_presence(&self) -> Result<(), Error> {
        self.joined().await?;
        self.declares_presence()
    }

    fn declares_presence(&self) -> Result<(), Error> {
        let channel = self.engine.model.channel(self.topic.channel);
        match channel.presence.is_empty() {
            true => Err(Error::new(ErrorCode::FailedPrecondition, format!("channel `{}` declares no presence", channel.name))),
            false => Ok(()),
        }
    }

    fn present(&self, client: &Client, given: &[(FieldId, Value)]) -> Result<Arc<Present>, Error> {
        self.declares_presence()?;
        let info = admit::presence(&self.engine.model, self.topic.channel, given, &self.engine.limits)?;
        Ok(Arc::new(Present { client: client.clone(), info, subscription: uuid::Uuid::new_v4().as_u128() }))
    }

    /// Whether the caller may take part, now.
    async fn joined(&self) -> Result<(), Error> {
        match holds(&*self.engine.store, &self.rules.join, self.context, &self.topic).await? {
            true => Ok(()),
            false => Err(refused(&self.engine.model, &self.topic)),
        }
    }

    fn subscribed(&self, client: &str) -> Result<Arc<mailbox::Mailbox>, Error> {
        let mailbox = self.engine.channels.hall.mailbox(&self.topic, client);
        mailbox
            .ok_or_else(|| Error::new(ErrorCode::FailedPrecondition, "only a subscriber of a channel gives signals in it; subscribe first"))
    }

    fn client(&self, id: &Arc<str>) -> Client {
        let principal = &self.context.principal;
        Client { id: id.clone(), issuer: principal.issuer.clone(), user: principal.subject.clone() }
    }
}
