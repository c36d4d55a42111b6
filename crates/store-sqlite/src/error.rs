//! What SQLite's errors mean to a caller.

use fourfold_op::{Error, ErrorCode};
use rusqlite::ErrorCode as Code;

/// A read's error.
pub enum Fail {
    /// The progress handler stopped it.
    Interrupted,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Fail {
        Fail::Error(error)
    }
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Fail {
        match error.sqlite_error_code() {
            Some(Code::OperationInterrupted) => Fail::Interrupted,
            _ => Fail::Error(to_error(&error)),
        }
    }
}

impl Fail {
    /// As an error, for work that nothing interrupts.
    pub fn into_error(self) -> Error {
        match self {
            Fail::Interrupted => Error::internal("work that is never interrupted was"),
            Fail::Error(error) => error,
        }
    }
}

/// An error for the caller, with SQLite's own words for the log.
pub fn to_error(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => Error::new(ErrorCode::StorageFull, "the disk is full; nothing was written").with_private(error),
        Some(Code::SystemIoFailure | Code::CannotOpen | Code::ReadOnly | Code::DatabaseBusy | Code::DatabaseLocked) => {
            unavailable("the store cannot be reached now").with_private(error)
        }
        // SQLite's own sum() says only this of a sum beyond 64 bits.
        Some(Code::Unknown) if error.to_string().contains("integer overflow") => sum_overflow(),
        _ => Error::internal(error),
    }
}

/// `unavailable`, to be tried again in a second.
pub fn unavailable(message: &str) -> Error {
    let mut error = Error::new(ErrorCode::Unavailable, message);
    error.public.retry_after_ms = Some(1_000);
    error
}

/// A commit that failed: it may be there after the next opening, or not.
pub fn unknown(error: &rusqlite::Error) -> Error {
    Error::new(ErrorCode::UnknownOutcome, "the commit failed, and whether it was written is not known").with_private(error)
}

/// A sum that does not fit.
pub fn sum_overflow() -> Error {
    Error::limit("sum_digits_max", 18, "digits")
}

/// A column that holds what no value of its type is.
pub fn misformed(table: &str) -> Error {
    Error::internal(format!("a column of `{table}` holds a value that is not of its type"))
}
