//! From what is asked to its answer: read, compiled (or found compiled), executed. Each form of the wire takes this one path.

use std::sync::Arc;

use fourfold_op::{Context, Error};

use crate::error::Fault;
use crate::parse::compile;
use crate::parse::document::{self, Document, DocumentRef};
use crate::parse::input::Reading;
use crate::parse::request::{Asked, Refused};
use crate::parse::variables::{self, Variables};
use crate::run::{Reply, Running};
use crate::subscribe::{self, Changes};
use crate::{GraphQl, Served, Weighed};

/// Skeletons longer than this are compiled anew each time: what a caller sends must not fill the cache.
const SKELETON_BYTES_MAX: usize = 4_096;

/// What an operation comes to.
pub(crate) enum Answer {
    /// The document, its variables or its watch was refused: nothing was executed.
    Refused(Vec<Fault>),
    /// What a query or a mutation came to.
    Whole(Reply),
    /// Changes, as they come.
    Changes(Box<Changes>),
}

impl GraphQl {
    /// Answers an operation; a subscription ends with the credential.
    ///
    /// # Errors
    /// What the form of the request does not allow.
    pub(crate) async fn answer(&self, context: &Context, mut asked: Asked, expires_at_us: Option<i64>) -> Result<Answer, Refused> {
        let served = match &self.served {
            Ok(served) => served,
            Err(why) => return Ok(Answer::Refused(vec![Error::internal(why).into()])),
        };
        let document = match self.document(served, &asked) {
            Ok(document) => document,
            Err(faults) => return Ok(Answer::Refused(faults)),
        };
        let mutates = document.operation.is_mutation();
        if mutates && !asked.may_write {
            return Err(Refused::method("POST", "a mutation is not done over GET; send it by POST"));
        }
        let keyed = match (asked.idempotency.take(), &context.idempotency) {
            (None, _) => None,
            (Some(_), Some(_)) => {
                let message = "there is more than one idempotency key; send `Idempotency-Key` or `extensions.idempotencyKey`";
                return Ok(Answer::Refused(vec![Fault::invalid(message)]));
            }
            (key, None) => Some(Context { idempotency: key, ..context.clone() }),
        };
        let context = keyed.as_ref().unwrap_or(context);
        let answered = self.run(served, context, &document, asked, expires_at_us).await;
        Ok(answered.unwrap_or_else(|fault| Answer::Refused(vec![fault])))
    }

    async fn run(
        &self,
        served: &Served,
        context: &Context,
        document: &Document,
        asked: Asked,
        expires_at_us: Option<i64>,
    ) -> Result<Answer, Fault> {
        let variables = variables::coerce(&served.schema, &served.catalog, document, asked.variables)?;
        let weighed = self.compiled(served, document, &variables)?;
        if let Some(request) = &weighed.compiled.watch {
            if !asked.may_stream {
                let message =
                    "a subscription is not answered by one JSON document; ask with `Accept: text/event-stream`, or over a WebSocket";
                return Err(Fault::invalid(message));
            }
            let begin = async {
                let (watch, values) = subscribe::watch(request, &variables, &self.reading(served), expires_at_us)?;
                Changes::begin(&self.engine, request, context, &watch, &values).await
            };
            let changes = begin.await.map_err(|error| Fault::from(error).under(&request.entry.name))?;
            return Ok(Answer::Changes(Box::new(changes)));
        }
        let running = Running { face: self, served, context, document, compiled: &weighed.compiled, variables: &variables };
        let reply = if document.operation.is_mutation() { running.mutation().await } else { running.query().await };
        reply.map(Answer::Whole)
    }

    fn document(&self, served: &Served, asked: &Asked) -> Result<Arc<Document>, Vec<Fault>> {
        let key = DocumentRef { text: &asked.query, operation: asked.operation.as_deref() };
        if let Some(document) = self.documents.get(&key) {
            return Ok(document);
        }
        // Who may not read the contract is not told its names either.
        let document = Arc::new(document::parse(&served.schema, key, self.engine.limits(), self.options.introspection)?);
        self.documents.insert(key.to_key(), document.clone());
        Ok(document)
    }

    fn compiled(&self, served: &Served, document: &Document, variables: &Variables) -> Result<Arc<Weighed>, Fault> {
        let key = (document.id, variables.skeleton.clone().into_boxed_slice());
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(compiled);
        }
        let compiled = compile::compile(self.reading(served), document, variables)?;
        let weighed = Arc::new(Weighed { weight: compiled.weight(document), compiled });
        if weighed.compiled.reusable && key.1.len() <= SKELETON_BYTES_MAX {
            self.compiled.insert(key, weighed.clone());
        }
        Ok(weighed)
    }

    pub(crate) fn reading<'a>(&'a self, served: &'a Served) -> Reading<'a> {
        Reading { model: self.engine.model(), catalog: &served.catalog, limits: self.engine.limits() }
    }
}
