//! What PostgreSQL's errors mean to a caller.

use fourfold_op::{Error, ErrorCode};
use tokio_postgres::error::SqlState;

/// How the driver calls a handshake that failed: it has no code for it.
const TLS_FAILED: &str = "error performing TLS handshake";
const TLS_ADVICE: &str = "the URL's host must be a name in the server's certificate, signed by one of the machine's authorities or of `sslrootcert=FILE`; \
     `sslmode=disable` goes without encryption";

/// Why something went no further.
#[derive(Debug)]
pub enum Fail {
    /// The server was asked to stop: the deadline, or its own limit on time.
    Late,
    /// Another statement of the transaction failed before: that one's error is the one to tell.
    Aborted,
    /// Two transactions were in each other's way: it may be done again.
    Again,
    /// A statement was prepared for tables that are not so any more.
    Stale,
    /// The pooler leads to another server than before, which has been looked at now: it may be done again.
    Elsewhere,
    /// The connection ended: what was not committed is not there.
    Lost(String),
    /// A constraint of a table of others refuses the row.
    Refused(Error),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Fail {
        Fail::Error(error)
    }
}

impl From<tokio_postgres::Error> for Fail {
    fn from(error: tokio_postgres::Error) -> Fail {
        let Some(code) = error.code() else {
            if error.to_string().starts_with(TLS_FAILED) {
                return Fail::Lost(format!("{}; {TLS_ADVICE}", told(&error)));
            }
            return if error.is_closed() || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>()) {
                Fail::Lost(told(&error))
            } else {
                Fail::Error(Error::internal(told(&error)))
            };
        };
        match *code {
            SqlState::QUERY_CANCELED => Fail::Late,
            SqlState::IN_FAILED_SQL_TRANSACTION => Fail::Aborted,
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Fail::Again,
            SqlState::FEATURE_NOT_SUPPORTED if error.to_string().contains("cached plan") => Fail::Stale,
            _ if told(&error).contains("cached plan must not change") => Fail::Stale,
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_SESSION_TIMEOUT
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Fail::Lost(told(&error)),
            // PgBouncer's words, where it is told to drop no parameters.
            _ if told(&error).contains("unsupported startup parameter") => Fail::Error(through_pooler()),
            _ if is_constraint(code) => Fail::Refused(refusal(&error)),
            _ => Fail::Error(refusal(&error)),
        }
    }
}

impl Fail {
    /// As an error for the caller.
    pub fn into_error(self) -> Error {
        match self {
            Fail::Late => late(),
            Fail::Aborted => Error::internal("a transaction failed, and no statement of it said why"),
            Fail::Again => unavailable("the store is busy with the same rows; try again"),
            Fail::Stale => unavailable("the store is being migrated to another model; try again"),
            Fail::Elsewhere => unavailable("the pooler leads to another server each time; try again"),
            Fail::Lost(why) => unavailable("the store cannot be reached now").with_private(why),
            Fail::Refused(error) | Fail::Error(error) => error,
        }
    }
}

/// The first of several results of one transaction that says why it failed, or all that they brought.
pub fn all<T>(results: Vec<Result<T, Fail>>) -> Result<Vec<T>, Fail> {
    let mut done = Vec::with_capacity(results.len());
    let mut failed = None;
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(Fail::Aborted) => failed = failed.or(Some(Fail::Aborted)),
            Err(fail) => return Err(fail),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// The server's own words, for the log: the code and the message; else what the connection met.
pub fn told(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(told), _) => format!("{}: {}", told.code().code(), told.message()),
        (None, Some(source)) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        (None, _) => error.to_string(),
    }
}

/// Whether it is a table that refuses, by a constraint or a type that its owner gave it. A unique index is told apart before.
fn is_constraint(code: &SqlState) -> bool {
    ["23502", "23503", "23514", "23P01", "22001", "22P05"].contains(&code.code())
}

/// What the server's refusal is to a caller.
pub fn refusal(error: &tokio_postgres::Error) -> Error {
    let code = error.code().map_or("", SqlState::code);
    match code {
        "53100" => Error::new(ErrorCode::StorageFull, "the disk is full; nothing was written").with_private(told(error)),
        "22003" => sum_overflow(),
        // The constraints of a table of others; this store's own tables have none.
        "23503" => constraint(error, ErrorCode::FailedPrecondition, "a row refers to one that is not there, or is referred to"),
        "23502" | "23514" | "23P01" => constraint(error, ErrorCode::InvalidArgument, "the row breaks a constraint of its table"),
        "22001" => constraint(error, ErrorCode::InvalidArgument, "a text is longer than its column"),
        "22P05" => constraint(error, ErrorCode::InvalidArgument, "a text or Json holds U+0000, which its column does not take"),
        // No connection, no memory, no lock in time, a server that only reads, a role that may not.
        _ if ["08", "53", "55", "57", "25", "28"].contains(&code.get(..2).unwrap_or_default()) => {
            unavailable("the store cannot be reached now").with_private(told(error))
        }
        _ => Error::internal(told(error)),
    }
}

/// What a table of others refuses: by the name of its constraint or column, which whoever owns the table gave it.
fn constraint(error: &tokio_postgres::Error, code: ErrorCode, what: &str) -> Error {
    let name = error.as_db_error().and_then(|told| told.constraint().or(told.column()));
    let name = name.map(|name| format!(": `{name}`")).unwrap_or_default();
    Error::new(code, format!("{what}{name}")).with_private(told(error))
}

/// `unavailable`, to be tried again in a second.
pub fn unavailable(message: &str) -> Error {
    let mut error = Error::new(ErrorCode::Unavailable, message);
    error.public.retry_after_ms = Some(1_000);
    error
}

/// What is wrong with a URL that should lead to a server and leads to a pooler.
pub fn through_pooler() -> Error {
    Error::invalid(
        "this URL leads to a pooler, which keeps no session: `store.url` may lead through one where `store.direct_url` leads to the server itself",
    )
}

/// A read that was not answered in time.
pub fn late() -> Error {
    Error::new(ErrorCode::DeadlineExceeded, "the deadline passed while reading")
}

/// A sum that does not fit.
pub fn sum_overflow() -> Error {
    Error::limit("sum_digits_max", 18, "digits")
}

/// A column that holds what no value of its type is.
pub fn misformed(table: &str) -> Error {
    Error::internal(format!("a column of `{table}` holds a value that is not of its type"))
}
