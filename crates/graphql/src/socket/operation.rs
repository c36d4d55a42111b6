//! The operations of one connection: each a stream of what it says, all polled by the connection's own task.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::End;
use fourfold_op::Context;
use futures_util::stream::{AbortHandle, Abortable, SelectAll, Stream, StreamExt, unfold};

use super::Close;
use crate::GraphQl;
use crate::answer::Answer;
use crate::error::{Fault, write_list};
use crate::parse::request::Asked;
use crate::subscribe::{Changes, Step};

/// What an operation says.
pub(super) enum Said {
    /// A result.
    Next(Bytes),
    /// A list of errors; it is the last.
    Error(Vec<u8>),
    /// That it has ended.
    Complete,
    /// Nothing more: the connection ends when the others have.
    Bye,
    /// That the connection must end.
    Close(Close),
}

type Saying<'a> = Pin<Box<dyn Stream<Item = (Arc<str>, Said)> + Send + 'a>>;

/// All operations that have begun and not ended.
#[derive(Default)]
pub(super) struct Operations<'a> {
    saying: SelectAll<Abortable<Saying<'a>>>,
    live: HashMap<Arc<str>, AbortHandle>,
}

impl<'a> Operations<'a> {
    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn has(&self, id: &str) -> bool {
        self.live.contains_key(id)
    }

    /// Begins one. Nothing is read ahead of the connection: what it does not take waits in the engine's bounded queue.
    pub fn begin(&mut self, id: Arc<str>, operation: Operation<'a>) {
        let named = id.clone();
        let saying = unfold(operation, |mut operation| async move { Some((operation.next().await?, operation)) });
        let saying: Saying<'a> = Box::pin(saying.map(move |said| (named.clone(), said)));
        let (abort, registration) = AbortHandle::new_pair();
        self.saying.push(Abortable::new(saying, registration));
        self.live.insert(id, abort);
    }

    /// Ends one whose client wants no more of it; it may have ended already.
    pub fn cancel(&mut self, id: &str) {
        if let Some(abort) = self.live.remove(id) {
            abort.abort();
        }
    }

    /// What is said next; `None` where nothing runs.
    pub async fn next(&mut self) -> Option<(Arc<str>, Said)> {
        let (id, said) = self.saying.next().await?;
        if matches!(said, Said::Error(_) | Said::Complete | Said::Bye) {
            self.live.remove(&id);
        }
        Some((id, said))
    }
}

/// One operation.
pub(super) struct Operation<'a> {
    pub face: &'a GraphQl,
    pub context: Context,
    pub expires_at_us: Option<i64>,
    pub stage: Stage,
}

pub(super) enum Stage {
    Asked(Box<Asked>),
    Changing(Box<Changes>),
    /// Its last result is said, its end is not.
    Completing,
    Ended,
}

impl Operation<'_> {
    async fn next(&mut self) -> Option<Said> {
        let (said, stage) = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Asked(asked) => match self.face.answer(&self.context, *asked, self.expires_at_us).await {
                Ok(Answer::Changes(changes)) => self.change(changes).await,
                Ok(Answer::Whole(reply)) => (Said::Next(reply.body.into()), Stage::Completing),
                Ok(Answer::Refused(faults)) => (self.error(&faults), Stage::Ended),
                Err(refused) => (self.error(&[refused.error.into()]), Stage::Ended),
            },
            Stage::Changing(changes) => self.change(changes).await,
            Stage::Completing => (Said::Complete, Stage::Ended),
            Stage::Ended => return None,
        };
        self.stage = stage;
        Some(said)
    }

    async fn change(&self, mut changes: Box<Changes>) -> (Said, Stage) {
        match changes.next().await {
            Step::Result(json) => (Said::Next(json), Stage::Changing(changes)),
            Step::End(_, Some(json)) => (Said::Next(json), Stage::Completing),
            Step::End(End::Bye(_), None) => (Said::Bye, Stage::Ended),
            Step::End(End::Slow(_), None) => (Said::Close(Close::slow()), Stage::Ended),
            Step::End(End::CredentialEnded(_), None) => (Said::Close(Close::forbidden("the token has expired")), Stage::Ended),
            Step::End(end, None) => (self.error(&[end.error("cursor").into()]), Stage::Ended),
        }
    }

    fn error(&self, faults: &[Fault]) -> Said {
        let mut list = Vec::new();
        write_list(&mut list, faults, &self.context);
        Said::Error(list)
    }
}
