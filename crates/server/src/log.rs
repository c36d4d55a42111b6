//! The log: one line a request, never a value of a row.
//!
//! Lines are gathered in memory and written by one thread, ten times a second or when there are many, so that a request costs no
//! system call.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use fourfold_op::Principal;

use crate::config::LogFormat;

/// Bytes that wait at most; what comes beyond is dropped and counted.
const WAITING_MAX: usize = 4 << 20;
/// Bytes that are written at once without waiting for the clock.
const FLUSH_AT: usize = 64 << 10;
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// What a line says of a request.
#[derive(Clone, Debug)]
pub struct RequestLine<'a> {
    /// The request's id.
    pub request: &'a str,
    /// `rest`, `graphql`, `grpc`, `websocket`, or what else was asked.
    pub api: &'a str,
    /// `get`, `list`, …
    pub operation: &'a str,
    /// The entity's plural, service or nothing.
    pub entity: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The error's code, or `ok`.
    pub code: &'a str,
    /// Microseconds until the answer's head.
    pub micros: u64,
    /// Bytes of the answer, where they are known.
    pub bytes: Option<u64>,
    /// Who asked: a keyed hash.
    pub principal: &'a str,
}

/// Where lines go.
#[derive(Clone)]
pub struct Log {
    format: LogFormat,
    waiting: Arc<Waiting>,
    key: Arc<hmac::Key>,
}

#[derive(Default)]
struct Waiting {
    lines: Mutex<Lines>,
    wake: Condvar,
}

#[derive(Default)]
struct Lines {
    text: String,
    dropped: u64,
    closed: bool,
    written: bool,
}

impl Log {
    /// A log to standard error; `key` makes the hashes of principals.
    pub fn open(format: LogFormat, key: &[u8]) -> Log {
        let waiting = Arc::new(Waiting::default());
        if format != LogFormat::Off {
            let theirs = Arc::clone(&waiting);
            std::thread::Builder::new().name("log".into()).spawn(move || write_on(&theirs)).ok();
        }
        Log { format, waiting, key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key)) }
    }

    /// Whether lines are wanted at all.
    pub fn is_on(&self) -> bool {
        self.format != LogFormat::Off
    }

    /// A principal as the log may know it: the same text for the same one, and nothing of its name.
    pub fn hash(&self, principal: &Principal) -> String {
        if principal.is_anonymous() {
            return "-".to_owned();
        }
        let mut context = hmac::Context::with_key(&self.key);
        context.update(principal.issuer.as_bytes());
        context.update(b"#");
        context.update(principal.subject.as_bytes());
        context.sign().as_ref().iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// One line for a request.
    pub fn request(&self, line: &RequestLine<'_>) {
        match self.format {
            LogFormat::Off => {}
            LogFormat::Text => self.push(|text| human(text, line)),
            LogFormat::Json => self.push(|text| json(text, line)),
        }
    }

    fn push(&self, write: impl FnOnce(&mut String)) {
        let mut lines = self.waiting.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.text.len() >= WAITING_MAX {
            lines.dropped += 1;
            return;
        }
        write(&mut lines.text);
        if lines.text.len() >= FLUSH_AT {
            self.waiting.wake.notify_one();
        }
    }

    /// Writes what waits, at the end.
    pub fn close(&self) {
        let mut lines = self.waiting.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.closed = true;
        self.waiting.wake.notify_all();
        if self.is_on() {
            let written = self.waiting.wake.wait_timeout_while(lines, Duration::from_secs(1), |lines| !lines.written);
            drop(written);
        }
    }
}

/// What the crates beneath say that is not about one request: warnings and errors, to standard error.
pub fn traces() -> impl tracing::Subscriber + Send + Sync {
    use tracing_subscriber::fmt;
    fmt::Subscriber::builder().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).with_target(false).finish()
}

fn write_on(waiting: &Waiting) {
    let mut text = String::new();
    loop {
        let lines = waiting.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let calm = |lines: &mut Lines| !lines.closed && lines.text.len() < FLUSH_AT;
        let (mut lines, _) = waiting.wake.wait_timeout_while(lines, FLUSH_EVERY, calm).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut lines.text, &mut text);
        let (dropped, closed) = (std::mem::take(&mut lines.dropped), lines.closed);
        drop(lines);
        if dropped > 0 {
            let _ = writeln!(text, "{dropped} lines were dropped");
        }
        // Where standard error is gone there is nobody to tell.
        let _ = std::io::stderr().write_all(text.as_bytes());
        text.clear();
        if closed {
            waiting.lines.lock().unwrap_or_else(PoisonError::into_inner).written = true;
            waiting.wake.notify_all();
            return;
        }
    }
}

fn human(text: &mut String, line: &RequestLine<'_>) {
    time(text);
    let _ = write!(text, " {} {:>6}µs {} {}", line.status, line.micros, line.api, line.operation);
    if !line.entity.is_empty() {
        let _ = write!(text, " {}", line.entity);
    }
    if line.code != "ok" {
        let _ = write!(text, " {}", line.code);
    }
    if let Some(bytes) = line.bytes {
        let _ = write!(text, " {bytes}B");
    }
    let _ = writeln!(text, " by {} [{}]", line.principal, line.request);
}

fn json(text: &mut String, line: &RequestLine<'_>) {
    text.push_str("{\"time\":\"");
    time(text);
    let level = if line.status >= 500 { "error" } else { "info" };
    let _ = write!(text, "\",\"level\":\"{level}\",\"event\":\"request\",\"request\":\"{}\",\"api\":\"{}\"", line.request, line.api);
    // An operation and an entity can hold what a client wrote as a path.
    let _ = write!(text, ",\"operation\":{},\"entity\":{}", serde_json::Value::from(line.operation), serde_json::Value::from(line.entity));
    let _ = write!(text, ",\"status\":{},\"code\":\"{}\",\"micros\":{}", line.status, line.code, line.micros);
    if let Some(bytes) = line.bytes {
        let _ = write!(text, ",\"bytes\":{bytes}");
    }
    let _ = writeln!(text, ",\"principal\":\"{}\"}}", line.principal);
}

fn time(text: &mut String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    match jiff::Timestamp::from_millisecond(now) {
        Ok(now) => {
            let _ = write!(text, "{now:.3}");
        }
        Err(_) => text.push('-'),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn line() -> RequestLine<'static> {
        RequestLine {
            request: "r1",
            api: "rest",
            operation: "get",
            entity: "x\"y",
            status: 404,
            code: "not_found",
            micros: 12,
            bytes: Some(3),
            principal: "-",
        }
    }

    #[test]
    fn a_json_line_is_json_whatever_the_path_was() {
        let mut text = String::new();
        json(&mut text, &line());
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&parsed["entity"], &parsed["micros"], &parsed["code"]), (&"x\"y".into(), &12.into(), &"not_found".into()));
    }

    #[test]
    fn a_line_for_people_is_one_line() {
        let mut text = String::new();
        human(&mut text, &line());
        assert!(text.ends_with(" 404     12µs rest get x\"y not_found 3B by - [r1]\n"), "{text}");
    }

    #[test]
    fn a_principal_is_hashed_with_the_key() {
        let who = |subject: &str| Principal { issuer: "i".into(), subject: subject.into(), claims: Default::default() };
        let (a, b) = (Log::open(LogFormat::Off, b"a"), Log::open(LogFormat::Off, b"b"));
        assert_eq!(a.hash(&who("x")), a.hash(&who("x")));
        assert_ne!(a.hash(&who("x")), a.hash(&who("y")));
        assert_ne!(a.hash(&who("x")), b.hash(&who("x")));
        assert_eq!(a.hash(&who("")).len(), 16);
    }
}
