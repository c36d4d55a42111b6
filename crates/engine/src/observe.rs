//! What happens in an engine, as one closed list; it is written to the log here and nowhere else.
//!
//! Never a value of a row, never a key: an entity may be named, a caller may not.

use fourfold_op::ErrorCode;

use crate::timing::Timing;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'a> {
    /// An operation was prepared for the first time.
    Prepared {
        /// How many are kept now.
        cached: usize,
    },
    /// An operation was answered.
    Executed {
        /// The request's id.
        request: &'a str,
        /// How long it took.
        timing: Timing,
        /// Statements of the store.
        statements: u32,
    },
    /// An operation was refused.
    Refused {
        /// The request's id.
        request: &'a str,
        /// Why, as the caller learns it.
        code: ErrorCode,
        /// Why, for the log alone.
        private: Option<&'a str>,
    },
    /// A request was sent twice with one idempotency key, and answered from what the first came to.
    Replayed {
        /// The request's id.
        request: &'a str,
    },
    /// A write was committed, but the read that answers it failed.
    AnswerLost {
        /// The request's id.
        request: &'a str,
        /// Why.
        code: ErrorCode,
    },
    /// An ingest's rows were committed.
    Ingested {
        /// The request's id.
        request: &'a str,
        /// Rows written.
        written: usize,
        /// Rows refused.
        refused: usize,
        /// Commits.
        commits: usize,
    },
    /// A watch began.
    WatchBegan {
        /// The request's id.
        request: &'a str,
        /// Watches there are now.
        watches: usize,
    },
    /// The log could not be read for those who watch; unless it no longer goes back far enough, it is tried again.
    FeedStopped {
        /// Why.
        code: ErrorCode,
        /// Why, for the log alone.
        private: Option<&'a str>,
    },
}

/// Writes it to the log.
pub fn note(happened: &Happened<'_>) {
    match *happened {
        Happened::Prepared { cached } => tracing::debug!(event = "prepared", cached),
        Happened::Executed { request, timing, statements } => {
            tracing::debug!(event = "executed", request, plan_us = timing.plan_us(), store_us = timing.store_us(), statements);
        }
        Happened::Refused { request, code, private } => note_refused(request, code, private),
        Happened::Replayed { request } => tracing::info!(event = "replayed", request),
        Happened::AnswerLost { request, code } => {
            tracing::warn!(event = "answer_lost", request, code = code.name());
        }
        Happened::Ingested { request, written, refused, commits } => {
            tracing::debug!(event = "ingested", request, written, refused, commits);
        }
        Happened::WatchBegan { request, watches } => tracing::debug!(event = "watch_began", request, watches),
        Happened::FeedStopped { code, private } => {
            tracing::warn!(event = "feed_stopped", code = code.name(), private = private.unwrap_or(""));
        }
    }
}

/// A fault of ours is an error in the log; a refusal is the caller's affair.
fn note_refused(request: &str, code: ErrorCode, private: Option<&str>) {
    let private = private.unwrap_or("");
    match code {
        ErrorCode::Internal | ErrorCode::UnknownOutcome | ErrorCode::StorageFull => {
            tracing::error!(event = "refused", request, code = code.name(), private);
        }
        _ => tracing::debug!(event = "refused", request, code = code.name(), private),
    }
}
