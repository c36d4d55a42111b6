//! The beginning of a channel's watch: anew, or from where its client was.

use std::time::Duration;

use fourfold_engine::Subscription;
use fourfold_op::{Cursor, Error, ErrorCode, Start, Watch};
use tokio::time::{Instant, timeout_at};

use crate::message::{Publication, SubscribeRequest};
use crate::peer::Peer;
use crate::publication::publication;
use crate::subscribe::Asked;
use crate::watches::Resets;

/// For what is read of the log into a reply; what comes after is pushed.
const REPLAY_WITHIN: Duration = Duration::from_secs(2);
/// What a publication takes beside its data, about, in bytes.
const PUBLICATION_BYTES: usize = 64;

/// A watch that has begun as its client asked, or without recovering.
pub(crate) struct Started {
    pub(crate) subscription: Subscription,
    /// From where it has recovered, and what came since, as far as it stands in the reply.
    pub(crate) recovered: Option<(Cursor, Vec<Publication>)>,
}

impl Peer {
    /// Goes on from where the client was, else begins anew.
    pub(crate) async fn start(
        &self,
        id: u32,
        request: &SubscribeRequest,
        asked: &Asked,
        resets: &Resets,
        room: &mut usize,
    ) -> Result<Started, Error> {
        if request.recover {
            match self.recovered(id, request, asked, resets, room).await {
                Err(error) if error.code == ErrorCode::CursorExpired && !request.rejects_unrecovered() => {}
                started => return started,
            }
        }
        let anew = if asked.initial { Start::Initial } else { Start::Now };
        Ok(Started { subscription: self.watch_from(id, asked, anew).await?, recovered: None })
    }

    async fn recovered(
        &self,
        id: u32,
        request: &SubscribeRequest,
        asked: &Asked,
        resets: &Resets,
        room: &mut usize,
    ) -> Result<Started, Error> {
        let expired = || Error::new(ErrorCode::CursorExpired, "the log no longer goes back to this offset, or is another; list again");
        let current = match request.any_epoch() {
            true => Some(self.watch_from(id, asked, Start::Now).await?.cursor().epoch.clone()),
            false => None,
        };
        let from = request.cursor(current.as_ref()).ok_or_else(expired)?;
        if resets.any_after(&request.channel, &from) {
            return Err(expired());
        }
        let mut subscription = self.watch_from(id, asked, Start::After(from.clone())).await?;
        let publications = match self.missed(&mut subscription, asked, room).await? {
            Some(publications) => publications,
            None => {
                // All of it is pushed, at the reader's pace.
                subscription = self.watch_from(id, asked, Start::After(from.clone())).await?;
                Vec::new()
            }
        };
        Ok(Started { subscription, recovered: Some((from, publications)) })
    }

    /// What was committed until now, to stand in the reply; `None` where there is no room for it.
    async fn missed(&self, subscription: &mut Subscription, asked: &Asked, room: &mut usize) -> Result<Option<Vec<Publication>>, Error> {
        let (mut publications, mut left, until) = (Vec::new(), *room, Instant::now() + REPLAY_WITHIN);
        while let Ok(next) = timeout_at(until, subscription.next_committed()).await {
            let Some(delivery) = next.map_err(|end| end.error("offset"))? else { break };
            let publication = publication(&self.engine, asked, &delivery);
            let bytes = publication.as_ref().map_or(0, |publication| publication.data.len() + PUBLICATION_BYTES);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return Ok(None),
            }
            publications.extend(publication);
        }
        *room = left;
        Ok(Some(publications))
    }

    pub(crate) async fn watch_from(&self, id: u32, asked: &Asked, start: Start) -> Result<Subscription, Error> {
        let expires_at_us = self.authenticated().and_then(|authenticated| authenticated.expires_at_us());
        let watch = Watch { start, expires_at_us, ..asked.watch.clone() };
        self.engine.watch(&self.context_of(id), &watch, &asked.values).await
    }
}
