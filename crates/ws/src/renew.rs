//! What becomes of the channels when their connection's rights change: a refresh, or another model.

use std::sync::Arc;

use fourfold_engine::Closing;
use fourfold_op::{Authenticated, Error, ErrorCode, Start, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::codec::Out;
use crate::connection::Connection;
use crate::ending::DRAIN;
use crate::message::{Answer, SubRefreshRequest, SubRefreshResult};
use crate::peer::{Refused, ttl_until};
use crate::socket::Ended;
use crate::watching::{RESET, RESUME, REVOKED, TOKEN_ENDED, Unsubscribed};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) async fn refresh(&mut self, id: u32, token: &str, out: &mut Out) -> Result<(), Ended> {
        let before = self.peer.authenticated().cloned();
        match self.peer.refresh(token) {
            Ok(result) => out.answer(id, Answer::Refresh(result)),
            Err(Refused::Error(error)) => {
                out.error(id, &error);
                return Ok(());
            }
            Err(Refused::End(end)) => return Err(Some(end)),
        }
        if let Some(before) = before {
            self.renew(id, &before, out).await;
        }
        Ok(())
    }

    /// Each watch goes on under the new credential from where it was, where the same events are its own under it.
    async fn renew(&mut self, id: u32, before: &Authenticated, out: &mut Out) {
        let Some(now) = self.peer.authenticated() else { return };
        let same = now.principal.claims == before.principal.claims;
        if same && now.expires_at == before.expires_at {
            return;
        }
        for channel in self.watches.channels() {
            if let Err(why) = self.renew_channel(id, &channel, same).await {
                self.end_channel(channel, why, out);
            }
        }
        for channel in self.channels.names() {
            if let Err(why) = self.rejoin(id, &channel).await {
                self.end_joined(channel, why, out);
            }
        }
    }

    /// A channel goes on under another token of its own, which must be for the caller of the connection as every one.
    pub(crate) async fn sub_refresh(&mut self, id: u32, request: &SubRefreshRequest, out: &mut Out) {
        let token_end = match self.shown_anew(request) {
            Ok(token_end) => token_end,
            Err(error) => return out.error(id, &error),
        };
        let (expires, ttl) = ttl_until(token_end);
        out.answer(id, Answer::SubRefresh(SubRefreshResult { expires, ttl }));
        let channel: Arc<str> = request.channel.as_str().into();
        self.silent.end(&channel);
        if let Some(watching) = self.watches.watching(&channel) {
            watching.asked.watch.expires_at_us = token_end;
            if let Err(why) = self.renew_channel(id, &channel, true).await {
                self.end_channel(channel, why, out);
            }
        } else if let Some(joined) = self.channels.get_mut(&channel) {
            joined.join.expires_at_us = token_end;
            if let Err(why) = self.rejoin(id, &channel).await {
                self.end_joined(channel, why, out);
            }
        }
    }

    /// When the token ends that is shown for a channel of this connection.
    fn shown_anew(&self, SubRefreshRequest { channel, token }: &SubRefreshRequest) -> Result<Option<i64>, Error> {
        if !self.watches.has(channel) && !self.channels.has(channel) {
            let message = format!("{} is not subscribed to", json::quoted(channel));
            return Err(Error::new(ErrorCode::PermissionDenied, message));
        }
        if token.is_empty() {
            return Err(Error::invalid_at("/token", "`sub_refresh` needs the `token` with which the channel goes on"));
        }
        self.peer.token_end(channel, token)
    }

    /// Ends the channels that were silent for too long.
    pub(crate) async fn end_silent(&mut self, now: Instant) -> Result<(), Ended> {
        let mut out = Out::new(self.codec);
        while let Some(channel) = self.silent.take_due(now) {
            self.end_channel(channel.clone(), TOKEN_ENDED, &mut out);
            self.end_joined(channel, TOKEN_ENDED, &mut out);
        }
        self.send(&mut out).await
    }

    async fn renew_channel(&mut self, id: u32, channel: &Arc<str>, same: bool) -> Result<(), Unsubscribed> {
        let Some(watching) = self.watches.silence(channel) else { return Ok(()) };
        let start = Start::After(watching.cursor.clone());
        let Some(watching) = self.watches.get(channel) else { return Ok(()) };
        let subscription = self.peer.watch_from(id, &watching.asked, start).await.map_err(|error| why(&error))?;
        let rights = subscription.rights();
        if !same && rights != watching.rights {
            return Err(if rights.show_nothing() { REVOKED } else { RESET });
        }
        self.watches.replace(channel, subscription);
        Ok(())
    }

    /// The engine's watches are closed: another connection reaches another server, or the model that is served now.
    pub(crate) async fn leave(&mut self, closing: Closing) -> Result<(), Ended> {
        if closing == Closing::Replaced {
            let mut out = Out::new(self.codec);
            for channel in self.watches.channels() {
                self.end_channel(channel, RESET, &mut out);
            }
            for channel in self.channels.names() {
                self.end_joined(channel, RESET, &mut out);
            }
            self.send(&mut out).await?;
        }
        Err(Some(DRAIN))
    }
}

fn why(error: &Error) -> Unsubscribed {
    match error.code {
        ErrorCode::PermissionDenied | ErrorCode::FailedPrecondition => REVOKED,
        _ => RESUME,
    }
}
