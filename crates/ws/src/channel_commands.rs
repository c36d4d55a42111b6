//! Commands on declared channels: subscribe, publish, history, presence (`SPEC` §5).

use std::sync::Arc;

use fourfold_engine::channel::{HistoryPage, Join};
use fourfold_op::{Cursor, Epoch, Error, ErrorCode, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::channel_named::{Named, Publish};
use crate::channel_told::{info_of, publication_of};
use crate::codec::Out;
use crate::connection::Connection;
use crate::message::{
    Answer, ChannelRequest, HistoryRequest, HistoryResult, Kind, Nothing, PresenceResult, PresenceStatsResult, PublishRequest,
    StreamPosition, SubscribeRequest, SubscribeResult,
};
use crate::peer::{Peer, ttl_until};
use crate::watching::{RESET, RESUME, REVOKED, Unsubscribed};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins a declared channel. What it missed is pushed after the reply.
    pub(crate) async fn join(
        &mut self,
        id: u32,
        request: &SubscribeRequest,
        named: Named,
        token_end: Option<i64>,
    ) -> Result<SubscribeResult, Error> {
        let engine = self.peer.engine.clone();
        let (model, limits) = (engine.model(), engine.limits());
        let everyone = self.peer.fixture.everyone_present;
        let declared = !model.channel(named.channel).presence.is_empty();
        let presence = named.presence(&request.data, model, limits)?.or_else(|| (everyone && declared).then(Vec::new));
        let form = named.form(model, limits)?;
        let position = StreamPosition { offset: request.offset, epoch: request.epoch.clone() };
        let after = request.recover.then(|| cursor(&position)).filter(|from| !self.watches.resets.any_after(&request.channel, from));
        let notices = request.join_leave || everyone;
        let join = Join { client: self.peer.client().clone(), after, presence, notices, expires_at_us: token_end };
        let subscription = self.peer.subscribed(id, &named, &join).await?;
        let recovered = subscription.recovered() == Some(true);
        if request.rejects_unrecovered() && request.recover && !recovered {
            let message = "not everything since this offset can be told any more; begin anew";
            return Err(Error::new(ErrorCode::CursorExpired, message));
        }
        let definition = model.channel(named.channel);
        let kept = definition.stream.is_some() || definition.history.is_some();
        let Cursor { epoch, after: offset, .. } = subscription.cursor().clone();
        let channel: Arc<str> = request.channel.as_str().into();
        self.channels.insert(&channel, (named, join, form), subscription);
        let (expires, ttl) = ttl_until(token_end);
        Ok(SubscribeResult {
            expires,
            ttl,
            recoverable: kept,
            positioned: kept,
            epoch: epoch.0.to_string(),
            offset,
            was_recovering: request.recover,
            recovered,
            ..SubscribeResult::default()
        })
    }

    /// Each declared channel goes on under the new credential from where it was, or ends.
    pub(crate) async fn rejoin(&mut self, id: u32, channel: &Arc<str>) -> Result<(), Unsubscribed> {
        let Some(joined) = self.channels.get_mut(channel) else { return Ok(()) };
        let join = Join { after: Some(joined.cursor.clone()), ..joined.join.clone() };
        let (named, form) = (joined.named.clone(), joined.form.clone());
        let subscription = self.peer.subscribed(id, &named, &join).await.map_err(|error| match error.code {
            ErrorCode::PermissionDenied => REVOKED,
            _ => RESUME,
        })?;
        if subscription.recovered() == Some(false) {
            return Err(RESET);
        }
        self.channels.insert(channel, (named, join, form), subscription);
        Ok(())
    }

    /// Answers a command on a declared channel.
    pub(crate) async fn on_channel(&mut self, id: u32, kind: Kind, out: &mut Out) {
        let answer = match kind {
            Kind::Publish(request) => self.peer.publish_in(id, &request).await,
            Kind::History(request) => self.peer.history_of(id, &request).await,
            Kind::Presence(request) => self.peer.presence_of(id, &request).await,
            Kind::PresenceStats(request) => self.peer.presence_stats_of(id, &request).await,
            _ => Err(Error::internal("a command on no channel")),
        };
        match answer {
            Ok(answer) => out.answer(id, answer),
            Err(error) => out.error(id, &error),
        }
    }
}

impl Peer {
    async fn subscribed(&self, id: u32, named: &Named, join: &Join) -> Result<fourfold_engine::ChannelSubscription, Error> {
        let context = self.context_of(id);
        let join = Join { expires_at_us: self.end_of(join.expires_at_us), ..join.clone() };
        self.engine.channel(&context, named.channel, named.parameter.clone())?.subscribe(&join).await
    }

    async fn publish_in(&self, id: u32, request: &PublishRequest) -> Result<Answer, Error> {
        let engine = &self.engine;
        let (named, context) = (self.named("publish", &request.channel)?, self.context_of(id));
        let publish = named.publish(&request.data, engine.model(), engine.limits())?;
        let channel = engine.channel(&context, named.channel, named.parameter)?;
        match publish {
            Publish::Signal(name) => channel.signal(self.client(), &name)?,
            Publish::Row(publishing) => drop(channel.publish(self.client(), publishing).await?),
        }
        Ok(Answer::Publish(Nothing {}))
    }

    async fn history_of(&self, id: u32, request: &HistoryRequest) -> Result<Answer, Error> {
        let engine = &self.engine;
        let (named, context) = (self.named("history", &request.channel)?, self.context_of(id));
        let form = named.form(engine.model(), engine.limits())?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let page = HistoryPage { limit, since: request.since.as_ref().map(cursor), reverse: request.reverse };
        let past = engine.channel(&context, named.channel, named.parameter.clone())?.history(&page).await?;
        let (mut publications, mut room) = (Vec::new(), engine.limits().websocket_out_bytes_max);
        for told in &past.told {
            let Some(publication) = publication_of(engine, form.as_ref(), told) else { continue };
            // One reply has so much room; the rest is asked for from the last offset on.
            match room.checked_sub(publication.data.len()) {
                Some(left) => room = left,
                None => break,
            }
            publications.push(publication);
        }
        Ok(Answer::History(HistoryResult { publications, epoch: past.cursor.epoch.0.to_string(), offset: past.cursor.after }))
    }

    async fn presence_of(&self, id: u32, request: &ChannelRequest) -> Result<Answer, Error> {
        let engine = &self.engine;
        let (named, context) = (self.named("presence", &request.channel)?, self.context_of(id));
        let present = engine.channel(&context, named.channel, named.parameter.clone())?.presence().await?;
        let infos = present.iter().map(|present| (present.client.id.to_string(), info_of(engine, &named, present)));
        Ok(Answer::Presence(PresenceResult { presence: infos.collect() }))
    }

    async fn presence_stats_of(&self, id: u32, request: &ChannelRequest) -> Result<Answer, Error> {
        let (named, context) = (self.named("presence_stats", &request.channel)?, self.context_of(id));
        let stats = self.engine.channel(&context, named.channel, named.parameter)?.presence_stats().await?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Answer::PresenceStats(PresenceStatsResult { num_clients: count(stats.clients), num_users: count(stats.users) }))
    }

    /// The declared channel of a command that is for those alone.
    fn named(&self, command: &str, channel: &str) -> Result<Named, Error> {
        let model = self.engine.model();
        if let Some(named) = Named::parse(&self.fixture.declared(channel), model)? {
            return Ok(named);
        }
        crate::channel::parse(channel, model)?;
        let message = format!("`{command}` is for channels that the model declares, not for rows such as {}", json::quoted(channel));
        Err(Error::new(ErrorCode::Unimplemented, message))
    }
}

fn cursor(position: &StreamPosition) -> Cursor {
    Cursor { epoch: Epoch(position.epoch.as_str().into()), after: position.offset, skip: None }
}
