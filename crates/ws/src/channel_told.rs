//! What declared channels are told, as it is pushed, and how they end.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::channel::{self, Client, Present, Signal};
use fourfold_engine::{ChannelEnd, Delivery, End, Engine, Told};
use fourfold_op::json;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::channel_named::Named;
use crate::channels::Said;
use crate::codec::Out;
use crate::connection::{Connection, FRAME_BYTES, lapse};
use crate::ending::{DRAIN, SLOW};
use crate::message::{ClientInfo, Coming, Publication, Pushed, Unsubscribe};
use crate::publication::change;
use crate::socket::Ended;
use crate::subscribe::Form;
use crate::watching::{RESET, RESUME, REVOKED, Unsubscribed};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Pushes what was said, and what else there is at once, in one message.
    pub(crate) async fn push_said(&mut self, said: Said) -> Result<(), Ended> {
        let mut out = Out::new(self.codec);
        let mut next = Some(said);
        while let Some(said) = next {
            self.said(said, &mut out);
            next = if out.len() < FRAME_BYTES && self.ending.is_none() { self.channels.next_ready() } else { None };
        }
        self.send(&mut out).await
    }

    fn said(&mut self, Said { channel, what }: Said, out: &mut Out) {
        match what {
            Ok(all) => self.tell(&channel, &all, out),
            Err(ChannelEnd::Revoked) => self.end_joined(channel, REVOKED, out),
            Err(ChannelEnd::Ended(End::Bye(_))) => self.ending = Some(DRAIN),
            Err(ChannelEnd::Ended(End::Slow(_))) => self.ending = Some(SLOW),
            Err(ChannelEnd::Ended(End::Expired)) => self.end_joined(channel, RESUME, out),
            Err(ChannelEnd::Ended(End::Reset(_))) => self.end_joined(channel, RESET, out),
            // Silent until a refresh, which goes on from here; without one it ends, or the connection does.
            Err(ChannelEnd::Ended(End::CredentialEnded(cursor))) => {
                let Some(joined) = self.channels.get_mut(&channel) else { return };
                joined.cursor = cursor;
                if self.peer.ends_first(joined.join.expires_at_us) {
                    joined.lapses_at = Some(lapse(&mut self.lapses_at));
                }
            }
        }
    }

    fn tell(&mut self, channel: &Arc<str>, all: &[Told], out: &mut Out) {
        let (engine, codec) = (&*self.peer.engine, self.codec);
        let Some(joined) = self.channels.get_mut(channel) else { return };
        for (told, left) in all.iter().zip((0..all.len()).rev()) {
            let pushed = match told {
                Told::Publication(publication) => {
                    joined.cursor.after = publication.offset;
                    let make = || {
                        let mut frame = Out::new(codec);
                        frame.push(channel, Pushed::Publication(free(publication)));
                        frame.into_bytes()
                    };
                    publication.encoded(codec.name(), channel, make, |frame| out.append(frame, left));
                    continue;
                }
                Told::Row(delivery) => {
                    joined.cursor = delivery.cursor.clone();
                    let Some(form) = &joined.form else { continue };
                    Pushed::Publication(row(engine, form, delivery))
                }
                Told::Joined(present) => Pushed::Join(Coming { info: Some(info_of(engine, &joined.named, present)) }),
                Told::Left(present) => Pushed::Leave(Coming { info: Some(info_of(engine, &joined.named, present)) }),
                Told::Signal(signal) => Pushed::Publication(signalled(signal)),
            };
            out.push(channel, pushed);
        }
    }

    /// Ends a channel, and says why.
    pub(crate) fn end_joined(&mut self, channel: Arc<str>, why: Unsubscribed, out: &mut Out) {
        let Some(joined) = self.channels.remove(&channel) else { return };
        out.push(&channel, Pushed::Unsubscribe(Unsubscribe { code: why.0, reason: why.1.to_owned() }));
        if why == RESET {
            let max = self.peer.engine.limits().websocket_subscriptions_max;
            self.watches.resets.note(channel, joined.cursor, max);
        }
    }
}

/// A row's change, a publication or a signal as it is published; none for who comes and goes.
pub(crate) fn publication_of(engine: &Engine, form: Option<&Form>, told: &Told) -> Option<Publication> {
    match told {
        Told::Row(delivery) => Some(row(engine, form?, delivery)),
        Told::Publication(publication) => Some(free(publication)),
        Told::Signal(signal) => Some(signalled(signal)),
        Told::Joined(_) | Told::Left(_) => None,
    }
}

fn row(engine: &Engine, form: &Form, delivery: &Delivery) -> Publication {
    Publication { data: change(engine, form, delivery), info: None, offset: delivery.cursor.after }
}

fn free(publication: &channel::Publication) -> Publication {
    let data = Bytes::copy_from_slice(publication.data.as_bytes());
    Publication { data, info: Some(who(&publication.by)), offset: publication.offset }
}

fn signalled(signal: &Signal) -> Publication {
    let mut data = b"{\"signal\":".to_vec();
    json::write_string(&mut data, &signal.name);
    data.push(b'}');
    Publication { data: data.into(), info: Some(who(&signal.by)), offset: 0 }
}

/// Who is present, with what it tells of itself.
pub(crate) fn info_of(engine: &Engine, named: &Named, present: &Present) -> ClientInfo {
    ClientInfo { chan_info: named.write_presence(engine.model(), &present.info).into(), ..who(&present.client) }
}

fn who(client: &Client) -> ClientInfo {
    ClientInfo { user: client.user.to_string(), client: client.id.to_string(), chan_info: Bytes::new() }
}
