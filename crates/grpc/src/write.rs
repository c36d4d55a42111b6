//! The writes of an entity's service, one row each.

use fourfold_model::{Entity, Value};
use fourfold_op::{Context, Error, ErrorCode, IdempotencyKey, Operation, Outcome, Record, Row, Write, Written};

use crate::asked::{Asked, asked};
use crate::entity::Request;
use crate::schema::service::Verb;
use crate::selection::Values;
use crate::transport::Format;

impl Request<'_> {
    /// Creates, updates, upserts or deletes a row.
    pub async fn write(&self, verb: Verb, mut context: Context) -> Result<Vec<u8>, Error> {
        let mut values = Values::default();
        let asked = asked(verb, self.id, self.reading, &self.arguments, &mut values)?;
        identify(&mut context, &asked.request_id, self.reading.limits.idempotency_key_max)?;
        let written = match self.commit(&context, &asked, &values).await {
            Err(error) if error.code == ErrorCode::NotFound && asked.may_be_missing => return Ok(self.empty()),
            written => written?,
        };
        if verb == Verb::Delete {
            return Ok(self.empty());
        }
        let record = written.record.unwrap_or_else(|| bare(self.reading.entity, written.key, written.revision));
        Ok(self.message(&asked.selection, &record))
    }

    async fn commit(&self, context: &Context, asked: &Asked, values: &Values) -> Result<Written, Error> {
        let first = self.commit_one(context, &asked.write, values).await;
        match (first, &asked.otherwise) {
            // Not found, or (when the request is sent twice) found to have been done as the creation that it came to.
            (Err(error), Some(create)) if matches!(error.code, ErrorCode::NotFound | ErrorCode::IdempotencyMismatch) => {
                self.commit_one(context, create, values).await
            }
            (first, _) => first,
        }
    }

    async fn commit_one(&self, context: &Context, write: &Write, values: &Values) -> Result<Written, Error> {
        let operation = Operation::Write(vec![write.clone()]);
        match self.face.engine.execute(context, &operation, &values.0).await?.outcome {
            Outcome::Written(written, _) => written.into_iter().next().ok_or_else(|| Error::internal("a write without an answer")),
            Outcome::Read(..) => Err(Error::internal("a write was answered as a read")),
        }
    }

    fn empty(&self) -> Vec<u8> {
        if self.format == Format::Json { b"{}".to_vec() } else { Vec::new() }
    }
}

/// A row of which only the key and the revision are told.
pub fn bare(entity: &Entity, key: Value, revision: u64) -> Record {
    let mut row = Row::nulls(entity.fields.len());
    row.set(fourfold_model::KEY, key);
    row.set(fourfold_model::REVISION, Value::Int(i64::try_from(revision).unwrap_or(i64::MAX)));
    Record { row, nested: Vec::new() }
}

/// Makes a request's own id the key under which it is done once.
///
/// # Errors
/// `invalid_argument` for an id with other than visible characters, `limit_exceeded`.
pub fn identify(context: &mut Context, request_id: &str, characters_max: usize) -> Result<(), Error> {
    if request_id.is_empty() {
        return Ok(());
    }
    if request_id.len() > characters_max {
        return Err(Error::limit("idempotency_key_max", characters_max, "characters in `request_id`"));
    }
    if !request_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid_at("/request_id", "`request_id` is 1 to 255 visible ASCII characters"));
    }
    context.idempotency = Some(IdempotencyKey(request_id.into()));
    Ok(())
}
