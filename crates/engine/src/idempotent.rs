//! Writes that may be sent twice: one key, one commit, one answer.
//!
//! What a write came to is recorded in its own commit, under (issuer, subject, key), with a fingerprint of what was asked. The same
//! request again finds the record in its way, and is answered from it under the rules of the day; another request under the
//! same key is refused. The fingerprint knows no face, so a retry may come over another API.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fourfold_model::{Model, Row, Value};
use fourfold_op::{Context, Error, ErrorCode, IdempotencyKey, Operand, Operation, Principal, Write, WriteKind};
use fourfold_store::{Expect, Put, SettledStep, Side, Space, decode_outcome};
use parking_lot::Mutex;

use crate::refusal::{conflict, of_store};
use crate::{Engine, Prepared};

/// How long a record stands, in microseconds: 24 hours.
const KEPT_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Bytes of a fingerprint.
const FINGERPRINT_BYTES: usize = 16;

/// The keys whose commits are under way in this process.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<Vec<u8>>>>);

/// A key taken for one request, with what was asked under it.
pub(crate) struct Claim {
    pub(crate) claimed: Claimed,
    fingerprint: [u8; FINGERPRINT_BYTES],
}

/// Holds a key in [`InFlight`] until the last of its clones is dropped.
#[derive(Clone)]
pub(crate) struct Claimed(Arc<Held>);

struct Held {
    key: Vec<u8>,
    in_flight: InFlight,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.0.lock().remove(&self.key);
    }
}

impl Engine {
    /// Takes the request's key, if it has one and writes.
    pub(crate) fn claim_key(&self, context: &Context, prepared: &Prepared, values: &[Value]) -> Result<Option<Claim>, Error> {
        let (Some(key), Operation::Write(writes)) = (&context.idempotency, &*prepared.operation) else { return Ok(None) };
        let key = scoped(&context.principal, key, self.limits.idempotency_key_max)?;
        let claimed = self.in_flight.claim(key)?;
        Ok(Some(Claim { claimed, fingerprint: fingerprint(&self.model, writes, values) }))
    }
}

impl InFlight {
    fn claim(&self, key: Vec<u8>) -> Result<Claimed, Error> {
        if !self.0.lock().insert(key.clone()) {
            let message = "the first request with this idempotency key is still running";
            let mut error = Error::new(ErrorCode::IdempotencyInProgress, message);
            error.public.retry_after_ms = Some(1_000);
            return Err(error);
        }
        Ok(Claimed(Arc::new(Held { key, in_flight: self.clone() })))
    }
}

impl Claim {
    /// What the commit must find absent, and leaves behind.
    pub(crate) fn side(&self) -> Side {
        Side {
            space: Space::Idempotency,
            key: self.claimed.0.key.clone(),
            expect: Expect::Absent,
            put: Put::Outcome(Bytes::copy_from_slice(&self.fingerprint)),
            keep_until: Some(now_us().saturating_add(KEPT_US)),
        }
    }

    /// What the first request came to.
    ///
    /// # Errors
    /// `idempotency_mismatch` when it asked for something else.
    pub(crate) async fn recorded(&self, engine: &Engine) -> Result<Vec<SettledStep>, Error> {
        let record = engine.store.side(Space::Idempotency, &self.claimed.0.key).await.map_err(of_store)?;
        // It can have come to its end between the commit and this read: then the caller tries again.
        let record = record.ok_or_else(|| conflict(Space::Idempotency))?;
        let (fingerprint, outcome) =
            record.bytes.split_at_checked(FINGERPRINT_BYTES).ok_or_else(|| Error::internal("an idempotency record is too short"))?;
        if fingerprint != self.fingerprint {
            let message = "this idempotency key was used for another request; use a new key";
            return Err(Error::new(ErrorCode::IdempotencyMismatch, message));
        }
        let steps = decode_outcome(&engine.model, outcome).and_then(|steps| steps.into_iter().collect::<Option<Vec<_>>>());
        steps.ok_or_else(|| {
            let message = "the first request with this idempotency key wrote an entity that the model no longer has";
            Error::new(ErrorCode::FailedPrecondition, message)
        })
    }
}

/// The record's key: (issuer, subject, key), each with its length so that no two scopes meet.
fn scoped(principal: &Principal, key: &IdempotencyKey, key_max: usize) -> Result<Vec<u8>, Error> {
    if principal.is_anonymous() {
        let message = "an idempotency key is kept for its caller, and an anonymous caller has no name; send a token";
        return Err(Error::new(ErrorCode::Unauthenticated, message));
    }
    let text = &*key.0;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid("an idempotency key is 1 to 255 visible ASCII characters"));
    }
    if text.len() > key_max {
        return Err(Error::limit("idempotency_key_max", key_max, "characters"));
    }
    let mut scoped = Vec::with_capacity(12 + principal.issuer.len() + principal.subject.len() + text.len());
    for part in [&*principal.issuer, &*principal.subject, text] {
        scoped.extend_from_slice(&(part.len() as u32).to_le_bytes());
        scoped.extend_from_slice(part.as_bytes());
    }
    Ok(scoped)
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// What is asked, whichever face it came over: lock numbers and values, no operand's place and nothing of the answer's shape.
fn fingerprint(model: &Model, writes: &[Write], values: &[Value]) -> [u8; FINGERPRINT_BYTES] {
    let mut hash = Fnv::new();
    for write in writes {
        let entity = model.entity(write.entity);
        hash.number(u64::from(entity.number));
        hash.number(kind_number(write.kind));
        hash.operand(write.key, values);
        hash.operand(write.if_revision, values);
        let mut set: Vec<_> = write.set.iter().map(|(field, operand)| (entity.field(*field).number, *operand)).collect();
        set.sort_unstable_by_key(|(number, _)| *number);
        hash.number(set.len() as u64);
        for (number, operand) in set {
            hash.number(u64::from(number));
            hash.operand(Some(operand), values);
        }
    }
    hash.0.to_le_bytes()
}

fn kind_number(kind: WriteKind) -> u64 {
    match kind {
        WriteKind::Create => 1,
        WriteKind::Update => 2,
        WriteKind::Upsert { create_only, update_only } => 3 | u64::from(create_only) << 8 | u64::from(update_only) << 9,
        WriteKind::Merge => 4,
        WriteKind::Delete => 5,
    }
}

/// FNV-1a of 128 bits: the same in every build and on every machine, as a record must be. Who finds two requests of one hash deceives
/// only himself, for the record is his own.
struct Fnv(u128);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes(bytes);
    }

    fn operand(&mut self, operand: Option<Operand>, values: &[Value]) {
        match operand.and_then(|operand| values.get(usize::from(operand.0))) {
            None => self.bytes(&[0xff]),
            Some(value) => self.value(value),
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes(&[0]),
            Value::Boolean(v) => self.bytes(&[1, u8::from(*v)]),
            Value::Int(v) => self.tagged(2, &v.to_le_bytes()),
            Value::Float(v) => self.tagged(3, &(v + 0.0).to_bits().to_le_bytes()),
            Value::Decimal(v) => {
                self.tagged(4, &v.unscaled.to_le_bytes());
                self.bytes(&[v.scale]);
            }
            Value::Text(v) => self.tagged(5, v.as_bytes()),
            Value::DateTime(v) => self.tagged(6, &v.to_le_bytes()),
            Value::Date(v) => self.tagged(7, &v.to_le_bytes()),
            Value::Uuid(v) => self.tagged(8, v),
            Value::Bytes(v) => self.tagged(9, v),
            Value::Json(v) => self.tagged(10, v.as_bytes()),
            Value::Enum(v) => self.tagged(11, &v.to_le_bytes()),
            Value::List(items) => self.many(12, items),
            Value::Owned(rows) => {
                self.bytes(&[13]);
                self.number(rows.len() as u64);
                rows.iter().for_each(|Row(row)| self.many(14, row));
            }
        }
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes(&[tag]);
        self.sized(bytes);
    }

    fn many(&mut self, tag: u8, values: &[Value]) {
        self.bytes(&[tag]);
        self.number(values.len() as u64);
        values.iter().for_each(|value| self.value(value));
    }
}
