//! A token of a subscription's own: another in its place (`sub_refresh`), and its end without one.

use std::sync::Arc;

use fourfold_op::{Error, ErrorCode, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::codec::Out;
use crate::connection::Connection;
use crate::ending::BAD_REQUEST;
use crate::message::{Answer, SubRefreshRequest, SubRefreshResult};
use crate::peer::ttl_until;
use crate::socket::Ended;
use crate::watching::TOKEN_ENDED;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes another token for a subscription, which goes on from where it was: as it is, or from where its last token ended.
    ///
    /// A token that is refused leaves it as it is. So does one while the connection's own has ended: the connection's refresh then goes on.
    pub(crate) async fn sub_refresh(&mut self, id: u32, request: &SubRefreshRequest, out: &mut Out) -> Result<(), Ended> {
        if request.channel.is_empty() {
            return Err(Some(BAD_REQUEST));
        }
        match self.another_end(request) {
            Ok(end) => {
                let (expires, ttl) = ttl_until(end);
                out.answer(id, Answer::SubRefresh(SubRefreshResult { expires, ttl }));
                self.go_on(id, &request.channel, end, out).await;
            }
            Err(error) => out.error(id, &error),
        }
        Ok(())
    }

    fn another_end(&self, request: &SubRefreshRequest) -> Result<Option<i64>, Error> {
        if !self.watches.has(&request.channel) && !self.channels.has(&request.channel) {
            let message = format!("{} is not subscribed to", json::quoted(&request.channel));
            return Err(Error::new(ErrorCode::PermissionDenied, message));
        }
        if request.token.is_empty() {
            return Err(Error::invalid_at("/token", "a token is needed"));
        }
        self.peer.token_end(&request.channel, &request.token)
    }

    async fn go_on(&mut self, id: u32, channel: &str, end: Option<i64>, out: &mut Out) {
        let channel: Arc<str> = channel.into();
        let connection_ended = self.peer.left_seconds().is_some_and(|left| left <= 0);
        if let Some(watching) = self.watches.watching(&channel) {
            (watching.asked.watch.expires_at_us, watching.lapses_at) = (end, None);
            if !connection_ended && let Err(why) = self.renew_channel(id, &channel, false).await {
                self.end_channel(channel, why, out);
            }
        } else if let Some(joined) = self.channels.get_mut(&channel) {
            (joined.join.expires_at_us, joined.lapses_at) = (end, None);
            if !connection_ended && let Err(why) = self.rejoin(id, &channel).await {
                self.end_joined(channel, why, out);
            }
        }
    }

    /// Whether a channel's own token has ended: only another one lets it go on.
    pub(crate) fn has_lapsed(&self, channel: &str) -> bool {
        let mut lapsing = self.watches.lapsing().chain(self.channels.lapsing());
        self.lapses_at.is_some() && lapsing.any(|(lapsed, _)| **lapsed == *channel)
    }

    /// Ends the channels that were shown no other token in time.
    pub(crate) async fn end_lapsed(&mut self, now: Instant) -> Result<(), Ended> {
        let mut out = Out::new(self.codec);
        let due = |(channel, at): (&Arc<str>, Instant)| (at <= now).then(|| channel.clone());
        for channel in self.watches.lapsing().filter_map(due).collect::<Vec<_>>() {
            self.end_channel(channel, TOKEN_ENDED, &mut out);
        }
        for channel in self.channels.lapsing().filter_map(due).collect::<Vec<_>>() {
            self.end_joined(channel, TOKEN_ENDED, &mut out);
        }
        self.lapses_at = self.watches.lapsing().chain(self.channels.lapsing()).map(|(_, at)| at).min();
        self.send(&mut out).await
    }
}
