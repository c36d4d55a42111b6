//! The control socket: what an operator asks of a running server on its own machine, over `control.sock` in the data folder.
//!
//! One request and one answer a connection, each a JSON object on a line: `{"redact":{"entity":"User","key":"7"}}` is answered by
//! `{"redacted":{"events":3,"floor":41}}` or `{"error":{"code":"invalid_argument","message":"…"}}`. Only the user who runs the server, and root, may
//! ask: the socket is theirs alone, and who connects is looked at too. No API leads here.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fourfold_op::params::parse_key;
use fourfold_op::{Error, ErrorCode, json};
use fourfold_store::{Maintain, Redacted, StoreError};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::stack::Stack;

/// Bytes of a request.
const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// For a request to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// For sinks to read the log up to where it is.
const SINKS_WITHIN: Duration = Duration::from_secs(5);
const SINKS_EVERY: Duration = Duration::from_millis(20);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Asked {
    /// Blank what the log holds of a row.
    Redact {
        /// The entity's name.
        entity: String,
        /// The row's key, as it stands in a path.
        key: String,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// It is blank.
    Redacted {
        /// Events that were blanked now.
        events: u64,
        /// Cursors below this have expired.
        floor: u64,
    },
    /// It was not done.
    Error {
        /// The code's name.
        code: String,
        /// What was wrong.
        message: String,
    },
}

/// Where a server in this data folder is asked.
pub fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// The socket of a server that has a data folder; gone with it.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Control {
    /// Opens the socket, for its owner alone; one that a server left which has ended is replaced.
    ///
    /// # Errors
    /// Another server answers there, or the path cannot be a socket's: it is longer than about 100 bytes, or in a file system without them.
    pub async fn open(data: &Path) -> io::Result<Control> {
        let path = socket(data);
        if UnixStream::connect(&path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&path)?.uid();
        Ok(Control { listener, path, owner })
    }

    /// Answers requests, one after the other, for as long as it is polled; `hold` tells the position beyond which a sink has yet to read.
    pub async fn serve(self, stack: &Arc<Stack>, store: &dyn Maintain, hold: impl Fn() -> Option<u64>) {
        loop {
            match self.listener.accept().await {
                // Who goes away before its answer loses only that.
                Ok((stream, _)) => drop(self.answer(stream, stack, store, &hold).await),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on the control socket");
                    tokio::time::sleep(SINKS_EVERY).await;
                }
            }
        }
    }

    async fn answer(
        &self,
        stream: UnixStream,
        stack: &Arc<Stack>,
        store: &dyn Maintain,
        hold: &impl Fn() -> Option<u64>,
    ) -> io::Result<()> {
        let asker = stream.peer_cred()?.uid();
        let mut stream = BufReader::new(stream);
        let done = match may_ask(asker, self.owner) {
            true => redacted(read(&mut stream).await, stack, store, hold).await,
            false => Err(Error::new(ErrorCode::PermissionDenied, "only the user who runs the server, and root, may ask this")),
        };
        let answered = match done {
            Ok(Redacted { events, floor }) => Answered::Redacted { events, floor },
            Err(error) => Answered::Error { code: error.code.name().to_owned(), message: error.public.message.to_string() },
        };
        let mut line = serde_json::to_vec(&answered)?;
        line.push(b'\n');
        stream.write_all(&line).await
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn may_ask(asker: u32, owner: u32) -> bool {
    asker == owner || asker == 0
}

async fn read(stream: &mut BufReader<UnixStream>) -> Result<Asked, Error> {
    let mut line = Vec::new();
    let mut bounded = stream.take(REQUEST_BYTES_MAX);
    match tokio::time::timeout(REQUEST_WITHIN, bounded.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) => serde_json::from_slice(&line).map_err(|error| Error::invalid(format!("no request: {error}"))),
        _ => Err(Error::invalid("no request came")),
    }
}

/// Blanks a row's events in the store, then lets go what the engine holds of them in memory.
async fn redacted(
    asked: Result<Asked, Error>,
    stack: &Arc<Stack>,
    store: &dyn Maintain,
    hold: &impl Fn() -> Option<u64>,
) -> Result<Redacted, Error> {
    let Asked::Redact { entity, key } = asked?;
    let faces = stack.faces();
    let model = faces.engine().model();
    let id = model.entity_by_name(&entity).ok_or_else(|| {
        let near = json::did_you_mean(&entity, model.entities.iter().map(|entity| entity.name.as_str()));
        Error::invalid(format!("the model that is served has no entity {}{near}", json::quoted(&entity)))
    })?;
    let key = parse_key(model, id, &key)?;
    let head = store.head(None).await.position;
    tokio::time::timeout(SINKS_WITHIN, caught_up(hold, head)).await.map_err(|_| {
        let message = "a sink has yet to read the log, and would be lost; try again when it has caught up, or without it";
        Error::new(ErrorCode::FailedPrecondition, message)
    })?;
    let done = store.redact(model, id, &key).await;
    // Also after an error: the events may be blank and only the file not written anew.
    stack.faces().engine().forget_log(store.head(None).await.floor);
    done.map_err(|StoreError::Refused(error)| error)
}

async fn caught_up(hold: &impl Fn() -> Option<u64>, head: u64) {
    while hold().is_some_and(|read| read < head) {
        tokio::time::sleep(SINKS_EVERY).await;
    }
}

/// Asks the server that has a data folder; `None` where there is none.
///
/// # Errors
/// It may not be asked, or ends before it answers.
pub async fn ask(data: &Path, asked: &Asked) -> io::Result<Option<Answered>> {
    let mut stream = match UnixStream::connect(socket(data)).await {
        Ok(stream) => BufReader::new(stream),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut line = serde_json::to_vec(asked)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    stream.read_until(b'\n', &mut answer).await?;
    match answer.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended before it answered")),
        false => Ok(Some(serde_json::from_slice(&answer)?)),
    }
}

/// Serves a control socket where there can be one, for as long as it is polled; where there can be none that is said once.
pub async fn control(data: &Path, stack: &Arc<Stack>, store: &dyn Maintain, hold: impl Fn() -> Option<u64>) -> std::convert::Infallible {
    match Control::open(data).await {
        Ok(control) => control.serve(stack, store, hold).await,
        Err(error) => tracing::warn!(path = %socket(data).display(), %error, "no control socket: `events redact` cannot reach this server"),
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_may_ask() {
        assert!(may_ask(1_000, 1_000) && may_ask(0, 1_000));
        assert!(!may_ask(1_001, 1_000) && !may_ask(1_000, 0));
    }
}
