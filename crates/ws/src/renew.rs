//! What becomes of the channels when their connection's rights change: a refresh, or another model.

use std::sync::Arc;

use fourfold_engine::Closing;
use fourfold_op::{Authenticated, Error, ErrorCode, Start};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::codec::Out;
use crate::connection::Connection;
use crate::ending::DRAIN;
use crate::message::Answer;
use crate::peer::Refused;
use crate::socket::Ended;
use crate::watching::{RESET, RESUME, REVOKED, Unsubscribed};

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
        for channel in self.watches.channels().into_iter().filter(|channel| !self.has_lapsed(channel)).collect::<Vec<_>>() {
            if let Err(why) = self.renew_channel(id, &channel, same).await {
                self.end_channel(channel, why, out);
            }
        }
        for channel in self.channels.names().into_iter().filter(|channel| !self.has_lapsed(channel)).collect::<Vec<_>>() {
            if let Err(why) = self.rejoin(id, &channel).await {
                self.end_joined(channel, why, out);
            }
        }
    }

    pub(crate) async fn renew_channel(&mut self, id: u32, channel: &Arc<str>, same: bool) -> Result<(), Unsubscribed> {
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
