//! Errors: one closed list of codes, and one table that says what each is on every face.

use std::fmt;

/// What went wrong, as every face names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ErrorCode {
    InvalidArgument,
    LimitExceeded,
    Unauthenticated,
    TokenExpired,
    PermissionDenied,
    NotFound,
    AlreadyExists,
    RevisionMismatch,
    RevisionRequired,
    FailedPrecondition,
    IdempotencyMismatch,
    IdempotencyInProgress,
    CursorExpired,
    RateLimited,
    Overloaded,
    Unavailable,
    StorageFull,
    DeadlineExceeded,
    Cancelled,
    HandlerFailed,
    UnknownOutcome,
    Unimplemented,
    Internal,
}

/// A row of the table: one code on every face.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// The code.
    pub code: ErrorCode,
    /// Its name on the wire: `revision_mismatch`.
    pub name: &'static str,
    /// The HTTP status (for `limit_exceeded` the one without a better one).
    pub http: u16,
    /// The gRPC status number.
    pub grpc: u8,
    /// The number in a WebSocket reply.
    pub websocket: u32,
    /// Whether the same request may succeed later.
    pub temporary: bool,
    /// What it means, for people.
    pub title: &'static str,
    /// What to do about it, for people.
    pub remedy: &'static str,
}

macro_rules! table {
    ($( $code:ident $name:literal $http:literal $grpc:literal $ws:literal $temporary:literal $title:literal $remedy:literal; )*) => {
        /// Every code, once.
        pub const CODES: &[CodeRow] = &[ $( CodeRow {
            code: ErrorCode::$code, name: $name, http: $http, grpc: $grpc, websocket: $ws, temporary: $temporary,
            title: $title, remedy: $remedy,
        } ),* ];

        impl ErrorCode {
            /// This code's row of the table.
            pub fn row(self) -> &'static CodeRow {
                match self { $( ErrorCode::$code => const { &CodeRow {
                    code: ErrorCode::$code, name: $name, http: $http, grpc: $grpc, websocket: $ws, temporary: $temporary,
                    title: $title, remedy: $remedy,
                } } ),* }
            }
        }
    };
}

table! {
    InvalidArgument "invalid_argument" 400 3 107 false "The request is not valid" "Correct what the answer points at and send it again.";
    LimitExceeded "limit_exceeded" 400 3 106 false "A limit was exceeded" "Ask for less; the answer names the limit, its unit and its value.";
    Unauthenticated "unauthenticated" 401 16 101 false "No valid credential" "Send a valid token.";
    TokenExpired "token_expired" 401 16 109 true "The token has expired" "Obtain a new token and send the request again.";
    PermissionDenied "permission_denied" 403 7 103 false "Not allowed" "The model's rules do not allow this to the caller.";
    NotFound "not_found" 404 5 1404 false "Not found" "There is no such thing, or none that the caller may see.";
    AlreadyExists "already_exists" 409 6 1409 false "It exists already" "Choose another value for the fields named, or update the row that has it.";
    RevisionMismatch "revision_mismatch" 412 10 1412 false "The row has changed" "Read the row again, and write with its present revision.";
    RevisionRequired "revision_required" 428 9 1428 false "A revision is required" "Say which revision is being written: If-Match, etag, expectedRevision or if_revision.";
    FailedPrecondition "failed_precondition" 409 9 1409 false "Not possible in this state" "Change what stands in the way first.";
    IdempotencyMismatch "idempotency_mismatch" 422 9 1422 false "The key was used for another request" "Use a new idempotency key for a new request.";
    IdempotencyInProgress "idempotency_in_progress" 409 10 1409 true "The first request with this key is still running" "Send the same request again a little later.";
    CursorExpired "cursor_expired" 410 11 112 false "The cursor is too old, or of another log" "List again, and go on from the list's cursor.";
    RateLimited "rate_limited" 429 8 111 true "Too many requests" "Wait as long as the answer says.";
    Overloaded "overloaded" 503 14 108 true "The server has too much to do" "Wait as long as the answer says.";
    Unavailable "unavailable" 503 14 108 true "Not available now" "Wait as long as the answer says.";
    StorageFull "storage_full" 507 8 1507 true "The store is full" "Free space; nothing was written.";
    DeadlineExceeded "deadline_exceeded" 504 4 1504 true "It took too long" "Ask for less, or allow more time.";
    Cancelled "cancelled" 499 1 1499 true "Cancelled by the caller" "Send it again if it is still wanted.";
    HandlerFailed "handler_failed" 502 14 1502 true "A handler failed" "Send it again with an idempotency key.";
    UnknownOutcome "unknown_outcome" 500 2 1500 true "The outcome is not known" "Send it again with the same idempotency key, or read the row.";
    Unimplemented "unimplemented" 501 12 104 false "Not served" "This server does not serve that.";
    Internal "internal" 500 13 100 false "An error of the server" "Tell the operator the request id.";
}

impl ErrorCode {
    /// Its name on the wire: `revision_mismatch`.
    pub fn name(self) -> &'static str {
        self.row().name
    }
    /// The code with this name.
    pub fn by_name(name: &str) -> Option<ErrorCode> {
        CODES.iter().find(|row| row.name == name).map(|row| row.code)
    }
}

/// An error: what the caller may read, and what only the log may.
#[derive(Clone, Debug)]
pub struct Error {
    /// Which.
    pub code: ErrorCode,
    /// What the caller may read.
    pub public: Box<Public>,
    /// What only the log may.
    pub private: Private,
}

/// What a caller may read of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// One sentence: what was wrong with the value in backticks, and what would be right.
    pub message: String,
    /// For each wrong place of the input, what is wrong there.
    pub errors: Vec<FieldError>,
    /// The limit that was hit.
    pub limit: Option<LimitHit>,
    /// Which operation of a batch, from 0.
    pub operation: Option<usize>,
    /// When to come back, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Whether a token was shown and is no good, as against none being shown.
    pub bad_token: bool,
}

/// What is wrong at one place of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901) into the data: `/price`, `/lines/0/quantity`.
    pub pointer: String,
    /// What.
    pub detail: String,
}

/// A limit that was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitHit {
    /// Its name: `page_bytes_max`.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Its unit: `bytes`.
    pub unit: &'static str,
    /// The HTTP status that says it best: 400, 413, 414 or 431.
    pub http: u16,
}

/// What only the log may know of an error.
#[derive(Clone, Debug, Default)]
pub struct Private(pub Option<String>);

impl Error {
    /// An error with a message for the caller.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        let public = Public { message: message.into(), ..Public::default() };
        Error { code, public: Box::new(public), private: Private(None) }
    }

    /// An error of ours: the caller learns only that.
    pub fn internal(private: impl fmt::Display) -> Error {
        let mut error = Error::new(ErrorCode::Internal, "an internal error; the log has it under this request's id");
        error.private = Private(Some(private.to_string()));
        error
    }

    /// `invalid_argument`, with a message.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorCode::InvalidArgument, message)
    }

    /// `invalid_argument` at one place of the input.
    pub fn invalid_at(pointer: impl Into<String>, detail: impl Into<String>) -> Error {
        let detail = detail.into();
        let mut error = Error::invalid(detail.clone());
        error.public.errors.push(FieldError { pointer: pointer.into(), detail });
        error
    }

    /// `invalid_argument` at these places, its message the first of them and how many there are; `None` where nothing is wrong.
    pub fn invalid_places(errors: Vec<FieldError>) -> Option<Error> {
        let first = errors.first()?;
        let place = if first.pointer.is_empty() { String::new() } else { format!("`{}`: ", first.pointer) };
        let message = match errors.len() {
            1 => format!("{place}{}", first.detail),
            count => format!("{count} places are wrong; the first: {place}{}", first.detail),
        };
        let mut error = Error::invalid(message);
        error.public.errors = errors;
        Some(error)
    }

    /// `not_found` of a row.
    pub fn not_found(entity: &str) -> Error {
        Error::new(ErrorCode::NotFound, format!("no `{entity}` with this key"))
    }

    /// `limit_exceeded`, answered over HTTP with 400.
    pub fn limit(name: &'static str, value: usize, unit: &'static str) -> Error {
        let mut error = Error::new(ErrorCode::LimitExceeded, format!("more than {value} {unit} (limit `{name}`)"));
        error.public.limit = Some(LimitHit { name, value: value as u64, unit, http: 400 });
        error
    }

    /// The same error, saying which operation of a batch it was.
    pub fn at_operation(mut self, index: usize) -> Error {
        self.public.operation = Some(index);
        self
    }

    /// The same error of a batch of one operation: stores say which one only where there are several. What the whole commit met (a
    /// deadline, a full disk, an idempotency key) is no operation's.
    pub fn of_one_operation(self) -> Error {
        use ErrorCode::*;
        let of_operation = match self.code {
            PermissionDenied | NotFound | AlreadyExists | RevisionMismatch | RevisionRequired | FailedPrecondition => true,
            InvalidArgument => !self.public.errors.is_empty(),
            LimitExceeded => self.public.limit.as_ref().is_some_and(|limit| limit.name == "row_bytes_max"),
            _ => false,
        };
        if of_operation { self.at_operation(0) } else { self }
    }

    /// The same error, about a token that was shown.
    pub fn of_bad_token(mut self) -> Error {
        self.public.bad_token = true;
        self
    }

    /// What `WWW-Authenticate` asks of a caller without a good token: the reason only where one was shown (RFC 6750 §3.1).
    pub fn challenge(&self) -> String {
        if !self.public.bad_token {
            return "Bearer".to_owned();
        }
        // The characters that `error_description` may hold (RFC 6750 §3).
        let description: String = self.public.message.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
        format!("Bearer error=\"invalid_token\", error_description=\"{description}\"")
    }

    /// The same error, with text for the log alone.
    pub fn with_private(mut self, private: impl fmt::Display) -> Error {
        self.private = Private(Some(private.to_string()));
        self
    }

    /// The HTTP status of this error.
    pub fn http_status(&self) -> u16 {
        match &self.public.limit {
            Some(limit) => limit.http,
            None => self.code.row().http,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.public.message)
    }
}

impl std::error::Error for Error {}
