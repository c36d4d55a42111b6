//! How the store's refusals, and those of the clock, are told to a caller.

use std::time::Instant;

use fourfold_op::{Deadline, Error, ErrorCode};
use fourfold_store::{Space, StoreError};

/// Refuses what nobody waits for any more.
pub(crate) fn in_time(deadline: &Deadline, now: Instant) -> Result<(), Error> {
    match deadline.0 {
        Some(at) if at <= now => {
            Err(Error::new(ErrorCode::DeadlineExceeded, "the deadline passed before the operation began; nothing was done"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn of_store(error: StoreError) -> Error {
    match error {
        StoreError::Refused(error) => error,
    }
}

pub(crate) fn conflict(space: Space) -> Error {
    Error::new(ErrorCode::Unavailable, "the store's state moved under this write; nothing was written")
        .with_private(format!("a side record of {space:?} was not as expected"))
}

pub(crate) fn unknown_outcome(why: impl std::fmt::Display) -> Error {
    let message = "the write may or may not have been committed; send it again with the same idempotency key, or read the row";
    Error::new(ErrorCode::UnknownOutcome, message).with_private(why)
}
