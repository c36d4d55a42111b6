//! Subscribing, what is pushed, and how a channel ends.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{Delivery, End as WatchEnd};
use fourfold_op::{Error, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::channel_named::Named;
use crate::codec::Out;
use crate::connection::{Connection, FRAME_BYTES, lapse};
use crate::ending::SLOW;
use crate::message::{Answer, ErrorReply, Nothing, Pushed, SubscribeRequest, SubscribeResult, Unsubscribe};
use crate::peer::ttl_until;
use crate::publication::{items, publication};
use crate::socket::Ended;
use crate::start::Started;

use crate::watches::Told;

/// Why a channel ends while its connection goes on, in the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsubscribed(pub(crate) u32, pub(crate) &'static str);

pub(crate) const REVOKED: Unsubscribed = Unsubscribed(2100, "access revoked");
pub(crate) const RESUME: Unsubscribed = Unsubscribed(2500, "resume");
pub(crate) const TOKEN_ENDED: Unsubscribed = Unsubscribed(2501, "expired");
pub(crate) const RESET: Unsubscribed = Unsubscribed(2600, "reset");

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins to watch; the reply is appended before anything of the channel is pushed.
    pub(crate) async fn subscribe(&mut self, id: u32, request: &SubscribeRequest, out: &mut Out) {
        if self.watches.has(&request.channel) || self.channels.has(&request.channel) {
            let message = format!("already_exists: {} is subscribed to", json::quoted(&request.channel));
            return out.answer(id, Answer::Error(ErrorReply { code: 105, message, temporary: false }));
        }
        let mut room = self.peer.engine.limits().websocket_out_bytes_max;
        match self.begin(id, request, &mut room).await {
            Ok(result) => out.answer(id, Answer::Subscribe(result)),
            Err(error) => out.error(id, &error),
        }
    }

    /// Begins a channel. `room` is how many bytes its rows and what it missed may take in the reply.
    pub(crate) async fn begin(&mut self, id: u32, request: &SubscribeRequest, room: &mut usize) -> Result<SubscribeResult, Error> {
        let engine = self.peer.engine.clone();
        let limits = engine.limits();
        if self.watches.len() + self.channels.len() >= limits.websocket_subscriptions_max {
            let max = limits.websocket_subscriptions_max;
            return Err(Error::limit("websocket_subscriptions_max", max, "subscriptions of a connection"));
        }
        let token_end = self.peer.token_end(&request.channel, &request.token)?;
        if let Some(named) = Named::parse(&self.peer.fixture.declared(&request.channel), engine.model())? {
            return self.join(id, request, named, token_end).await;
        }
        let mut asked = request.asked(engine.model(), limits)?;
        asked.watch.expires_at_us = token_end;
        let Started { mut subscription, recovered } = self.peer.start(id, request, &asked, &self.watches.resets, room).await?;
        let data = match subscription.take_initial() {
            Some(initial) => items(&engine, &asked.form, &initial, room)?,
            None => Bytes::new(),
        };
        let (expires, ttl) = ttl_until(token_end);
        let was_recovering = request.recover;
        let mut result = SubscribeResult { expires, ttl, recoverable: true, positioned: true, was_recovering, data, ..Default::default() };
        let cursor = match recovered {
            // Each publication then moves its client on from where it was.
            Some((from, publications)) if !publications.is_empty() => {
                (result.recovered, result.publications) = (true, publications);
                from
            }
            recovered => {
                result.recovered = recovered.is_some();
                subscription.cursor().clone()
            }
        };
        let skip = cursor.skip.map(|skip| format!("~{skip}")).unwrap_or_default();
        (result.epoch, result.offset) = (format!("{}{skip}", cursor.epoch.0), cursor.after);
        self.watches.insert(&request.channel, asked, subscription);
        Ok(result)
    }

    /// Ends a channel; one that is not watched has ended already.
    pub(crate) fn unsubscribe(&mut self, id: u32, channel: &str, out: &mut Out) {
        self.watches.remove(channel);
        self.channels.remove(channel);
        out.answer(id, Answer::Unsubscribe(Nothing {}));
    }

    /// Pushes what was told, and what else there is at once, in one message.
    pub(crate) async fn push(&mut self, told: Told) -> Result<(), Ended> {
        let mut out = Out::new(self.codec);
        let mut next = Some(told);
        while let Some(told) = next {
            self.told(told, &mut out);
            next = if out.len() < FRAME_BYTES && self.ending.is_none() { self.watches.next_ready() } else { None };
        }
        self.send(&mut out).await
    }

    fn told(&mut self, Told { channel, what }: Told, out: &mut Out) {
        match what {
            Ok(delivery) => self.publish(&channel, &delivery, out),
            // All end at once: the connection is sent away by `leave`.
            Err(WatchEnd::Bye(_)) => {}
            Err(WatchEnd::Slow(_)) => self.ending = Some(SLOW),
            Err(WatchEnd::Expired) => self.end_channel(channel, RESUME, out),
            Err(WatchEnd::Reset(_)) => self.end_channel(channel, RESET, out),
            // Silent until a refresh, which goes on from here; without one it ends, or the connection does.
            Err(WatchEnd::CredentialEnded(cursor)) => {
                let Some(watching) = self.watches.silence(&channel) else { return };
                watching.cursor = cursor;
                if self.peer.ends_first(watching.asked.watch.expires_at_us) {
                    watching.lapses_at = Some(lapse(&mut self.lapses_at));
                }
            }
        }
    }

    fn publish(&mut self, channel: &str, delivery: &Delivery, out: &mut Out) {
        let Some(watching) = self.watches.watching(channel) else { return };
        watching.cursor = delivery.cursor.clone();
        if let Some(publication) = publication(&self.peer.engine, &watching.asked, delivery) {
            out.push(channel, Pushed::Publication(publication));
        }
    }

    pub(crate) fn end_channel(&mut self, channel: Arc<str>, why: Unsubscribed, out: &mut Out) {
        let Some(watching) = self.watches.remove(&channel) else { return };
        out.push(&channel, Pushed::Unsubscribe(Unsubscribe { code: why.0, reason: why.1.to_owned() }));
        if why == RESET {
            let max = self.peer.engine.limits().websocket_subscriptions_max;
            self.watches.resets.note(channel, watching.cursor, max);
        }
    }
}
