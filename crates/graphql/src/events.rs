//! graphql-sse: results as server-sent events, a connection for each operation.

use bytes::Bytes;
use fourfold_op::sse::{COMMENT, HEARTBEAT, write_event};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::Body;
use crate::error::errors;
use crate::subscribe::{Changes, Step};

/// Changes as the blocks of an event stream.
pub(crate) struct Events {
    changes: Changes,
    ended: bool,
}

impl Events {
    pub fn new(changes: Changes) -> Events {
        Events { changes, ended: false }
    }

    /// The stream as a body.
    pub fn into_body(self) -> Body {
        let frames = futures_util::stream::unfold(self, |mut events| async move {
            let bytes = events.next().await?;
            Some((Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Frame::data(bytes)), events))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let Ok(step) = tokio::time::timeout(HEARTBEAT, self.changes.next()).await else {
            return Some(Bytes::from_static(COMMENT));
        };
        Some(match step {
            Step::Result(json) => result(&json).into(),
            Step::End(end, told) => {
                self.ended = true;
                let fault = || errors(&[end.error("cursor").into()], self.changes.context()).into();
                last(&told.unwrap_or_else(fault))
            }
        })
    }
}

/// The last result, and that it is the last.
pub(crate) fn last(json: &[u8]) -> Bytes {
    let mut out = result(json);
    out.extend_from_slice(b"event: complete\ndata:\n\n");
    out.into()
}

fn result(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 32);
    write_event(&mut out, None, "next", |out| out.extend_from_slice(json));
    out
}
